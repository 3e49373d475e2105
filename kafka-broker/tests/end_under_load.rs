//! The program is told to end while it writes, syncs, compacts and keeps readers waiting: it ends soon and in order, says
//! nothing of a failure, and loses nothing that it acknowledged.
#![expect(clippy::unwrap_used, reason = "a test ends where it goes wrong")]
#![expect(clippy::indexing_slicing, reason = "a test ends where it goes wrong")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::frame;
use kafka_protocol::header::decode_response_header;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    CreateTopicsRequest, FetchRequest, ListOffsetsRequest, ProduceRequest,
};
use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};
use kafka_protocol::wire::Reader;
use kafka_protocol::{Message, Request};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_program_that_is_told_to_end_under_load_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut acknowledged = vec![0; LOADS.len()];
    for round in 0..ROUNDS {
        let mut program = Program::start(&data);
        if round == 0 {
            program.create_topics();
        }
        assert_eq!(
            program.is_missing(&acknowledged),
            [],
            "after {round} rounds"
        );
        let loads: Vec<_> = LOADS.iter().map(|load| program.load(load)).collect();
        let reader = program.wait_for_records();
        // At another point of what it does each time.
        std::thread::sleep(Duration::from_millis(700 + 270 * round));
        let (took, said) = program.end();
        assert!(took < END_MAX, "round {round}: it took {took:?}");
        assert_eq!(said, "", "round {round}");
        assert!(data.join(".kafka_cleanshutdown").exists(), "round {round}");
        for (sum, load) in acknowledged.iter_mut().zip(loads) {
            *sum += load.join().unwrap();
        }
        reader.join().unwrap();
    }
    let program = Program::start(&data);
    assert_eq!(program.is_missing(&acknowledged), []);
}

/// What is written where: one batch to each partition with each request.
struct Load {
    topic: &'static str,
    partitions: i32,
    configs: &'static [(&'static str, &'static str)],
}

const LOADS: &[Load] = &[
    // Each request waits for the disk.
    Load {
        topic: "synced",
        partitions: 3,
        configs: &[("flush.messages", "1")],
    },
    // The clock makes so many logs durable that it takes a while.
    Load {
        topic: "many",
        partitions: 300,
        configs: &[("flush.ms", "1")],
    },
    // There is always something to compact.
    Load {
        topic: "compacted",
        partitions: 2,
        configs: &[
            ("cleanup.policy", "compact"),
            ("segment.bytes", "16384"),
            ("min.cleanable.dirty.ratio", "0.01"),
        ],
    },
];

const ROUNDS: u64 = 4;

/// The program over a data directory.
struct Program {
    child: Child,
    address: String,
}

impl Program {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kafka-broker"))
            .args(["--listen", "127.0.0.1:0", "--log", "warn"])
            .args(["--set", "log.cleaner.backoff.ms=50"])
            .arg("--data-dir")
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap();
        Self {
            child,
            address: address.to_owned(),
        }
    }

    fn connect(&self) -> Peer {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Peer(stream)
    }

    fn create_topics(&self) {
        let mut request = CreateTopicsRequest::default();
        request.timeout_ms = 20_000;
        for load in LOADS {
            let mut topic = CreatableTopic::default();
            topic.name = load.topic.into();
            topic.num_partitions = load.partitions;
            topic.replication_factor = 1;
            for (name, value) in load.configs {
                let mut config = CreatableTopicConfig::default();
                config.name = (*name).into();
                config.value = Some((*value).into());
                topic.configs.push(config);
            }
            request.topics.push(topic);
        }
        let answer = self.connect().ask(&request, 5).unwrap();
        assert!(
            answer.topics.iter().all(|topic| topic.error_code == 0),
            "{answer:?}"
        );
    }

    /// Writes until the broker goes, and says how many requests were acknowledged.
    fn load(&self, load: &'static Load) -> JoinHandle<i64> {
        let mut peer = self.connect();
        let request = produce(load);
        // The first records of many partitions make as many directories, which may take a while.
        peer.ask(&request, 9).unwrap();
        std::thread::spawn(move || {
            let mut acknowledged = 1;
            while let Ok(answer) = peer.ask(&request, 9) {
                let rows = &answer.responses[0].partition_responses;
                assert!(rows.iter().all(|row| row.error_code == 0), "{rows:?}");
                acknowledged += 1;
            }
            // Without that nobody was told to end under load.
            assert!(acknowledged > 1, "{}", load.topic);
            acknowledged
        })
    }

    /// Waits for what does not come, until the broker goes.
    fn wait_for_records(&self) -> JoinHandle<()> {
        let mut peer = self.connect();
        std::thread::spawn(move || {
            let mut partition = FetchPartition::default();
            partition.fetch_offset = 0;
            partition.partition_max_bytes = 1;
            let mut topic = FetchTopic::default();
            topic.topic = LOADS[0].topic.into();
            topic.partitions.push(partition);
            let mut request = FetchRequest::default();
            request.max_wait_ms = 60_000;
            request.min_bytes = 1 << 30;
            request.max_bytes = 1 << 30;
            request.topics.push(topic);
            while peer.ask(&request, 12).is_ok() {}
        })
    }

    /// The partitions that end before what was acknowledged.
    fn is_missing(&self, acknowledged: &[i64]) -> Vec<(&'static str, i32, i64)> {
        let mut peer = self.connect();
        let mut missing = Vec::new();
        for (load, batches) in LOADS.iter().zip(acknowledged) {
            let mut topic = ListOffsetsTopic::default();
            topic.name = load.topic.into();
            for index in 0..load.partitions {
                let mut row = ListOffsetsPartition::default();
                row.partition_index = index;
                row.timestamp = -1;
                topic.partitions.push(row);
            }
            let mut request = ListOffsetsRequest::default();
            request.replica_id = -1;
            request.topics.push(topic);
            let answer = peer.ask(&request, 6).unwrap();
            for row in &answer.topics[0].partitions {
                if row.error_code != 0 || row.offset < *batches {
                    missing.push((load.topic, row.partition_index, row.offset));
                }
            }
        }
        missing
    }

    /// SIGTERM: how long the end took, and what was said on the way.
    fn end(&mut self) -> (Duration, String) {
        let id = i32::try_from(self.child.id()).unwrap();
        let start = Instant::now();
        // A supervisor and a process group may both hand it on: that is no impatience.
        for _ in 0..2 {
            kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let took = start.elapsed();
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        assert!(status.success(), "{status}: {said}");
        (took, said)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A record with the same key for each partition.
fn produce(load: &Load) -> ProduceRequest {
    let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
    builder
        .append(-1, Some(b"k"), Some(&[b'v'; 200]), [])
        .unwrap();
    let batch = Bytes::from(builder.seal(ProducerStamp::NONE));
    let mut topic = TopicProduceData::default();
    topic.name = load.topic.into();
    for index in 0..load.partitions {
        let mut row = PartitionProduceData::default();
        row.index = index;
        row.records = Some(batch.clone());
        topic.partition_data.push(row);
    }
    let mut request = ProduceRequest::default();
    request.acks = -1;
    request.timeout_ms = 10_000;
    request.topic_data.push(topic);
    request
}

/// A connection that may end at any time.
struct Peer(TcpStream);

impl Peer {
    fn ask<R: Request>(&mut self, request: &R, version: i16) -> io::Result<R::Response> {
        let chunks = frame::encode_request(request, version, 7, Some("load")).unwrap();
        self.0.write_all(&chunks.concat())?;
        let mut size = [0; frame::SIZE_LEN];
        self.0.read_exact(&mut size)?;
        let mut answer = vec![0; u32::from_be_bytes(size) as usize];
        self.0.read_exact(&mut answer)?;
        let mut reader = Reader::new(Bytes::from(answer));
        decode_response_header(&mut reader, R::KEY, version).unwrap();
        Ok(R::Response::decode(&mut reader, version).unwrap())
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

/// What whoever ends containers usually waits before a kill. Most of an end is the disk's: each log is synced.
const END_MAX: Duration = Duration::from_secs(10);
