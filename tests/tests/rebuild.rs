//! Builds with Cargo again and again: the build script runs when a file that matters
//! changed, and compiles only what that file has a part in.
//!
//! The build script leaves a mark each time it runs, so no clock is asked.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

const BUILD: &str = r#"
use std::io::Write as _;

fn main() -> Result<(), dspipe_build::Error> {
    let mut runs = std::fs::File::options().create(true).append(true).open("runs.txt").unwrap();
    writeln!(runs, "{}", std::env::var("OUT_DIR").unwrap()).unwrap();
    dspipe_build::Config::new()CONFIG.compile()
}
"#;

const MAIN: &str =
    "mod workflows {\n    dspipe_runtime::include_workflows!();\n}\n\nfn main() {}\n";

fn workflow(name: &str, output: &str, data: Option<&str>) -> String {
    let data = data.map_or(String::new(), |path| {
        format!("\n  dspy_config:\n    training_examples_path: {path}")
    });
    format!(
        "workflow:\n  name: {name}{data}\n  steps:\n    - name: sum_up\n      type: dspy\n      signature:\n        \
         input_fields:\n          - {{name: text, type: string}}\n        \
         output_fields:\n          - {{name: {output}, type: string}}\n"
    )
}

struct Project(PathBuf);

impl Project {
    /// `name` must differ: projects that share a target directory share by name what is built for them.
    fn new(name: &str, directory: &Path, config: &str) -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let workspace = workspace.canonicalize().unwrap();
        let project = Self(directory.to_path_buf());
        project.write(
            "Cargo.toml",
            &format!(
                "[package]\nname = \"rebuilt-{name}\"\nedition = \"2021\"\n\n[workspace]\n\n\
                 [dependencies]\ndspipe-runtime = {{ path = '{0}/dspipe-runtime', default-features = false }}\n\n\
                 [build-dependencies]\ndspipe-build = {{ path = '{0}/dspipe-build' }}\n",
                workspace.display()
            ),
        );
        // The same versions as here, so that nothing has to be fetched.
        fs::copy(workspace.join("Cargo.lock"), directory.join("Cargo.lock")).unwrap();
        project.write("build.rs", &BUILD.replace("CONFIG", config));
        project
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.0.join(path)).unwrap();
    }

    /// Builds. What Cargo said, and whether it compiled.
    fn build(&self) -> (bool, String) {
        // Cargo compares times of files, which some systems keep by the second.
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        let output = Command::new(env!("CARGO"))
            .args(["check", "--offline", "--color", "never"])
            .current_dir(&self.0)
            .env(
                "CARGO_TARGET_DIR",
                // Shared with the other test of this kind: the same dependencies.
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken"),
            )
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    }

    fn runs(&self) -> usize {
        let runs = fs::read_to_string(self.0.join("runs.txt"));
        runs.unwrap_or_default().lines().count()
    }

    /// The generated files and when they were written.
    fn generated(&self) -> BTreeMap<String, SystemTime> {
        let runs = fs::read_to_string(self.0.join("runs.txt")).unwrap();
        let out = Path::new(runs.lines().last().unwrap()).join("dspipe");
        fs::read_dir(out)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, entry.metadata().unwrap().modified().unwrap())
            })
            .collect()
    }

    /// Builds after a change: whether the build script ran, and the files it wrote.
    #[track_caller]
    fn expect(&self, what: &str, runs: bool, written: &[&str]) -> String {
        let (runs_before, before) = (self.runs(), self.generated());
        let (compiles, said) = self.build();
        assert!(compiles, "{what}:\n{said}");
        assert_eq!(
            self.runs() - runs_before,
            usize::from(runs),
            "{what}:\n{said}"
        );
        let now: Vec<String> = self
            .generated()
            .into_iter()
            .filter(|(name, time)| before.get(name) != Some(time))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(now, written, "{what}:\n{said}");
        said
    }
}

#[test]
fn exactly_when_a_file_that_matters_changed() {
    let directory = tempfile::tempdir().unwrap();
    let project = Project::new(
        "files",
        directory.path(),
        ".glob(\"workflows/**/*.yaml\").workflow(\"special/lone.yaml\")",
    );
    project.write("src/main.rs", MAIN);
    project.write("workflows/one.yaml", &workflow("one", "a", None));
    project.write("workflows/deep/two.yaml", &workflow("two", "a", None));
    project.write(
        "special/lone.yaml",
        &workflow("lone", "a", Some("data/examples.json")),
    );
    project.write("special/data/.keep", "");
    let (compiles, said) = project.build();
    assert!(compiles, "{said}");
    assert!(
        said.contains("the training data `data/examples.json` is not there"),
        "{said}"
    );
    assert_eq!(project.generated().len(), 3, "{said}");

    project.expect("nothing changed", false, &[]);
    project.write("src/main.rs", &format!("{MAIN}// changed\n"));
    project.expect("Rust changed", false, &[]);
    project.write("notes.txt", "a file that nothing names");
    project.write(
        "special/notes.txt",
        "a neighbour of a file that is named alone",
    );
    project.expect("other files came up", false, &[]);

    project.write("workflows/one.yaml", &workflow("one", "b", None));
    project.expect("a workflow changed", true, &["one.rs"]);
    project.write("workflows/one.yaml", &workflow("one", "b", None));
    project.expect("it was saved without a change", true, &[]);
    project.expect("nothing changed after that", false, &[]);

    project.write("workflows/deep/three.yaml", &workflow("three", "a", None));
    project.expect("a workflow was added", true, &["three.rs"]);
    project.write(
        "special/lone.yaml",
        &workflow("lone", "b", Some("data/examples.json")),
    );
    project.expect("the one outside changed", true, &["lone.rs"]);

    let record = r#"[{"text": "long", "b": "short"}]"#;
    project.write("special/data/examples.json", record);
    let said = project.expect("its data were added", true, &[]);
    assert!(!said.contains("is not there"), "{said}");
    let other = record.replace("long", "longer");
    project.write("special/data/examples.json", &other);
    project.expect("its data changed", true, &[]);
    project.expect("nothing changed after that either", false, &[]);
    project.remove("special/data/examples.json");
    let said = project.expect("its data were removed", true, &[]);
    assert!(said.contains("is not there"), "{said}");

    project.remove("workflows/deep/two.yaml");
    project.write(
        "src/main.rs",
        &MAIN.replace("{}", "{ let _ = workflows::two::run; }"),
    );
    let (compiles, said) = project.build();
    assert!(
        !compiles && said.contains("E0433"),
        "a workflow was removed:\n{said}"
    );
    assert!(!project.generated().contains_key("two.rs"));
    project.write("src/main.rs", MAIN);
    project.expect("Rust was put right", false, &[]);
}

#[test]
fn files_that_types_come_from_are_watched_too() {
    let directory = tempfile::tempdir().unwrap();
    let project = Project::new("types", directory.path(), ".workflows(\"workflows\")");
    project.write("src/main.rs", MAIN);
    let one = workflow("one", "a", None).replace(
        "{name: a, type: string}",
        "{name: a, $ref: '../shared/types.yaml#/types/A'}",
    );
    project.write("workflows/one.yaml", &one);
    project.write("workflows/two.yaml", &workflow("two", "a", None));
    let types =
        |more: &str| format!("types:\n  A:\n    properties:\n      b: {{$ref: 'b.json'}}\n{more}");
    project.write("shared/types.yaml", &types(""));
    project.write("shared/b.json", r#"{"enum": ["x", "y"]}"#);
    let (compiles, said) = project.build();
    assert!(compiles, "{said}");

    project.expect("nothing changed", false, &[]);
    project.write("shared/b.json", r#"{"enum": ["x", "z"]}"#);
    project.expect("a file at the second remove changed", true, &["one.rs"]);
    project.write("shared/types.yaml", &types("      c: {type: string}\n"));
    project.expect("the file that is named changed", true, &["one.rs"]);
    project.write("shared/notes.txt", "a neighbour");
    project.expect("another file came up", false, &[]);
    project.remove("shared/b.json");
    let (compiles, said) = project.build();
    assert!(!compiles && said.contains("E024"), "{said}");
}

#[test]
fn workflows_that_are_called_are_watched_too() {
    let directory = tempfile::tempdir().unwrap();
    let project = Project::new("calls", directory.path(), ".workflows(\"workflows\")");
    project.write("src/main.rs", MAIN);
    let calls = |name: &str, file: &str| {
        format!(
            "workflow:\n  name: {name}\n  inputs:\n    - {{name: letter, type: string}}\n  steps:\n    - name: \
             inner\n      type: pipeline\n      pipeline_file: {file}\n      inputs: {{text: '{{{{ inputs.letter }}}}'}}\n"
        )
    };
    project.write("workflows/one.yaml", &calls("one", "../parts/middle.yaml"));
    project.write("workflows/two.yaml", &workflow("two", "a", None));
    let middle = calls("middle", "last.yaml").replace("letter", "text");
    project.write("parts/middle.yaml", &middle);
    project.write("parts/last.yaml", &workflow("last", "a", None));
    let (compiles, said) = project.build();
    assert!(compiles, "{said}");

    project.expect("nothing changed", false, &[]);
    project.write("parts/last.yaml", &workflow("last", "b", None));
    project.expect("a workflow at the second remove changed", true, &["one.rs"]);
    project.write(
        "parts/middle.yaml",
        &calls("middle", "one.yaml").replace("letter", "text"),
    );
    project.write("parts/one.yaml", &workflow("again", "b", None));
    project.expect("the workflow that is called changed", true, &["one.rs"]);
    project.remove("parts/one.yaml");
    let (compiles, said) = project.build();
    assert!(!compiles && said.contains("E041"), "{said}");
}

#[test]
fn warnings_come_again_and_names_stay_apart() {
    let directory = tempfile::tempdir().unwrap();
    let project = Project::new("names", directory.path(), ".workflows(\"workflows\")");
    project.write("src/main.rs", MAIN);
    project.write(
        "workflows/one.yaml",
        &workflow("one", "a", Some("data.json")),
    );
    project.write("workflows/two.yaml", &workflow("two", "a", None));
    let (compiles, said) = project.build();
    assert!(compiles && said.contains("is not there"), "{said}");

    project.write("workflows/two.yaml", &workflow("two", "b", None));
    let said = project.expect("the other workflow changed", true, &["two.rs"]);
    assert!(said.contains("is not there"), "{said}");

    // The first of the two is not compiled again for itself, but the error shows both.
    project.write("workflows/two.yaml", &workflow("one", "b", None));
    let (compiles, said) = project.build();
    assert!(
        !compiles && said.contains("another workflow is called `one`"),
        "{said}"
    );
    assert!(said.contains("workflows/one.yaml:2"), "{said}");
    project.write("workflows/two.yaml", &workflow("two", "b", None));
    let (compiles, said) = project.build();
    assert!(compiles, "{said}");
}

#[test]
fn committed_code() {
    let directory = tempfile::tempdir().unwrap();
    let config = ".workflows(\"workflows\").emit_to(\"src/generated\").type_prefix(\"Wf\")\
                  .derive(\"one::*::WfOutput\", \"Eq, Hash, Clone\")";
    let project = Project::new("committed", directory.path(), config);
    project.write(
        "src/main.rs",
        "mod generated;\n\nfn main() {\n    let inputs = generated::one::WfInputs { text: String::new() };\n    \
         let _ = generated::one::run(inputs);\n    fn is_eq<T: Eq + core::hash::Hash>() {}\n    \
         is_eq::<generated::one::sum_up::WfOutput>();\n}\n",
    );
    project.write("workflows/one.yaml", &workflow("one", "a", None));
    project.write("workflows/match.yaml", &workflow("match", "a", None));
    let (compiles, said) = project.build();
    assert!(compiles, "{said}");
    let emitted = |name: &str| directory.path().join("src/generated").join(name);
    let check = || {
        dspipe_build::Config::new()
            .workflows("workflows")
            .emit_to("src/generated")
            .type_prefix("Wf")
            .derive("one::*::WfOutput", "Eq, Hash, Clone")
            .check_emitted(directory.path())
    };
    check().unwrap();
    let (runs, first) = (
        project.runs(),
        fs::read_to_string(emitted("one.rs")).unwrap(),
    );
    assert!(project.build().0);
    assert_eq!(
        project.runs(),
        runs,
        "its own output made the build script run again"
    );

    // With a mistake, nothing is lost.
    project.write("workflows/one.yaml", "workflow: {name: one, stepz: []}\n");
    let (compiles, said) = project.build();
    assert!(
        !compiles && said.contains("error[E004]: unknown key `stepz`"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(emitted("one.rs")).unwrap(), first);
    assert!(matches!(
        check(),
        Err(dspipe_build::Error::Workflows { .. })
    ));

    project.write("workflows/one.yaml", &workflow("one", "b", None));
    project.remove("workflows/match.yaml");
    let error = check().unwrap_err().to_string();
    for name in ["mod.rs", "one.rs", "match.rs"] {
        assert!(error.contains(name), "{error}");
    }
    let (compiles, said) = project.build();
    assert!(compiles, "{said}");
    check().unwrap();
    assert!(!emitted("match.rs").exists());
}

#[test]
fn suites_are_checked_and_break_nothing_but_their_tests() {
    let directory = tempfile::tempdir().unwrap();
    let project = Project::new("suites", directory.path(), ".workflows(\"workflows\")");
    project.write("src/main.rs", MAIN);
    project.write("workflows/one.yaml", &workflow("one", "a", None));
    let (compiles, said) = project.build();
    assert!(compiles, "{said}");
    let out = fs::read_to_string(directory.path().join("runs.txt")).unwrap();
    let out = PathBuf::from(out.lines().last().unwrap());
    let suites = || fs::read_to_string(out.join("dspipe_evals.rs")).unwrap();
    let report = || fs::read_to_string(out.join("dspipe_evals.errors.txt"));
    assert!(suites().contains("there are no suites"), "{}", suites());
    project.expect("nothing", false, &[]);

    // Whoever adds suites adds a test target.
    let manifest = fs::read_to_string(directory.path().join("Cargo.toml")).unwrap();
    project.write("Cargo.toml", &format!("{manifest}\n"));
    project.write(
        "evals/x.eval.yaml",
        "suite: x\nworkflow: workflows/one.yaml\ndata: data/x.jsonl\nmetrics: [{rust: kind}]\n",
    );
    project.write("data/x.jsonl", "{\"text\": \"a\", \"a\": \"b\"}\n");
    project.expect("a suite", true, &[]);
    let opened = "dspipe_workflow_suite::<dspipe_workflows::one::Workflow>(\"evals/x.eval.yaml\", \
                  ::std::vec![(\"kind\", dspipe_metrics().kind)])";
    assert!(suites().contains(opened), "{}", suites());

    project.write("data/x.jsonl", "{\"text\": \"a\", \"b\": \"b\"}\n");
    project.expect("a bad record", true, &[]);
    assert!(suites().contains("compile_error!"), "{}", suites());
    let text = report().unwrap();
    assert!(text.contains("data/x.jsonl:1:16"), "{text}");

    project.write("data/x.jsonl", "{\"text\": \"a\"}\n");
    project.expect("a record without a label", true, &[]);
    assert!(suites().contains(opened) && report().is_err());
    project.write(
        "evals/y.eval.yaml",
        "suite: x\nworkflow: workflows/one.yaml\nstep: sum_up\ncases: [{text: a}]\nmetrics: exact\n",
    );
    project.expect("a suite of the same name", true, &[]);
    let text = report().unwrap();
    assert!(text.contains("two suites are called `x`"), "{text}");
}
