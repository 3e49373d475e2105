//! The files of the tree. This file knows no rule.

use std::fs;
use std::path::Path;

/// One text file.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the root of the repository, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it lies in the folder of generated code, or stands beside and above it.
    pub(crate) fn is_in_generated_folder(&self) -> bool {
        self.path
            .strip_prefix("kafka-protocol/src/messages")
            .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    /// The package it belongs to, and its path inside that package's `src`.
    pub(crate) fn package_and_module_file(&self) -> Option<(&str, &str)> {
        self.path.split_once("/src/")
    }
}

/// Every text file of the repository, in a fixed order.
pub(crate) fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    collect(root, "", &mut sources);
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(
        sources
            .iter()
            .any(|source| source.path == "tests/tidy/sources.rs")
    );
    sources
}

fn collect(folder: &Path, prefix: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the tree can be read") {
        let entry = entry.expect("an entry of the tree can be read");
        let name = entry.file_name().into_string().expect("names are Unicode");
        let path = format!("{prefix}{name}");
        if NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() {
            // Cargo marks what it builds, wherever it was told to put it.
            if !entry.path().join("CACHEDIR.TAG").exists() {
                collect(&entry.path(), &format!("{path}/"), sources);
            }
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            sources.push(Source { path, text });
        }
    }
}

const NOT_OURS: &[&str] = &[".git", "target", "node_modules", "__pycache__"];
