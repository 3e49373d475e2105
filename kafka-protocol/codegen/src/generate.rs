//! From `schema/` to the text of all generated files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::between_nodes;
use crate::emit_entities;
use crate::emit_message;
use crate::emit_table;
use crate::model::Message;
use crate::schema::{Kind, Release, Spec};

/// Writes all generated files below `source_dir`, and removes those that are generated no more.
pub(crate) fn write(schema_dir: &Path, source_dir: &Path) -> Result<String, String> {
    let files = files(schema_dir)?;
    let failed = |error: std::io::Error| format!("{}: {error}", source_dir.display());
    fs::create_dir_all(source_dir.join(FOLDER)).map_err(failed)?;
    for name in committed(source_dir)? {
        if !files.contains_key(&name) {
            fs::remove_file(source_dir.join(&name)).map_err(failed)?;
        }
    }
    for (name, text) in &files {
        let path = source_dir.join(name);
        if fs::read_to_string(&path).ok().as_ref() != Some(text) {
            fs::write(path, text).map_err(failed)?;
        }
    }
    Ok(format!("{} files", files.len()))
}

/// The generated files that exist below `source_dir`.
pub(crate) fn committed(source_dir: &Path) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    if source_dir.join(FRONT).exists() {
        names.push(FRONT.to_owned());
    }
    for name in file_names(&source_dir.join(FOLDER))? {
        names.push(format!("{FOLDER}/{name}"));
    }
    Ok(names)
}

/// What `schema/` holds.
pub(crate) struct Messages {
    /// All messages that have a version, by name.
    pub(crate) messages: Vec<Message>,
    /// Keys and names of the APIs that have none.
    pub(crate) removed: Vec<(i16, String)>,
}

/// Reads all of `schema/`.
pub(crate) fn messages(schema_dir: &Path) -> Result<Messages, String> {
    let mut messages = Vec::new();
    let mut removed = Vec::new();
    for folder in file_names(schema_dir)? {
        if folder == RELEASE {
            continue;
        }
        for name in file_names(&schema_dir.join(&folder))? {
            let origin = format!("{folder}/{name}");
            let spec: Spec = read(&schema_dir.join(&origin))?;
            match (Message::new(&spec, origin)?, spec.kind, spec.api_key) {
                (Some(message), ..) => messages.push(message),
                (None, Kind::Request, Some(key)) => {
                    removed.push((key, spec.name.trim_end_matches("Request").to_owned()));
                }
                (None, ..) => {}
            }
        }
    }
    between_nodes::mark(&mut messages)?;
    messages.sort_by(|a, b| a.name.cmp(&b.name));
    for pair in messages.windows(2) {
        if let [a, b] = pair
            && a.name == b.name
        {
            return Err(format!("{} and {} have one name", a.origin, b.origin));
        }
    }
    removed.sort_unstable();
    Ok(Messages { messages, removed })
}

/// The text of each generated file, by its path below `src/`.
pub(crate) fn files(schema_dir: &Path) -> Result<BTreeMap<String, String>, String> {
    let release: Release = read(&schema_dir.join(RELEASE))?;
    let Messages { messages, removed } = messages(schema_dir)?;
    let mut requests: Vec<&Message> = messages
        .iter()
        .filter(|message| message.kind == Kind::Request)
        .collect();
    requests.sort_by_key(|request| request.api_key);
    let mut files = BTreeMap::new();
    for message in &messages {
        let response = match message.kind {
            Kind::Request => {
                let response = messages
                    .iter()
                    .find(|other| other.kind == Kind::Response && other.api_key == message.api_key);
                let response =
                    response.ok_or_else(|| format!("{} has no response", message.name))?;
                if response.valid != message.valid || response.flexible != message.flexible {
                    return Err(format!("{} and {} differ", message.name, response.name));
                }
                Some((response.module.as_str(), response.name.as_str()))
            }
            _ => None,
        };
        files.insert(
            format!("{FOLDER}/{}.rs", message.module),
            emit_message::file(message, response),
        );
    }
    files.insert(
        format!("{FOLDER}/api_key.rs"),
        emit_table::api_keys(&release.release, &requests, &removed)?,
    );
    files.insert(
        format!("{FOLDER}/catalog.rs"),
        emit_table::catalog(&release.release, &messages),
    );
    files.insert(
        format!("{FOLDER}/entities.rs"),
        emit_entities::file(&release.release, &messages)?,
    );
    files.insert(
        FRONT.to_owned(),
        emit_table::modules(&release.release, &messages),
    );
    Ok(files)
}

/// The names in a folder, sorted; none if there is no such folder.
fn file_names(folder: &Path) -> Result<Vec<String>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    serde_json::from_str(&text).map_err(|error| failed(&error))
}

const FOLDER: &str = "messages";
const FRONT: &str = "messages.rs";
const RELEASE: &str = "release.json";
