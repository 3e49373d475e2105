//! What rules do to frames, and how a request is shown to them.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use crate::control::journal::Ticket;
use crate::control::rule::When;
use crate::control::ruleset::{Fate, Incoming};
use crate::control::switchboard::Switchboard;
use crate::handler::call::{Piece, Wishes};
use crate::handler::dispatch::Task;

/// What is to be done to one request, beside answering it.
#[derive(Debug)]
pub(crate) struct Interference {
    pub(crate) delay: std::time::Duration,
    pub(crate) fate: Fate,
    pub(crate) ticket: Ticket,
    /// The group that the request is about.
    pub(crate) group: Option<ByteString>,
}

impl Interference {
    /// Shows a request to rules and journal, and lets it know what they want of it.
    pub(crate) fn with(
        task: &mut Task,
        switchboard: &Arc<Switchboard>,
        broker: i32,
        connection: u64,
    ) -> Self {
        let subjects = task.subjects();
        let incoming = Incoming {
            broker,
            api: task.api(),
            client_id: task.client_id(),
            subjects: &subjects,
        };
        let (verdict, ticket) = switchboard.judge(&incoming, connection, task.version());
        task.wish(Wishes {
            refused: verdict.refused,
            overruled: verdict.overruled,
            is_watched: true,
        });
        Self {
            delay: verdict.delay,
            fate: verdict.fate,
            ticket,
            group: subjects.groups.into_iter().next(),
        }
    }

    /// Whether the request must not be applied.
    pub(crate) fn is_lost_unapplied(&self) -> bool {
        matches!(
            self.fate,
            Fate::Dropped(When::Unapplied)
                | Fate::Closed(When::Unapplied)
                | Fate::Stalled(When::Unapplied)
        )
    }

    /// Whether the client sees the whole answer.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(
            self.fate,
            Fate::Sent | Fate::Trickled { .. } | Fate::Misnumbered
        )
    }
}

/// The first `len` bytes of a frame.
pub(crate) fn cut(frame: Vec<Piece>, len: usize) -> io::Result<Bytes> {
    let mut whole = joined(frame)?;
    whole.truncate(len);
    Ok(whole)
}

/// The frame with a number that is not its own.
pub(crate) fn misnumbered(frame: Vec<Piece>) -> io::Result<Bytes> {
    let mut whole = BytesMut::from(joined(frame)?);
    // Behind the length.
    if let Some(byte) = whole.get_mut(4) {
        *byte ^= 0x40;
    }
    Ok(whole.freeze())
}

/// The frame in pieces of so many bytes.
pub(crate) fn pieces(frame: Vec<Piece>, len: usize) -> io::Result<impl Iterator<Item = Bytes>> {
    let mut rest = joined(frame)?;
    Ok(std::iter::from_fn(move || {
        let len = rest.len().min(len);
        (len > 0).then(|| rest.split_to(len))
    }))
}

/// The frame in memory, what lies in files read.
fn joined(frame: Vec<Piece>) -> io::Result<Bytes> {
    let mut whole = BytesMut::new();
    for piece in frame {
        match piece {
            Piece::Bytes(bytes) => whole.extend_from_slice(&bytes),
            Piece::File(stretch) => {
                let bytes = stretch.read(stretch.len()).map_err(io::Error::other)?;
                whole.extend_from_slice(&bytes);
            }
        }
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Vec<Piece> {
        vec![
            Piece::Bytes(Bytes::from_static(&[0, 0, 0, 6, 0, 0])),
            Piece::Bytes(Bytes::from_static(&[0, 7, 8, 9])),
        ]
    }

    #[test]
    fn frames_are_cut_split_and_misnumbered() {
        assert_eq!(*cut(frame(), 7).unwrap(), [0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(cut(frame(), 99).unwrap().len(), 10);
        assert_eq!(
            *misnumbered(frame()).unwrap(),
            [0, 0, 0, 6, 0x40, 0, 0, 7, 8, 9]
        );
        let lengths: Vec<_> = pieces(frame(), 4)
            .unwrap()
            .map(|piece| piece.len())
            .collect();
        assert_eq!(lengths, [4, 4, 2]);
    }
}
