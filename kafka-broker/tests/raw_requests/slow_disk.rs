//! A disk that takes long over what it was asked.

use std::thread;
use std::time::{Duration, Instant};

use kafka_broker::Broker;
use kafka_broker::log::{Disk, Fault, MemoryDisk, Operation};

use crate::connection::{Connection, batch, produce};

/// For as long as it takes: who is told to end in order must not leave logs that the next start has to verify.
#[tokio::test]
async fn the_end_waits_for_the_disk() {
    let disk = MemoryDisk::journaled();
    let start = || {
        let builder = Broker::builder().memory_disk(disk.clone());
        builder.set("log.flush.interval.messages", "1").start()
    };
    let broker = start().await.unwrap();
    let mark = broker.data_dir().join(".kafka_cleanshutdown");
    let mut connection = Connection::open(&broker);
    connection.create_topic("t", 1);
    connection.append("t", 0, &batch(10, 0));
    disk.inject(Fault::delay(Operation::Sync, SYNC));
    connection.send(&produce("t", 0, &batch(10, 1)), 9);
    thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    broker.stop().await.unwrap();
    let took = began.elapsed();
    assert!(took > SYNC - Duration::from_secs(1), "{took:?}");
    assert!(took < SYNC + Duration::from_secs(5), "{took:?}");
    assert!(disk.exists(&mark).unwrap());
    let broker = start().await.unwrap();
    let mut connection = Connection::open(&broker);
    assert_eq!(connection.append("t", 0, &batch(10, 2)), 2);
}

/// Longer than a broker waits for anything else at its end.
const SYNC: Duration = Duration::from_millis(6_500);
