//! The segments of one log in order: any number that are closed, and one that takes appends.

use std::collections::BTreeMap;

use crate::log::error::DiskError;
use crate::log::segment::Segment;

/// All segments of a log.
#[derive(Debug)]
pub(crate) struct Segments {
    closed: BTreeMap<i64, Segment>,
    pub(crate) active: Segment,
}

impl Segments {
    pub(crate) fn new(closed: BTreeMap<i64, Segment>, active: Segment) -> Self {
        Self { closed, active }
    }

    /// All of them, the oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.closed.values().chain(std::iter::once(&self.active))
    }

    /// Those that take no more appends, the oldest first.
    pub(crate) fn closed(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.closed.values()
    }

    /// From the one that holds `offset`, if there are batches up to there, to the end.
    pub(crate) fn starting_at(&self, offset: i64) -> impl Iterator<Item = &Segment> {
        let first = self
            .closed
            .range(..=offset)
            .next_back()
            .map_or(offset, |(base, _)| *base);
        let first = if self.active.base_offset() <= offset {
            self.active.base_offset()
        } else {
            first
        };
        self.closed
            .range(first..)
            .map(|(_, segment)| segment)
            .chain(std::iter::once(&self.active))
    }

    pub(crate) fn first_offset(&self) -> i64 {
        self.closed
            .keys()
            .next()
            .copied()
            .unwrap_or_else(|| self.active.base_offset())
    }

    pub(crate) fn size(&self) -> u64 {
        self.iter().map(Segment::size).sum()
    }

    /// Closes the active segment; `next` takes the appends from now on.
    pub(crate) fn roll(&mut self, next: Segment) {
        let closed = std::mem::replace(&mut self.active, next);
        self.closed.insert(closed.base_offset(), closed);
    }

    /// Lets the files of closed segments go until they are needed again, and that of the active one if told.
    pub(crate) fn release_files(&mut self, also_active: bool) {
        self.closed.values_mut().for_each(Segment::release_file);
        if also_active {
            self.active.release_file();
        }
    }

    /// Whether the segments of all these base offsets are closed and here.
    pub(crate) fn has_closed(&self, bases: &[i64]) -> bool {
        bases.iter().all(|base| self.closed.contains_key(base))
    }

    /// Puts a segment in the place of closed ones.
    pub(crate) fn replace(&mut self, bases: &[i64], segment: Segment) {
        for base in bases {
            self.closed.remove(base);
        }
        self.closed.insert(segment.base_offset(), segment);
    }

    /// Takes the oldest segment out, unless it is the active one.
    pub(crate) fn pop_oldest(&mut self) -> Option<Segment> {
        self.closed.pop_first().map(|(_, segment)| segment)
    }

    /// Removes the active segment; the one before it takes its place. False if there is none.
    pub(crate) fn remove_active(&mut self) -> Result<bool, DiskError> {
        let Some((_, previous)) = self.closed.pop_last() else {
            return Ok(false);
        };
        std::mem::replace(&mut self.active, previous).remove()?;
        Ok(true)
    }
}
