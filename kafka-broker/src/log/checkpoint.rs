//! The text of Kafka's checkpoint files: a version, a count, a line per entry. It does not know what a
//! line means.

use std::fmt::Write;

/// The content of a checkpoint file with these lines.
pub(crate) fn encode(lines: impl Iterator<Item = String>) -> Vec<u8> {
    let mut body = String::new();
    let mut count = 0;
    for line in lines {
        body.push_str(&line);
        body.push('\n');
        count += 1;
    }
    let mut text = String::with_capacity(body.len() + 16);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{VERSION}\n{count}");
    text.push_str(&body);
    text.into_bytes()
}

/// The lines of a checkpoint file; `None` if it is no such file or not whole.
pub(crate) fn decode(content: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('\n')?;
    let mut lines = text.split('\n');
    if lines.next()? != VERSION {
        return None;
    }
    let count: usize = lines.next()?.parse().ok()?;
    let lines: Vec<&str> = lines.collect();
    (lines.len() == count).then_some(lines)
}

const VERSION: &str = "0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_and_torn_files_do_not() {
        let content = encode(["a 0 1".to_owned(), "b 0 2".to_owned()].into_iter());
        assert_eq!(content, b"0\n2\na 0 1\nb 0 2\n");
        assert_eq!(decode(&content), Some(vec!["a 0 1", "b 0 2"]));
        assert_eq!(decode(b"0\n0\n"), Some(vec![]));
        for len in 0..content.len() {
            assert_eq!(decode(&content[..len]), None, "cut to {len}");
        }
    }
}
