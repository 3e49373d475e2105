//! A bench for busy machines: all variants of a comparison in turn, in short slices, and the median
//! of each beside its ratio to the first. Times move from run to run; ratios hardly do.

use std::time::{Duration, Instant};

/// Variants of one piece of work, to be measured against each other.
pub struct Comparison<'a> {
    title: &'a str,
    unit: &'a str,
    units_per_call: f64,
    /// Bytes of one unit, where a rate is told too.
    unit_len: Option<f64>,
    variants: Vec<Variant<'a>>,
}

struct Variant<'a> {
    name: &'a str,
    call: Box<dyn FnMut() + 'a>,
    slices_ns: Vec<f64>,
    allocations: f64,
}

impl<'a> Comparison<'a> {
    /// A comparison in nanoseconds per `unit`, of which each call of a variant does as many as told.
    #[must_use]
    pub fn new(title: &'a str, unit: &'a str, units_per_call: usize) -> Self {
        Self {
            title,
            unit,
            units_per_call: units_per_call as f64,
            unit_len: None,
            variants: Vec::new(),
        }
    }

    /// A comparison of what is done with `len` bytes, in nanoseconds per KiB and in MB/s.
    #[must_use]
    pub fn of_bytes(title: &'a str, len: usize) -> Self {
        Self {
            units_per_call: len as f64 / 1024.0,
            unit_len: Some(1024.0),
            ..Self::new(title, "KiB", 1)
        }
    }

    /// Adds a variant; the first one is what the others are compared with.
    #[must_use]
    pub fn with(mut self, name: &'a str, call: impl FnMut() + 'a) -> Self {
        self.variants.push(Variant {
            name,
            call: Box::new(call),
            slices_ns: Vec::with_capacity(ROUNDS),
            allocations: 0.0,
        });
        self
    }

    /// Measures all variants and prints a table; or nothing, if the command line names words and none
    /// of them is in the title.
    #[expect(clippy::print_stdout, reason = "the table is what a bench is for")]
    pub fn run(mut self) {
        let mut words = std::env::args()
            .skip(1)
            .filter(|word| !word.starts_with('-'));
        let first_word = words.next();
        if let Some(first) = &first_word
            && !self.title.contains(first.as_str())
            && !words.any(|word| self.title.contains(&word))
        {
            return;
        }
        for variant in &mut self.variants {
            // The first call warms up and the second is counted.
            (variant.call)();
            let counted = allocation_counter::measure(&mut variant.call);
            variant.allocations = counted.count_total as f64 / self.units_per_call;
        }
        for _ in 0..ROUNDS {
            for variant in &mut self.variants {
                let per_call_ns = slice(&mut variant.call);
                variant.slices_ns.push(per_call_ns / self.units_per_call);
            }
        }
        println!("\n{}", self.title);
        println!(
            "  {:<36} {:>10} {:>10} {:>10} {:>8} {:>12} {:>8}",
            "variant",
            format!("ns/{}", self.unit),
            "min",
            "max",
            "ratio",
            "allocations",
            if self.unit_len.is_some() { "MB/s" } else { "" }
        );
        let mut first = None;
        for variant in &mut self.variants {
            variant.slices_ns.sort_by(f64::total_cmp);
            let median = at(&variant.slices_ns, ROUNDS / 2);
            let first = *first.get_or_insert(median);
            let rate = self
                .unit_len
                .map(|len| format!("{:.0}", len * 1000.0 / median));
            println!(
                "  {:<36} {median:>10.2} {:>10.2} {:>10.2} {:>8.2} {:>12.3} {:>8}",
                variant.name,
                at(&variant.slices_ns, 0),
                at(&variant.slices_ns, ROUNDS - 1),
                median / first,
                variant.allocations,
                rate.unwrap_or_default(),
            );
        }
    }
}

impl std::fmt::Debug for Comparison<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Comparison")
            .field("title", &self.title)
            .field("variants", &self.variants.len())
            .finish_non_exhaustive()
    }
}

/// Bytes that do not compress, the same in every run.
#[must_use]
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(len)
    .collect()
}

/// Events in JSON as services log them, of 200 to 300 bytes, up to `len` bytes: they compress as
/// records do. The same in every run.
#[must_use]
pub fn events(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % bound
    };
    let mut bytes = Vec::with_capacity(len + 400);
    let mut number = 1_000_000_i64;
    while bytes.len() < len {
        number += 1;
        let id = u128::from(below(1 << 53)) << 75 | u128::from(below(1 << 53)) << 22;
        let event = format!(
            "{{\"id\":\"{id:032x}\",\"span\":\"{:012x}\",\"time\":{},\"number\":{number},\
             \"event\":\"{}\",\"user\":{},\"country\":\"{}\",\"status\":{},\"amount\":{}.{:02},\
             \"latency_us\":{},\"tags\":[\"{}\",\"web\"],\"agent\":\"{}\"}}",
            below(1 << 48),
            1_760_000_000_000 + number * 3,
            pick(EVENTS, below(8)),
            below(50_000),
            pick(COUNTRIES, below(8)),
            pick(["200", "204", "404", "500", "", "", "", ""], below(4)),
            below(1000),
            below(100),
            below(100_000),
            pick(["a", "b", "beta", "canary", "", "", "", ""], below(4)),
            pick(AGENTS, below(3)),
        );
        bytes.extend_from_slice(event.as_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn pick(texts: [&'static str; 8], at: u64) -> &'static str {
    texts.get(at as usize).copied().unwrap_or_default()
}

/// Nanoseconds per call over one slice.
fn slice(call: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    let mut calls = 0_u32;
    loop {
        call();
        calls += 1;
        let elapsed = start.elapsed();
        if elapsed >= SLICE {
            return elapsed.as_nanos() as f64 / f64::from(calls);
        }
    }
}

fn at(sorted: &[f64], index: usize) -> f64 {
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

const EVENTS: [&str; 8] = [
    "page_view",
    "click",
    "purchase",
    "login",
    "logout",
    "search",
    "add_to_cart",
    "error",
];
const COUNTRIES: [&str; 8] = ["DE", "US", "FR", "GB", "JP", "BR", "IN", "SE"];
const AGENTS: [&str; 8] = [
    "Mozilla/5.0 (X11; Linux x86_64)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X)",
    "okhttp/4.12",
    "",
    "",
    "",
    "",
    "",
];
const ROUNDS: usize = 15;
const SLICE: Duration = Duration::from_millis(30);
