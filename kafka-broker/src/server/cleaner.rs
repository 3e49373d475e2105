//! The thread that compacts logs, one at a time, so that nobody else waits for it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::server::clock::Clock;
use crate::state::catalog::Catalog;

/// A running cleaner. Dropping it stops it and waits for its end, which comes before the next batch.
#[derive(Debug)]
pub(crate) struct Cleaner {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Cleaner {
    /// Looks every `log.cleaner.backoff.ms` for logs that are to be compacted, the first time after one.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub(crate) fn start(catalog: Arc<Catalog>, clock: Clock) -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("kafka-broker-cleaner".to_owned())
            .spawn(move || {
                let mut looked = clock.now().elapsed;
                loop {
                    // The time between two looks may change between them.
                    let backoff = catalog.live.get().cleaner_backoff.max(SHORTEST_BACKOFF);
                    let due = looked.saturating_add(backoff);
                    let wait = due.saturating_sub(clock.now().elapsed);
                    if !told.goes_on_for(wait.min(LONGEST_WAIT)) {
                        return;
                    }
                    if wait <= LONGEST_WAIT {
                        catalog.compact(clock.now(), &|| told.goes_on());
                        looked = clock.now().elapsed;
                    }
                }
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        self.stop.tell();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the cleaner has panicked");
        }
    }
}

/// How the thread learns that it is to end.
#[derive(Debug, Default)]
struct Stop {
    is_told: Mutex<bool>,
    news: Condvar,
}

impl Stop {
    fn tell(&self) {
        *self.lock() = true;
        self.news.notify_all();
    }

    fn goes_on(&self) -> bool {
        !*self.lock()
    }

    /// Waits so long; false as soon as it is to end.
    fn goes_on_for(&self, time: Duration) -> bool {
        let waited = self
            .news
            .wait_timeout_while(self.lock(), time, |is_told| !*is_told);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without any it would look at all logs without end.
const SHORTEST_BACKOFF: Duration = Duration::from_millis(10);

/// How long the cleaner waits at most before it asks again how long it is to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
