//! Whatever is spawned is joined: the tasks of one handle, ended with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::driver::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::machine::time::Instant;

/// The tasks of one handle. [`close`](Self::close) lets them end; an [`AbortOnDrop`] aborts them.
///
/// All of them live on the runtime of the first: a call from another one must not tie a connection to a
/// runtime that may end sooner. They end with their runtime, and say so.
#[derive(Debug)]
pub(crate) struct Tasks {
    running: Mutex<JoinSet<()>>,
    closing: Arc<watch::Sender<bool>>,
    home: OnceLock<Home>,
}

/// The runtime that the tasks live on.
#[derive(Debug)]
struct Home {
    runtime: Handle,
    is_gone: Arc<AtomicBool>,
}

/// Held by a task that does nothing: it is dropped when the runtime ends.
struct Sentinel {
    closing: Arc<watch::Sender<bool>>,
    is_gone: Arc<AtomicBool>,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        if !self.closing.send_replace(true) {
            self.is_gone.store(true, Ordering::Release);
        }
    }
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            running: Mutex::new(JoinSet::new()),
            closing: Arc::new(watch::Sender::new(false)),
            home: OnceLock::new(),
        }
    }

    /// Spawns `task` on the runtime of the first task, which is the current one of its caller.
    ///
    /// # Errors
    ///
    /// The first time outside of a tokio runtime; after [`close`](Self::close) or the runtime's end.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_open()?;
        while running.try_join_next().is_some() {}
        let home = match self.home.get() {
            Some(home) => home,
            None => self.settle(&mut running)?,
        };
        running.spawn_on(task, &home.runtime);
        Ok(())
    }

    /// Makes the current runtime the home of all tasks. Under the lock of the running ones.
    fn settle(&self, running: &mut JoinSet<()>) -> Result<&Home> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(Error::new(
                ErrorKind::Config,
                "no tokio runtime: call this from async code, or use kafka_client::blocking",
            ));
        };
        let is_gone = Arc::new(AtomicBool::new(false));
        let sentinel = Sentinel {
            closing: Arc::clone(&self.closing),
            is_gone: Arc::clone(&is_gone),
        };
        let mut closing = self.closing();
        let watch = async move {
            closed(&mut closing).await;
            drop(sentinel);
        };
        running.spawn_on(watch, &runtime);
        Ok(self.home.get_or_init(|| Home { runtime, is_gone }))
    }

    /// # Errors
    ///
    /// If the tasks were told to end, or their runtime has ended.
    pub(crate) fn check_open(&self) -> Result<()> {
        if !self.is_closing() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Closed,
            if self.is_homeless() {
                RUNTIME_GONE
            } else {
                "the client is closed"
            },
        ))
    }

    /// Whether the tasks ended because their runtime did.
    pub(crate) fn is_homeless(&self) -> bool {
        let home = self.home.get();
        home.is_some_and(|home| home.is_gone.load(Ordering::Acquire))
    }

    /// As [`spawn`](Self::spawn), for a task that may be dropped at any await: it ends with
    /// [`close`](Self::close).
    pub(crate) fn spawn_until_closed(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let mut closing = self.closing();
        self.spawn(async move {
            tokio::select! {
                () = task => {}
                () = closed(&mut closing) => {}
            }
        })
    }

    /// Becomes true when the tasks should end.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.len()
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Aborts all tasks, without waiting for them.
    pub(crate) fn abort(&self) {
        self.closing.send_replace(true);
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }

    /// Asks all tasks to end, waits for them until `deadline`, then aborts and joins the rest. Says how
    /// many had to be aborted.
    pub(crate) async fn close(&self, deadline: Instant) -> usize {
        let mut running = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            self.closing.send_replace(true);
            std::mem::take(&mut *running)
        };
        let ended = clock::before(deadline, async {
            while running.join_next().await.is_some() {}
        });
        if ended.await.is_some() {
            return 0;
        }
        let left = running.len();
        running.shutdown().await;
        left
    }
}

/// Held by the handles that users hold, and by no task: with the last of them the tasks are aborted.
#[derive(Debug)]
pub(crate) struct AbortOnDrop(pub(crate) Arc<Tasks>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Resolves when `closing` is true, or its [`Tasks`] are gone.
pub(crate) async fn closed(closing: &mut watch::Receiver<bool>) {
    let _gone_counts_too = closing.wait_for(|closing| *closing).await;
}

/// What is said of a handle whose runtime is gone.
pub(crate) const RUNTIME_GONE: &str =
    "the tokio runtime on which this was first used has ended; make one client per runtime";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn spawning_outside_a_runtime_is_an_error_and_not_a_panic() {
        let error = Tasks::new().spawn(async {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[tokio::test(start_paused = true)]
    async fn close_lets_tasks_end_and_aborts_those_that_do_not() {
        let tasks = Tasks::new();
        let ended = Arc::new(AtomicBool::new(false));
        let (flag, mut closing) = (Arc::clone(&ended), tasks.closing());
        tasks
            .spawn(async move {
                closed(&mut closing).await;
                flag.store(true, Ordering::SeqCst);
            })
            .unwrap();
        tasks.spawn(std::future::pending()).unwrap();
        let aborted = tasks.close(clock::now() + Duration::from_secs(1)).await;
        assert_eq!(aborted, 1);
        assert!(ended.load(Ordering::SeqCst));
        assert_eq!(tasks.spawn(async {}).unwrap_err().kind(), ErrorKind::Closed);
    }
}
