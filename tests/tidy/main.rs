//! The rules of the house that are tests.
fn main() {}
