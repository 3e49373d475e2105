//! When a program is asked to end: Ctrl-C, or SIGTERM from whoever supervises it.

/// Resolves when the program is asked to end. From its first poll on neither signal kills the program any more, so
/// poll it until it does.
pub(crate) async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate()).expect("the system has SIGTERM");
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _asked = tokio::signal::ctrl_c().await;
}
