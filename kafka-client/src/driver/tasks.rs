//! Whatever is spawned is joined: the tasks of one handle, ended with it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::driver::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::machine::time::Instant;

/// The tasks of one handle. [`close`](Self::close) lets them end; an [`AbortOnDrop`] aborts them.
#[derive(Debug)]
pub(crate) struct Tasks {
    running: Mutex<JoinSet<()>>,
    closing: watch::Sender<bool>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            running: Mutex::new(JoinSet::new()),
            closing: watch::Sender::new(false),
        }
    }

    /// Spawns `task` on the current runtime.
    ///
    /// # Errors
    ///
    /// Outside a tokio runtime, or after [`close`](Self::close).
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Err(Error::new(
                ErrorKind::Config,
                "no tokio runtime: call this from async code, or use kafka_client::blocking",
            ));
        };
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if *self.closing.borrow() {
            return Err(Error::new(ErrorKind::Closed, "the client is closed"));
        }
        while running.try_join_next().is_some() {}
        running.spawn_on(task, &runtime);
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
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
