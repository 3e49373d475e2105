//! Frames, cut off a stream.

use bytes::{Bytes, BytesMut};
use kafka_protocol::frame::{self, FrameError, SIZE_LEN};

use crate::bounds;

/// What was received, in pieces as a socket gives them: the frames are the same as those of the whole,
/// and those that a plain loop finds.
pub fn frames(data: &[u8]) {
    let Some((&step, data)) = data.split_first() else {
        return;
    };
    let (expected, error) = reference(data);
    let mut whole = (BytesMut::from(data), Vec::new());
    // Frames are slices: only the list of them grows.
    let of_whole = bounds::within(data.len(), 64, || all(&mut whole.0, &mut whole.1));
    assert_eq!((&whole.1, of_whole), (&expected, error));

    let (mut received, mut frames, mut result) = (BytesMut::new(), Vec::new(), Ok(()));
    for piece in data.chunks(usize::from(step) * usize::from(step) + 1) {
        received.extend_from_slice(piece);
        result = result.and_then(|()| all(&mut received, &mut frames));
    }
    assert_eq!((frames, result), (expected, error));
}

fn all(received: &mut BytesMut, frames: &mut Vec<Bytes>) -> Result<(), FrameError> {
    while let Some(frame) = frame::split(received, LIMIT)? {
        frames.push(frame);
    }
    Ok(())
}

/// The frames of `data`, and what is wrong behind them.
fn reference(mut data: &[u8]) -> (Vec<Bytes>, Result<(), FrameError>) {
    let mut frames = Vec::new();
    while data.len() >= SIZE_LEN {
        let size = i32::from_be_bytes(data[..SIZE_LEN].try_into().expect("four bytes"));
        if size < 0 {
            return (frames, Err(FrameError::Negative { size }));
        }
        let len = size as usize;
        if len > LIMIT {
            let max_len = LIMIT;
            return (frames, Err(FrameError::TooLong { len, max_len }));
        }
        if data.len() - SIZE_LEN < len {
            break;
        }
        frames.push(Bytes::copy_from_slice(&data[SIZE_LEN..][..len]));
        data = &data[SIZE_LEN + len..];
    }
    (frames, Ok(()))
}

const LIMIT: usize = 1 << 16;
