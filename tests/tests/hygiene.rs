//! Generated code in crates that make it hard: without a prelude, with the runtime under another name, on
//! the 2021 edition, through a re-export. Each is a real crate, checked with Cargo.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}

/// A crate with these files, besides the workflows of the tests.
fn check(name: &str, dependencies: &str, files: &[(&str, &str)]) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let workspace = tests.join("..").canonicalize().unwrap();
    copy(&tests.join("workflows"), &root.join("workflows"));
    fs::copy(workspace.join("Cargo.lock"), root.join("Cargo.lock")).unwrap();
    let expanded = |text: &str| text.replace("WORKSPACE", &workspace.display().to_string());
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2021\"\n\n[workspace]\n\n[dependencies]\n{dependencies}\n\n\
         [build-dependencies]\ndspipe-build = {{ path = 'WORKSPACE/dspipe-build' }}\n"
    );
    fs::write(root.join("Cargo.toml"), expanded(&manifest)).unwrap();
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, expanded(text)).unwrap();
    }
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--color", "never"])
        .current_dir(root)
        // Compiled dependencies are shared with the other tests that run Cargo.
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken"),
        )
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{name}: {said}");
}

const RUNTIME: &str = "dspipe-runtime = { path = 'WORKSPACE/dspipe-runtime', default-features = false, features = ['structs'] }";

const BUILD: &str =
    "fn main() -> Result<(), dspipe_build::Error> {\n    dspipe_build::compile(\"workflows\")\n}\n";

const USE: &str = r"
pub fn start() -> impl ::core::marker::Send {
    let inputs = workflows::conditions::Inputs {
        text: ::std::string::String::new(),
        hint: ::core::option::Option::None,
    };
    workflows::conditions::run(inputs)
}
";

/// Under `#[dspy_signature]`: a struct, and where its parts are used.
const STRUCT: &str = r#"
/// Say how urgent this is.
#[derive(::core::clone::Clone)]
pub struct Triage {
    #[input]
    pub text: ::std::string::String,
    #[input]
    pub r#type: ::core::option::Option<i64>,
    #[output]
    #[schemars(range(min = 1, max = 5))]
    pub urgency: u8,
    #[output]
    #[serde(rename = "self")]
    pub reasons: ::std::vec::Vec<::std::string::String>,
}

pub fn triage() -> impl ::core::marker::Send {
    let input = TriageInput {
        text: ::std::string::String::new(),
        r#type: ::core::option::Option::None,
    };
    Triage::run(::core::clone::Clone::clone(&input))
}
"#;

#[test]
fn without_a_prelude() {
    let lib = format!(
        "#![no_implicit_prelude]\n#![deny(warnings)]\n\npub mod workflows {{\n    \
         ::dspipe_runtime::include_workflows!();\n}}\n\n\
         #[::dspipe_runtime::dspy_signature(workflow = \"workflows/everything.yaml\")]\n\
         pub mod in_place {{}}\n{USE}\n#[::dspipe_runtime::dspy_signature(workflow = \"workflows/everything.yaml\", step = \"left\")]\n\
         pub mod left {{}}\n#[::dspipe_runtime::dspy_signature]{STRUCT}"
    );
    check(
        "no-prelude",
        RUNTIME,
        &[("build.rs", BUILD), ("src/lib.rs", &lib)],
    );
}

#[test]
fn with_the_runtime_under_another_name() {
    let build = r#"fn main() -> Result<(), dspipe_build::Error> {
    dspipe_build::Config::new()
        .workflows("workflows")
        .runtime_path("::engine")
        .compile()
}
"#;
    let lib = format!(
        "#![deny(warnings)]\n\npub mod workflows {{\n    engine::include_workflows!();\n}}\n\n\
         #[engine::dspy_signature(workflow = \"workflows/everything.yaml\", runtime = \"::engine\")]\n\
         pub mod in_place {{}}\n{USE}\n#[engine::dspy_signature(workflow = \"workflows/everything.yaml\", step = \"left\", runtime = \"::engine\")]\n\
         pub mod left {{}}\n#[engine::dspy_signature(runtime = \"::engine\")]{STRUCT}"
    );
    let engine = RUNTIME.replace(
        "dspipe-runtime = {",
        "engine = { package = 'dspipe-runtime',",
    );
    check(
        "renamed",
        &engine,
        &[("build.rs", build), ("src/lib.rs", &lib)],
    );
}

#[test]
fn through_a_re_export() {
    let build = r#"fn main() -> Result<(), dspipe_build::Error> {
    dspipe_build::Config::new()
        .workflows("workflows")
        .runtime_path("::facade::dspipe")
        .compile()
}
"#;
    let lib = format!(
        "#![deny(warnings)]\n\npub mod workflows {{\n    facade::dspipe::include_workflows!();\n}}\n\n\
         #[facade::dspipe::dspy_signature(\n    workflow = \"workflows/everything.yaml\",\n    \
         runtime = \"::facade::dspipe\"\n)]\npub mod in_place {{}}\n{USE}\n\
         #[facade::dspipe::dspy_signature(runtime = \"::facade::dspipe\")]{STRUCT}"
    );
    let facade = format!(
        "[package]\nname = \"facade\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[dependencies]\n{RUNTIME}\n"
    );
    check(
        "re-export",
        "facade = { path = 'facade' }",
        &[
            ("build.rs", build),
            ("src/lib.rs", &lib),
            ("facade/Cargo.toml", &facade),
            ("facade/src/lib.rs", "pub use dspipe_runtime as dspipe;\n"),
        ],
    );
}

/// What the builder is told of types, and a schema, by their paths.
const CHANGED: &str = r#"
workflow:
  name: triage
  steps:
    - name: sort
      type: dspy
      stream: true
      signature:
        input_fields:
          - {name: text, type: string}
        output_fields:
          - {name: kind, type: string, enum: [question, complaint]}
          - {name: cost, type: object, x-rust-type: "crate::Money", properties: {cents: {type: integer}}}
          - {name: refund, type: object, properties: {cents: {type: integer}}}
      examples:
        - input: {text: a}
          output: {kind: question, cost: {cents: 1}, refund: {cents: 2}}
    - name: answer
      type: dspy
      signature:
        input_fields:
          - {name: kind, type: string, enum: [question, complaint], template: "{{steps.sort.kind}}"}
          - {name: cost, type: object, properties: {cents: {type: integer}}, template: "{{steps.sort.cost}}"}
        output_fields:
          - {name: text, type: string}
"#;

#[test]
fn types_changed_by_the_builder() {
    let build = r##"fn main() -> Result<(), dspipe_build::Error> {
    dspipe_build::Config::new()
        .glob("flows/**/*.yaml")
        .type_prefix("Wf")
        .derive("triage::*::WfKind", "PartialOrd, Ord, Hash")
        .derive("triage::WfInputs", "Eq, Hash")
        .attribute("triage::answer::WfOutput", "#[must_use]")
        .replace_type("triage::*::WfRefund", "crate::Money")
        .warnings_as_errors(true)
        .compile()
}
"##;
    let lib = r#"#![deny(warnings)]

pub mod workflows {
    dspipe_runtime::include_workflows!();
}

/// A type of the user's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Money(pub i64);

impl dspipe_runtime::read::Read for Money {
    fn read(from: dspipe_runtime::read::Reader<'_>) -> Option<Self> {
        from.object()?.required("cents").map(Self)
    }
}

impl serde::Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        std::collections::BTreeMap::from([("cents", self.0)]).serialize(serializer)
    }
}

pub fn both(output: &workflows::triage::sort::WfOutput) -> [&Money; 2] {
    [&output.cost, &output.refund]
}

pub fn are_derived(inputs: workflows::triage::WfInputs) -> impl Eq + std::hash::Hash {
    inputs
}

pub fn is_ordered(kind: workflows::triage::sort::WfKind) -> impl Ord + std::hash::Hash {
    kind
}
"#;
    check(
        "changed",
        &format!("{RUNTIME}\nserde = {{ version = '1', default-features = false }}"),
        &[
            ("build.rs", build),
            ("src/lib.rs", lib),
            ("flows/deep/triage.yaml", CHANGED),
        ],
    );
}

#[test]
fn an_override_that_is_for_nothing() {
    let build = r#"fn main() {
    let said = dspipe_build::Config::new()
        .glob("flows/*.yaml")
        .derive("triage::sort::Kindd", "Hash")
        .compile()
        .unwrap_err()
        .to_string();
    assert!(said.contains("there is `triage::sort::Kind`"), "{said}");
}
"#;
    check(
        "for-nothing",
        RUNTIME,
        &[
            ("build.rs", build),
            ("src/lib.rs", ""),
            ("flows/triage.yaml", CHANGED),
        ],
    );
}
