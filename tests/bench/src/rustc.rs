//! What rustc spends on generated code, against the same types with serde's derives
//! and nothing else.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use dspipe_build::Config;

use crate::{Outcome, best, corpus, figure};

pub(crate) fn run(quick: bool) -> Outcome {
    let (workflows, runs) = if quick { (1, 1) } else { (40, 3) };
    let directory = tempfile::tempdir()?;
    let crates = directory.path();
    corpus::write(crates, workflows, 5)?;
    let compilation = Config::new().workflows("workflows").load(crates)?;
    let mut generated = String::new();
    let mut types = String::new();
    for workflow in compilation.workflows() {
        let code = workflow.code().ok_or("nothing was generated")?;
        let module = workflow.module();
        let _ = writeln!(types, "pub mod {module} {{\n{}}}", corpus::types(5));
        let _ = writeln!(generated, "pub mod {module} {{\n{code}}}");
    }
    let target = target()?;
    let dspipe = Crate::new(crates, "generated", &generated, &target)?;
    let serde = Crate::new(crates, "derived", &types, &target)?;
    let empty = Crate::new(crates, "empty", "", &target)?;
    // The rivals take turns, so that a busy moment of the machine meets both.
    let mut times = [Duration::MAX; 3];
    for _ in 0..runs {
        for (time, project) in times.iter_mut().zip([&dspipe, &serde, &empty]) {
            *time = (*time).min(project.check()?);
        }
    }
    let [dspipe, serde, empty] = times;
    let dspipe = dspipe.saturating_sub(empty).as_secs_f64();
    let serde = serde.saturating_sub(empty).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let steps = (workflows * 5) as f64;
    figure("rustc.check_of_a_step", dspipe / steps * 1e3, "ms");
    figure(
        "rustc.check_of_its_types_with_serde_derives",
        serde / steps * 1e3,
        "ms",
    );
    figure("rustc.generated_of_derived", dspipe / serde, "x");
    Ok(())
}

/// A crate to check by itself: what it depends on is built before.
struct Crate {
    directory: PathBuf,
    target: PathBuf,
}

impl Crate {
    fn new(parent: &Path, name: &str, code: &str, target: &Path) -> Result<Self, Box<dyn Error>> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()?;
        let directory = parent.join(name);
        fs::create_dir_all(directory.join("src"))?;
        fs::write(
            directory.join("Cargo.toml"),
            format!(
                "[package]\nname = \"measured-{name}\"\nedition = \"2024\"\n\n[workspace]\n\n\
                 [dependencies]\ndspipe-runtime = {{ path = '{}', default-features = false }}\n\
                 serde = {{ version = \"1\", features = [\"derive\"] }}\nserde_json = \"1\"\n",
                workspace.join("dspipe-runtime").display()
            ),
        )?;
        // The same versions as here, so that nothing has to be fetched.
        fs::copy(workspace.join("Cargo.lock"), directory.join("Cargo.lock"))?;
        fs::write(
            directory.join("src/lib.rs"),
            format!("#![allow(warnings)]\n{code}"),
        )?;
        let project = Self {
            directory,
            target: target.to_owned(),
        };
        project.check()?;
        Ok(project)
    }

    /// How long checking this crate alone takes.
    fn check(&self) -> Result<Duration, Box<dyn Error>> {
        let code = self.directory.join("src/lib.rs");
        fs::File::options()
            .append(true)
            .open(code)?
            .set_modified(SystemTime::now())?;
        best(1, || {
            let output = Command::new(env!("CARGO"))
                .args(["check", "--offline", "--quiet"])
                .current_dir(&self.directory)
                .env("CARGO_TARGET_DIR", &self.target)
                .env("CARGO_INCREMENTAL", "0")
                .output()?;
            let said = || String::from_utf8_lossy(&output.stderr).into_owned();
            output
                .status
                .success()
                .then_some(())
                .ok_or_else(|| said().into())
        })
    }
}

/// Shared by the measured crates and kept between runs.
pub(crate) fn target() -> Result<PathBuf, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let directory = program.parent().ok_or("the program lies nowhere")?;
    Ok(directory.join("measured"))
}
