//! Tells every story to the embedded broker, or to the cluster that `KAFKA_BOOTSTRAP` names.
//!
//! ```sh
//! cargo test --test end_to_end                                     # the embedded broker
//! cargo test --test end_to_end -- group                            # the stories with this in their name
//! KAFKA_BOOTSTRAP=localhost:9092 cargo test --test end_to_end      # another cluster
//! ```
//!
//! What an outside cluster cannot be asked for is listed as ignored there, with the reason.
#![expect(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
#![expect(clippy::indexing_slicing, reason = "a story ends where it goes wrong")]

mod compaction;
mod data_dir;
mod embedded;
mod outside;
mod process;
#[path = "../scenarios/stories.rs"]
mod stories;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use embedded::Embedded;
use outside::Outside;
use process::BrokerProcess;
use stories::{Cluster, STORIES, Stage, Story};

fn main() -> ExitCode {
    let own: Vec<String> = std::env::args().skip(1).collect();
    if let Some((process::SERVE, rest)) = own.split_first().map(|(first, rest)| (&**first, rest)) {
        return process::serve(rest);
    }
    // RUST_LOG=kafka_client=debug shows what happens.
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let mut arguments = Arguments::from_args();
    // Stories wait more than they work.
    arguments.test_threads.get_or_insert(STORIES_AT_ONCE);
    let trials = match std::env::var("KAFKA_BOOTSTRAP") {
        Ok(bootstrap) => outside_trials(&bootstrap),
        Err(_) => embedded_trials(),
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// One broker for all stories that can share it, and one for each other; those are told to a broker of this process
/// and to one in a process of its own.
fn embedded_trials() -> Vec<Trial> {
    let shared = Arc::new(OnceLock::new());
    let mut trials = Vec::new();
    for story in STORIES {
        if story.needs_faults {
            trials.push(Trial::test(story.name, || {
                tell(story, Embedded::in_memory())
            }));
        } else if story.needs_power {
            trials.push(Trial::test(story.name, || tell(story, Embedded::start())));
            let name = format!("process::{}", story.name);
            trials.push(Trial::test(name, || tell(story, BrokerProcess::start())));
        } else {
            let shared = Arc::clone(&shared);
            let cluster = move || Arc::clone(shared.get_or_init(Embedded::start));
            trials.push(Trial::test(story.name, move || tell(story, cluster())));
        }
    }
    trials.extend(data_dir_trials());
    trials
}

/// What is the embedded broker's alone.
fn data_dir_trials() -> [Trial; 7] {
    macro_rules! trial {
        ($path:path) => {
            Trial::test(stringify!($path), || {
                let told = runtime()?.block_on(async { timeout(STORY_LIMIT, $path()).await });
                Ok(told.map_err(late)?)
            })
        };
    }
    [
        trial!(data_dir::a_directory_in_use_is_refused),
        trial!(data_dir::a_directory_that_cannot_be_written_is_refused),
        trial!(data_dir::the_directory_of_another_node_is_refused),
        trial!(data_dir::a_port_in_use_is_refused),
        trial!(data_dir::a_torn_last_batch_is_cut_off),
        trial!(compaction::only_the_last_value_of_each_key_is_left),
        trial!(compaction::offsets_that_are_committed_again_and_again_take_no_more_room),
    ]
}

fn outside_trials(bootstrap: &str) -> Vec<Trial> {
    let cluster: Arc<dyn Cluster> = Arc::new(Outside::new(bootstrap));
    let trial = |story: &'static Story| {
        let cluster = Arc::clone(&cluster);
        let trial = Trial::test(story.name, move || tell(story, cluster));
        if story.needs_faults {
            trial
                .with_ignored_flag(true)
                .with_kind("needs faults on demand")
        } else if story.needs_power {
            trial
                .with_ignored_flag(true)
                .with_kind("needs a cluster that may be stopped")
        } else {
            trial
        }
    };
    STORIES.iter().map(trial).collect()
}

/// Tells a story on a runtime of its own.
fn tell(story: &Story, cluster: Arc<dyn Cluster>) -> Result<(), Failed> {
    let runtime = runtime()?;
    let stage = Stage::new(cluster, story.name);
    let (told, cleared) = runtime.block_on(async {
        let told = timeout(STORY_LIMIT, (story.tell)(stage.clone())).await;
        (told, timeout(STORY_LIMIT, stage.clear()).await)
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    told.map_err(late)?;
    cleared.map_err(|_| "its topics could not be deleted")?;
    Ok(())
}

fn runtime() -> std::io::Result<Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build()
}

fn late(_: Elapsed) -> String {
    format!("the story was not over after {STORY_LIMIT:?}")
}

/// How long a story may take, with all that it waits for.
const STORY_LIMIT: Duration = Duration::from_secs(60);

const STORIES_AT_ONCE: usize = 16;
