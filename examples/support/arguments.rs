//! The command line that all examples share: `--bootstrap`, a few options with values, and words.

use std::collections::BTreeMap;
use std::process::ExitCode;

/// What stood on the command line.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// The value of `--bootstrap`, if it was given.
    pub(crate) bootstrap: Option<String>,
    /// The values of the other options, by name.
    pub(crate) options: BTreeMap<String, String>,
    /// The words that belong to no option.
    pub(crate) words: Vec<String>,
}

impl Arguments {
    /// Reads the command line. `options` names those that take a value, without dashes; of words there are at
    /// most `words_max`.
    ///
    /// # Errors
    ///
    /// The status to end with, after the usage was printed: 0 for `--help`, 2 for anything wrong.
    pub(crate) fn parse(usage: &str, options: &[&str], words_max: usize) -> Result<Self, ExitCode> {
        let mut arguments = Self::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            if word == "--help" || word == "-h" {
                println!("{usage}");
                return Err(ExitCode::SUCCESS);
            }
            let Some(name) = word.strip_prefix("--") else {
                if arguments.words.len() == words_max {
                    return Err(wrong(usage, &format!("{word:?} means nothing here")));
                }
                arguments.words.push(word);
                continue;
            };
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            if name != "bootstrap" && !options.contains(&name) {
                return Err(wrong(usage, &format!("unknown option --{name}")));
            }
            let Some(value) = value.or_else(|| words.next()) else {
                return Err(wrong(usage, &format!("--{name} needs a value")));
            };
            if name == "bootstrap" {
                arguments.bootstrap = Some(value);
            } else {
                arguments.options.insert(name.to_owned(), value);
            }
        }
        Ok(arguments)
    }
}

/// Prints what is wrong and how it is right.
pub(crate) fn wrong(usage: &str, what: &str) -> ExitCode {
    eprintln!("error: {what}\n{usage}");
    ExitCode::from(2)
}
