//! From the specs in Kafka's jars to `schema/`: facts only, one file per spec.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;
use zip::ZipArchive;

use crate::schema::{Release, Spec};

/// Replaces `schema/` by the specs in `jars`, which must all be of one release.
pub(crate) fn import(jars: &[&str], schema_dir: &Path) -> Result<String, String> {
    let mut release: Option<String> = None;
    let mut modules = Vec::new();
    for jar in jars {
        let (module, version) = module_and_version(jar)?;
        if release.get_or_insert_with(|| version.clone()) != &version {
            return Err(format!("{jar} is not of the release of the first jar"));
        }
        let specs = specs(jar)?;
        if specs.is_empty() {
            return Err(format!("{jar} has no message specs"));
        }
        modules.push((module, specs));
    }
    let release = release.ok_or("no jar was named")?;

    let failed = |error: std::io::Error| format!("{}: {error}", schema_dir.display());
    if schema_dir.exists() {
        fs::remove_dir_all(schema_dir).map_err(failed)?;
    }
    let mut count = 0;
    for (module, specs) in modules {
        let module_dir = schema_dir.join(module);
        fs::create_dir_all(&module_dir).map_err(failed)?;
        for spec in specs {
            let path = module_dir.join(format!("{}.json", spec.name));
            fs::write(path, json(&spec)?).map_err(failed)?;
            count += 1;
        }
    }
    let about = Release { release };
    fs::write(schema_dir.join("release.json"), json(&about)?).map_err(failed)?;
    Ok(format!("{count} specs of Kafka {}", about.release))
}

/// `.../kafka-group-coordinator-4.4.0.jar` is `group-coordinator` and `4.4.0`.
fn module_and_version(jar: &str) -> Result<(String, String), String> {
    let name = Path::new(jar).file_stem().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_prefix("kafka-"))
        .and_then(|name| name.rsplit_once('-'))
        .map(|(module, version)| (module.to_owned(), version.to_owned()))
        .ok_or_else(|| format!("{jar} is not named kafka-MODULE-VERSION.jar"))
}

/// All specs of a jar: each JSON file in a folder named `message` or `metadata`.
fn specs(jar: &str) -> Result<Vec<Spec>, String> {
    let file = File::open(jar).map_err(|error| format!("{jar}: {error}"))?;
    let mut archive = ZipArchive::new(file).map_err(|error| format!("{jar}: {error}"))?;
    let mut names = Vec::new();
    for name in archive.file_names() {
        let name = name.map_err(|error| format!("{jar}: {error}"))?;
        if is_spec(&name) {
            names.push(name.into_owned());
        }
    }
    names.sort_unstable();
    let mut specs = Vec::new();
    for name in names {
        let mut text = String::new();
        archive
            .by_name(&name)
            .map_err(|error| error.to_string())
            .and_then(|mut entry| {
                entry
                    .read_to_string(&mut text)
                    .map_err(|error| error.to_string())
            })
            .map_err(|error| format!("{jar}: {name}: {error}"))?;
        let spec = serde_json::from_str(&without_comments(&text))
            .map_err(|error| format!("{jar}: {name}: {error}"))?;
        specs.push(spec);
    }
    Ok(specs)
}

fn is_spec(name: &str) -> bool {
    name.strip_suffix(".json")
        .and_then(|name| name.rsplit_once('/'))
        .is_some_and(|(folder, _)| {
            folder
                .rsplit('/')
                .next()
                .is_some_and(|last| last == "message" || last == "metadata")
        })
}

/// The text without `// ...` and `/* ... */` outside of strings.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.find('\n').map_or("", |end| comment.split_at(end).1);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, behind)| behind);
        } else {
            let len = if next == '"' {
                string_len(rest)
            } else {
                next.len_utf8()
            };
            let (head, tail) = rest.split_at(len);
            kept.push_str(head);
            rest = tail;
        }
    }
    kept
}

/// The length of the string literal that the text begins with.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn json(value: &impl Serialize) -> Result<String, String> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{is_spec, module_and_version, without_comments};

    #[test]
    fn comments_go_and_strings_stay() {
        let text = "// licence\n{ \"a\": \"x // \\\" /* y */\", /* b\n */ \"c\": 1 } // end";
        assert_eq!(
            without_comments(text),
            "\n{ \"a\": \"x // \\\" /* y */\",  \"c\": 1 } "
        );
    }

    #[test]
    fn the_name_of_a_jar_tells_module_and_release() {
        assert_eq!(
            module_and_version("a/b/kafka-group-coordinator-4.4.0.jar"),
            Ok(("group-coordinator".to_owned(), "4.4.0".to_owned()))
        );
        assert!(module_and_version("slf4j-api-1.7.jar").is_err());
    }

    #[test]
    fn specs_lie_in_folders_of_two_names() {
        assert!(is_spec("common/message/FetchRequest.json"));
        assert!(is_spec("message/ProducerSnapshot.json"));
        assert!(is_spec("common/metadata/TopicRecord.json"));
        assert!(!is_spec("common/message/README.md"));
        assert!(!is_spec("META-INF/other/x.json"));
    }
}
