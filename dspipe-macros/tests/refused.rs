//! What the attribute refuses, and what rustc then says.
//!
//! `TRYBUILD=overwrite cargo test -p dspipe-macros --test refused` writes the texts anew.

#[test]
fn mistakes_are_told_where_they_are() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/refused/*.rs");
}
