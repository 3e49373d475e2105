//! Whether a broker serves: two requests written by hand, with no help from our own codec.
//!
//! An open port is not enough: Kafka accepts connections before its controller lets it serve.
//! So it must answer ApiVersions, and name at least one broker when asked for the cluster.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Asks once. An error says what is not there yet.
pub(crate) fn ask(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;

    let versions = round_trip(&mut stream, &request(API_VERSIONS, &[]))?;
    let error_code = versions
        .get(..2)
        .and_then(|bytes| <[u8; 2]>::try_from(bytes).ok());
    match error_code.map(i16::from_be_bytes) {
        Some(0) => {}
        Some(code) => return Err(io::Error::other(format!("ApiVersions failed with {code}"))),
        None => return Err(ErrorKind::UnexpectedEof.into()),
    }

    // Version 0 with an empty list of topics asks for all of them; the brokers come first.
    let metadata = round_trip(&mut stream, &request(METADATA, &0_i32.to_be_bytes()))?;
    let brokers = metadata
        .get(..4)
        .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    match brokers.map(i32::from_be_bytes) {
        Some(count) if count > 0 => Ok(()),
        Some(_) => Err(io::Error::other("no broker is registered yet")),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// A request of version 0: size, key, version, correlation id, null client id, body.
fn request(api_key: i16, body: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(api_key.to_be_bytes());
    header.extend(0_i16.to_be_bytes());
    header.extend(CORRELATION_ID.to_be_bytes());
    header.extend((-1_i16).to_be_bytes());
    let size = u32::try_from(header.len() + body.len()).unwrap_or(u32::MAX);
    [&size.to_be_bytes(), header.as_slice(), body].concat()
}

/// Sends a request, and returns the body of its answer.
fn round_trip(stream: &mut TcpStream, request: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(request)?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = u32::from_be_bytes(size);
    if !(4..=LARGEST_ANSWER).contains(&size) {
        return Err(io::Error::other(format!("an answer of {size} bytes")));
    }
    let mut correlation_id = [0; 4];
    stream.read_exact(&mut correlation_id)?;
    if i32::from_be_bytes(correlation_id) != CORRELATION_ID {
        return Err(io::Error::other("the answer to another request"));
    }
    let length = u64::from(size).saturating_sub(4);
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    Ok(body)
}

const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;
const CORRELATION_ID: i32 = 4711;
const PATIENCE: Duration = Duration::from_secs(2);
const LARGEST_ANSWER: u32 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A listener that gives these answers, one per request, and what asking it says.
    fn asked(answers: &'static [&'static [u8]]) -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                let mut request = [0; 64];
                let _ = stream.read(&mut request);
                let size = u32::try_from(answer.len() + 4).unwrap();
                stream.write_all(&size.to_be_bytes()).unwrap();
                stream.write_all(&CORRELATION_ID.to_be_bytes()).unwrap();
                stream.write_all(answer).unwrap();
            }
        });
        ask(address)
    }

    #[test]
    fn a_broker_that_names_itself_serves() {
        asked(&[&[0, 0, 0, 0, 0, 0], &[0, 0, 0, 1, 9, 9]]).unwrap();
    }

    #[test]
    fn an_open_port_is_not_enough() {
        assert!(asked(&[]).is_err());
        assert!(asked(&[&[0, 35]]).unwrap_err().to_string().contains("35"));
        let unregistered = asked(&[&[0, 0], &[0, 0, 0, 0]]).unwrap_err();
        assert!(
            unregistered.to_string().contains("no broker"),
            "{unregistered}"
        );
    }
}
