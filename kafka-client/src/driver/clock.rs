//! The one place that reads the time and draws random numbers.

use std::sync::LazyLock;
#[cfg(any(test, not(target_os = "linux")))]
use std::time::SystemTime;

use crate::machine::time::{Duration, Instant};

static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

/// Now, for the machines.
pub(crate) fn now() -> Instant {
    // Tokio's clock can be paused by tests; outside them it is the system's.
    let elapsed = tokio::time::Instant::now()
        .into_std()
        .saturating_duration_since(*START);
    Instant::after_start(elapsed)
}

/// Waits until `instant`.
pub(crate) async fn sleep_until(instant: Instant) {
    match START.checked_add(instant.since_start()) {
        Some(at) => tokio::time::sleep_until(tokio::time::Instant::from_std(at)).await,
        None => std::future::pending().await,
    }
}

/// Waits until the instant, or for ever if there is none.
pub(crate) async fn sleep_until_some(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Runs `future`, at most until `deadline`; `None` if it had not ended by then.
pub(crate) async fn before<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    let limit = deadline.saturating_since(now());
    tokio::time::timeout(limit, future).await.ok()
}

/// Milliseconds since 1970, from the coarse clock where there is one: a few milliseconds late, and a
/// quarter of the cost, which counts once per record.
pub(crate) fn wall_clock_ms() -> i64 {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }
    #[cfg(not(target_os = "linux"))]
    {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
    }
}

/// A random number, for jitter and for spreading load; not for secrets.
pub(crate) fn random() -> u32 {
    fastrand::u32(..)
}

/// How long until `deadline`, as Kafka's requests carry it.
pub(crate) fn millis_until(deadline: Instant) -> i32 {
    millis(deadline.saturating_since(now()))
}

/// A duration in whole milliseconds, as Kafka's requests carry it.
pub(crate) fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_is_near_the_precise_one() {
        let precise = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let difference = precise.as_millis() as i64 - wall_clock_ms();
        assert!(difference.abs() < 1000, "{difference} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_takes_the_time_it_should() {
        let start = now();
        sleep_until(start + Duration::from_secs(5)).await;
        assert_eq!(now().saturating_since(start).as_secs(), 5);
        let deadline = now() + Duration::from_secs(1);
        assert_eq!(before(deadline, std::future::pending::<()>()).await, None);
        assert_eq!(before(deadline, async { 1 }).await, Some(1));
    }
}
