//! Kafka's own classes, in a process that answers lines.

use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

/// The process. It ends with its input.
pub(crate) struct Kafka {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Kafka {
    /// Fetches Kafka's jars unless they are there, compiles the little there is to, and starts it.
    pub(crate) fn start() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle");
        let libs = format!("{}/*", libs(&folder).display());
        let classes = folder.join("classes");
        let mut javac = Command::new("javac");
        javac.arg("-cp").arg(&libs).arg("-d").arg(&classes);
        run(javac.args(["Oracle.java", "Batches.java"].map(source)));
        let mut process = Command::new("java")
            // The first of its compilers is enough for so short a life.
            .args(["-XX:TieredStopAtLevel=1", "-Xmx1g", "-cp"])
            .arg(format!("{}:{libs}", classes.display()))
            .arg("Oracle")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("java runs");
        Self {
            questions: process.stdin.take(),
            answers: BufReader::new(process.stdout.take().expect("it is piped")),
            process,
        }
    }

    /// Its answer to each line.
    pub(crate) fn ask(&mut self, lines: &[String]) -> Vec<Result<String, String>> {
        let questions = self.questions.as_mut().expect("it runs");
        let answers = &mut self.answers;
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut questions = BufWriter::with_capacity(1 << 16, questions);
                for line in lines {
                    writeln!(questions, "{line}").expect("java reads");
                }
                questions.flush().expect("java reads");
            });
            let answer = |_| {
                let mut answer = String::new();
                answers.read_line(&mut answer).expect("java answers");
                let answer = answer.strip_suffix('\n').expect("java goes on");
                match answer.strip_prefix("error: ") {
                    None => Ok(answer.to_owned()),
                    Some(error) => Err(error.to_owned()),
                }
            };
            lines.iter().map(answer).collect()
        })
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.questions = None;
        let _ = self.process.wait();
    }
}

/// The folder of Kafka's jars, fetched when what is wanted changes.
fn libs(folder: &Path) -> PathBuf {
    let libs = folder.join("libs");
    let wanted = fs::read_to_string(source("pom.xml")).expect("pom.xml is here");
    let fetched = libs.join("fetched.xml");
    if fs::read_to_string(&fetched).ok().as_ref() != Some(&wanted) {
        let _ = fs::remove_dir_all(&libs);
        let mut mvn = Command::new("mvn");
        mvn.args(["-q", "-B", "dependency:copy-dependencies"])
            .arg("-DexcludeTransitive=true")
            .arg(format!("-DoutputDirectory={}", libs.display()))
            .arg("-f")
            .arg(source("pom.xml"));
        run(&mut mvn);
        fs::write(fetched, wanted).expect("the folder can be written");
    }
    libs
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/codec/oracle")
        .join(name)
}

fn run(command: &mut Command) {
    let status = command.status().expect("it is installed");
    assert!(status.success(), "{command:?}: {status}");
}
