//! Many connections at once: some idle, some busy.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{ApiVersionsRequest, ProduceRequest};

use crate::connection::Connection;
use crate::failure::Failure;
use crate::load::{Reader, joined};
use crate::process::Server;
use crate::topic::{Batch, DATA_VERSION, append_frame, check_appended, create};

/// Opens all, works for a while, and asks the idle ones whether they are still served. Each busy pair
/// has a partition of its own, so that what one reader waits for concerns no other.
pub(crate) fn run(
    broker: &Path,
    data: &str,
    idle: usize,
    busy: usize,
    length: Duration,
) -> Result<(), Failure> {
    let server = Server::start_ours(broker, data, &[])?;
    let pairs = (busy / 2).max(1);
    let address = server.address.as_str();
    let mut admin = Connection::open(address)?;
    create(
        &mut admin,
        TOPIC,
        i32::try_from(pairs)?,
        &[("retention.bytes", "10000000")],
    )?;
    println!("alone: {:.1} MB resident", server.resident()? as f64 / 1e6);
    let mut crowd = Vec::new();
    for _ in 0..idle {
        let mut connection = Connection::open(address)?;
        connection.ask(&ApiVersionsRequest::default(), 0)?;
        crowd.push(connection);
    }
    println!(
        "{idle} idle connections: {:.1} MB resident",
        server.resident()? as f64 / 1e6
    );
    let before = server.cpu()?;
    thread::sleep(Duration::from_secs(5));
    println!(
        "{idle} idle connections: {:?} of CPU in 5 s",
        server.cpu()? - before
    );

    let batch = Batch::of(1_000, 16_384)?;
    let over = AtomicBool::new(false);
    let appended = AtomicU64::new(0);
    let before = server.cpu()?;
    let began = Instant::now();
    let waits = thread::scope(|scope| {
        let (over, appended, batch) = (&over, &appended, &batch);
        let mut writers = Vec::new();
        let mut readers = Vec::new();
        for partition in 0..i32::try_from(pairs)? {
            writers.push(scope.spawn(move || write(address, partition, batch, over, appended)));
            readers.push(scope.spawn(move || read(address, partition, over)));
        }
        thread::sleep(length);
        println!(
            "{} busy connections: {:.1} MB resident",
            2 * pairs,
            server.resident()? as f64 / 1e6
        );
        over.store(true, Ordering::Relaxed);
        writers.into_iter().try_for_each(joined)?;
        let mut waits = Vec::new();
        for reader in readers {
            waits.extend(joined(reader)?);
        }
        Ok::<_, Failure>(waits)
    })?;
    let requests = appended.load(Ordering::Relaxed);
    let cpu = server.cpu()? - before;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{requests} appends of {} kB in {seconds:.1} s, each fetched at once by another connection: \
         {:.1} us of CPU for the two",
        batch.bytes.len() / 1000,
        cpu.as_secs_f64() * 1e6 / requests as f64
    );
    println!(
        "{} fetches were answered, the slowest within {:?}",
        waits.len(),
        waits.iter().max()
    );
    for connection in &mut crowd {
        connection.ask(&ApiVersionsRequest::default(), 0)?;
    }
    println!("all {idle} idle connections are still served");
    Ok(())
}

fn write(
    address: &str,
    partition: i32,
    batch: &Batch,
    over: &AtomicBool,
    appended: &AtomicU64,
) -> Result<(), Failure> {
    let mut connection = Connection::open(address)?;
    let frame = append_frame(TOPIC, partition, batch)?;
    while !over.load(Ordering::Relaxed) {
        connection.send(&frame)?;
        check_appended(&connection.receive::<ProduceRequest>(DATA_VERSION)?)?;
        appended.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Gives how long each answer with batches took.
fn read(address: &str, partition: i32, over: &AtomicBool) -> Result<Vec<Duration>, Failure> {
    let mut reader = Reader::open(address, TOPIC, partition, 1 << 20)?;
    let mut waits = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        reader.send()?;
        if reader.receive()? > 0 {
            waits.push(asked.elapsed());
        }
    }
    Ok(waits)
}

const TOPIC: &str = "crowd";
/// Between two appends of one connection.
const PAUSE: Duration = Duration::from_millis(20);
