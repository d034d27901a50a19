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
    for folder in ["src", "facade/src"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    copy(&tests.join("workflows"), &root.join("workflows"));
    fs::copy(workspace.join("Cargo.lock"), root.join("Cargo.lock")).unwrap();
    let expanded = |text: &str| text.replace("WORKSPACE", &workspace.display().to_string());
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2021\"\n\n[workspace]\n\n[dependencies]\n{dependencies}\n\n\
         [build-dependencies]\ndspipe-build = {{ path = 'WORKSPACE/dspipe-build' }}\n"
    );
    fs::write(root.join("Cargo.toml"), expanded(&manifest)).unwrap();
    for (path, text) in files {
        fs::write(root.join(path), expanded(text)).unwrap();
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
