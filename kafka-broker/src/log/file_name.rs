//! How the files of a log are called.

use std::path::{Path, PathBuf};

pub(crate) const LOG: &str = "log";
pub(crate) const OFFSET_INDEX: &str = "index";
pub(crate) const TIME_INDEX: &str = "timeindex";
pub(crate) const TRANSACTION_INDEX: &str = "txnindex";
pub(crate) const PRODUCER_SNAPSHOT: &str = "snapshot";

/// Added to the name of a file that is on its way out.
pub(crate) const DELETED: &str = ".deleted";
/// Added to the name of a file that compaction has not finished.
pub(crate) const CLEANED: &str = ".cleaned";
/// Added to the name of a file that compaction has finished, and that is taking the place of others.
pub(crate) const SWAP: &str = ".swap";
/// Added to the name of a small file that is being written anew.
pub(crate) const TEMPORARY: &str = ".tmp";

/// The path of the file of this kind that begins at `offset`: twenty digits and the kind.
pub(crate) fn at_offset(dir: &Path, offset: i64, kind: &str) -> PathBuf {
    dir.join(format!("{offset:020}.{kind}"))
}

/// The offset and the kind in the name of a file, `None` for other files.
pub(crate) fn parse(name: &str) -> Option<(i64, &str)> {
    let (digits, kind) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_twenty_digits_and_a_kind() {
        let path = at_offset(Path::new("t-0"), 4711, LOG);
        assert_eq!(path, Path::new("t-0/00000000000000004711.log"));
        assert_eq!(parse("00000000000000004711.log"), Some((4711, LOG)));
        assert_eq!(
            parse("00000000000000004711.log.swap"),
            Some((4711, "log.swap"))
        );
        assert_eq!(parse("leader-epoch-checkpoint"), None);
        assert_eq!(parse("4711.log"), None);
        assert_eq!(parse("+0000000000000004711.log"), None);
        assert_eq!(parse("99999999999999999999.log"), None);
    }
}
