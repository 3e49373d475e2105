//! Threads for what takes long: each kind of work has its own number of them, so that no kind waits for another, and
//! what the broker does by the clock always finds one.

use std::io;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::handler::call::Aside;

/// How much of each kind of work may go on at once. Who is too many waits for its turn, in order.
#[derive(Debug)]
pub(crate) struct Threads {
    long: Arc<Semaphore>,
    appends: Arc<Semaphore>,
    disk: Arc<Semaphore>,
}

impl Threads {
    /// For a broker with this many threads for its connections.
    pub(crate) fn new(workers: usize) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            long: places(long_at_once(workers)),
            appends: places(APPENDS_AT_ONCE),
            disk: places(DISK_AT_ONCE),
        }
    }

    /// Does something on a thread where nobody waits behind it. Once begun it is done whoever waits for it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        kind: Aside,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let places = match kind {
            Aside::Long => &self.long,
            Aside::Append => &self.appends,
            Aside::Disk => &self.disk,
        };
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(io::Error::other)
    }
}

/// How many threads there may be for all that takes long, what is done by the clock included.
pub(crate) fn threads_max(workers: usize) -> usize {
    long_at_once(workers) + APPENDS_AT_ONCE + DISK_AT_ONCE + BY_THE_CLOCK
}

/// Long requests and their answers take much memory, and nothing but a processor to be read.
fn long_at_once(workers: usize) -> usize {
    workers.max(2)
}

/// Those that append at once share one sync of the disk.
const APPENDS_AT_ONCE: usize = 128;

/// Those that wait for the disk.
const DISK_AT_ONCE: usize = 128;

/// What the timers do, each for itself.
const BY_THE_CLOCK: usize = 16;
