//! What the attribute refuses, and what rustc then says.
//!
//! `TRYBUILD=overwrite cargo test -p dspipe-macros --test refused` writes the texts anew.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::path::Path;

#[test]
fn mistakes_are_told_where_they_are() {
    // The cases are compiled as a package of their own; this is where trybuild puts it.
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tests/trybuild/dspipe-macros");
    let workflow = "workflows/triage.yaml";
    fs::create_dir_all(package.join("workflows")).unwrap();
    fs::copy(workflow, package.join(workflow)).unwrap();
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/refused/*.rs");
}
