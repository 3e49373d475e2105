//! Puts a rewritten segment in the place of those it was made from, so that a crash at any moment leaves
//! one or the other. The names, and what they mean, are Kafka's.
//!
//! 1. The rewritten files end in `.cleaned` and are durable. They mean nothing yet.
//! 2. They are renamed to end in `.swap`, the batches last. From here on the rewritten segment counts.
//! 3. The segments whose offsets it covers are removed, and it takes its name.
//!
//! The rewritten segment always has a transaction index, if an empty one: whether the one under the final
//! name is old or new is told by whether there is another.

use std::collections::BTreeSet;
use std::path::Path;

use crate::log::batch_scan::{BatchScan, ScanError};
use crate::log::disk::{Disk, OpenMode};
use crate::log::error::DiskError;
use crate::log::file_name::{self, CLEANED, SWAP};

/// Makes the rewritten segment count: step 2. Durable when it returns.
pub(crate) fn commit(disk: &dyn Disk, dir: &Path, base_offset: i64) -> Result<(), DiskError> {
    for kind in INDEXES.into_iter().chain([file_name::LOG]) {
        let path = |suffix| file_name::at_offset(dir, base_offset, &format!("{kind}{suffix}"));
        disk.rename(&path(CLEANED), &path(SWAP))?;
    }
    disk.sync_dir(dir)
}

/// Removes the segments of these base offsets, which a rewritten one that counts replaces, the last one
/// first. Its own base may be among them and is left.
pub(crate) fn remove_replaced(
    disk: &dyn Disk,
    dir: &Path,
    base_offset: i64,
    replaced: impl DoubleEndedIterator<Item = i64>,
) -> Result<(), DiskError> {
    for replaced in replaced.rev().filter(|replaced| *replaced != base_offset) {
        for kind in [file_name::LOG].into_iter().chain(INDEXES) {
            disk.remove_file(&file_name::at_offset(dir, replaced, kind))?;
        }
    }
    Ok(())
}

/// Gives the rewritten segment its name: the rest of step 3. Durable when it returns.
pub(crate) fn finish(disk: &dyn Disk, dir: &Path, base_offset: i64) -> Result<(), DiskError> {
    let path =
        |kind: &str, suffix| file_name::at_offset(dir, base_offset, &format!("{kind}{suffix}"));
    // One that is only half-way to its name is there under one of these.
    let waiting = |kind| {
        for suffix in [SWAP, CLEANED] {
            if disk.exists(&path(kind, suffix))? {
                return Ok(Some(path(kind, suffix)));
            }
        }
        Ok(None)
    };
    let transactions = waiting(file_name::TRANSACTION_INDEX)?;
    for kind in [file_name::OFFSET_INDEX, file_name::TIME_INDEX] {
        if let Some(from) = waiting(kind)? {
            if transactions.is_none() {
                // Another broker's, which had none: the one that is there is of what it replaces.
                disk.remove_file(&path(file_name::TRANSACTION_INDEX, ""))?;
            }
            disk.rename(&from, &path(kind, ""))?;
        }
    }
    disk.sync_dir(dir)?;
    if let Some(from) = transactions {
        disk.rename(&from, &path(file_name::TRANSACTION_INDEX, ""))?;
        disk.sync_dir(dir)?;
    }
    disk.rename(&path(file_name::LOG, SWAP), &path(file_name::LOG, ""))?;
    disk.sync_dir(dir)
}

/// Ends what a crash has interrupted behind step 2.
pub(crate) fn recover(disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
    let mut bases = BTreeSet::new();
    let mut swapped = BTreeSet::new();
    for entry in disk.list(dir)? {
        match file_name::parse(&entry.name) {
            Some((base, file_name::LOG)) => bases.insert(base),
            Some((base, kind)) if kind.strip_suffix(SWAP) == Some(file_name::LOG) => {
                swapped.insert(base)
            }
            _ => continue,
        };
    }
    for base in swapped {
        let end = end_offset(disk, dir, base)?;
        let replaced: Vec<i64> = bases.range(base..end.max(base)).copied().collect();
        remove_replaced(disk, dir, base, replaced.into_iter())?;
        disk.sync_dir(dir)?;
        finish(disk, dir, base)?;
    }
    Ok(())
}

/// The offset behind the last sound batch of a segment that is waiting for its name.
fn end_offset(disk: &dyn Disk, dir: &Path, base_offset: i64) -> Result<i64, DiskError> {
    let path = file_name::at_offset(dir, base_offset, &format!("{}{SWAP}", file_name::LOG));
    let file = disk.open(&path, OpenMode::Existing)?;
    let mut scan = BatchScan::of_headers(file.as_ref(), 0, file.len()?);
    let mut end = base_offset;
    loop {
        match scan.next() {
            Ok(Some(batch)) => end = batch.header.next_offset(),
            // What a bad disk has changed is found again when the segment is read.
            Ok(None) | Err(ScanError::Invalid { .. }) => return Ok(end),
            Err(ScanError::Disk(error)) => return Err(error),
        }
    }
}

const INDEXES: [&str; 3] = [
    file_name::OFFSET_INDEX,
    file_name::TIME_INDEX,
    file_name::TRANSACTION_INDEX,
];
