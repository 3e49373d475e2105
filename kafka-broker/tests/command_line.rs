//! The program as it is started by hand: where it listens, and what it says of what does not fit.
#![expect(clippy::unwrap_used, reason = "a test ends where it goes wrong")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where a program says that it listens, while it runs.
struct Program {
    child: Child,
    address: String,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        Self::start_with_log(arguments, Stdio::null())
    }

    fn start_with_log(arguments: &[&str], log: impl Into<Stdio>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kafka-broker"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_default();
        let address = address.to_owned();
        Self { child, address }
    }
}

/// For programs that are killed, which would leave temporary data behind.
const IN_MEMORY: &str = "--in-memory";

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_option_goes_before_a_property_and_that_before_one_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.properties");
    let listeners = "listeners=PLAINTEXT://127.0.0.1:0\n";
    std::fs::write(&file, listeners).unwrap();
    let from_file = format!("--properties={}", file.display());
    let program = Program::start(&[IN_MEMORY, &from_file]);
    assert_ne!(program.address, "127.0.0.1:9092");
    assert!(TcpStream::connect(&program.address).is_ok());
    drop(program);
    let advertised = "advertised.listeners=PLAINTEXT://of-file:1\n";
    std::fs::write(&file, listeners.to_owned() + advertised).unwrap();
    let property = "--set=advertised.listeners=PLAINTEXT://of-property:1";
    let option = "--advertise=of-option:1";
    for (arguments, told) in [
        (&[IN_MEMORY, &*from_file][..], "of-file:1"),
        (&[IN_MEMORY, property, &from_file], "of-property:1"),
        (&[IN_MEMORY, property, &from_file, option], "of-option:1"),
    ] {
        assert_eq!(Program::start(arguments).address, told);
    }
}

#[test]
fn the_log_tells_where_the_data_lies_and_whether_it_was_left_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("--data-dir={}", folder.path().join("data").display());
    let said = folder.path().join("log");
    let start = || {
        let arguments = ["--listen=127.0.0.1:0", &data];
        let program = Program::start_with_log(&arguments, File::create(&said).unwrap());
        (program, std::fs::read_to_string(&said).unwrap())
    };
    const VERIFIED: &str = "its logs were verified, since the last end was not in order";
    let (program, log) = start();
    assert!(log.contains("the data lies in"), "{log}");
    assert!(!log.contains(VERIFIED), "{log}");
    // The first coordinator that is looked for makes a topic.
    let mut stream = TcpStream::connect(&program.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
        .write_all(b"\0\0\0\x0d\0\x0a\0\0\0\0\0\x01\xff\xff\0\x01g")
        .unwrap();
    stream.read_exact(&mut [0; 10]).unwrap();
    drop(program); // killed
    let (_program, log) = start();
    assert!(log.contains(VERIFIED), "{log}");
}

#[test]
fn a_file_that_does_not_fit_is_refused_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.properties");
    std::fs::write(&file, "num.partitions=3\nnum.partitons=3\nnode.id=one\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kafka-broker"))
        .arg("--properties")
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "  line 2: unknown configuration num.partitons (did you mean num.partitions?)\n  line 3: invalid value \
                    one for configuration node.id: must be a 32-bit number\n";
    assert!(said.ends_with(expected), "{said}");
    assert_eq!(output.status.code(), Some(1));
}
