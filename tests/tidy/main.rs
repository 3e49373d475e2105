//! The rules of the house that a compiler does not keep, as tests over the sources.
//!
//! Every rule is tried against a planted violation at the foot of its file.

mod code;
mod crates;
mod layers;
mod sources;
mod words;

use sources::Source;

#[test]
fn modules_import_only_what_the_table_allows() {
    report(layers::violations(&sources::all()));
}

#[test]
fn modules_form_no_circle() {
    report(layers::circles(&sources::all()));
}

#[test]
fn crates_depend_only_on_what_the_table_allows() {
    report(crates::violations(&sources::all()));
}

#[test]
fn words_stay_where_they_belong() {
    report(words::misplaced(&sources::all()));
}

#[test]
fn generated_code_lies_in_its_folder_and_says_so() {
    report(words::generated(&sources::all()));
}

#[test]
fn nothing_is_left_to_be_done_without_an_issue() {
    report(words::unfinished(&sources::all()));
}

#[test]
fn no_file_speaks_of_one_machine() {
    report(words::local(&sources::all()));
}

#[test]
fn no_module_hides_behind_mod_rs() {
    report(words::mod_files(&sources::all()));
}

/// Shows everything that is wrong at once, one line each.
fn report(violations: Vec<String>) {
    let count = violations.len();
    assert!(
        violations.is_empty(),
        "{count} found:\n{}",
        violations.join("\n")
    );
}

/// A tree of planted files: path and text.
#[cfg(test)]
fn planted(files: &[(&str, &str)]) -> Vec<Source> {
    files
        .iter()
        .map(|(path, text)| Source::new(path, text))
        .collect()
}
