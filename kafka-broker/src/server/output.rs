//! Answers on their way out: gathered, then written together; what lies in a file is sent by the system.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::Buf;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::handler::call::Piece;
use crate::server::sink::Sink;

/// The pieces that are to be written, in order.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pieces: VecDeque<Piece>,
    len: usize,
}

impl Output {
    /// Puts an answer behind those that wait.
    pub(crate) fn push(&mut self, answer: Vec<Piece>) {
        for piece in answer {
            let len = len_of(&piece);
            self.len += len;
            if len > 0 {
                self.pieces.push_back(piece);
            }
        }
    }

    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether so much waits that it should go before more is made.
    pub(crate) fn is_heavy(&self) -> bool {
        self.len >= HEAVY
    }

    /// Writes all that waits.
    ///
    /// # Errors
    ///
    /// What the socket says, or a timeout if the other side takes nothing for `stall_max`.
    pub(crate) async fn flush(
        &mut self,
        sink: &mut impl Sink,
        stall_max: Duration,
    ) -> io::Result<()> {
        while !self.pieces.is_empty() {
            let written = timeout(stall_max, self.write_some(sink)).await??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.consume(written);
        }
        Ok(())
    }

    async fn write_some(&self, sink: &mut impl Sink) -> io::Result<usize> {
        if let Some(Piece::File(stretch)) = self.pieces.front() {
            return sink.send_file(stretch).await;
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            let Piece::Bytes(bytes) = piece else {
                break;
            };
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        let slices = slices.get(..count).unwrap_or_default();
        sink.write_vectored(slices).await
    }

    fn consume(&mut self, mut written: usize) {
        self.len = self.len.saturating_sub(written);
        while let Some(piece) = self.pieces.front_mut() {
            let len = len_of(piece);
            if len > written {
                match piece {
                    Piece::Bytes(bytes) => bytes.advance(written),
                    Piece::File(stretch) => stretch.advance(written),
                }
                return;
            }
            written -= len;
            self.pieces.pop_front();
        }
    }
}

fn len_of(piece: &Piece) -> usize {
    match piece {
        Piece::Bytes(bytes) => bytes.len(),
        Piece::File(stretch) => stretch.len(),
    }
}

/// Answers to pipelined requests are gathered up to this many bytes.
const HEAVY: usize = 64 * 1024;

/// The most pieces of one write.
const SLICES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use tokio::io::AsyncWrite;

    use super::*;
    use crate::log::FileStretch;

    /// Takes a few bytes at a time.
    struct Slow(Vec<u8>);

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let bytes: Vec<u8> = slices
                .iter()
                .flat_map(|slice| slice.iter())
                .copied()
                .collect();
            let taken = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Sink for Slow {
        async fn send_file(&mut self, stretch: &FileStretch) -> io::Result<usize> {
            let bytes = stretch.read(3).map_err(io::Error::other)?;
            self.write(&bytes).await
        }
    }

    #[tokio::test]
    async fn chunks_arrive_whole_and_in_order_through_short_writes() {
        let piece = |text: &'static str| Piece::Bytes(Bytes::from_static(text.as_bytes()));
        let mut output = Output::default();
        output.push(vec![piece("ab"), piece(""), piece("cdefg")]);
        output.push(vec![piece("h")]);
        let mut stream = Slow(Vec::new());
        output
            .flush(&mut stream, Duration::from_secs(1))
            .await
            .unwrap();
        assert_eq!(stream.0, b"abcdefgh");
        assert_eq!(output.len, 0);
    }
}
