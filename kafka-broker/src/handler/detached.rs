//! What is kept of a request, on its own: a piece of a frame keeps the whole frame in memory.

use bytes::Bytes;
use bytestring::ByteString;

/// The text without the frame that it came in.
pub(crate) fn detached(text: &ByteString) -> ByteString {
    ByteString::from(&**text)
}

/// The bytes without the frame that they came in.
pub(crate) fn detached_bytes(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_detached_does_not_hold_the_frame() {
        let frame = Bytes::from(vec![b'a'; 1000]);
        let piece = ByteString::try_from(frame.slice(1..3)).unwrap();
        let (text, bytes) = (detached(&piece), detached_bytes(piece.as_bytes()));
        assert_eq!((&*text, &*bytes), ("aa", b"aa".as_slice()));
        drop(piece);
        assert!(frame.is_unique(), "nobody else holds it");
    }
}
