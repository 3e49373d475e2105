//! Answers on their way out: gathered, then written together.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The chunks that are to be written, in order.
#[derive(Debug, Default)]
pub(crate) struct Output {
    chunks: VecDeque<Bytes>,
    len: usize,
}

impl Output {
    /// Puts an answer behind those that wait.
    pub(crate) fn push(&mut self, answer: Vec<Bytes>) {
        for chunk in answer {
            self.len += chunk.len();
            if !chunk.is_empty() {
                self.chunks.push_back(chunk);
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
        stream: &mut (impl AsyncWrite + Unpin),
        stall_max: Duration,
    ) -> io::Result<()> {
        while !self.chunks.is_empty() {
            let written = timeout(stall_max, self.write_some(stream)).await??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.consume(written);
        }
        Ok(())
    }

    async fn write_some(&self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        stream
            .write_vectored(slices.get(..count).unwrap_or_default())
            .await
    }

    fn consume(&mut self, mut written: usize) {
        self.len = self.len.saturating_sub(written);
        while let Some(chunk) = self.chunks.front_mut() {
            if chunk.len() > written {
                chunk.advance(written);
                return;
            }
            written -= chunk.len();
            self.chunks.pop_front();
        }
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

    use super::*;

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

    #[tokio::test]
    async fn chunks_arrive_whole_and_in_order_through_short_writes() {
        let mut output = Output::default();
        output.push(vec!["ab".into(), Bytes::new(), "cdefg".into()]);
        output.push(vec!["h".into()]);
        let mut stream = Slow(Vec::new());
        output
            .flush(&mut stream, Duration::from_secs(1))
            .await
            .unwrap();
        assert_eq!(stream.0, b"abcdefgh");
        assert_eq!(output.len, 0);
    }
}
