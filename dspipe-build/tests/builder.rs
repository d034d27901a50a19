//! The settings of the builder, in memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::path::Path;

use dspipe_build::{Config, Error};

const TRIAGE: &str = "workflow:
  name: triage
  steps:
    - name: sort
      type: dspy
      signature:
        input_fields:
          - {name: text, type: string}
        output_fields:
          - {name: kind, type: enum, enum: [a, b]}
    - name: check
      type: dspy
      signature:
        input_fields:
          - {name: text, type: string}
        output_fields:
          - {name: kind, type: enum, enum: [a, b]}
";

fn package() -> tempfile::TempDir {
    let package = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(package.path().join("flows/deep")).unwrap();
    std::fs::write(package.path().join("flows/deep/triage.yaml"), TRIAGE).unwrap();
    package
}

fn code(config: &Config, base: &Path) -> String {
    let compilation = config.load(base).unwrap();
    let [workflow] = compilation.workflows() else {
        panic!("one file, one workflow");
    };
    assert_eq!(workflow.errors(), 0, "{}", compilation.report(workflow));
    let code = workflow.code().unwrap();
    assert!(syn::parse_file(&code).is_ok(), "{code}");
    code
}

#[test]
fn schemas_are_written_out_where_they_are_asked_for() {
    let package = package();
    let mut config = Config::new();
    config
        .glob("flows/**/*.yaml")
        .derive("triage::sort::*", "schemars::JsonSchema");
    let code = code(&config, package.path());
    assert_eq!(code.matches("JsonSchema").count(), 0, "{code}");
    assert_eq!(code.matches("json_schema!(").count(), 2, "{code}");
    assert!(
        code.contains(r##"json_schema!(Kind, r#"{"type":"string","enum":["a","b"]}"#)"##),
        "{code}"
    );
}

#[test]
fn types_are_changed_by_path() {
    let package = package();
    let mut config = Config::new();
    config
        .glob("flows/**/*.yaml")
        .derive("triage::*::Kind", "Eq, PartialOrd, ::core::cmp::Ord")
        .attribute("triage::Inputs", "#[non_exhaustive]")
        .replace_type("triage::check::Kind", "super::sort::Kind");
    let code = code(&config, package.path());
    assert_eq!(code.matches("pub enum Kind").count(), 1, "{code}");
    // `Eq` is derived for every enum.
    assert!(
        code.contains("#[derive(PartialOrd, ::core::cmp::Ord)]"),
        "{code}"
    );
    assert!(
        code.contains("#[non_exhaustive]\npub struct Inputs"),
        "{code}"
    );
    assert!(code.contains("pub kind: super::sort::Kind"), "{code}");
}

#[test]
fn a_prefix_is_for_all_types() {
    let package = package();
    let mut config = Config::new();
    config.glob("flows/**").type_prefix("Wf");
    let code = code(&config, package.path());
    for name in ["WfInputs", "WfOutputs", "WfInput", "WfOutput", "WfKind"] {
        assert!(
            code.contains(&format!(" {name} {{")),
            "{name} is not in:\n{code}"
        );
    }
}

#[test]
fn settings_that_cannot_be() {
    let package = package();
    let load = |change: &dyn Fn(&mut Config)| {
        let mut config = Config::new();
        config.glob("flows/**/*.yaml");
        change(&mut config);
        config.load(package.path()).unwrap_err()
    };
    let error = load(&|config| _ = config.derive("triage::srt::Output", "Eq"));
    assert!(
        error
            .to_string()
            .contains("there is `triage::sort::Output`"),
        "{error}"
    );
    for error in [
        load(&|config| _ = config.replace_type("triage::sort::Input", "Mine")),
        load(&|config| _ = config.attribute("**", "non_exhaustive")),
        load(&|config| _ = config.derive("**", "")),
        load(&|config| _ = config.replace_type("**::Kind", "a)")),
    ] {
        assert!(matches!(error, Error::Override { .. }), "{error}");
    }
    for pattern in ["*.yaml", "**/*.yaml", "./*.yaml", "/tmp/*.yaml", ""] {
        let error = load(&|config| _ = config.glob(pattern));
        assert!(matches!(error, Error::Glob { .. }), "{pattern}: {error}");
    }
    for prefix in ["wf", "1", "W f", "W::"] {
        let error = load(&|config| _ = config.type_prefix(prefix));
        assert!(matches!(error, Error::TypePrefix { .. }), "{error}");
    }
    let error = Config::new().check_emitted(package.path()).unwrap_err();
    assert!(matches!(error, Error::NothingEmitted), "{error}");
}

#[test]
fn warnings_as_errors() {
    let package = package();
    let text = TRIAGE.replace(
        "triage\n",
        "triage\n  dspy_config: {training_examples_path: nowhere.json}\n",
    );
    std::fs::write(package.path().join("flows/deep/triage.yaml"), text).unwrap();
    let mut config = Config::new();
    config.workflow("flows/deep/triage.yaml");
    assert_eq!(config.load(package.path()).unwrap().errors(), 0);
    config.warnings_as_errors(true);
    assert_eq!(config.load(package.path()).unwrap().errors(), 1);
}
