//! What client and broker have to say, on standard error.

use std::io::IsTerminal;

/// Shows warnings and worse, or what the variable `RUST_LOG` asks for, such as `debug`.
pub(crate) fn show() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing_subscriber::filter::LevelFilter::WARN.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
