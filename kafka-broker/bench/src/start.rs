//! How long a broker takes to serve, and what it holds then.

use std::path::Path;
use std::time::Instant;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::process::Server;
use crate::topic::{Batch, append_frame, check_appended, create};

/// Fills partitions, ends the broker in order and in disorder, and starts it again, several times.
pub(crate) fn run(broker: &Path, data: &str, partitions: usize) -> Result<(), Failure> {
    let start = || Server::start_ours(broker, data, &[]);
    let mut server = start()?;
    println!(
        "a new data directory: {:?} to the first answer",
        server.started_within
    );
    fill(&server, partitions)?;
    for _ in 0..STARTS {
        println!(
            "{partitions} partitions: {} MB resident, {} open files",
            server.resident()? as f64 / 1e6,
            server.open_files()?
        );
        let asked = Instant::now();
        drop(server);
        println!("ended within {:?}", asked.elapsed());
        server = start()?;
        println!(
            "after a clean end: {:?} to the first answer",
            server.started_within
        );
    }
    server.kill()?;
    let server = start()?;
    println!(
        "after a kill: {:?} to the first answer",
        server.started_within
    );
    println!(
        "{partitions} partitions: {} MB resident",
        server.resident()? as f64 / 1e6
    );
    Ok(())
}

fn fill(server: &Server, partitions: usize) -> Result<(), Failure> {
    if partitions == 0 {
        return Ok(());
    }
    let count = i32::try_from(partitions)?;
    let mut connection = Connection::open(&server.address)?;
    create(&mut connection, TOPIC, count, &[])?;
    let batch = Batch::of(100, 1_000)?;
    for partition in 0..count {
        connection.send(&append_frame(TOPIC, partition, &batch)?)?;
        check_appended(
            &connection
                .receive::<kafka_protocol::messages::ProduceRequest>(crate::topic::DATA_VERSION)?,
        )?;
    }
    Ok(())
}

const TOPIC: &str = "many";
const STARTS: usize = 3;
