//! The codecs, each beside somebody else's.

use kafka_protocol::compression::{Compression, CompressionError, Compressor, Decompressor};

use crate::bounds;
use crate::reference;

/// Compressed bytes: what comes out is what another decoder makes of them, stays below the limit, and
/// costs no more memory than the limit or the input allow; an error leaves the output as it was.
pub fn decompress(codec: Compression, data: &[u8]) {
    let mut decompressor = Decompressor::new();
    let most = peak(codec, data.len(), LIMIT);
    let mut output = Vec::new();
    let ours = bounds::within_bytes(most, || {
        decompressor.decompress(codec, data, &mut output, LIMIT)
    });
    let theirs = reference::decompress(codec, data, LIMIT);
    match (ours, &theirs) {
        (Ok(()), Ok(expected)) => assert!(output == *expected, "another output"),
        (Err(CompressionError::TooLarge { compression, limit }), other) => {
            assert_eq!((compression, limit), (codec, LIMIT));
            // Who sees the fault behind the limit first is free to say so.
            assert!(other.is_err(), "the limit counts more than there is");
        }
        (Err(CompressionError::Corrupt { compression, .. }), Err(_)) => {
            assert_eq!(compression, codec);
        }
        (ours, theirs) => assert!(
            may_differ(codec, data, ours.is_ok().then_some(&output)),
            "{ours:?} where the other says {:?}",
            theirs.as_ref().map(Vec::len)
        ),
    }
    match ours {
        Ok(()) => exact(&mut decompressor, codec, data, &output),
        Err(error) => {
            // The tables of the failed call do no harm to the next, and the output is untouched.
            let mut before = b"before".to_vec();
            let again = decompressor.decompress(codec, data, &mut before, LIMIT);
            assert_eq!(
                (again, before.as_slice()),
                (Err(error), b"before".as_slice())
            );
        }
    }
}

/// Content of any kind, and a byte that chooses codec and level: it comes back, by our decoder and by
/// another.
pub fn compress(data: &[u8]) {
    let Some((&choice, content)) = data.split_first() else {
        return;
    };
    let codec = Compression::ALL[usize::from(choice) % Compression::ALL.len()];
    let place = i32::from(choice) / Compression::ALL.len() as i32;
    // From one below the lowest to one above the highest, of the levels of names.
    let level = codec
        .levels()
        .map(|levels| (*levels.start()).max(-8) + place % 32 - 1);
    let Ok(mut compressor) = Compressor::with_level(codec, level) else {
        let levels = codec
            .levels()
            .expect("levels are refused only where there are some");
        assert!(!level.is_some_and(|level| levels.contains(&level)));
        return;
    };
    let mut compressed = b"before".to_vec();
    compressor
        .compress(content, &mut compressed)
        .expect("any content can be compressed");
    let stream = compressed
        .strip_prefix(b"before")
        .expect("what was there stays");
    exact(&mut Decompressor::new(), codec, stream, content);
    let theirs = reference::decompress(codec, stream, content.len());
    assert!(
        theirs.as_deref() == Ok(content),
        "another reader sees other content"
    );
    // The tables of one call leave no trace in the next.
    let mut again = b"before".to_vec();
    compressor.compress(content, &mut again).expect("twice");
    assert!(again == compressed, "another stream the second time");
}

/// The limit is exact: as many bytes as come out are enough, and one less is not.
fn exact(decompressor: &mut Decompressor, codec: Compression, data: &[u8], content: &[u8]) {
    let mut output = b"before".to_vec();
    let result = decompressor.decompress(codec, data, &mut output, content.len());
    assert_eq!(result, Ok(()));
    assert!(
        output.strip_prefix(b"before") == Some(content),
        "another output the second time"
    );
    if let Some(limit) = content.len().checked_sub(1) {
        let result = decompressor.decompress(codec, data, &mut output, limit);
        let compression = codec;
        assert_eq!(
            result,
            Err(CompressionError::TooLarge { compression, limit })
        );
    }
}

/// The most memory that decompressing may take at once: the tables of the codec, and the output three
/// times, since a vector that grows holds the old bytes and up to twice as many new ones. The output
/// itself is what so many bytes can become at best; or the limit, to which a vector grows at once from a
/// quarter of it on.
pub fn peak(codec: Compression, len: usize, limit: usize) -> usize {
    let (tables, expansion) = match codec {
        Compression::Gzip => (64 << 10, 1032),
        Compression::Snappy => (0, 22),
        Compression::Lz4 => (0, 255),
        // Four bytes are a block of one byte that is repeated.
        Compression::Zstd => (ZSTD_TABLES, 32 << 10),
        _ => (0, 1),
    };
    let content = expansion * len;
    tables + 3 * if content > limit / 4 { limit } else { content }
}

/// Where two decoders may take another view, each with its reasons; `ours` is what was accepted.
fn may_differ(codec: Compression, data: &[u8], ours: Option<&Vec<u8>>) -> bool {
    match codec {
        Compression::Lz4 => reference::lz4_may_differ(data),
        Compression::Zstd => reference::zstd_may_differ(data, ours.map(Vec::as_slice), LIMIT),
        _ => false,
    }
}

/// The most that comes out: far more than a vector begins with, and quick to make.
const LIMIT: usize = 2 << 20;
const ZSTD_TABLES: usize = 1 << 20;
