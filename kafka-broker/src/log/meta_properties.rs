//! The file that says whose log directory this is.

use std::fmt::Write;
use std::path::Path;

use kafka_protocol::Uuid;

use crate::log::disk::{Disk, read_file, replace_file};
use crate::log::error::LogError;

/// `meta.properties`, version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetaProperties {
    pub(crate) cluster_id: String,
    pub(crate) node_id: i32,
    pub(crate) directory_id: Uuid,
}

impl MetaProperties {
    /// `None` if there is no such file yet.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, LogError> {
        let path = dir.join(FILE_NAME);
        let Some(content) = read_file(disk, &path)? else {
            return Ok(None);
        };
        match decode(&content) {
            Ok(properties) => Ok(Some(properties)),
            Err(reason) => Err(LogError::Mismatch { path, reason }),
        }
    }

    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
        replace_file(disk, &dir.join(FILE_NAME), &self.encode(), true)?;
        Ok(())
    }

    /// Refuses a broker of another cluster or number.
    pub(crate) fn check(
        &self,
        dir: &Path,
        cluster_id: Option<&str>,
        node_id: i32,
    ) -> Result<(), LogError> {
        let mismatch = |reason| LogError::Mismatch {
            path: dir.join(FILE_NAME),
            reason,
        };
        if let Some(cluster_id) = cluster_id
            && cluster_id != self.cluster_id
        {
            return Err(mismatch(format!(
                "cluster.id is {} where {cluster_id} is expected",
                self.cluster_id
            )));
        }
        if node_id != self.node_id {
            return Err(mismatch(format!(
                "node.id is {} where {node_id} is expected",
                self.node_id
            )));
        }
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut text = String::from("#\n");
        let fields = [
            ("cluster.id", escaped(&self.cluster_id)),
            ("directory.id", self.directory_id.to_string()),
            ("node.id", self.node_id.to_string()),
            ("version", VERSION.to_owned()),
        ];
        for (key, value) in fields {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key}={value}");
        }
        text.into_bytes()
    }
}

fn decode(content: &[u8]) -> Result<MetaProperties, String> {
    let text = std::str::from_utf8(content).map_err(|_| "not a properties file".to_owned())?;
    let value = |key: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(found, _)| found.trim() == key)
            .map(|(_, value)| unescaped(value.trim()))
            .ok_or_else(|| format!("{key} is missing"))
    };
    let version = value("version")?;
    if version != VERSION {
        return Err(format!("version is {version} where {VERSION} is expected"));
    }
    let node_id = value("node.id")?;
    let directory_id = value("directory.id")?;
    Ok(MetaProperties {
        cluster_id: value("cluster.id")?,
        node_id: node_id
            .parse()
            .map_err(|_| format!("node.id {node_id} is no number"))?,
        directory_id: directory_id
            .parse()
            .map_err(|_| format!("directory.id {directory_id} is no identifier"))?,
    })
}

/// A value as a Java properties file has it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n")
}

fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some(char) => text.push(char),
                None => {}
            },
            char => text.push(char),
        }
    }
    text
}

const FILE_NAME: &str = "meta.properties";
const VERSION: &str = "1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_back_and_one_of_kafka_is_read() {
        let ours = MetaProperties {
            cluster_id: "a\\b=c".to_owned(),
            node_id: 3,
            directory_id: Uuid::from_bytes([7; 16]),
        };
        assert_eq!(decode(&ours.encode()), Ok(ours));
        let theirs = "#\n#Sat Nov 21 07:27:00 UTC 2026\ncluster.id=I2eXt9rvSnyhct8BYmW6-w\n\
            directory.id=BwcHBwcHBwcHBwcHBwcHBw\nnode.id=1\nversion=1\n";
        let theirs = decode(theirs.as_bytes()).unwrap();
        assert_eq!(theirs.cluster_id, "I2eXt9rvSnyhct8BYmW6-w");
        assert_eq!(theirs.directory_id, Uuid::from_bytes([7; 16]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let reason = |text: &str| decode(text.as_bytes()).unwrap_err();
        assert_eq!(reason(""), "version is missing");
        assert_eq!(reason("version=0"), "version is 0 where 1 is expected");
        assert_eq!(reason("version=1\n"), "node.id is missing");
        assert_eq!(
            reason("version=1\nnode.id=x\ndirectory.id=y\ncluster.id=z"),
            "node.id x is no number"
        );
    }
}
