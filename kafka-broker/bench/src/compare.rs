//! Appends and fetches against our broker and a real Kafka node in turn, in one run: processor time of
//! the server's process alone.

use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::compression::Compression;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::load::{self, Reader, joined};
use crate::process::Server;
use crate::topic::{Batch, create, delete};

/// Who is compared.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) ours: Server,
    pub(crate) real: Option<Server>,
}

/// One figure of one server in one round.
#[derive(Clone, Copy, Debug)]
struct Figure {
    /// Processor seconds per million records, or per GB.
    cost: f64,
    /// Millions of records, or GB, a second.
    rate: f64,
}

/// Something to measure.
struct Load {
    name: &'static str,
    unit: &'static str,
    run: fn(&Server, &str) -> Result<Figure, Failure>,
}

const LOADS: &[Load] = &[
    Load {
        name: "append, 100 B in 1 MB batches",
        unit: "M records",
        run: |server, topic| append(server, topic, &Batch::of(100, BATCH_MAX)?),
    },
    Load {
        name: "append, 1,000 B in 1 MB batches",
        unit: "M records",
        run: |server, topic| append(server, topic, &Batch::of(1_000, BATCH_MAX)?),
    },
    Load {
        name: "append, 100 B in 16 kB batches, gzip",
        unit: "M records",
        run: |server, topic| append_packed(server, topic, Compression::Gzip),
    },
    Load {
        name: "append, 100 B in 16 kB batches, zstd",
        unit: "M records",
        run: |server, topic| append_packed(server, topic, Compression::Zstd),
    },
    Load {
        name: "fetch of cold data, 1 MB batches",
        unit: "GB",
        run: |server, topic| fetch(server, topic, BATCH_MAX),
    },
    Load {
        name: "fetch of cold data, 16 kB batches",
        unit: "GB",
        run: |server, topic| fetch(server, topic, SMALL_BATCH_MAX),
    },
    Load {
        name: "append and fetch at the tail, 1 MB batches",
        unit: "GB",
        run: |server, topic| tail(server, topic, BATCH_MAX),
    },
    Load {
        name: "append and fetch at the tail, 16 kB batches",
        unit: "GB",
        run: |server, topic| tail(server, topic, SMALL_BATCH_MAX),
    },
];

/// Runs every load whose name contains `only`, and prints what it costs.
pub(crate) fn run(servers: &Servers, rounds: usize, only: &str) -> Result<(), Failure> {
    println!("processor seconds of the server per unit: median (least-most) of {rounds} rounds");
    for load in LOADS.iter().filter(|load| load.name.contains(only)) {
        let mut ours = Vec::new();
        let mut real = Vec::new();
        // The first round of a virtual machine that compiles as it goes is not like the others.
        for round in 0..=rounds {
            let topic = format!("bench-{round}-{}", load.name.len());
            let figure = (load.run)(&servers.ours, &topic)?;
            let other = servers.real.as_ref().map(|real| (load.run)(real, &topic));
            if round > 0 {
                ours.push(figure);
                real.extend(other.transpose()?);
            } else {
                other.transpose()?;
            }
        }
        println!("{}", load.name);
        let mine = show("ours", load.unit, ours);
        if !real.is_empty() {
            let theirs = show("Kafka", load.unit, real);
            println!("  ratio  {:.1}", theirs / mine);
        }
    }
    println!(
        "resident, ours: {} MB",
        servers.ours.resident()? / 1_000_000
    );
    if let Some(real) = &servers.real {
        println!("resident, Kafka: {} MB", real.resident()? / 1_000_000);
    }
    Ok(())
}

/// Prints a line and gives the median cost.
fn show(who: &str, unit: &str, mut figures: Vec<Figure>) -> f64 {
    figures.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let middle = figures[figures.len() / 2];
    println!(
        "  {who:6} {:.3} ({:.3}-{:.3}) CPU s/{unit}, {:.2} {unit}/s",
        middle.cost,
        figures[0].cost,
        figures[figures.len() - 1].cost,
        middle.rate,
    );
    middle.cost
}

/// Fresh topics, whose files go soon after the measurement.
fn append(server: &Server, topic: &str, batch: &Batch) -> Result<Figure, Failure> {
    let mut admin = Connection::open(&server.address)?;
    create(&mut admin, topic, APPENDERS, &[])?;
    let spent = Spent::begin(server)?;
    let batches = APPENDED / batch.bytes.len();
    let batches = load::append(&server.address, topic, APPENDERS, batch, batches, None)?;
    let figure = spent.per((batches * batch.records) as f64 / 1e6)?;
    delete(&mut admin, topic)?;
    Ok(figure)
}

fn append_packed(
    server: &Server,
    topic: &str,
    compression: Compression,
) -> Result<Figure, Failure> {
    let batch = Batch::packed(100, SMALL_BATCH_MAX, compression)?;
    append(server, topic, &batch)
}

fn fetch(server: &Server, topic: &str, batch_max: usize) -> Result<Figure, Failure> {
    let batch = Batch::of(1_000, batch_max)?;
    let mut admin = Connection::open(&server.address)?;
    create(&mut admin, topic, 1, &[])?;
    let batches = STORED / batch.bytes.len();
    let batches = load::append(&server.address, topic, 1, &batch, batches, None)?;
    // What memory may hold of the newest batches is not what is to be measured.
    let end = i64::try_from((batches - batches / 4) * batch.records)?;
    let spent = Spent::begin(server)?;
    let mut bytes = 0;
    for _ in 0..PASSES {
        let mut reader = Reader::open(&server.address, topic, 0, 1 << 20)?;
        bytes += reader.read_to(end, PATIENCE)?;
    }
    let figure = spent.per(bytes as f64 / 1e9)?;
    delete(&mut admin, topic)?;
    Ok(figure)
}

fn tail(server: &Server, topic: &str, batch_max: usize) -> Result<Figure, Failure> {
    let batch = Batch::of(1_000, batch_max)?;
    let mut admin = Connection::open(&server.address)?;
    create(&mut admin, topic, 1, &[])?;
    let batches = STORED / 2 / batch.bytes.len();
    let end = i64::try_from(batches * batch.records)?;
    let spent = Spent::begin(server)?;
    let mut reader = Reader::open(&server.address, topic, 0, 1 << 20)?;
    thread::scope(|scope| {
        let reading = scope.spawn(move || reader.read_to(end, PATIENCE));
        load::append(&server.address, topic, 1, &batch, batches, Some(TAIL_RATE))?;
        joined(reading)
    })?;
    let figure = spent.per((batches * batch.bytes.len()) as f64 / 1e9)?;
    delete(&mut admin, topic)?;
    Ok(figure)
}

/// A span of time, and what a server has worked in it.
struct Spent<'s> {
    server: &'s Server,
    began: Instant,
    cpu: Duration,
}

impl<'s> Spent<'s> {
    fn begin(server: &'s Server) -> Result<Self, Failure> {
        touch_memory()?;
        Ok(Self {
            server,
            began: Instant::now(),
            cpu: server.cpu()?,
        })
    }

    fn per(&self, units: f64) -> Result<Figure, Failure> {
        let cpu = self.server.cpu()?.saturating_sub(self.cpu);
        Ok(Figure {
            cost: cpu.as_secs_f64() / units,
            rate: units / self.began.elapsed().as_secs_f64(),
        })
    }
}

/// The host of a virtual machine gives it memory page by page as it is first touched, and takes back what
/// was free for seconds: a page of the cache then costs many times what it does else, at random. So as
/// many pages as a load takes are filled and freed right before it.
fn touch_memory() -> Result<(), Failure> {
    let mut file = tempfile::tempfile()?;
    let chunk = vec![1; 1 << 20];
    for _ in 0..TOUCHED >> 20 {
        file.write_all(&chunk)?;
    }
    Ok(())
}

/// Starts both, or ours alone.
pub(crate) fn start(broker: &Path, data: &str, real: Option<&Path>) -> Result<Servers, Failure> {
    let ours = Server::start_ours(broker, data, &[])?;
    let real = real.map(|program| {
        let soon = "log.segment.delete.delay.ms=1000";
        Server::start(program, &["--heap", "1g", "--set", soon])
    });
    Ok(Servers {
        ours,
        real: real.transpose()?,
    })
}

/// The broker's limit is a little above.
const BATCH_MAX: usize = 1_000_000;
const SMALL_BATCH_MAX: usize = 16_384;
const APPENDERS: i32 = 2;
/// Bytes of one run.
const APPENDED: usize = 600_000_000;
const STORED: usize = 600_000_000;
/// More than one run stores.
const TOUCHED: usize = 1_000_000_000;
const PASSES: usize = 4;
/// Bytes a second.
const TAIL_RATE: f64 = 250e6;
const PATIENCE: Duration = Duration::from_secs(300);
