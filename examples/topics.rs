//! Creates, lists, describes and deletes topics.
//!
//! ```sh
//! cargo run --example topics -- --bootstrap localhost:9092 create orders --partitions 3
//! cargo run --example topics -- --bootstrap localhost:9092 list
//! cargo run --example topics -- --bootstrap localhost:9092 describe orders
//! cargo run --example topics -- --bootstrap localhost:9092 delete orders
//! ```

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/logging.rs"]
mod logging;

use std::process::ExitCode;
use std::time::Duration;

use arguments::{Arguments, wrong};
use kafka_client::admin::{Admin, NewTopic, PartitionDescription};
use kafka_client::{Client, Result};

const USAGE: &str = "\
usage: topics --bootstrap HOST:PORT[,HOST:PORT...] COMMAND
  create TOPIC... [--partitions N] [--replication-factor N] [--config NAME=VALUE,...]
  list
  describe [TOPIC...]
  delete TOPIC...";

#[tokio::main]
async fn main() -> ExitCode {
    logging::show();
    let options = ["partitions", "replication-factor", "config"];
    let arguments = match Arguments::parse(USAGE, &options, usize::MAX) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let Some(bootstrap) = &arguments.bootstrap else {
        return wrong(USAGE, "--bootstrap is missing");
    };
    let Some((command, names)) = arguments.words.split_first() else {
        return wrong(USAGE, "no command");
    };
    match (command.as_str(), names) {
        ("create" | "delete", []) => return wrong(USAGE, "name at least one topic"),
        ("list", [extra, ..]) => return wrong(USAGE, &format!("{extra:?} means nothing here")),
        ("create" | "delete" | "list" | "describe", _) => {}
        _ => return wrong(USAGE, &format!("unknown command {command:?}")),
    }
    let new_topics: Vec<_> = match names
        .iter()
        .map(|name| new_topic(name, &arguments))
        .collect()
    {
        Ok(topics) => topics,
        Err(what) => return wrong(USAGE, &what),
    };
    let run: Result<bool> = async {
        let client = Client::builder().bootstrap_servers(bootstrap).build()?;
        client.ready(Duration::from_secs(10)).await?;
        let admin = client.admin();
        let failed = match command.as_str() {
            "create" => report("Created", admin.create_topics(new_topics).await?),
            "delete" => report("Deleted", admin.delete_topics(names).await?),
            "list" => list(&admin).await?,
            _ => describe(&admin, names).await?,
        };
        client.close_within(Duration::from_secs(5)).await;
        Ok(failed)
    }
    .await;
    match run {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn new_topic(name: &str, arguments: &Arguments) -> Result<NewTopic, String> {
    let mut topic = NewTopic::new(name);
    let number = |option: &str| {
        let value = arguments.options.get(option);
        value.map(|value| {
            value
                .parse()
                .map_err(|_| format!("--{option} {value:?} is no number"))
        })
    };
    if let Some(count) = number("partitions").transpose()? {
        topic = topic.partitions(count);
    }
    if let Some(factor) = number("replication-factor").transpose()? {
        let factor = i16::try_from(factor).map_err(|_| "--replication-factor is too large")?;
        topic = topic.replication_factor(factor);
    }
    for config in arguments
        .options
        .get("config")
        .iter()
        .flat_map(|configs| configs.split(','))
    {
        let pair = config.split_once('=');
        let (name, value) = pair.ok_or_else(|| format!("--config {config:?} is not NAME=VALUE"))?;
        topic = topic.config(name, value);
    }
    Ok(topic)
}

/// Prints an outcome per topic; whether any failed.
fn report<T>(done: &str, outcomes: Vec<(String, Result<T>)>) -> bool {
    let mut failed = false;
    for (name, outcome) in outcomes {
        match outcome {
            Ok(_) => println!("{done} topic {name}."),
            Err(error) => {
                eprintln!("error: {error}");
                failed = true;
            }
        }
    }
    failed
}

async fn list(admin: &Admin) -> Result<bool> {
    for topic in admin.list_topics().await? {
        println!("{}", topic.name);
    }
    Ok(false)
}

async fn describe(admin: &Admin, names: &[String]) -> Result<bool> {
    let names = if names.is_empty() {
        admin
            .list_topics()
            .await?
            .into_iter()
            .map(|topic| topic.name)
            .collect()
    } else {
        names.to_vec()
    };
    let mut failed = false;
    for (name, outcome) in admin.describe_topics(names).await? {
        let topic = match outcome {
            Ok(topic) => topic,
            Err(error) => {
                eprintln!("error: {error}");
                failed = true;
                continue;
            }
        };
        let factor = topic
            .partitions
            .first()
            .map_or(0, |partition| partition.replicas.len());
        println!(
            "Topic: {name}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {factor}",
            topic.id,
            topic.partitions.len(),
        );
        for partition in &topic.partitions {
            describe_partition(&name, partition);
        }
    }
    Ok(failed)
}

fn describe_partition(name: &str, partition: &PartitionDescription) {
    let ids = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    println!(
        "\tTopic: {name}\tPartition: {}\tLeader: {}\tReplicas: {}\tIsr: {}",
        partition.index,
        partition
            .leader
            .map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
        ids(&partition.replicas),
        ids(&partition.in_sync_replicas),
    );
}
