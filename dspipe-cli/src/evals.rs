//! `cargo dspipe evals`: the recordings and the baselines of a package's suites.
//!
//! The suites run in the package's own test target, which has the compiled workflows; these commands run Cargo with
//! the settings that it takes.

use std::env;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::Failure;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Ask models for what is not recorded, and record it.
    ///
    /// With a case, its recordings are made anew. A failure is never recorded.
    Record {
        /// The case, as in `topics::case::test-3`, or a part of such names.
        case: Option<String>,
        /// Ask for everything anew, also without a case.
        #[arg(long)]
        again: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Remove the recordings that no case uses. All cases run for it, from recordings.
    Prune {
        /// Only those of this suite.
        #[arg(long)]
        suite: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Write the baselines of `regression` gates anew.
    Baseline {
        /// Only that of this suite.
        #[arg(long)]
        suite: Option<String>,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Args)]
pub(crate) struct Target {
    /// The package, in a workspace.
    #[arg(long, short)]
    package: Option<String>,
    /// The test target of the suites.
    #[arg(long, default_value = "evals")]
    test: String,
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Record {
            case,
            again,
            target,
        } => {
            let mode = if again || case.is_some() {
                "all"
            } else {
                "new"
            };
            // Gates look at all cases: of one, its test is enough.
            let filter = case.unwrap_or_else(|| "::case::".to_owned());
            target.run("DSPIPE_RECORD", mode, &filter)
        }
        Command::Prune { suite, target } => {
            target.run("DSPIPE_PRUNE", "1", &gate(suite, "recordings"))
        }
        Command::Baseline { suite, target } => {
            target.run("DSPIPE_UPDATE_BASELINE", "1", &gate(suite, "regression"))
        }
    }
}

fn gate(suite: Option<String>, gate: &str) -> String {
    format!("{}::gate::{gate}", suite.unwrap_or_default())
}

impl Target {
    fn run(&self, variable: &str, value: &str, filter: &str) -> Result<ExitCode, Failure> {
        let mut arguments = vec!["test".to_owned()];
        if let Some(package) = &self.package {
            arguments.extend(["--package".to_owned(), package.clone()]);
        }
        arguments.extend(["--test", &self.test, "--", filter].map(str::to_owned));
        eprintln!("{variable}={value} cargo {}", arguments.join(" "));
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = std::process::Command::new(&cargo)
            .args(&arguments)
            .env(variable, value)
            .status()
            .map_err(|error| {
                Failure::Message(format!("{} cannot be run: {error}", cargo.display()))
            })?;
        Ok(ExitCode::from(u8::from(!status.success())))
    }
}
