//! Words that may stand in some places only.

use crate::code::{code_of, words};
use crate::sources::Source;

/// A word of the code, the folder it is banned from, where it may stand all the same, and why.
struct Ban {
    word: &'static str,
    folder: &'static str,
    except: &'static [&'static str],
    reason: &'static str,
}

/// Each exception is a decision.
const BANS: &[Ban] = &[
    Ban {
        word: "tokio",
        folder: "kafka-client/src/",
        except: &[
            "kafka-client/src/driver.rs",
            "kafka-client/src/driver/",
            // It owns the runtime of those who have none.
            "kafka-client/src/blocking/runtime.rs",
        ],
        reason: "only the drivers know the runtime",
    },
    Ban {
        word: "tokio",
        folder: "kafka-protocol/",
        except: &[],
        reason: "the protocol knows no runtime",
    },
    Ban {
        word: "async",
        folder: "kafka-client/src/machine/",
        except: &[],
        reason: "a machine is asked, it does not wait",
    },
    Ban {
        word: "HashMap",
        folder: "kafka-client/src/machine/",
        except: &[],
        reason: "the order of a machine's decisions must not depend on chance",
    },
    Ban {
        word: "HashSet",
        folder: "kafka-client/src/machine/",
        except: &[],
        reason: "the order of a machine's decisions must not depend on chance",
    },
    Ban {
        word: "SystemTime",
        folder: "kafka-client/src/machine/",
        except: &[],
        reason: "time is an argument",
    },
    Ban {
        word: "tokio",
        folder: "kafka-broker/src/state/",
        except: &[],
        reason: "the state is asked, it does not wait",
    },
    Ban {
        word: "tokio",
        folder: "kafka-broker/src/log/",
        except: &[],
        reason: "the storage core is synchronous",
    },
    Ban {
        word: "fs",
        folder: "kafka-broker/src/log/",
        except: &["kafka-broker/src/log/disk_os.rs"],
        reason: "the log reaches files through the disk trait",
    },
];

/// Banned words.
pub(crate) fn misplaced(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let applies = |ban: &&Ban| {
            source.path.starts_with(ban.folder)
                && !ban.except.iter().any(|path| source.path.starts_with(path))
        };
        let bans: Vec<&Ban> = BANS.iter().filter(applies).collect();
        if bans.is_empty() {
            continue;
        }
        for (line, word) in words(&code_of(&source.text)) {
            for ban in bans.iter().filter(|ban| ban.word == word) {
                let reason = ban.reason;
                violations.push(format!("{}:{line}: `{word}`: {reason}", source.path));
            }
        }
    }
    violations
}

/// Generated files outside their folder, and files in it that do not say what they are.
pub(crate) fn generated(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let first = source.text.lines().next().unwrap_or_default();
        let says_so = first.starts_with("//") && first.contains(GENERATED_MARK);
        if says_so != source.is_in_generated_folder() {
            let path = &source.path;
            violations.push(format!("{path}:1: says it is generated: {says_so}"));
        }
    }
    violations
}

/// Notes of unfinished work that name no issue.
pub(crate) fn unfinished(sources: &[Source]) -> Vec<String> {
    lines_with(sources, |line| {
        UNFINISHED.iter().find(|mark| {
            line.split(|c: char| !c.is_alphanumeric())
                .any(|word| word == mark.concat())
                && !line.contains("(#")
        })?;
        Some("unfinished work needs an issue: write its number as (#1)".to_owned())
    })
}

/// Paths of one machine, and addresses of package registries.
pub(crate) fn local(sources: &[Source]) -> Vec<String> {
    lines_with(sources, |line| {
        let local = LOCAL
            .iter()
            .map(|parts| parts.concat())
            .find(|local| line.contains(local))?;
        Some(format!("`{local}` is of one machine, not of the project"))
    })
}

/// Modules named `mod.rs`.
pub(crate) fn mod_files(sources: &[Source]) -> Vec<String> {
    let is_one = |source: &&Source| source.path.rsplit('/').next() == Some("mod.rs");
    let found = sources.iter().filter(is_one);
    found
        .map(|source| format!("{}: name it after what it is", source.path))
        .collect()
}

fn lines_with(sources: &[Source], judge: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut violations = Vec::new();
    // The lock file is cargo's own, and names its registry on every other line.
    for source in sources.iter().filter(|source| source.path != "Cargo.lock") {
        for (index, line) in source.text.lines().enumerate() {
            if let Some(reason) = judge(line) {
                violations.push(format!("{}:{}: {reason}", source.path, index + 1));
            }
        }
    }
    violations
}

/// What line 1 of a generated file says.
const GENERATED_MARK: &str = "Generated by";

// In two parts each, or this file would break its own rules.
const UNFINISHED: &[[&str; 2]] = &[["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"]];
const LOCAL: &[[&str; 2]] = &[
    ["/wo", "rk/"],
    ["/ro", "ot/"],
    ["/ho", "me/"],
    ["/Us", "ers/"],
    ["repo1.", "maven"],
    ["repo.", "maven"],
    ["py", "pi.org"],
    ["python", "hosted"],
    ["registry.", "npmjs"],
    ["proxy.", "golang"],
    ["index.", "crates.io"],
    ["static.", "crates.io"],
    ["deb.", "debian.org"],
];

mod tests {
    use super::*;
    use crate::planted;

    #[test]
    fn a_machine_that_knows_the_runtime_is_found() {
        let tree = planted(&[
            (
                "kafka-client/src/machine/time.rs",
                "\nuse tokio::time::Instant;",
            ),
            (
                "kafka-client/src/driver/clock.rs",
                "use tokio::time::Instant;",
            ),
        ]);
        let found = misplaced(&tree);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("kafka-client/src/machine/time.rs:2: `tokio`"),
            "{found:?}"
        );
    }

    #[test]
    fn generated_code_in_the_wrong_place_is_found() {
        let tree = planted(&[
            (
                "kafka-protocol/src/messages/x.rs",
                "// Generated by codegen. Do not edit.\n",
            ),
            ("kafka-protocol/src/messages/y.rs", "pub struct Y;\n"),
            ("a/src/z.rs", "// Generated by codegen. Do not edit.\n"),
        ]);
        assert_eq!(generated(&tree).len(), 2);
    }

    #[test]
    fn unfinished_work_is_found() {
        let note = UNFINISHED[0].concat();
        let tree = planted(&[
            ("a.rs", &format!("// {note}: later\n")),
            ("b.rs", &format!("// {note}(#12): later\n")),
        ]);
        assert_eq!(unfinished(&tree).len(), 1);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let local_path = LOCAL[0].concat();
        let tree = planted(&[
            ("a.md", &format!("see {local_path}notes")),
            ("b.md", "see notes"),
        ]);
        assert_eq!(local(&tree).len(), 1);
    }

    #[test]
    fn a_mod_file_is_found() {
        let tree = planted(&[("a/src/b/mod.rs", ""), ("a/src/b.rs", "")]);
        assert_eq!(
            mod_files(&tree),
            ["a/src/b/mod.rs: name it after what it is"]
        );
    }
}
