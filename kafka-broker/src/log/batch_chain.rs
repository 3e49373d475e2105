//! How batches follow one another: offsets rise without overlap, and leader epochs never fall. The base
//! offset and the epoch of a batch lie outside its checksum, so that this order is all that guards them.

use crate::log::batch_scan::{BatchScan, ScanError, ScannedBatch};
use crate::log::error::{DiskError, InvalidBatch};

/// A walk over the heads of a segment that is thought to be sound, in order.
#[derive(Debug)]
pub(crate) struct BatchChain<'f> {
    scan: BatchScan<'f>,
    expected: Option<i64>,
    end_offset: i64,
}

impl<'f> BatchChain<'f> {
    /// The first batch is expected at that offset, if it is known; none reaches beyond `end_offset`.
    pub(crate) fn new(scan: BatchScan<'f>, expected: Option<i64>, end_offset: i64) -> Self {
        Self {
            scan,
            expected,
            end_offset,
        }
    }

    /// The next batch. One that leaves a gap, as compaction does, is believed only if the next one
    /// follows it.
    pub(crate) fn next(&mut self) -> Result<Option<ScannedBatch>, ScanError> {
        let Some(batch) = self.scan.next()? else {
            return Ok(None);
        };
        let found = batch.header.base_offset;
        let next_offset = batch.header.next_offset();
        let out_of_order = |expected| ScanError::Invalid {
            position: batch.position,
            reason: InvalidBatch::Offset { expected, found },
        };
        if next_offset > self.end_offset {
            return Err(out_of_order(self.end_offset));
        }
        if let Some(expected) = self.expected {
            if found < expected {
                return Err(out_of_order(expected));
            }
            if found > expected
                && let Some(after) = self.scan.peek()?
                && after.header.base_offset < next_offset
            {
                return Err(out_of_order(expected));
            }
        }
        self.expected = Some(next_offset);
        Ok(Some(batch))
    }
}

/// What is known of a segment that is to be verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectation {
    /// The first offset that its name allows.
    pub(crate) base_offset: i64,
    /// The base offset of the next segment, if there is one.
    pub(crate) next_base: Option<i64>,
    /// The leader epoch before it, -1 if none is known.
    pub(crate) epoch: i32,
    /// Gaps are believed below this offset.
    pub(crate) gaps_below: i64,
    /// A gap is believed before the last batch of the log too.
    pub(crate) gap_before_last: bool,
}

/// How much of a segment is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SoundPrefix {
    /// Bytes of sound batches.
    pub(crate) len: u64,
    /// What is wrong with the batch behind them, if there is one.
    pub(crate) flaw: Option<InvalidBatch>,
}

/// Reads batches whole and compares all that can be compared.
///
/// Where two batches contradict each other and the first one had leapt ahead, in offset or in epoch, the
/// first one is blamed: a flipped bit leaps, and what follows it is sound.
pub(crate) fn sound_prefix(
    mut scan: BatchScan<'_>,
    known: Expectation,
) -> Result<SoundPrefix, DiskError> {
    let mut expected = known.base_offset;
    let mut epoch = known.epoch;
    let mut leap: Option<Leap> = None;
    loop {
        let position = scan.position();
        let flawed = |flaw| {
            Ok(SoundPrefix {
                len: position,
                flaw: Some(flaw),
            })
        };
        let batch = match verified(&mut scan) {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                return match leap {
                    Some(leap)
                        if leap.is_gap && known.next_base.is_none() && !known.gap_before_last =>
                    {
                        Ok(leap.blamed())
                    }
                    _ => Ok(SoundPrefix {
                        len: position,
                        flaw: None,
                    }),
                };
            }
            Err(ScanError::Disk(error)) => return Err(error),
            Err(ScanError::Invalid { reason, .. }) => return flawed(reason),
        };
        let header = &batch.header;
        let found = header.base_offset;
        let out_of_order = InvalidBatch::Offset { expected, found };
        if found < expected {
            return match leap {
                Some(leap) if leap.is_gap => Ok(leap.blamed()),
                _ => flawed(out_of_order),
            };
        }
        let is_gap = found > expected;
        let is_beyond = known
            .next_base
            .is_some_and(|next| header.next_offset() > next)
            || header.last_offset() - known.base_offset > i64::from(i32::MAX);
        if is_beyond || (is_gap && expected >= known.gaps_below) {
            return flawed(out_of_order);
        }
        let found_epoch = header.partition_leader_epoch;
        if (0..epoch).contains(&found_epoch) {
            return match leap {
                Some(leap) if leap.epoch_before == found_epoch => Ok(leap.blamed()),
                _ => flawed(InvalidBatch::Epoch {
                    previous: epoch,
                    found: found_epoch,
                }),
            };
        }
        leap = (is_gap || found_epoch > epoch).then_some(Leap {
            position,
            is_gap,
            epoch_before: epoch,
            flaw: if is_gap {
                out_of_order
            } else {
                InvalidBatch::Epoch {
                    previous: epoch,
                    found: found_epoch,
                }
            },
        });
        epoch = epoch.max(found_epoch);
        expected = header.next_offset();
    }
}

/// A batch that went further than from the end of the one before it.
#[derive(Clone, Copy)]
struct Leap {
    position: u64,
    is_gap: bool,
    epoch_before: i32,
    flaw: InvalidBatch,
}

impl Leap {
    fn blamed(self) -> SoundPrefix {
        SoundPrefix {
            len: self.position,
            flaw: Some(self.flaw),
        }
    }
}

fn verified(scan: &mut BatchScan<'_>) -> Result<Option<ScannedBatch>, ScanError> {
    let Some(batch) = scan.next()? else {
        return Ok(None);
    };
    scan.verify(&batch)?;
    Ok(Some(batch))
}
