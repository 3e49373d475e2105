//! What only admin tools ask for: how large partitions are, and what has a configuration.

use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::{DescribeLogDirsRequest, ListConfigResourcesRequest};

use crate::connection::{Connection, batch, broker};

#[tokio::test]
async fn the_data_directory_tells_the_sizes_of_its_partitions() {
    let broker = broker(&[]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("a", 2);
    connection.create_topic("b", 1);
    let one = batch(1000, 0);
    connection.append("a", 1, &one);
    connection.append("a", 1, &one);
    let ask = |connection: &mut Connection, topics| {
        let mut request = DescribeLogDirsRequest::default();
        request.topics = topics;
        let mut response = connection.ask(&request, 4);
        assert_eq!((response.error_code, response.results.len()), (0, 1));
        let dir = response.results.remove(0);
        assert_eq!(&*dir.log_dir, broker.data_dir().to_str().unwrap());
        let volume = rustix::fs::statvfs(broker.data_dir()).unwrap();
        let total = volume.f_blocks * volume.f_frsize;
        assert_eq!(dir.total_bytes, total as i64);
        assert!((1..=dir.total_bytes).contains(&dir.usable_bytes));
        let rows = dir.topics.iter().flat_map(|topic| {
            let rows = topic.partitions.iter();
            rows.map(|row| {
                (
                    topic.name.to_string(),
                    row.partition_index,
                    row.partition_size,
                )
            })
        });
        rows.collect::<Vec<_>>()
    };
    let size = 2 * one.len() as i64;
    let sizes = [("a", 0, 0), ("a", 1, size), ("b", 0, 0)];
    let sizes = sizes.map(|(name, index, size)| (name.to_owned(), index, size));
    assert_eq!(ask(&mut connection, None), sizes);
    let mut topic = DescribableLogDirTopic::default();
    topic.topic = "a".into();
    topic.partitions = vec![1, 7];
    assert_eq!(ask(&mut connection, Some(vec![topic])), sizes[1..2]);
    assert_eq!(ask(&mut connection, Some(Vec::new())), []);
}

#[tokio::test]
async fn topics_and_the_broker_have_configurations() {
    let broker = broker(&[("node.id", "5")]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("a", 1);
    let mut ask = |types: &[i8], version| {
        let mut request = ListConfigResourcesRequest::default();
        request.resource_types = types.to_vec();
        let response = connection.ask(&request, version);
        let rows = response.config_resources.iter();
        let rows = rows.map(|row| (row.resource_name.to_string(), row.resource_type));
        (response.error_code, rows.collect::<Vec<_>>())
    };
    let (topic, node) = (("a".to_owned(), 2), ("5".to_owned(), 4));
    assert_eq!(ask(&[], 1), (0, vec![topic.clone(), node.clone()]));
    assert_eq!(ask(&[32], 1), (0, vec![]));
    assert_eq!(ask(&[2], 1), (0, vec![topic]));
    assert_eq!(ask(&[4, 16], 1), (0, vec![node]));
    assert_eq!(ask(&[3], 1).0, 35);
    assert_eq!(ask(&[], 0), (0, vec![]), "client metrics alone");
}

#[tokio::test]
async fn data_in_memory_has_no_bounds() {
    let broker = kafka_broker::Broker::builder().in_memory();
    let broker = broker.start().await.unwrap();
    let mut connection = Connection::open(&broker);
    let response = connection.ask(&DescribeLogDirsRequest::default(), 4);
    let dir = &response.results[0];
    assert_eq!((dir.total_bytes, dir.usable_bytes), (-1, -1));
}
