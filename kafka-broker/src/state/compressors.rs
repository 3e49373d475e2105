//! Compressors that nobody uses at the moment, so that their tables need not be made for each batch.

use std::sync::{Mutex, PoisonError};

use kafka_protocol::compression::{CompressionError, Compressor};

use crate::config::codec::Codec;

/// Compressors that wait for work, the one that waits longest first.
#[derive(Debug, Default)]
pub(crate) struct Compressors {
    idle: Mutex<Vec<Compressor>>,
}

impl Compressors {
    /// Lends a compressor.
    ///
    /// # Errors
    ///
    /// If the codec is not part of this build, or what `work` says.
    pub(crate) fn lend<T>(
        &self,
        codec: Codec,
        work: impl FnOnce(&mut Compressor) -> Result<T, CompressionError>,
    ) -> Result<T, CompressionError> {
        let mut compressor = match self.take(codec) {
            Some(compressor) => compressor,
            None => Compressor::with_level(codec.compression, codec.level)?,
        };
        let done = work(&mut compressor)?;
        self.give_back(compressor);
        Ok(done)
    }

    fn take(&self, codec: Codec) -> Option<Compressor> {
        let level = codec.level.or_else(|| codec.compression.default_level());
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().rposition(|compressor| {
            compressor.compression() == codec.compression && compressor.level() == level
        });
        at.map(|at| idle.remove(at))
    }

    fn give_back(&self, compressor: Compressor) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() == IDLE_MAX {
            idle.remove(0);
        }
        idle.push(compressor);
    }
}

/// How many compressors are kept: one has tables of up to a few megabytes.
const IDLE_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use kafka_protocol::compression::Compression;

    use super::*;

    #[test]
    fn a_compressor_comes_back_for_its_codec_and_level_and_not_all_are_kept() {
        let compressors = Compressors::default();
        let idle = || {
            let idle = compressors.idle.lock().unwrap();
            let idle = idle.iter();
            idle.map(|one| (one.compression(), one.level()))
                .collect::<Vec<_>>()
        };
        let lend = |compression, level| {
            let codec = Codec { compression, level };
            compressors
                .lend(codec, |lent| {
                    assert_eq!(lent.compression(), compression);
                    assert_eq!(lent.level(), level.or_else(|| compression.default_level()));
                    Ok(())
                })
                .unwrap();
        };
        lend(Compression::Gzip, None);
        lend(Compression::Gzip, Some(6));
        assert_eq!(idle(), [(Compression::Gzip, Some(6))]);
        for level in 1..=9 {
            lend(Compression::Gzip, Some(level));
        }
        let kept: Vec<_> = idle().into_iter().filter_map(|(_, level)| level).collect();
        assert_eq!(kept, [2, 3, 4, 5, 6, 7, 8, 9]);
        let unknown = Codec {
            compression: Compression::Gzip,
            level: Some(10),
        };
        assert!(compressors.lend(unknown, |_| Ok(())).is_err());
    }
}
