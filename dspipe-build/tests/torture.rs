//! Input that is hostile, huge or damaged: there is always an answer, never a panic, a hang or a stack
//! overflow, and what is generated always parses.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use dspipe_build::{Compilation, Config};
use proptest::prelude::*;

const BASE: &str = include_str!("../../tests/workflows/conditions.yaml");
const OTHER: &str = include_str!("../../tests/workflows/everything.yaml");

/// Compiles a text as a workflow file.
fn compile(text: impl AsRef<[u8]>) -> Compilation {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("w.yaml"), text).unwrap();
    load(directory.path())
}

fn load(directory: &Path) -> Compilation {
    let compilation = Config::new().workflow("w.yaml").load(directory).unwrap();
    for workflow in compilation.workflows() {
        let report = compilation.report(workflow);
        assert_eq!(workflow.errors() > 0, report.contains("error["), "{report}");
        if let Some(items) = workflow.items() {
            syn::parse_file(items).unwrap();
        }
    }
    compilation
}

/// The report has this in it, and not a thousand other things.
fn refused(text: impl AsRef<[u8]>, part: &str) {
    let compilation = compile(text);
    let report = compilation.report(&compilation.workflows()[0]);
    assert!(report.contains(part), "{part} is not in {}", start(&report));
    assert!(report.len() < 100_000, "{}", start(&report));
}

fn start(text: &str) -> String {
    text.chars().take(2000).collect()
}

#[test]
fn names_with_line_breaks_stay_in_their_comments() {
    let name = r#""any\nthing \u202e\r*/""#;
    refused(
        format!(
            "workflow:\n  name: {name}\n  steps:\n    - name: {name}\n      type: dspy\n      signature:\n        \
             input_fields: [{{name: {name}, type: string}}]\n        \
             output_fields: [{{name: {name}, type: string, enum: [{name}]}}]\n"
        ),
        "cannot be the name of",
    );
}

#[test]
fn nesting_ten_thousand_deep() {
    const DEPTH: usize = 10_000;
    let text = format!("workflow: {}", "[".repeat(DEPTH));
    refused(&text, "error[E00");
    let text = format!("workflow: {}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    refused(&text, "error[E00");
    let text = format!("workflow: {}", "{a: ".repeat(DEPTH));
    refused(&text, "error[E00");
    let mut block = String::from("workflow:\n");
    for depth in 1..DEPTH {
        let _ = writeln!(block, "{}a:", " ".repeat(depth));
    }
    refused(&block, "error[E00");
    let dashes = format!("workflow:\n  {}a", "- ".repeat(DEPTH));
    refused(&dashes, "error[E00");
    let condition = format!("{}true", "not ".repeat(DEPTH));
    refused(
        BASE.replace("read.kind == 'question' and", &format!("{condition} and")),
        "nested too deeply",
    );
}

#[test]
fn thousands_of_lms_that_fall_back_to_each_other() {
    let mut text = String::from("workflow:\n  name: w\n  lm: a0\n  lms:\n");
    for index in 0..20_000 {
        let next = index + 1;
        let line = format!("    a{index}: {{model: openai/m, fallbacks: [a{next}]}}\n");
        text.push_str(&line);
    }
    text.push_str(
        "  steps:\n  - name: s\n    type: dspy\n    signature: {input_fields: [{name: a, type: string}], \
         output_fields: [{name: b, type: string}]}\n",
    );
    refused(&text, "more than 200 LMs under `lms`");
}

#[test]
fn alias_bombs() {
    let mut text = String::from("workflow:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let before = format!("*a{}", level - 1);
        let items = [before.as_str(); 10].join(", ");
        let _ = writeln!(text, "  a{level}: &a{level} [{items}]");
    }
    refused(&text, "error[E003]");
    refused("workflow: &a [*a]\n", "error[E00");
}

#[test]
fn schemas_deepened_by_aliases() {
    let mut text = String::from("workflow:\n  name: w\n  metadata:\n");
    let mut inner = "{type: string}".to_owned();
    for level in 0..57 {
        let (open, close) = ("{properties: {p: ".repeat(28), "}}".repeat(28));
        let _ = writeln!(text, "    a{level}: &a{level} {open}{inner}{close}");
        inner = format!("*a{level}");
    }
    text.push_str(
        "  steps:\n  - name: s\n    type: dspy\n    signature: {input_fields: [{name: a, type: string}], \
         output_fields: [{name: b, schema: *a56}]}\n",
    );
    refused(&text, "nested more than");
}

#[test]
fn thousands_of_one_name() {
    let mut text = chain(1);
    text.push_str(&"          - {name: a, type: enum, enum: [a]}\n".repeat(5_000));
    refused(&text, "there are two fields called `a`");
    let values = vec!["a"; 20_000].join(", ");
    let text = BASE.replace("[question, complaint, praise]", &format!("[{values}]"));
    refused(&text, "the enum value `a` is there twice");
}

#[test]
fn texts_of_a_megabyte_where_a_word_is_wanted() {
    let long = "x".repeat(1024 * 1024);
    refused(
        chain(1).replace("name: s0", &format!("name: {long}")),
        "names have up to 100",
    );
    refused(
        chain(1).replace("type: string", &format!("type: {long}")),
        "error[E010]",
    );
    refused(
        chain(1).replace("type: dspy", &format!("type: {long}")),
        "error[E009]",
    );
    refused(
        chain(1).replace("type: dspy", &format!("type: dspy\n      {long}: a")),
        "error[E00",
    );
    refused(
        chain(1).replace("type: dspy", &format!("type: dspy\n      lm: {long}")),
        "error[E0",
    );
    refused(
        chain(1).replace(
            "type: string",
            &format!("type: string, template: \"{{{{{long}}}}}\""),
        ),
        "error[E01",
    );
}

#[test]
fn files_of_ten_megabytes() {
    const SIZE: usize = 10 * 1024 * 1024;
    refused("a".repeat(SIZE), "error[E006]");
    refused("\u{0}".repeat(SIZE), "error[E002]");
    refused(format!("workflow: \"{}", "x".repeat(SIZE)), "error[E002]");
    // A comment is fine, however long.
    let compilation = compile(format!("#{}\n{BASE}", "x".repeat(SIZE)));
    assert_eq!(compilation.errors(), 0);
    // A text, too.
    let long = BASE.replace("Dear {name}", &"x".repeat(SIZE));
    assert_eq!(compile(long).errors(), 0);
}

#[test]
fn what_is_no_text() {
    refused(b"workflow: \xff\xfe\n", "not UTF-8");
    refused("workflow:\n\t- a\n", "error[E002]");
    refused("workflow: a\n---\nworkflow: b\n", "error[E002]");
    refused("", "empty");
    refused("\u{feff}", "error[");
    assert_eq!(compile(format!("\u{feff}{BASE}")).errors(), 0);
    assert_eq!(compile(BASE.replace('\n', "\r\n")).errors(), 0);
}

#[test]
fn a_thousand_mistakes_are_a_thousand_lines_not_a_flood() {
    let mut text = String::from("workflow:\n  name: x\n  steps:\n");
    for index in 0..1000 {
        let _ = writeln!(text, "    - {{name: s{index}, type: nonsense}}");
    }
    let compilation = compile(&text);
    assert_eq!(compilation.errors(), 1000);
}

/// A chain in which every step needs the one before.
fn chain(steps: usize) -> String {
    let mut text = String::from("workflow:\n  name: chain\n  steps:\n");
    for index in 0..steps {
        let template = match index {
            0 => String::new(),
            _ => format!(", template: \"{{{{steps.s{}.out}}}}\"", index - 1),
        };
        let _ = write!(
            text,
            "    - name: s{index}\n      type: dspy\n      signature:\n        input_fields:\n          \
             - {{name: in, type: string{template}}}\n        output_fields:\n          \
             - {{name: out, type: string}}\n"
        );
    }
    text
}

#[test]
fn five_thousand_steps() {
    let compilation = compile(chain(5000));
    assert_eq!(compilation.errors(), 0);
    let independent = chain(5000)
        .lines()
        .map(|line| line.split(", template").next().unwrap().to_owned())
        .map(|line| {
            if line.ends_with("string") {
                line + "}"
            } else {
                line
            }
        })
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(compile(independent).errors(), 0);
}

#[test]
fn a_thousand_conditions() {
    let steps = |condition: &dyn Fn(usize) -> String| {
        let mut text = chain(1);
        for index in 1..=1000 {
            let _ = write!(
                text,
                "    - name: s{index}\n      type: dspy\n      condition: \"{}\"\n      signature:\n        \
                 input_fields: [{{name: in, type: string}}]\n        \
                 output_fields: [{{name: out, type: string}}]\n",
                condition(index)
            );
        }
        compile(text)
    };
    let same = steps(&|_| "s0.out == 'a'".to_owned());
    assert_eq!(same.errors(), 0);
    let each_after_the_other = steps(&|index| match index {
        1 => "s0.out == 'a'".to_owned(),
        _ => format!("steps.s{} != null", index - 1),
    });
    assert_eq!(each_after_the_other.errors(), 0);
}

#[test]
fn two_hundred_fields() {
    let mut text = chain(1);
    for index in 0..200 {
        let _ = writeln!(
            text,
            "          - {{name: field_{index}, type: string, enum: [a, b]}}"
        );
    }
    assert_eq!(compile(text).errors(), 0);
}

/// A text with a few pieces cut out, doubled, or replaced by something else.
fn damaged(text: &'static str) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(String::new()),
        Just("\n".to_owned()),
        Just("  ".to_owned()),
        Just("- ".to_owned()),
        Just(": ".to_owned()),
        Just("{{".to_owned()),
        Just("}}".to_owned()),
        Just("&a ".to_owned()),
        Just("*a".to_owned()),
        Just("\"".to_owned()),
        Just("[".to_owned()),
        Just("string".to_owned()),
        Just("condition: steps.a != null".to_owned()),
        "[ -~é\n]{0,12}",
    ];
    let cut = (0..text.len(), 0..60_usize, piece);
    proptest::collection::vec(cut, 1..6).prop_map(move |cuts| {
        let mut text = text.to_owned();
        for (at, length, piece) in cuts {
            let boundary = |mut at: usize| {
                at = at.min(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let (start, end) = (boundary(at), boundary(at + length));
            text.replace_range(start..end, &piece);
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_the_compiler_panic(text in "(workflow:|steps:|- |name: |  |\n|\\{|\\}|[a-z:\\[\\]&*!|>'\"#%@,-]| |é){0,60}") {
        compile(text);
    }

    #[test]
    fn damaged_workflows_are_reported_or_compile(text in damaged(BASE)) {
        compile(text);
    }

    #[test]
    fn other_damaged_workflows_are_reported_or_compile(text in damaged(OTHER)) {
        compile(text);
    }
}
