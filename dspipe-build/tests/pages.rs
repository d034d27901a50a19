//! The page of every code: its wrong example gives that diagnostic, as it is printed there, and its right
//! example none.
//!
//! `UPDATE_PAGES=1 cargo test -p dspipe-build --test pages` writes the diagnostics into the pages.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::env;
use std::fs;
use std::path::Path;

use dspipe_build::{Code, Config};

/// Codes that need a file that cannot be read, or one too large to show.
const WITHOUT_EXAMPLE: [Code; 2] = [Code::Unreadable, Code::TooLarge];

/// What is printed for a workflow.
fn report(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("workflow.yaml"), text).unwrap();
    let compilation = Config::new()
        .workflow("workflow.yaml")
        .load(directory.path())
        .unwrap();
    compilation.report(&compilation.workflows()[0])
}

/// The text of each block of this kind.
fn blocks<'p>(page: &'p str, kind: &str) -> Vec<&'p str> {
    page.split(&format!("```{kind}\n"))
        .skip(1)
        .map(|rest| rest.split("```\n").next().unwrap())
        .collect()
}

#[test]
fn pages_say_what_is_so() {
    for code in Code::ALL {
        let page = code.explanation();
        assert!(page.starts_with(&format!("# {code}: ")), "{page}");
        if WITHOUT_EXAMPLE.contains(code) {
            continue;
        }
        let [wrong, right] = blocks(page, "yaml")[..] else {
            panic!("{code}: a wrong and a right example");
        };
        let said = report(wrong);
        let codes: Vec<&str> = said
            .lines()
            .filter_map(|line| {
                line.strip_prefix("error[")
                    .or(line.strip_prefix("warning["))
            })
            .map(|rest| &rest[..4])
            .collect();
        assert_eq!(codes, [code.as_str()], "{code}: {said}");
        assert_eq!(report(right), "", "{code}");

        let [printed] = blocks(page, "text")[..] else {
            panic!("{code}: the diagnostic as it is printed");
        };
        if env::var_os("UPDATE_PAGES").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("errors/{code}.md"));
            let old = format!("```text\n{printed}```\n");
            fs::write(path, page.replace(&old, &format!("```text\n{said}```\n"))).unwrap();
        } else {
            assert_eq!(printed, said, "{code}: UPDATE_PAGES=1 writes it anew");
        }
    }
}
