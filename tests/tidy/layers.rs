//! Who may import whom inside a crate: the table, and its check.
//!
//! A row names a module and what it, and everything below it, may import besides what lies below
//! the module itself. A row adds to the row of the folder above it. Adding a row is a decision.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::{code_of, crate_paths};
use crate::sources::Source;

/// A module, and what it may import, with blanks between.
type Row = (&'static str, &'static str);

/// The rows of each crate, from the ground up. Think before you add one.
const ALLOWED: &[(&str, &[Row])] = &[
    (
        "kafka-protocol",
        &[
            ("error", ""),
            ("error_code", ""),
            ("version", "error"),
            ("uuid", ""),
            ("broker_ids", ""),
            ("wire", "error uuid broker_ids"),
            ("request", "wire version error messages"),
            ("messages", "wire request version error uuid broker_ids"),
            // The front of the generated table of keys.
            ("api_key", "messages version"),
            // Every message by its name, for tools that learn only at run time which they need.
            ("catalog", "api_key messages request wire version error"),
            ("header", "api_key messages request wire version error"),
            (
                "frame",
                "header api_key messages request wire version error",
            ),
            ("compression", "error wire"),
            ("record", "compression wire error error_code"),
        ],
    ),
    (
        "kafka-client",
        &[
            ("error", ""),
            ("record", "error"),
            ("config", "error"),
            // The machines decide, and know nothing of what does.
            ("machine", "config record error"),
            ("machine::time", ""),
            ("machine::action", "machine::time"),
            ("machine::backoff", "machine::time"),
            ("machine::versions", ""),
            ("machine::topic_name", ""),
            ("machine::outages", "machine::time"),
            ("machine::sasl", ""),
            (
                "machine::connection",
                "machine::versions machine::sasl machine::action machine::backoff machine::time",
            ),
            ("machine::cluster", "machine::backoff machine::time"),
            (
                "machine::routing",
                "machine::cluster machine::action machine::backoff machine::time",
            ),
            (
                "machine::producer",
                "machine::routing machine::cluster machine::backoff machine::time",
            ),
            (
                "machine::subscription",
                "machine::cluster machine::backoff machine::time machine::topic_name",
            ),
            (
                "machine::fetch",
                "machine::subscription machine::routing machine::cluster machine::backoff \
                 machine::time",
            ),
            (
                "machine::group",
                "machine::subscription machine::routing machine::cluster machine::backoff \
                 machine::time",
            ),
            (
                "machine::consumer",
                "machine::fetch machine::group machine::subscription machine::routing \
                 machine::cluster machine::backoff machine::time",
            ),
            ("driver", "machine config record error"),
            // The faces of the roles take what the drivers hand them; the client makes them.
            ("admin", "driver machine config record error"),
            ("producer", "driver machine config record error"),
            ("consumer", "driver machine config record error"),
            (
                "client",
                "admin producer consumer driver machine config error",
            ),
            (
                "blocking",
                "client admin producer consumer driver config record error",
            ),
        ],
    ),
    (
        "kafka-broker",
        &[
            ("log", ""),
            ("config", "log"),
            ("state", "log config"),
            ("control", "state log config"),
            // Handlers are told by rules what to refuse, and tell them what requests are about.
            ("handler", "control state log config"),
            ("server", "handler control state log config"),
            // What `Control` can do, by HTTP.
            ("control_port", "control config"),
            ("error", "log"),
            ("plan", "log config"),
            (
                "broker",
                "plan server handler control_port control state log config error",
            ),
            ("builder", "broker plan log config error"),
        ],
    ),
];

/// Handles with too many methods for one file: their pieces add methods to them, and so name them.
const SPREAD: &[&str] = &["admin"];

/// The roofs: they re-export, and so may import anything of their crate.
const ROOFS: &[&str] = &["lib.rs", "main.rs"];

/// Imports that no row allows, imports through the crate root, and modules without a row.
pub(crate) fn violations(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for (package, rows) in ALLOWED {
        let files = ModuleFiles::of(package, sources);
        for (name, (path, _)) in &files.modules {
            if !has_row(rows, name) {
                violations.push(format!("{path}: no row of the table speaks of `{name}`"));
            }
        }
        for import in files.imports() {
            if let Some(reason) = refusal(rows, &import) {
                violations.push(format!("{}:{}: {reason}", import.path, import.line));
            }
        }
    }
    violations
}

/// Whether a row speaks of a module. Where the pieces of a folder have rows, each piece has one.
fn has_row(rows: &[Row], module: &str) -> bool {
    let above = rows
        .iter()
        .map(|(row, _)| *row)
        .filter(|row| is_under(module, row));
    let Some(nearest) = above.max_by_key(|row| row.len()) else {
        return false;
    };
    nearest == module
        || !rows
            .iter()
            .any(|(row, _)| *row != nearest && is_under(row, nearest))
}

/// Circles of files that import each other.
pub(crate) fn circles(sources: &[Source]) -> Vec<String> {
    let mut circles = Vec::new();
    for (package, _) in ALLOWED {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for import in ModuleFiles::of(package, sources).imports() {
            if let Some(target) = import.target
                && target != import.from
            {
                edges.entry(import.from).or_default().insert(target);
            }
        }
        while let Some(circle) = find_circle(&edges) {
            // Broken here, so that the next one is found too.
            if let [.., last, first] = circle.as_slice()
                && let Some(targets) = edges.get_mut(last)
            {
                targets.remove(first);
            }
            circles.push(format!("{package}: {}", circle.join(" -> ")));
        }
    }
    circles
}

/// The hand-written files of one package, by module.
struct ModuleFiles<'a> {
    /// From `a::b` to the file's path and text. The roofs are not in it.
    modules: BTreeMap<String, (&'a str, &'a str)>,
}

/// One path that one file names.
struct Import<'a> {
    path: &'a str,
    line: usize,
    from: String,
    /// The path as it is written.
    named: String,
    /// The module that it leads to; none when the path ends at the crate root.
    target: Option<String>,
}

impl<'a> ModuleFiles<'a> {
    fn of(package: &str, sources: &'a [Source]) -> Self {
        let mut modules = BTreeMap::new();
        for source in sources {
            let Some((folder, file)) = source.package_and_module_file() else {
                continue;
            };
            let is_ours = folder == package && source.is_rust();
            if is_ours && !ROOFS.contains(&file) && !file.starts_with("bin/") {
                let module = file.trim_end_matches(".rs").replace('/', "::");
                modules.insert(module, (source.path.as_str(), source.text.as_str()));
            }
        }
        Self { modules }
    }

    fn imports(&self) -> Vec<Import<'a>> {
        let mut imports = Vec::new();
        for (from, (path, text)) in &self.modules {
            let is_test = from.rsplit("::").next() == Some("tests");
            if is_test || Source::new(path, "").is_in_generated_folder() {
                continue;
            }
            let module: Vec<String> = from.split("::").map(str::to_owned).collect();
            for (line, named) in crate_paths(&code_of(text), &module) {
                imports.push(Import {
                    path,
                    line,
                    from: from.clone(),
                    target: self.longest_module(&named),
                    named: named.join("::"),
                });
            }
        }
        imports
    }

    /// The module a path leads to: as much of it as there are files for.
    fn longest_module(&self, path: &[String]) -> Option<String> {
        let lengths = (1..=path.len()).rev();
        lengths
            .map(|length| path[..length].join("::"))
            .find(|name| self.exists(name))
    }

    /// A folder counts without a file beside it too, as that of the generated code.
    fn exists(&self, name: &str) -> bool {
        self.modules.keys().any(|module| is_under(module, name))
    }
}

/// Why an import is refused.
fn refusal(rows: &[Row], import: &Import<'_>) -> Option<String> {
    let Import { from, named, .. } = import;
    let Some(target) = &import.target else {
        return Some(format!(
            "`crate::{named}` goes through the crate root: name its module"
        ));
    };
    if target == from {
        return None;
    }
    if is_under(from, target) {
        if SPREAD.contains(&target.as_str()) {
            return None;
        }
        return Some(format!(
            "`{from}` is a piece of `{target}` and must not import it"
        ));
    }
    let own: Vec<&Row> = rows.iter().filter(|(row, _)| is_under(from, row)).collect();
    let nearest = own.iter().map(|(row, _)| row).max_by_key(|row| row.len())?;
    let allowed: Vec<&str> = own
        .iter()
        .flat_map(|(_, allowed)| allowed.split_ascii_whitespace())
        .collect();
    let is_allowed = is_under(target, nearest) || allowed.iter().any(|row| is_under(target, row));
    (!is_allowed).then(|| {
        let allowed = if allowed.is_empty() {
            "nothing".to_owned()
        } else {
            allowed.join(", ")
        };
        format!("`{from}` must not import `{target}`; the row `{nearest}` allows: {allowed}")
    })
}

fn is_under(module: &str, ancestor: &str) -> bool {
    module == ancestor
        || module
            .strip_prefix(ancestor)
            .is_some_and(|below| below.starts_with("::"))
}

/// A circle, its first module repeated at the end.
fn find_circle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    edges
        .keys()
        .find_map(|start| walk(start, edges, &mut Vec::new(), &mut done))
}

fn walk(
    module: &str,
    edges: &BTreeMap<String, BTreeSet<String>>,
    way: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(start) = way.iter().position(|passed| passed == module) {
        let closing = [module.to_owned()];
        return Some([&way[start..], &closing].concat());
    }
    if done.contains(module) {
        return None;
    }
    way.push(module.to_owned());
    let found = edges.get(module).and_then(|targets| {
        targets
            .iter()
            .find_map(|target| walk(target, edges, way, done))
    });
    way.pop();
    done.insert(module.to_owned());
    found
}

mod tests {
    use super::*;
    use crate::planted;

    const ERROR: (&str, &str) = ("kafka-client/src/error.rs", "pub struct Error;");
    const DRIVER: (&str, &str) = ("kafka-client/src/driver.rs", "pub struct Driver;");

    #[test]
    fn an_arrow_that_points_up_is_found() {
        let machine = (
            "kafka-client/src/machine/time.rs",
            "use crate::driver::Driver;\n",
        );
        let found = violations(&planted(&[ERROR, DRIVER, machine]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("kafka-client/src/machine/time.rs:1: "),
            "{found:?}"
        );
        assert!(found[0].ends_with("the row `machine::time` allows: config, record, error"));
    }

    #[test]
    fn an_arrow_that_points_down_is_not() {
        let machine = (
            "kafka-client/src/machine/time.rs",
            "fn f() -> crate::error::Error {}\n",
        );
        assert!(violations(&planted(&[ERROR, DRIVER, machine])).is_empty());
    }

    #[test]
    fn an_import_through_the_root_is_found() {
        let machine = ("kafka-client/src/machine/time.rs", "\nuse crate::Error;\n");
        let found = violations(&planted(&[ERROR, machine]));
        assert!(
            found
                .concat()
                .contains("time.rs:2: `crate::Error` goes through the crate root")
        );
    }

    #[test]
    fn a_piece_that_imports_what_stands_above_it_is_found() {
        let log = (
            "kafka-broker/src/log.rs",
            "use crate::log::segment::Segment;",
        );
        let segment = ("kafka-broker/src/log/segment.rs", "use crate::log::Log;");
        let found = violations(&planted(&[log, segment]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("`log::segment` is a piece of `log`"),
            "{found:?}"
        );
        let circle = circles(&planted(&[log, segment]));
        assert_eq!(circle, ["kafka-broker: log -> log::segment -> log"]);
    }

    #[test]
    fn every_circle_is_found() {
        let file = |name, text| (name, text);
        let tree = planted(&[
            file("kafka-broker/src/log/a.rs", "use crate::log::b::B;"),
            file("kafka-broker/src/log/b.rs", "use crate::log::c::C;"),
            file("kafka-broker/src/log/c.rs", "use crate::log::a::A;"),
            file(
                "kafka-broker/src/log/d.rs",
                "use crate::log::e::E; use crate::log::a::A;",
            ),
            file("kafka-broker/src/log/e.rs", "use crate::log::d::D;"),
        ]);
        assert_eq!(circles(&tree).len(), 2, "{:?}", circles(&tree));
    }

    #[test]
    fn a_module_without_a_row_is_found() {
        let stranger = ("kafka-broker/src/stranger.rs", "");
        let found = violations(&planted(&[stranger]));
        assert!(
            found
                .concat()
                .contains("no row of the table speaks of `stranger`"),
            "{found:?}"
        );
    }
}
