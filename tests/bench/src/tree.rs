//! What a user's build takes on: crates in the dependency tree, and the time of a clean `cargo build`, with
//! default features; beside rig-core and dspy-rs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::{clients, line};
use crate::{Outcome, figure, skipped};

const MANIFEST: &str = r#"[package]
name = "client-dspipe"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
dspipe-runtime = { path = "@/dspipe-runtime" }
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }

[build-dependencies]
dspipe-build = { path = "@/dspipe-build" }
"#;

const BUILD: &str = r#"fn main() -> Result<(), dspipe_build::Error> {
    dspipe_build::compile("workflows")
}
"#;

const MAIN: &str = r#"mod workflows {
    dspipe_runtime::include_workflows!();
}

#[tokio::main]
async fn main() -> Result<(), dspipe_runtime::Error> {
    let inputs = workflows::ticket::Inputs { ticket: "It broke.".into() };
    println!("{}", workflows::ticket::run(inputs).await?.read.reply);
    Ok(())
}
"#;

/// The crate of a user of dspipe, as the README tells to write it.
fn user(directory: &Path) -> Outcome {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = bench.join("../..").canonicalize()?;
    fs::create_dir_all(directory.join("src"))?;
    fs::create_dir_all(directory.join("workflows"))?;
    let manifest = MANIFEST.replace('@', &workspace.display().to_string());
    fs::write(directory.join("Cargo.toml"), manifest)?;
    fs::write(directory.join("build.rs"), BUILD)?;
    fs::write(directory.join("src/main.rs"), MAIN)?;
    fs::copy(
        bench.join("workflows/ticket.yaml"),
        directory.join("workflows/ticket.yaml"),
    )?;
    // The same versions as here.
    fs::copy(workspace.join("Cargo.lock"), directory.join("Cargo.lock"))?;
    Ok(())
}

pub(crate) fn run(quick: bool) -> Outcome {
    let temporary = tempfile::tempdir()?;
    let ours = temporary.path().join("dspipe");
    user(&ours)?;
    let projects = [
        ("dspipe", ours),
        ("rig_core", clients().join("rig-core")),
        ("dspy_rs", clients().join("dspy-rs")),
    ];
    for (name, directory) in projects {
        let figures = format!("tree.{name}");
        if quick && name != "dspipe" {
            skipped(&figures, "it is not in --quick");
            continue;
        }
        match crates(&directory, quick) {
            Ok(count) => figure(&format!("{figures}_crates"), count, "crates"),
            Err(reason) => {
                skipped(&figures, &reason);
                continue;
            }
        }
        if quick {
            continue;
        }
        match clean_build(&directory) {
            Ok(time) => figure(&format!("{figures}_clean_build"), time.as_secs_f64(), "s"),
            Err(reason) => skipped(&figures, &reason),
        }
    }
    Ok(())
}

/// Crates that a build of this package for this machine compiles, itself left out.
fn crates(directory: &Path, offline: bool) -> Result<f64, String> {
    let mut arguments = vec!["tree", "--edges", "normal,build", "--prefix", "none"];
    arguments.extend(offline.then_some("--offline"));
    let tree = cargo(directory, &arguments, &[])?;
    let crates: BTreeSet<&str> = tree
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty())
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = crates.len() as f64;
    Ok(count)
}

/// What has to be fetched is fetched before.
fn clean_build(directory: &Path) -> Result<Duration, String> {
    cargo(directory, &["fetch"], &[])?;
    let target = tempfile::tempdir().map_err(|error| error.to_string())?;
    let started = Instant::now();
    cargo(
        directory,
        &["build", "--offline", "--quiet"],
        &[("CARGO_TARGET_DIR", target.path())],
    )?;
    Ok(started.elapsed())
}

fn cargo(
    directory: &Path,
    arguments: &[&str],
    variables: &[(&str, &Path)],
) -> Result<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(directory)
        .envs(variables.iter().copied())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(line(&String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}
