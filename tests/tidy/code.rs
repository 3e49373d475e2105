//! A source file as its rules see it: the code alone, and the paths it names.

use std::iter::Peekable;
use std::str::Chars;

/// The code of a file with comments, texts and tests blanked out. Lines keep their numbers.
pub(crate) fn code_of(text: &str) -> String {
    without_tests(&without_texts(text))
}

/// Every path inside the crate that the code names, whether imported or written in place, with the
/// number of its line. `module` is the file's own path, which `self` and `super` start from.
pub(crate) fn crate_paths(code: &str, module: &[String]) -> Vec<(usize, Vec<String>)> {
    let mut paths = Vec::new();
    for (index, line_start) in word_starts(code) {
        let rest = &code[index..];
        let above = &module[..module.len().saturating_sub(1)];
        let start = [
            ("crate::", [].as_slice()),
            ("super::", above),
            ("self::", module),
        ]
        .into_iter()
        .find(|(word, _)| rest.starts_with(word));
        // A path that goes on from another one, and the scope of a visibility, are no imports.
        let before = code[..index].trim_end();
        let is_part = before.ends_with("::") || before.ends_with("(in");
        if let Some((word, prefix)) = start
            && !is_part
        {
            collect_tree(&rest[word.len()..], prefix.to_vec(), line_start, &mut paths);
        }
    }
    paths
}

/// The words of the code, with the number of their line.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    word_starts(code).map(|(index, line)| {
        let rest = &code[index..];
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        (line, &rest[..end])
    })
}

fn word_starts(code: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut line = 1;
    let mut inside = false;
    code.char_indices().filter_map(move |(index, c)| {
        if c == '\n' {
            line += 1;
        }
        let starts = is_word(c) && !inside;
        inside = is_word(c);
        starts.then_some((index, line))
    })
}

/// Reads a tree such as `a::{b::C, d::*}` and adds a path for each of its leaves. Returns how many
/// bytes it took.
fn collect_tree(
    text: &str,
    prefix: Vec<String>,
    line: usize,
    paths: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let mut path = prefix;
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let rest = &text[at..];
        if let Some(group) = rest.strip_prefix('{') {
            return at + 1 + collect_group(group, &path, line, paths);
        }
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        if end == 0 {
            // A star, or the end of the text.
            paths.push((line, path));
            return at + usize::from(rest.starts_with('*'));
        }
        match &rest[..end] {
            "super" => drop(path.pop()),
            "self" => {}
            name => path.push(name.to_owned()),
        }
        at += end;
        match text[at..].strip_prefix("::") {
            // `::<` opens type arguments: the path ends before it.
            Some(after) if !after.trim_start().starts_with('<') => at += 2,
            _ => {
                paths.push((line, path));
                return at;
            }
        }
    }
}

fn collect_group(
    text: &str,
    prefix: &[String],
    line: usize,
    paths: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let here = line + text[..at].matches('\n').count();
        match c {
            '}' => return at + 1,
            _ if is_word(c) || c == '*' => {
                at += collect_tree(&text[at..], prefix.to_vec(), here, paths);
                // A rename is no path.
                if let Some(renamed) = text[at..].trim_start().strip_prefix("as ") {
                    at = text.len() - renamed.len();
                    at += renamed.find(|c: char| !is_word(c)).unwrap_or(renamed.len());
                }
            }
            _ => at += c.len_utf8(),
        }
    }
    at
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Blanks comments and the insides of texts; lines and columns stay.
fn without_texts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut last = ' ';
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('/', Some('/')) => {
                out.push(' ');
                blank_while(&mut chars, &mut out, |c| c != '\n');
            }
            ('/', Some('*')) => blank_block_comment(&mut chars, &mut out),
            ('"', _) => {
                out.push('"');
                blank_string(&mut chars, &mut out);
            }
            ('r', Some('"' | '#')) if !is_word(last) || last == 'b' => {
                out.push('r');
                blank_raw_string(&mut chars, &mut out);
            }
            ('\'', _) => blank_char(&mut chars, &mut out),
            _ => out.push(c),
        }
        last = c;
    }
    out
}

fn blank_while(chars: &mut Peekable<Chars<'_>>, out: &mut String, go_on: impl Fn(char) -> bool) {
    while let Some(c) = chars.next_if(|c| go_on(*c)) {
        out.push(blank(c));
    }
}

fn blank_block_comment(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push(' ');
    let mut depth = 0;
    let mut last = '/';
    for c in chars.by_ref() {
        out.push(blank(c));
        match (last, c) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                last = c;
                continue;
            }
        }
        if depth == 0 {
            return;
        }
        last = ' ';
    }
}

fn blank_string(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(c) = chars.next() {
        if c == '"' {
            out.push('"');
            return;
        }
        out.push(blank(c));
        if c == '\\'
            && let Some(escaped) = chars.next()
        {
            out.push(blank(escaped));
        }
    }
}

fn blank_raw_string(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut hashes = 0;
    while chars.next_if_eq(&'#').is_some() {
        out.push('#');
        hashes += 1;
    }
    if chars.next_if_eq(&'"').is_none() {
        // A raw identifier.
        return;
    }
    out.push('"');
    let mut closing: Option<usize> = None;
    for c in chars.by_ref() {
        closing = match (c, closing) {
            ('"', _) => Some(0),
            ('#', Some(count)) => Some(count + 1),
            _ => None,
        };
        out.push(blank(c));
        if closing == Some(hashes) {
            return;
        }
    }
}

/// A quote opens a character when another one closes it, and a lifetime otherwise.
fn blank_char(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('\'');
    let mut ahead = chars.clone();
    let length = match (ahead.next(), ahead.next()) {
        (Some('\\'), Some(_)) => ahead.position(|c| c == '\'').map(|more| more + 3),
        (Some(_), Some('\'')) => Some(2),
        _ => None,
    };
    for _ in 0..length.unwrap_or(0) {
        out.extend(chars.next().map(blank));
    }
}

fn blank(c: char) -> char {
    if c == '\n' { '\n' } else { ' ' }
}

/// Blanks every item under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(TEST_ATTRIBUTE) {
        let (before, item) = rest.split_at(start);
        let (item, after) = item.split_at(item_length(item));
        out.push_str(before);
        out.extend(item.chars().map(blank));
        rest = after;
    }
    out + rest
}

/// How far an item reaches: to its semicolon, or to the brace that closes its body.
fn item_length(item: &str) -> usize {
    let mut depth = 0;
    for (index, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return index + 1,
            _ => continue,
        }
        if depth == 0 {
            return index + 1;
        }
    }
    item.len()
}

const TEST_ATTRIBUTE: &str = "#[cfg(test)]";

mod tests {
    use super::*;

    fn paths(code: &str, module: &[&str]) -> Vec<String> {
        let module: Vec<String> = module.iter().map(|&name| name.to_owned()).collect();
        let found = crate_paths(&code_of(code), &module);
        found
            .into_iter()
            .map(|(line, path)| format!("{line} {}", path.join("::")))
            .collect()
    }

    #[test]
    fn imports_are_read_with_their_groups() {
        let code = "use crate::a::{b::C,\n  d::{self, E as F}, g::*};\nlet x = crate::h::i::<T>();";
        assert_eq!(
            paths(code, &[]),
            ["1 a::b::C", "2 a::d", "2 a::d::E", "2 a::g", "3 h::i"]
        );
    }

    #[test]
    fn self_and_super_start_from_the_file() {
        let code = "use super::x::Y; use self::z; use super::super::W;";
        assert_eq!(
            paths(code, &["a", "b", "c"]),
            ["1 a::b::x::Y", "1 a::b::c::z", "1 a::W"]
        );
    }

    #[test]
    fn comments_texts_tests_and_visibility_name_nothing() {
        let code = "// crate::a\n/* crate::b /* */ crate::c */ \"crate::d \\\" crate::e\" \
                    r#\"\" crate::f\"# '\"' pub(in crate::g) fn h<'a>() {}\n\
                    #[cfg(test)]\nmod tests { use crate::i; fn j() {} }\nuse crate::k;";
        assert_eq!(paths(code, &[]), ["5 k"]);
    }

    #[test]
    fn words_have_lines() {
        assert_eq!(
            words("a\n b::c").collect::<Vec<_>>(),
            [(1, "a"), (2, "b"), (2, "c")]
        );
    }
}
