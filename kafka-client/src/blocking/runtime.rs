//! The runtime behind the blocking faces: one thread, shared by all that belongs to a client.

use std::pin::Pin;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

/// A runtime with one thread. Cheap to clone; with the last clone its thread ends, without blocking whoever drops
/// it.
#[derive(Clone, Debug)]
pub(crate) struct Runtime(Arc<Owned>);

#[derive(Debug)]
struct Owned(Option<tokio::runtime::Runtime>);

impl Runtime {
    pub(crate) fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("kafka-client")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Internal, "the client's thread cannot be started")
                    .with_source(error)
            })?;
        Ok(Self(Arc::new(Owned(Some(runtime)))))
    }

    /// Runs `future` in the background; the runtime lives until it ends.
    pub(crate) fn linger(&self, future: impl Future<Output = ()> + Send + 'static) {
        let kept = self.clone();
        if let Some(runtime) = &self.0.0 {
            runtime.spawn(async move {
                future.await;
                drop(kept);
            });
        }
    }

    /// Runs `future` on the caller's thread until it ends.
    ///
    /// # Errors
    ///
    /// From inside async code, where blocking would stop a runtime.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> Result<F::Output> {
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(Error::new(
                ErrorKind::Config,
                "a blocking call inside async code: use the async client there",
            ));
        }
        let closed = || Error::new(ErrorKind::Closed, "the client is closed");
        let runtime = self.0.0.as_ref().ok_or_else(closed)?;
        let mut output = None;
        {
            let run = std::pin::pin!(async { output = Some(future.await) });
            // Behind one type, or every call would compile the runtime's machinery anew.
            let run: Pin<&mut dyn Future<Output = ()>> = run;
            runtime.block_on(run);
        }
        output.ok_or_else(closed)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // The other way to end a runtime waits for it, and panics inside async code.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocking_works_on_a_thread() {
        let runtime = Runtime::new().unwrap();
        assert_eq!(runtime.block_on(async { 1 }).unwrap(), 1);
    }

    #[test]
    fn what_lingers_ends_though_all_handles_are_gone() {
        let runtime = Runtime::new().unwrap();
        let (done, ended) = std::sync::mpsc::channel();
        runtime.linger(async move {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            done.send(()).unwrap();
        });
        drop(runtime);
        let limit = std::time::Duration::from_secs(10);
        assert!(ended.recv_timeout(limit).is_ok());
    }

    #[tokio::test]
    async fn blocking_inside_async_code_is_an_error_and_dropping_there_is_none() {
        let runtime = Runtime::new().unwrap();
        let error = runtime.block_on(async {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        drop(runtime);
    }
}
