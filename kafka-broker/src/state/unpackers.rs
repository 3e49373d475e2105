//! What compressed records are unpacked with, and how much of it goes on at once.
//!
//! A batch of a hundred kilobytes may unpack to a hundred megabytes. So what may become large takes turns, as many at
//! once as there are turns, however many threads wait for one; and what was made for a batch is kept for the next.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use kafka_protocol::compression::{Compression, DECOMPRESSED_MAX, Decompressor};

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
    turns: Mutex<usize>,
    turn_ended: Condvar,
}

impl Unpackers {
    /// Lets this many large batches be unpacked at once.
    pub(crate) fn new(turns: usize) -> Self {
        Self {
            idle: Mutex::default(),
            turns: Mutex::new(turns.max(1)),
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
    /// others wait for. Turns end, since no batch unpacks to more than a limit.
    pub(crate) fn lend_in_turn<T>(&self, work: impl FnOnce(&mut Unpacker) -> T) -> T {
        let _turn = self.take_turn();
        self.lend(work)
    }

    fn take_turn(&self) -> Turn<'_> {
        let mut turns = lock(&self.turns);
        while *turns == 0 {
            turns = self
                .turn_ended
                .wait(turns)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *turns -= 1;
        Turn(self)
    }
}

/// A turn that is given back at its end.
struct Turn<'a>(&'a Unpackers);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.0.turns) += 1;
        self.0.turn_ended.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many bytes records of this many bytes may become at most: by what the format of the codec can say, or by what is
/// unpacked at all.
pub(crate) fn unpacked_max(compression: Compression, len: usize) -> usize {
    let ratio = match compression {
        Compression::None => return len,
        // A copy of 64 bytes takes three.
        Compression::Snappy => 22,
        // A byte of a length stands for 255.
        Compression::Lz4 => 255,
        // Two bits stand for 258 bytes.
        Compression::Gzip => 1_032,
        // Of zstd four bytes stand for 128 KiB.
        _ => return DECOMPRESSED_MAX,
    };
    len.saturating_mul(ratio).min(DECOMPRESSED_MAX)
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

    use kafka_protocol::compression::Compressor;

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
        assert_eq!(unpackers.lend_in_turn(|_| 7), 7);
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

    #[test]
    fn nothing_unpacks_to_more_than_its_codec_can_say() {
        let plain = vec![0; 16 << 20];
        for compression in Compression::ALL {
            let mut packed = Vec::new();
            let mut compressor = Compressor::new(compression).unwrap();
            compressor.compress(&plain, &mut packed).unwrap();
            let most = unpacked_max(compression, packed.len());
            assert!(most >= plain.len(), "{compression}: {most}");
        }
        assert_eq!(unpacked_max(Compression::None, 9), 9);
        let whatever = unpacked_max(Compression::Snappy, usize::MAX);
        assert_eq!(whatever, DECOMPRESSED_MAX);
    }
}
