//! Bytes that stand in an answer for those of a file, so that the answer is encoded, lengths and all,
//! without reading the file.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::handler::call::Piece;
use crate::log::FileStretch;

/// Zeroes that are never read and never sent. The system gives memory only to what is touched, so that
/// they cost addresses and nothing else.
static BLANK: OnceLock<Bytes> = OnceLock::new();

/// As many bytes as the stretch has, if that is worth it and there are so many.
pub(crate) fn placeholder(stretch: &FileStretch) -> Option<Bytes> {
    let wanted = WORTH_MIN..=LEN_MAX;
    let blank = BLANK.get_or_init(|| vec![0; LEN_MAX].into());
    wanted
        .contains(&stretch.len())
        .then(|| blank.slice(..stretch.len()))
}

/// The frame of an answer with the stretches in the places of their placeholders.
pub(crate) fn splice(chunks: Vec<Bytes>, stretches: Vec<FileStretch>) -> Vec<Piece> {
    let mut stretches = stretches.into_iter();
    let blank = BLANK.get().map(|blank| blank.as_ptr());
    let pieces = chunks.into_iter().map(|chunk| {
        if Some(chunk.as_ptr()) != blank {
            return Piece::Bytes(chunk);
        }
        let stretch = stretches.next();
        // A chunk of zeroes would be served as if it were batches.
        assert_eq!(
            stretch.as_ref().map(FileStretch::len),
            Some(chunk.len()),
            "a placeholder stands for another stretch"
        );
        stretch.map_or(Piece::Bytes(chunk), Piece::File)
    });
    pieces.collect()
}

/// What is shorter is read sooner than sent by a call of its own; and it must be long enough to stay in
/// one piece when it is encoded.
const WORTH_MIN: usize = 32 << 10;

/// The default of `fetch.max.bytes` is 55 MiB.
const LEN_MAX: usize = 64 << 20;
const _: () = assert!(WORTH_MIN >= kafka_protocol::wire::limits::SPLICE_FROM);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::log::{Disk, OpenMode, OsDisk};

    #[test]
    fn stretches_take_the_places_of_their_placeholders() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            let path = folder.path().join(name);
            OsDisk::new().open(&path, OpenMode::Create).unwrap()
        };
        let stretch = |name, len| FileStretch::new(Arc::clone(&open(name)), 0, len);
        let stretches = vec![stretch("a", WORTH_MIN), stretch("b", WORTH_MIN + 1)];
        let blank = |nth: usize| placeholder(&stretches[nth]).unwrap();
        let head = Bytes::from_static(b"head");
        let chunks = vec![head.clone(), blank(0), head.clone(), blank(1)];
        let names: Vec<_> = splice(chunks, stretches.clone())
            .into_iter()
            .map(|piece| match piece {
                Piece::Bytes(bytes) => (bytes == head).then_some(0),
                Piece::File(stretch) => Some(stretch.len()),
            })
            .collect();
        let lens = [0, WORTH_MIN, 0, WORTH_MIN + 1].map(Some);
        assert_eq!(names, lens);
        for len in [0, WORTH_MIN - 1, LEN_MAX + 1] {
            assert!(placeholder(&stretch("a", len)).is_none());
        }
    }
}
