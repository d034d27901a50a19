//! A crate whose workflows have mistakes, built with Cargo as a user builds it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const MAIN: &str = r"
mod workflows {
    dspipe_runtime::include_workflows!();
}

fn main() {
    // What could be read of the broken workflow is there.
    let inputs = workflows::broken::Inputs { text: String::new() };
    let _run = workflows::broken::run(inputs);
    let _summary: fn(&workflows::good::sum_up::Output) -> &String = |output| &output.summary;
    MISTAKE
}
";

const GOOD: &str = r"
workflow:
  name: good
  steps:
    - name: sum_up
      type: dspy
      signature:
        input_fields:
          - {name: text, type: string}
        output_fields:
          - {name: summary, type: string}
";

const BROKEN: &str = r#"
workflow:
  name: broken
  stepz: 1
  steps:
    - name: read
      type: dspy
      signature:
        input_fields:
          - {name: text, type: strng}
        output_fields:
          - {name: facts, type: object}
    - name: write
      type: dspy
      signature:
        input_fields:
          - {name: facts, template: "{{steps.raed.facts}}", type: object}
        output_fields:
          - {name: letter, type: string, maxItems: 3}
    - type: dspy
"#;

struct Project(PathBuf);

impl Project {
    fn new(directory: &Path) -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let workspace = workspace.canonicalize().unwrap();
        fs::create_dir_all(directory.join("src")).unwrap();
        fs::create_dir_all(directory.join("workflows")).unwrap();
        let project = Self(directory.to_path_buf());
        project.write(
            "Cargo.toml",
            &format!(
                "[package]\nname = \"project\"\nedition = \"2021\"\n\n[workspace]\n\n\
                 [dependencies]\ndspipe-runtime = {{ path = '{0}/dspipe-runtime', default-features = false }}\n\n\
                 [build-dependencies]\ndspipe-build = {{ path = '{0}/dspipe-build' }}\n",
                workspace.display()
            ),
        );
        // The same versions as here, so that nothing has to be fetched.
        fs::copy(workspace.join("Cargo.lock"), directory.join("Cargo.lock")).unwrap();
        project.write(
            "build.rs",
            "fn main() -> Result<(), dspipe_build::Error> {\n    dspipe_build::compile(\"workflows\")\n}\n",
        );
        project
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.0.join(path), text).unwrap();
    }

    /// Whether it compiles, and what Cargo says.
    fn check(&self) -> (bool, String) {
        let output = Command::new(env!("CARGO"))
            .args(["check", "--offline", "--quiet", "--color", "never"])
            .current_dir(&self.0)
            .env(
                "CARGO_TARGET_DIR",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken"),
            )
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_the_rest_of_the_crate_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    let project = Project::new(directory.path());
    project.write("workflows/good.yaml", GOOD);
    project.write("workflows/broken.yaml", BROKEN);
    project.write(
        "src/main.rs",
        &MAIN.replace("MISTAKE", "let _: u8 = \"a mistake in Rust\";"),
    );

    let (compiles, said) = project.check();
    assert!(!compiles);
    for part in [
        "error[E004]: unknown key `stepz`",
        "--> workflows/broken.yaml:4:3",
        "`strng` is not a type",
        "--> workflows/broken.yaml:10:32",
        "`raed`",
        "--> workflows/broken.yaml:17:",
        "maxItems",
        "--> workflows/broken.yaml:19:",
        "--> workflows/broken.yaml:20:",
        "mismatched types",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    let errors = said
        .lines()
        .filter(|line| line.starts_with("error"))
        .count();
    // The report of the workflow, the mistake in Rust, and Cargo's last word.
    assert_eq!(errors, 2 + 1, "{said}");

    // Put right, it compiles: nothing stale is left over.
    project.write(
        "workflows/broken.yaml",
        &GOOD.replace("name: good", "name: broken"),
    );
    project.write("src/main.rs", &MAIN.replace("MISTAKE", ""));
    let (compiles, said) = project.check();
    assert!(compiles, "{said}");
}
