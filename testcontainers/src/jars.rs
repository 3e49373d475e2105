//! The jars of one Kafka release: resolved once by maven, then kept in a cache folder.
//!
//! A folder that bears its final name is whole: jars are gathered under another name and moved
//! when all are there, so that an interrupted download is never taken for a finished one.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::{StartError, tail};
use crate::process;

/// A set of jars that belong on one class path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JarSet {
    /// What it is and its release, such as `kafka-4.4.0`; names the folder in the cache.
    name: String,
    /// The direct dependencies, as they stand in a pom.
    dependencies: String,
}

impl JarSet {
    /// The broker of a release.
    pub(crate) fn broker(release: &str) -> Self {
        // kafka_2.13 asks for kafka-tools-api, which does not exist for every release (4.4.0 has
        // none) and which the broker does not need.
        let broker = dependency(
            "org.apache.kafka",
            "kafka_2.13",
            release,
            Some("kafka-tools-api"),
        );
        Self {
            name: format!("kafka-{release}"),
            dependencies: broker + &logging(),
        }
    }

    /// The command-line tools of a release.
    pub(crate) fn tools(release: &str) -> Self {
        let tools = dependency("org.apache.kafka", "kafka-tools", release, None);
        let broker = dependency("org.apache.kafka", "kafka_2.13", release, None);
        Self {
            name: format!("kafka-tools-{release}"),
            dependencies: tools + &broker + &logging(),
        }
    }

    /// The folder that holds the jars, filled by maven if it was not there yet. Safe to call from
    /// many processes at once.
    pub(crate) fn resolve(&self) -> Result<PathBuf, StartError> {
        self.resolve_in(&cache_folder())
    }

    fn resolve_in(&self, cache: &Path) -> Result<PathBuf, StartError> {
        let folder = cache.join(&self.name);
        if self.is_whole(&folder) {
            return Ok(folder);
        }
        fs::create_dir_all(cache).map_err(StartError::file(cache))?;
        let lock_path = cache.join(format!("{}.lock", self.name));
        let lock = File::create(&lock_path).map_err(StartError::file(&lock_path))?;
        // Whoever holds it is busy with maven, whose own time is limited below.
        lock.lock().map_err(StartError::file(&lock_path))?;
        if !self.is_whole(&folder) {
            self.download(cache, &folder)?;
        }
        Ok(folder)
    }

    /// A whole folder carries the very pom it was made from; a changed list of dependencies makes
    /// a new one.
    fn is_whole(&self, folder: &Path) -> bool {
        fs::read_to_string(folder.join(POM)).is_ok_and(|pom| pom == self.pom())
    }

    fn download(&self, cache: &Path, folder: &Path) -> Result<(), StartError> {
        let partial = cache.join(format!("{}.partial", self.name));
        for stale in [&partial, folder] {
            if stale.exists() {
                fs::remove_dir_all(stale).map_err(StartError::file(stale))?;
            }
        }
        fs::create_dir_all(&partial).map_err(StartError::file(&partial))?;
        let pom = partial.join(POM);
        fs::write(&pom, self.pom()).map_err(StartError::file(&pom))?;
        self.run_maven(&pom, &partial)?;
        fs::rename(&partial, folder).map_err(StartError::file(folder))
    }

    fn run_maven(&self, pom: &Path, output: &Path) -> Result<(), StartError> {
        let mut printed = String::new();
        for _ in 0..MAVEN_TRIES {
            let mut maven = Command::new("mvn");
            maven
                .args(["--batch-mode", "--quiet", "-f"])
                .arg(pom)
                .arg(COPY_DEPENDENCIES)
                .arg("-DincludeScope=runtime")
                .arg(format!("-DoutputDirectory={}", output.display()));
            let finished = process::run(&mut maven, "mvn", MAVEN_LIMIT)?;
            if finished.status.success() {
                return Ok(());
            }
            printed = tail(
                &format!("{}{}", finished.stdout, finished.stderr),
                SHOWN_LINES,
            );
        }
        Err(StartError::Jars {
            what: self.name.replace('-', " "),
            output: printed,
        })
    }

    fn pom(&self) -> String {
        format!(
            "<project>\n\
             <modelVersion>4.0.0</modelVersion>\n\
             <groupId>local</groupId><artifactId>{}</artifactId><version>1</version>\n\
             <packaging>pom</packaging>\n\
             <dependencies>\n{}</dependencies>\n\
             </project>\n",
            self.name, self.dependencies
        )
    }
}

/// `$KAFKA_JARS_DIR`, else `kafka-jars` in the target folder this program was built into.
fn cache_folder() -> PathBuf {
    if let Some(folder) = env::var_os("KAFKA_JARS_DIR") {
        return PathBuf::from(folder);
    }
    target_folder()
        .unwrap_or_else(env::temp_dir)
        .join("kafka-jars")
}

/// Cargo marks its target folder, wherever it was told to put it, as one that backups may skip.
fn target_folder() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let is_target = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    program.ancestors().find(is_target).map(Path::to_path_buf)
}

fn logging() -> String {
    // Kafka speaks slf4j 1.7 and registers a log4j2 bean as it starts: both jars must be there.
    ["log4j-core", "log4j-slf4j-impl"]
        .map(|artifact| dependency("org.apache.logging.log4j", artifact, LOG4J, None))
        .concat()
}

fn dependency(group: &str, artifact: &str, version: &str, without: Option<&str>) -> String {
    let exclusions = without.map_or_else(String::new, |name| {
        format!(
            "<exclusions><exclusion><groupId>{group}</groupId>\
             <artifactId>{name}</artifactId></exclusion></exclusions>"
        )
    });
    format!(
        "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
         <version>{version}</version>{exclusions}</dependency>\n"
    )
}

const POM: &str = "pom.xml";
const LOG4J: &str = "2.25.1";
/// The version is fixed, so that two machines do the same.
const COPY_DEPENDENCIES: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
/// A network may fail once.
const MAVEN_TRIES: usize = 3;
const MAVEN_LIMIT: Duration = Duration::from_secs(300);
const SHOWN_LINES: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_its_own_pom_is_not_whole() {
        let cache = tempfile::tempdir().unwrap();
        let jars = JarSet::broker("4.4.0");
        let folder = cache.path().join("kafka-4.4.0");
        fs::create_dir(&folder).unwrap();
        assert!(!jars.is_whole(&folder));
        fs::write(folder.join(POM), JarSet::broker("4.3.1").pom()).unwrap();
        assert!(!jars.is_whole(&folder));
        fs::write(folder.join(POM), jars.pom()).unwrap();
        assert_eq!(jars.resolve_in(cache.path()).unwrap(), folder);
    }

    #[test]
    fn only_the_broker_leaves_the_tools_api_out() {
        assert!(JarSet::broker("4.4.0").pom().contains("kafka-tools-api"));
        assert!(!JarSet::tools("4.3.1").pom().contains("exclusion"));
    }

    #[test]
    fn the_cache_lies_in_the_target_folder() {
        let target = target_folder().expect("a test runs from a target folder");
        assert!(env::current_exe().unwrap().starts_with(target));
    }
}
