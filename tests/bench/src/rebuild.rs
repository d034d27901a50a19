//! What a build script costs that has nothing, or little, to do. Cargo does not even
//! start it when nothing changed; these are figures for when something else made it run.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use crate::{BUILD_SCRIPT, Outcome, best, corpus, figure};

pub(crate) fn run(quick: bool) -> Outcome {
    let (workflows, runs) = if quick { (10, 1) } else { (1_000, 3) };
    let package = tempfile::tempdir()?;
    let (package, out) = (package.path(), package.path().join("out"));
    fs::create_dir_all(&out)?;
    corpus::write(package, workflows, 5)?;

    let full = best(1, || build_script(package, &out))?;
    figure("rebuild.from_nothing", full.as_secs_f64() * 1e3, "ms");
    let before = written(&out)?;
    let nothing = best(runs, || build_script(package, &out))?;
    figure("rebuild.nothing_changed", nothing.as_secs_f64() * 1e3, "ms");
    // The least that anyone could do: read every file's metadata.
    let limit = best(runs, || metadata(package))?;
    figure("rebuild.metadata_alone", limit.as_secs_f64() * 1e3, "ms");
    figure(
        "rebuild.nothing_changed_of_full",
        nothing.as_secs_f64() / full.as_secs_f64(),
        "x",
    );
    count(
        "rebuild.files_written_when_nothing_changed",
        &before,
        &written(&out)?,
    );

    let changed = package.join("workflows/flow_00003.yaml");
    let text = fs::read_to_string(&changed)?.replace("In one sentence", "In two sentences");
    fs::write(&changed, text)?;
    let one = best(1, || build_script(package, &out))?;
    figure("rebuild.one_changed", one.as_secs_f64() * 1e3, "ms");
    count(
        "rebuild.files_written_when_one_changed",
        &before,
        &written(&out)?,
    );
    Ok(())
}

fn build_script(package: &Path, out: &Path) -> Outcome {
    let status = Command::new(std::env::current_exe()?)
        .arg(BUILD_SCRIPT)
        .env("CARGO_MANIFEST_DIR", package)
        .env("OUT_DIR", out)
        .stdout(Stdio::null())
        .status()?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| "the build script failed".into())
}

fn metadata(package: &Path) -> Result<u64, Box<dyn Error>> {
    let mut total = 0;
    for entry in fs::read_dir(package.join("workflows"))? {
        total += entry?.metadata()?.len();
    }
    Ok(total)
}

/// The generated files and when they were written.
fn written(out: &Path) -> Result<Vec<(String, SystemTime)>, Box<dyn Error>> {
    let mut files = Vec::new();
    for directory in [out.to_owned(), out.join("dspipe")] {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_code = Path::new(&name).extension().is_some_and(|e| e == "rs");
            if is_code {
                files.push((name, entry.metadata()?.modified()?));
            }
        }
    }
    files.sort();
    Ok(files)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(name: &str, before: &[(String, SystemTime)], after: &[(String, SystemTime)]) {
    let changed = after.iter().filter(|file| !before.contains(file)).count();
    figure(name, changed as f64, "files");
}
