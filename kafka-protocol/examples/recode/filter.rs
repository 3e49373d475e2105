//! The stream of lines: one answer for each, as soon as there is nothing more to read at once.

use std::io::{self, BufRead, BufReader, Read, Write};

use crate::answer::{Form, answer};

/// Answers each line of `input` until it ends.
pub(crate) fn filter<R: Read>(
    mut input: BufReader<R>,
    mut output: impl Write,
    form: Form,
) -> io::Result<()> {
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let answer = match std::str::from_utf8(text) {
            Ok(text) => answer(text, form),
            Err(_) => Err("not ASCII".to_owned()),
        };
        match answer {
            Ok(text) => writeln!(output, "{text}")?,
            Err(error) => writeln!(output, "error: {}", error.replace(['\n', '\r'], " "))?,
        }
        if input.buffer().is_empty() {
            output.flush()?;
        }
        line.clear();
    }
    output.flush()
}
