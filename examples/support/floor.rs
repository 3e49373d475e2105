//! The least that one record at a time can cost: a blocking socket and a request made by hand.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};

/// Sends one record after another to partition 0 of `topic`; returns the times and the CPU time they took.
///
/// # Errors
///
/// If the connection fails or the broker refuses a record.
pub(crate) fn run(
    address: &str,
    topic: &str,
    value: &[u8],
    warm_up: usize,
    records: usize,
) -> std::io::Result<(Vec<Duration>, Duration)> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let mut answer = Vec::new();
    let mut times = Vec::with_capacity(records);
    let mut cpu = super::cpu_time();
    for turn in 0..warm_up + records {
        if turn == warm_up {
            cpu = super::cpu_time();
        }
        let start = Instant::now();
        socket.write_all(&request(topic, value))?;
        let mut size = [0; 4];
        socket.read_exact(&mut size)?;
        answer.resize(u32::from_be_bytes(size) as usize, 0);
        socket.read_exact(&mut answer)?;
        if turn >= warm_up {
            times.push(start.elapsed());
        }
        check(&answer, topic)?;
    }
    Ok((times, super::cpu_time() - cpu))
}

/// Produce version 9 with one batch of one record, checksum included.
fn request(topic: &str, value: &[u8]) -> Vec<u8> {
    let mut batch = BatchBuilder::new(Vec::with_capacity(256), BatchOptions::new());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_millis() as i64);
    batch
        .append(now, None, Some(value), [])
        .expect("a small record");
    let batch = batch.seal(ProducerStamp::NONE);

    let mut request = vec![0; 4];
    request.extend([0, 0, 0, 9]); // Produce, version 9
    request.extend(1_i32.to_be_bytes()); // correlation id
    request.extend([0, 5]);
    request.extend(b"floor"); // client id
    request.push(0); // no tagged fields in the header
    request.push(0); // no transactional id
    request.extend((-1_i16).to_be_bytes()); // all in-sync replicas
    request.extend(30_000_i32.to_be_bytes()); // milliseconds
    request.push(2); // one topic
    request.push(topic.len() as u8 + 1);
    request.extend(topic.as_bytes());
    request.push(2); // one partition
    request.extend(0_i32.to_be_bytes());
    let mut len = batch.len() + 1;
    while len > 0x7f {
        request.push(len as u8 | 0x80);
        len >>= 7;
    }
    request.push(len as u8);
    request.extend(&batch);
    request.extend([0, 0, 0]); // no tagged fields: partition, topic, request
    let size = request.len() as u32 - 4;
    request[..4].copy_from_slice(&size.to_be_bytes());
    request
}

/// The error code stands behind the header, the topic's name and the partition's index.
fn check(answer: &[u8], topic: &str) -> std::io::Result<()> {
    let at = 4 + 1 + 1 + 1 + topic.len() + 1 + 4;
    match answer.get(at..at + 2) {
        Some([0, 0]) => Ok(()),
        other => Err(std::io::Error::other(format!(
            "the broker refused the record: {other:?}"
        ))),
    }
}
