//! Where answers go: a stream that can also be told to send from a file.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::log::FileStretch;

/// A stream for answers.
pub(crate) trait Sink: AsyncWrite + Unpin {
    /// Sends some of a stretch from its beginning, and gives how much; 0 only if the file has ended.
    ///
    /// *Cancel safety*: if it is dropped, nothing was sent.
    fn send_file(
        &mut self,
        stretch: &FileStretch,
    ) -> impl Future<Output = io::Result<usize>> + Send;
}

impl Sink for TcpStream {
    #[cfg(target_os = "linux")]
    async fn send_file(&mut self, stretch: &FileStretch) -> io::Result<usize> {
        let Some(file) = stretch.descriptor() else {
            return write_from(self, stretch).await;
        };
        let send = || {
            let mut position = stretch.position();
            rustix::fs::sendfile(&*self, file, Some(&mut position), stretch.len())
                .map_err(io::Error::from)
        };
        self.async_io(tokio::io::Interest::WRITABLE, send).await
    }

    #[cfg(not(target_os = "linux"))]
    async fn send_file(&mut self, stretch: &FileStretch) -> io::Result<usize> {
        write_from(self, stretch).await
    }
}

/// What every system can: a part of the file is read, and written.
async fn write_from(stream: &mut TcpStream, stretch: &FileStretch) -> io::Result<usize> {
    let bytes = stretch.read(READ_MAX).map_err(io::Error::other)?;
    if bytes.is_empty() {
        return Ok(0);
    }
    stream.write(&bytes).await
}

/// The most that is read at once.
const READ_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::log::{Disk, OpenMode, OsDisk};

    #[tokio::test]
    async fn a_stretch_is_sent_whole_and_its_early_end_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = OsDisk::new().open(&path, OpenMode::Create).unwrap();
        let content: Vec<u8> = (0..3_000_000).map(|at| (at % 253) as u8).collect();
        file.write_at(0, &content).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (reader, writer) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut reader, mut writer) = (reader.unwrap(), writer.unwrap().0);
        // A million bytes more than there are.
        let mut stretch = FileStretch::new(Arc::clone(&file), 100, content.len() - 100 + 1_000_000);
        let sending = async move {
            let mut sent = 0;
            loop {
                match writer.send_file(&stretch).await.unwrap() {
                    0 => return (sent, stretch.len()),
                    some => sent += some,
                }
                stretch.advance(sent + 100 - stretch.position() as usize);
            }
        };
        let mut received = Vec::new();
        let ((sent, left), read) = tokio::join!(sending, reader.read_to_end(&mut received));
        read.unwrap();
        assert_eq!((sent, left), (content.len() - 100, 1_000_000));
        assert!(received == content[100..]);
    }
}
