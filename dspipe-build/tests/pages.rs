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

/// What is printed for the workflow in a part of a page. A block whose first line has a name besides its
/// language is a file that the workflow refers to.
fn report(part: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let [workflow] = blocks(part, "yaml")[..] else {
        panic!("one workflow: {part}");
    };
    fs::write(directory.path().join("workflow.yaml"), workflow).unwrap();
    for block in part.split("```").skip(1).step_by(2) {
        let (head, text) = block.split_once('\n').unwrap();
        if let Some((_, name)) = head.split_once(' ') {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
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
        let Some((wrong, right)) = page.split_once("\nRight:\n") else {
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
