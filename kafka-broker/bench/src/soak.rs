//! A long steady load with retention on: memory must not grow.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::failure::Failure;
use crate::load::{self, Reader, joined};
use crate::process::Server;
use crate::topic::{Batch, create};

/// Appends and fetches for `length` at `rate` bytes a second, and prints the memory once a minute.
pub(crate) fn run(broker: &Path, data: &str, length: Duration, rate: f64) -> Result<(), Failure> {
    let server = Server::start_ours(
        broker,
        data,
        &["--set", "log.retention.check.interval.ms=5000"],
    )?;
    let address = server.address.as_str();
    let mut admin = Connection::open(address)?;
    let configs = [
        ("segment.bytes", "50000000"),
        ("retention.bytes", "200000000"),
    ];
    create(&mut admin, TOPIC, PARTITIONS, &configs)?;
    println!("empty: {:.1} MB resident", server.resident()? as f64 / 1e6);
    let batch = Batch::of(100, 100_000)?;
    let batches = (length.as_secs_f64() * rate / batch.bytes.len() as f64) as usize;
    let each = batches.div_ceil(PARTITIONS as usize);
    let end = i64::try_from(each * batch.records)?;
    let began = Instant::now();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for partition in 0..PARTITIONS {
            threads.push(scope.spawn(move || {
                let mut reader = Reader::open(address, TOPIC, partition, 1 << 20)?;
                reader.read_to(end, 2 * length).map(|_| ())
            }));
        }
        let batch = &batch;
        threads.push(scope.spawn(move || {
            load::append(address, TOPIC, PARTITIONS, batch, batches, Some(rate)).map(|_| ())
        }));
        while began.elapsed() < length && !threads.iter().any(thread::ScopedJoinHandle::is_finished)
        {
            thread::sleep(MINUTE.min(length));
            println!(
                "{:4} s: {:.1} MB resident, {:?} of CPU",
                began.elapsed().as_secs(),
                server.resident()? as f64 / 1e6,
                server.cpu()?
            );
        }
        threads.into_iter().try_for_each(joined)
    })?;
    println!(
        "{:.1} GB went through",
        (batches * batch.bytes.len()) as f64 / 1e9
    );
    Ok(())
}

const TOPIC: &str = "soak";
const PARTITIONS: i32 = 4;
const MINUTE: Duration = Duration::from_secs(60);
