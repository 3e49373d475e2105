//! Reads messages and record batches in hex, decodes and encodes them again, and prints what comes out.
//!
//! A line of input is `kind <tab> key <tab> name <tab> version <tab> hex`. Key and version are numbers, a
//! key -1 where there is none; `batch` and `rebatch` look at the hex alone. The kinds are:
//!
//! - `request`, `response`: a body, by its key; `header`, `data`, `record`: a message, by its name;
//! - `request-frame`, `response-frame`: a header and a body behind it, without the size before them;
//! - `batch`: any number of record batches of any magic, which come out as JSON;
//! - `rebatch`: a record batch of magic 2, which is built again from its records.
//!
//! A line of output is the hex of what was encoded, or the JSON, or `error: ` and why. With `--pretty`
//! the message or the batches are printed for reading instead, of damaged batches what stands before
//! the damage.

mod answer;
mod batch;
mod filter;
mod hex;
mod message;

use std::io::{self, BufReader, BufWriter};
use std::process::ExitCode;

use crate::answer::Form;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let form = match arguments.as_slice() {
        [] => Form::Bytes,
        ["--pretty"] => Form::Pretty,
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    let input = BufReader::new(io::stdin().lock());
    let output = BufWriter::new(io::stdout().lock());
    match filter::filter(input, output, form) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "usage: recode [--pretty] < lines";
