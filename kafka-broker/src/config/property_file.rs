//! Files of properties as Java writes them: a name and a value a line. Knows no particular property.

/// One property of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// From 1; of a property on several lines, the first.
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) value: String,
}

/// The properties in a file, in its order.
///
/// A name ends at the first `=`, `:` or blank. Lines that begin with `#` or `!` are comments, a `\` at the end of a line
/// goes on with the next, and elsewhere it takes the letter after it as it is (or as `\t`, `\n`, `\r`, `\f` and `\uXXXX`
/// say).
pub(crate) fn parse(text: &str) -> Vec<Line> {
    let mut found = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = line.to_owned();
        while is_continued(&whole) {
            whole.pop();
            let next = lines.next().map_or("", |(line, _)| line);
            whole.push_str(next.trim_start());
        }
        let (name, value) = whole.split_at(end_of_name(&whole));
        let value = value.trim_start();
        let value = value.strip_prefix(['=', ':']).unwrap_or(value);
        found.push(Line {
            number,
            name: unescaped(name),
            value: unescaped(value.trim_start()),
        });
    }
    found
}

/// Whether a `\` stands at the end that no other one takes as it is.
fn is_continued(line: &str) -> bool {
    let backslashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
    backslashes % 2 == 1
}

fn end_of_name(line: &str) -> usize {
    let mut is_escaped = false;
    let ends = |letter: char| letter == '=' || letter == ':' || letter.is_whitespace();
    let end = line.char_indices().find(|(_, letter)| {
        let is_end = !is_escaped && ends(*letter);
        is_escaped = !is_escaped && *letter == '\\';
        is_end
    });
    end.map_or(line.len(), |(at, _)| at)
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match rest.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => {
                let digits = rest.as_str().get(..4);
                let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                match code.and_then(char::from_u32) {
                    Some(letter) => {
                        plain.push(letter);
                        rest = rest.as_str().get(4..).unwrap_or_default().chars();
                    }
                    // No letter: what cannot be read stays, and is refused with its name or value.
                    None => plain.push_str("\\u"),
                }
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_java_reads_them() {
        let text = "# a comment\n\n  ! another\r\nnum.partitions=3\n  a : b = c  \nalone\nspaced   out\n\
            long = 1,\\\n    2,\\\n3\npath=C\\:\\\\data\\\\\nx\\=y=\\u00e4\\t\\q\\u12\nlast=\\";
        let found = parse(text);
        let found: Vec<_> = found
            .iter()
            .map(|line| (line.number, &*line.name, &*line.value))
            .collect();
        let expected = [
            (4, "num.partitions", "3"),
            (5, "a", "b = c  "),
            (6, "alone", ""),
            (7, "spaced", "out"),
            (8, "long", "1,2,3"),
            (11, "path", "C:\\data\\"),
            (12, "x=y", "ä\tq\\u12"),
            (13, "last", ""),
        ];
        assert_eq!(found, expected);
    }
}
