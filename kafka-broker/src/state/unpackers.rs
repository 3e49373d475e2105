//! What compressed records are unpacked with, and how much of it goes on at once.
//!
//! A batch of a hundred kilobytes may unpack to a hundred megabytes. So what may become large takes turns, as many at
//! once as there are turns, however many threads wait for one; and what was made for a batch is kept for the next.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use kafka_protocol::compression::{CompressionError, Decompressor};
use kafka_protocol::record::{RecordError, RecordErrorKind};

/// Tables and room to unpack batches, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Unpacker {
    pub(crate) decompressor: Decompressor,
    pub(crate) buffer: Vec<u8>,
}

/// Unpackers that wait for work, and turns.
#[derive(Debug)]
pub(crate) struct Unpackers {
    idle: Mutex<Vec<Unpacker>>,
    turns: Mutex<Turns>,
    turn_ended: Condvar,
}

/// Who may begin.
#[derive(Debug)]
struct Turns {
    free: usize,
    /// Nobody any more: the broker ends.
    are_over: bool,
}

impl Unpackers {
    /// Lets this many large batches be unpacked at once.
    pub(crate) fn new(turns: usize) -> Self {
        Self {
            idle: Mutex::default(),
            turns: Mutex::new(Turns {
                free: turns.max(1),
                are_over: false,
            }),
            turn_ended: Condvar::new(),
        }
    }

    /// Lends an unpacker for what becomes no larger than [`SMALL_MAX`].
    pub(crate) fn lend<T>(&self, work: impl FnOnce(&mut Unpacker) -> T) -> T {
        let mut unpacker = lock(&self.idle).pop().unwrap_or_default();
        let done = work(&mut unpacker);
        if unpacker.buffer.capacity() > SMALL_MAX {
            unpacker.buffer = Vec::new();
        }
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_MAX {
            idle.push(unpacker);
        }
        done
    }

    /// Lends an unpacker for what may be large or is packed anew: waits for a turn, and so is not for a thread that
    /// others wait for. Turns end, since no batch unpacks to more than a limit. `None` if there are no more turns.
    pub(crate) fn lend_in_turn<T>(&self, work: impl FnOnce(&mut Unpacker) -> T) -> Option<T> {
        let _turn = self.take_turn()?;
        Some(self.lend(work))
    }

    /// From now on nobody has a turn who has none yet: the broker ends, and what waits would be done after that.
    pub(crate) fn end(&self) {
        lock(&self.turns).are_over = true;
        self.turn_ended.notify_all();
    }

    fn take_turn(&self) -> Option<Turn<'_>> {
        let mut turns = lock(&self.turns);
        while turns.free == 0 && !turns.are_over {
            turns = self
                .turn_ended
                .wait(turns)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if turns.are_over {
            return None;
        }
        turns.free -= 1;
        Some(Turn(self))
    }
}

/// A turn that is given back at its end.
struct Turn<'a>(&'a Unpackers);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.0.turns).free += 1;
        self.0.turn_ended.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a batch was refused because it unpacks to more than the limit.
pub(crate) fn is_too_large(error: &RecordError) -> bool {
    matches!(
        error.kind,
        RecordErrorKind::Compression(CompressionError::TooLarge { .. })
    )
}

/// What may become no larger than this takes no turn, since it takes only a moment and little memory: a batch of the
/// usual size, unpacked to four times that. And the largest buffer that is kept.
pub(crate) const SMALL_MAX: usize = 4 << 20;

/// How many unpackers are kept.
const IDLE_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn however_many_wait_only_so_many_have_a_turn_at_once() {
        let unpackers = Unpackers::new(2);
        let (at_once, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let both = Barrier::new(2);
        let work = || {
            unpackers.lend_in_turn(|_| {
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Never ends if two may not be at work.
                both.wait();
                at_once.fetch_sub(1, Ordering::SeqCst);
            });
        };
        thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(work);
            }
        });
        assert_eq!(most.into_inner(), 2);
    }

    #[test]
    fn a_turn_ends_with_a_panic_too() {
        let unpackers = Unpackers::new(1);
        let panicked = thread::scope(|scope| {
            let thread = scope.spawn(|| unpackers.lend_in_turn(|_| panic!("a fault")));
            thread.join()
        });
        assert!(panicked.is_err());
        assert_eq!(unpackers.lend_in_turn(|_| 7), Some(7));
    }

    #[test]
    fn who_waits_for_a_turn_has_none_when_the_broker_ends() {
        let unpackers = Unpackers::new(1);
        thread::scope(|scope| {
            let ended = unpackers.lend_in_turn(|_| {
                let waits = || unpackers.lend_in_turn(|_| ());
                let waiting: Vec<_> = (0..8).map(|_| scope.spawn(waits)).collect();
                unpackers.end();
                let got = waiting.into_iter().map(|one| one.join().unwrap());
                got.flatten().count()
            });
            assert_eq!(ended, Some(0), "and who had a turn comes to its end");
        });
        assert_eq!(unpackers.lend_in_turn(|_| ()), None);
    }

    #[test]
    fn few_are_kept_and_none_with_a_large_buffer() {
        let unpackers = Unpackers::new(1);
        let all = Barrier::new(2 * IDLE_MAX);
        thread::scope(|scope| {
            for large in [false, true].repeat(IDLE_MAX) {
                let (unpackers, all) = (&unpackers, &all);
                scope.spawn(move || {
                    unpackers.lend(|unpacker| {
                        let len = SMALL_MAX + usize::from(large);
                        unpacker.buffer.reserve_exact(len);
                        all.wait();
                    });
                });
            }
        });
        let idle = unpackers.idle.into_inner().unwrap();
        assert_eq!(idle.len(), IDLE_MAX);
        assert!(idle.iter().all(|one| one.buffer.capacity() <= SMALL_MAX));
    }
}
