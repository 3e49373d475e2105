//! Which operations of a disk in memory fail, when and how.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::log::error::DiskError;

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Opening a file, or making a directory.
    Open,
    /// Listing a directory.
    List,
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// Cutting a file.
    SetLen,
    /// Syncing a file: what was written and not synced is then never durable, however often the sync is
    /// tried again.
    Sync,
    /// Syncing a directory.
    SyncDir,
    /// Renaming a file or directory.
    Rename,
    /// Removing a file or directory.
    Remove,
}

impl Operation {
    const fn verb(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::SetLen => "truncate",
            Self::Sync => "sync",
            Self::SyncDir => "sync directory",
            Self::Rename => "rename",
            Self::Remove => "remove",
        }
    }
}

/// A failure that is going to happen, or a delay.
#[derive(Clone, Debug)]
pub struct Fault {
    operation: Operation,
    /// `None` if it succeeds in the end.
    error: Option<io::ErrorKind>,
    delay: Duration,
    path_contains: String,
    skip: usize,
    times: usize,
    written: usize,
}

impl Fault {
    /// The next operation of this kind fails once with this error, on any path.
    #[must_use]
    pub fn new(operation: Operation, error: io::ErrorKind) -> Self {
        Self {
            error: Some(error),
            ..Self::delay(operation, Duration::ZERO)
        }
    }

    /// The next operation of this kind takes so much longer once, on any path, and succeeds.
    #[must_use]
    pub fn delay(operation: Operation, delay: Duration) -> Self {
        Self {
            operation,
            error: None,
            delay,
            path_contains: String::new(),
            skip: 0,
            times: 1,
            written: 0,
        }
    }

    /// Only on paths that contain this text.
    #[must_use]
    pub fn on(mut self, path_contains: impl Into<String>) -> Self {
        self.path_contains = path_contains.into();
        self
    }

    /// Only after so many have succeeded.
    #[must_use]
    pub fn after(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// So many times instead of once.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// A write that fails still writes so many bytes; none by default.
    #[must_use]
    pub fn written(mut self, bytes: usize) -> Self {
        self.written = bytes;
        self
    }
}

#[derive(Debug)]
pub(super) struct Faults {
    any: AtomicBool,
    pending: Mutex<Vec<Fault>>,
    capacity: AtomicU64,
    used: AtomicU64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            any: AtomicBool::new(false),
            pending: Mutex::default(),
            capacity: AtomicU64::new(u64::MAX),
            used: AtomicU64::new(0),
        }
    }
}

impl Faults {
    pub(super) fn inject(&self, fault: Fault) {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(fault);
        self.any.store(true, Ordering::Release);
    }

    pub(super) fn pending(&self) -> usize {
        let pending = self.pending.lock();
        pending.unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn clear(&self) {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.any.store(false, Ordering::Release);
    }

    pub(super) fn set_capacity(&self, bytes: Option<u64>) {
        self.capacity
            .store(bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A file is now so long instead of so long.
    pub(super) fn resized(&self, from: usize, to: usize) {
        if to >= from {
            self.used.fetch_add((to - from) as u64, Ordering::Relaxed);
        } else {
            self.used.fetch_sub((from - to) as u64, Ordering::Relaxed);
        }
    }

    /// Takes as long as a fault says, and fails if one says so.
    pub(super) fn check(&self, operation: Operation, path: &Path) -> Result<(), DiskError> {
        match self.take(operation, path).and_then(|fault| fault.error) {
            Some(error) => Err(failure(operation, path, error)),
            None => Ok(()),
        }
    }

    /// How much of a write happens, and what is said of it.
    pub(super) fn write(
        &self,
        path: &Path,
        len: usize,
        growth: usize,
    ) -> (usize, Result<(), DiskError>) {
        let failed = |error| Err(failure(Operation::Write, path, error));
        if let Some(fault) = self.take(Operation::Write, path)
            && let Some(error) = fault.error
        {
            let written = fault.written.min(len);
            let grown = growth.saturating_sub(len - written);
            self.used.fetch_add(grown as u64, Ordering::Relaxed);
            return (written, failed(error));
        }
        let used = self.used.fetch_add(growth as u64, Ordering::Relaxed);
        let room = self.capacity.load(Ordering::Relaxed).saturating_sub(used);
        let excess = (growth as u64).saturating_sub(room);
        if growth == 0 || excess == 0 {
            return (len, Ok(()));
        }
        self.used.fetch_sub(excess, Ordering::Relaxed);
        (len - excess as usize, failed(io::ErrorKind::StorageFull))
    }

    /// The fault that falls on an operation, once its delay is over.
    fn take(&self, operation: Operation, path: &Path) -> Option<Fault> {
        let fault = self.fallen(operation, path)?;
        std::thread::sleep(fault.delay);
        Some(fault)
    }

    fn fallen(&self, operation: Operation, path: &Path) -> Option<Fault> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let name = path.to_string_lossy();
        let index = pending.iter().position(|fault| {
            fault.operation == operation && name.contains(fault.path_contains.as_str())
        })?;
        let fault = pending.get_mut(index)?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times = fault.times.saturating_sub(1);
        let happened = fault.clone();
        if fault.times == 0 {
            pending.remove(index);
        }
        Some(happened)
    }
}

fn failure(operation: Operation, path: &Path, error: io::ErrorKind) -> DiskError {
    DiskError::new(operation.verb(), path, error.into())
}
