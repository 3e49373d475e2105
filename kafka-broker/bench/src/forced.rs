//! Appends that are answered once they are on the disk: what one sync serves when many wait for it.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::ProduceRequest;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::load::joined;
use crate::process::Server;
use crate::topic::{Batch, DATA_VERSION, append_frame, check_appended, create};

/// Lets growing numbers of connections append to one partition, each with one request under way.
pub(crate) fn run(broker: &Path, data: &str, length: Duration) -> Result<(), Failure> {
    let server = Server::start_ours(broker, data, &[])?;
    let mut admin = Connection::open(&server.address)?;
    create(&mut admin, TOPIC, 1, &[("flush.messages", "1")])?;
    for writers in WRITERS {
        let began = Instant::now();
        let mut waits = thread::scope(|scope| {
            let writers: Vec<_> = (0..writers)
                .map(|_| scope.spawn(|| write(&server.address, began + length)))
                .collect();
            let mut waits = Vec::new();
            for writer in writers {
                waits.extend(joined(writer)?);
            }
            Ok::<_, Failure>(waits)
        })?;
        waits.sort_unstable();
        println!(
            "{writers} connections: {:.0} appends/s, each answered within {:?} (median), {:?} (99 %)",
            waits.len() as f64 / began.elapsed().as_secs_f64(),
            waits[waits.len() / 2],
            waits[waits.len() * 99 / 100],
        );
    }
    Ok(())
}

/// Gives how long each append took; at least one is made.
fn write(address: &str, end: Instant) -> Result<Vec<Duration>, Failure> {
    let batch = Batch::of(1_000, 1_200)?;
    let mut connection = Connection::open(address)?;
    let frame = append_frame(TOPIC, 0, &batch)?;
    let mut waits = Vec::new();
    while waits.is_empty() || Instant::now() < end {
        let asked = Instant::now();
        connection.send(&frame)?;
        check_appended(&connection.receive::<ProduceRequest>(DATA_VERSION)?)?;
        waits.push(asked.elapsed());
    }
    Ok(waits)
}

const TOPIC: &str = "forced";
const WRITERS: [usize; 4] = [1, 4, 16, 64];
