//! Asks the embedded broker and a real one the same raw requests, and compares what they answer, field by field.
//!
//! ```sh
//! real-kafka --version 4.4.0 -- cargo test --test parity            # every case
//! real-kafka --version 4.4.0 -- cargo test --test parity -- fetch   # the cases with this in their name
//! ```
//!
//! Without `KAFKA_BOOTSTRAP` there is nobody to compare with, and the cases are listed as ignored.
//! The real broker must be one that the cases may fill with topics and groups.
#![expect(clippy::unwrap_used, reason = "a case ends where it goes wrong")]
#![expect(clippy::indexing_slicing, reason = "a case ends where it goes wrong")]

#[macro_use]
mod build;
mod cases;
mod conversation;
mod difference;
mod peer;
mod records;

use std::process::ExitCode;
use std::sync::RwLock;

use kafka_broker::Broker;
use libtest_mimic::{Arguments, Failed, Trial};

use cases::{ALONE, CASES, Case};
use conversation::Conversation;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let real = std::env::var("KAFKA_BOOTSTRAP").ok();
    let Some(real) = real else {
        let ignored = CASES.iter().chain(ALONE).map(|case| {
            let trial = Trial::test(case.name, || Ok(()));
            trial
                .with_ignored_flag(true)
                .with_kind("needs a real broker in KAFKA_BOOTSTRAP")
        });
        return libtest_mimic::run(&arguments, ignored.collect()).exit_code();
    };
    let embedded = start();
    let trial = |case: &'static Case| {
        let (ours, theirs) = (embedded.bootstrap_servers().to_owned(), real.clone());
        Trial::test(case.name, move || {
            let _turn = TURNS.read();
            compare(case, &ours, &theirs)
        })
    };
    let alone = |case: &'static Case| {
        let (ours, theirs) = (embedded.bootstrap_servers().to_owned(), real.clone());
        Trial::test(case.name, move || {
            let _turn = TURNS.write();
            compare(case, &ours, &theirs)
        })
    };
    let trials = CASES.iter().map(trial).chain(ALONE.iter().map(alone));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Held alone by a case that must be alone with the brokers. A case that has panicked is over, too.
static TURNS: RwLock<()> = RwLock::new(());

fn compare(case: &Case, ours: &str, theirs: &str) -> Result<(), Failed> {
    let hear = |bootstrap: &str| {
        let mut conversation = Conversation::new(bootstrap, case.name);
        (case.tell)(&mut conversation);
        conversation.into_transcript()
    };
    let (ours, theirs) = (hear(ours), hear(theirs));
    match difference::between(&ours, &theirs) {
        None => Ok(()),
        Some(lines) => Err(format!("- embedded, + real\n{lines}").into()),
    }
}

/// The embedded broker, with the settings that the real one was given.
fn start() -> Broker {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let broker = Broker::builder()
        .set("offsets.topic.num.partitions", "4")
        .set("transaction.state.log.num.partitions", "4");
    runtime.block_on(broker.start()).unwrap()
}
