//! A proxy before one broker: clients find it in the broker's place.
//!
//! `proxy LISTEN BROKER`, such as `proxy 127.0.0.1:9999 127.0.0.1:9092`. What it has to know of the
//! protocol is in `link.rs`; this file has the sockets and their threads.

mod link;

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use bytes::{Bytes, BytesMut};
use kafka_protocol::frame;
use kafka_protocol::wire::limits::DEFAULT_MAX_FRAME_LEN;

use crate::link::Link;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Where clients find the proxy.
static LISTEN: OnceLock<(String, i32)> = OnceLock::new();

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, broker] = arguments.as_slice() else {
        eprintln!("usage: proxy LISTEN BROKER");
        return ExitCode::FAILURE;
    };
    match serve(listen, broker) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(listen: &str, broker: &str) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    let local: SocketAddr = listener.local_addr()?;
    println!("listening on {local}");
    LISTEN.get_or_init(|| (local.ip().to_string(), i32::from(local.port())));
    thread::scope(|threads| {
        for client in listener.incoming() {
            let client = client?;
            threads.spawn(move || {
                if let Err(error) = connect(&client, broker) {
                    eprintln!("connection ended: {error}");
                }
            });
        }
        Ok(())
    })
}

/// There is but one broker, so all of them are where the proxy is.
fn address(_: i32) -> (&'static str, i32) {
    LISTEN
        .get()
        .map_or(("", 0), |(host, port)| (host.as_str(), *port))
}

/// Plays one connection, until either end closes it.
fn connect(client: &TcpStream, broker: &str) -> Result<()> {
    let broker = TcpStream::connect(broker)?;
    let link = Mutex::new(Link::new(address));
    let link = || link.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|threads| {
        let requests = threads.spawn(|| {
            let played = frames(client, &broker, |frame| {
                link().request(&frame)?;
                let size = i32::try_from(frame.len())?;
                Ok(vec![Bytes::copy_from_slice(&size.to_be_bytes()), frame])
            });
            // The other direction waits for the broker; it ends with this one.
            let _ = broker.shutdown(Shutdown::Both);
            played
        });
        let responses = frames(&broker, client, |frame| link().response(frame));
        let _ = client.shutdown(Shutdown::Both);
        let requests = requests.join().map_err(|_| "the thread panicked")?;
        requests.and(responses)
    })
}

/// Hands each frame to `pass`, and what that makes of it on.
fn frames(
    mut from: &TcpStream,
    mut to: &TcpStream,
    mut pass: impl FnMut(Bytes) -> Result<Vec<Bytes>>,
) -> Result<()> {
    let mut received = BytesMut::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        while let Some(frame) = frame::split(&mut received, DEFAULT_MAX_FRAME_LEN)? {
            for chunk in pass(frame)? {
                to.write_all(&chunk)?;
            }
        }
        match from.read(&mut piece)? {
            0 => return Ok(()),
            len => received.extend_from_slice(piece.get(..len).unwrap_or_default()),
        }
    }
}
