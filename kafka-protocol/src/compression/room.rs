//! Where a codec writes: the end of a vector, made ready once, with a limit on what is filled.
//!
//! Knows no codec. Safe code writes into bytes that have values, so room has to be filled with zeroes
//! before it is written to. To do that for each block, or for all the capacity of a pooled buffer, may
//! cost more than the codec: here each byte becomes room once, and what a buffer held before is room
//! already.

/// The part of a buffer behind `start`: what is filled, and then room to be filled.
pub(super) struct Room<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
    /// End of what is filled; at most the length of the buffer.
    end: usize,
    limit: usize,
}

impl<'a> Room<'a> {
    /// Room for `limit` bytes behind the first `start` bytes of `buffer`. Bytes that stand there are
    /// overwritten.
    pub(super) fn new(buffer: &'a mut Vec<u8>, start: usize, limit: usize) -> Self {
        let start = start.min(buffer.len());
        Self {
            buffer,
            start,
            end: start,
            limit,
        }
    }

    /// How many bytes are filled.
    #[cfg(any(
        test,
        feature = "gzip",
        feature = "snappy",
        feature = "lz4",
        feature = "zstd"
    ))]
    pub(super) const fn filled(&self) -> usize {
        self.end - self.start
    }

    /// How many bytes may still be filled.
    #[cfg(any(test, feature = "gzip", feature = "snappy", feature = "lz4"))]
    pub(super) const fn left(&self) -> usize {
        self.limit.saturating_sub(self.filled())
    }

    /// How many bytes may be filled in all.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// The next `len` bytes, to be written to; [`Self::advance`] says how many were.
    pub(super) fn next(&mut self, len: usize) -> &mut [u8] {
        let end = self.end.saturating_add(len);
        if self.buffer.len() < end {
            if self.buffer.capacity() < end {
                self.grow(end);
            }
            self.buffer.resize(end, 0);
        }
        self.buffer.get_mut(self.end..end).unwrap_or_default()
    }

    /// How many of the next bytes can be had without making room for them.
    #[cfg(any(test, feature = "gzip"))]
    pub(super) fn ready(&self) -> usize {
        self.buffer.len() - self.end
    }

    /// Counts so many of the next bytes as filled.
    pub(super) fn advance(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.buffer.len());
    }

    /// Fills the next bytes with these.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.next(bytes.len()).copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    /// What is filled behind the first `from` bytes.
    #[cfg(any(test, feature = "gzip"))]
    pub(super) fn since(&self, from: usize) -> &[u8] {
        self.buffer
            .get(self.start + from..self.end)
            .unwrap_or_default()
    }

    /// Writes over bytes that are filled already, `from` bytes behind the first.
    #[cfg(any(test, feature = "snappy", feature = "lz4"))]
    pub(super) fn overwrite(&mut self, from: usize, bytes: &[u8]) {
        let at = self.start + from;
        if let Some(place) = self.buffer.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    /// Fills by other means: `fill` appends to the buffer what it wants to.
    #[cfg(all(feature = "zstd", not(feature = "zstd-c")))]
    pub(super) fn append_with<T>(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.buffer.truncate(self.end);
        let result = fill(self.buffer);
        self.end = self.buffer.len();
        result
    }

    /// Ends the buffer behind what is filled, or after an error where the room began.
    pub(super) fn close_if<E>(self, result: Result<(), E>) -> Result<(), E> {
        let len = if result.is_ok() { self.end } else { self.start };
        self.buffer.truncate(len);
        result
    }

    /// Takes twice the memory there is, or at once all that may be needed if that would be more than
    /// half of it: so that the last step, for which both are held, does not take twice the limit.
    fn grow(&mut self, end: usize) {
        // A codec may ask for one byte beyond the limit, to tell an exact fit from too much.
        let most = self.start.saturating_add(self.limit).saturating_add(1);
        let mut target = end.max(self.buffer.capacity().saturating_mul(2));
        if target > most / 2 {
            target = end.max(most);
        }
        // What stands behind the end is worth nothing, so that it need not be moved.
        self.buffer.truncate(self.end);
        self.buffer.reserve_exact(target - self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_stays_and_what_is_not_goes() {
        let mut buffer = b"before and behind".to_vec();
        let mut room = Room::new(&mut buffer, 6, 8);
        assert_eq!((room.filled(), room.left()), (0, 8));
        room.push(b"abc");
        room.next(100)[..2].copy_from_slice(b"de");
        room.advance(2);
        assert_eq!((room.filled(), room.left()), (5, 3));
        room.overwrite(1, b"x");
        assert_eq!(room.since(1), b"xcde");
        room.close_if(Ok::<_, ()>(())).unwrap();
        assert_eq!(buffer, b"beforeaxcde");
        let mut room = Room::new(&mut buffer, 6, 8);
        room.push(b"abc");
        room.close_if(Err(())).unwrap_err();
        assert_eq!(buffer, b"before");
    }

    #[test]
    fn bytes_that_are_there_are_room_without_being_written_to() {
        let mut buffer = vec![7; 100];
        let mut room = Room::new(&mut buffer, 0, 1000);
        assert_eq!(room.ready(), 100);
        assert_eq!(room.next(100), [7; 100]);
        assert_eq!(room.next(101)[100..], [0]);
        assert_eq!(room.ready(), 101);
    }

    #[test]
    fn memory_is_bounded_by_the_limit() {
        let mut buffer = Vec::new();
        let mut room = Room::new(&mut buffer, 0, 10_000);
        let mut capacities = Vec::new();
        while room.left() > 0 {
            let len = room.left().min(100);
            room.push(&[1; 100][..len]);
            if capacities.last() != Some(&room.buffer.capacity()) {
                capacities.push(room.buffer.capacity());
            }
        }
        assert_eq!(*capacities.last().unwrap(), 10_001);
        assert!(capacities.len() < 10, "{capacities:?}");
        assert!(capacities[capacities.len() - 2] <= 5000, "{capacities:?}");
    }
}
