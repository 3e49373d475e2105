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

mod embedded;
mod outside;
#[path = "../scenarios/stories.rs"]
mod stories;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::time::timeout;

use embedded::Embedded;
use outside::Outside;
use stories::{Cluster, STORIES, Stage, Story};

fn main() -> ExitCode {
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

/// One broker for all stories that can share it, and one for each other.
fn embedded_trials() -> Vec<Trial> {
    let shared = Arc::new(OnceLock::new());
    let trial = |story: &Story| {
        let (story, shared) = (*story, Arc::clone(&shared));
        Trial::test(story.name, move || {
            let cluster = if story.needs_power {
                Embedded::start()
            } else {
                Arc::clone(shared.get_or_init(Embedded::start))
            };
            tell(&story, cluster)
        })
    };
    STORIES.iter().map(trial).collect()
}

fn outside_trials(bootstrap: &str) -> Vec<Trial> {
    let cluster: Arc<dyn Cluster> = Arc::new(Outside::new(bootstrap));
    let trial = |story: &Story| {
        let (story, cluster) = (*story, Arc::clone(&cluster));
        let trial = Trial::test(story.name, move || tell(&story, cluster));
        if story.needs_power {
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let stage = Stage::new(cluster, story.name);
    let (told, cleared) = runtime.block_on(async {
        let told = timeout(STORY_LIMIT, (story.tell)(stage.clone())).await;
        (told, timeout(STORY_LIMIT, stage.clear()).await)
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    told.map_err(|_| format!("the story was not over after {STORY_LIMIT:?}"))?;
    cleared.map_err(|_| "its topics could not be deleted")?;
    Ok(())
}

/// How long a story may take, with all that it waits for.
const STORY_LIMIT: Duration = Duration::from_secs(60);

const STORIES_AT_ONCE: usize = 16;
