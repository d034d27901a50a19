//! Optimization as commands of the user's own program, which is where the compiled workflows are.

mod arguments;
mod exchange;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use dspipe_eval::metric::Metric;
use dspipe_runtime::{LocalRunner, Workflow};

use crate::error::OptimizeError;
use crate::optimization::Optimization;
use crate::program::{Compiled, Program};

use arguments::{Arguments, Command};

/// `optimize`, `evaluate`, `export` and `import` for the workflows of a program.
///
/// ```no_run
/// # use dspipe_optimize::Commands;
/// # async fn example<W: dspipe_runtime::Workflow + 'static>() -> std::process::ExitCode {
/// // `W` is the type `Workflow` in the module of a compiled workflow.
/// Commands::new(env!("CARGO_MANIFEST_DIR")).workflow::<W>().run().await
/// # }
/// ```
pub struct Commands {
    package: PathBuf,
    programs: Vec<Entry>,
    runner: LocalRunner,
}

/// A workflow with the metrics that belong to it.
struct Entry {
    program: Arc<dyn Program>,
    metrics: Vec<(String, Arc<dyn Metric>)>,
    configure: Box<dyn Fn(Optimization) -> Optimization + Send + Sync>,
}

impl std::fmt::Debug for Commands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self
            .programs
            .iter()
            .map(|it| it.program.def().name)
            .collect();
        f.debug_tuple("Commands").field(&names).finish()
    }
}

impl Commands {
    /// For the workflows of the package in this directory: `env!("CARGO_MANIFEST_DIR")`.
    pub fn new(package: impl Into<PathBuf>) -> Self {
        Self {
            package: package.into(),
            programs: Vec::new(),
            runner: LocalRunner::from_env(),
        }
    }

    /// Adds a workflow.
    #[must_use]
    pub fn workflow<W: Workflow + 'static>(mut self) -> Self {
        self.programs.push(Entry {
            program: Arc::new(Compiled::<W>::new()),
            metrics: Vec::new(),
            configure: Box::new(|optimization| optimization),
        });
        self
    }

    /// Adds a metric to the workflow that was added last. `metric: name` in its `dspy_config` and `--metric name`
    /// mean it; the first one counts where nothing names a metric.
    #[must_use]
    pub fn metric(mut self, name: impl Into<String>, metric: impl Metric + 'static) -> Self {
        if let Some(entry) = self.programs.last_mut() {
            entry.metrics.push((name.into(), Arc::new(metric)));
        }
        self
    }

    /// Changes the optimizations of the workflow that was added last, before the command line does.
    #[must_use]
    pub fn configure(
        mut self,
        configure: impl Fn(Optimization) -> Optimization + Send + Sync + 'static,
    ) -> Self {
        if let Some(entry) = self.programs.last_mut() {
            entry.configure = Box::new(configure);
        }
        self
    }

    /// Runs steps on this runner, in place of one with the settings of the environment.
    #[must_use]
    pub fn runner(mut self, runner: LocalRunner) -> Self {
        self.runner = runner;
        self
    }

    /// Does what the command line says. The exit code is 0 if it was done, 1 if something failed, 2 if it was
    /// called wrongly, and 130 after Ctrl-C.
    pub async fn run(self) -> ExitCode {
        self.run_from(std::env::args_os()).await
    }

    /// The same with these arguments, of which the first is the program's name.
    pub async fn run_from<T: Into<std::ffi::OsString> + Clone>(
        self,
        arguments: impl IntoIterator<Item = T>,
    ) -> ExitCode {
        let arguments = match Arguments::try_parse_from(arguments) {
            Ok(arguments) => arguments,
            Err(error) => {
                // Help, too, comes this way.
                let _ = error.print();
                return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
            }
        };
        let done = tokio::select! {
            done = self.command(arguments.command) => done,
            stopped = tokio::signal::ctrl_c() => {
                return match stopped {
                    Ok(()) => {
                        eprintln!("stopped. What LMs answered is kept: the same command goes on from here");
                        ExitCode::from(130)
                    }
                    Err(error) => failed(&format!("cannot listen for Ctrl-C: {error}")),
                };
            }
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failed::Called(error)) => {
                eprintln!("error: {error}");
                ExitCode::from(2)
            }
            Err(Failed::Done(error)) => failed(&error),
        }
    }

    async fn command(&self, command: Command) -> Result<(), Failed> {
        match command {
            Command::Optimize(arguments) => {
                let entry = self.entry(arguments.workflow.as_deref())?;
                let optimization = arguments.apply(self.optimization(entry), &entry.metrics)?;
                if arguments.dry_run {
                    print!("{}", optimization.plan()?);
                    return Ok(());
                }
                let optimization = optimization.progress(true);
                if let Some(seeds) = arguments.seeds {
                    print!("{}", optimization.study(0..seeds).await?);
                    return Ok(());
                }
                let outcome = optimization.run().await?;
                print!("{outcome}");
                match outcome.write_back {
                    Some(Err(_)) => Err(Failed::Done(
                        "the prompts are adopted, but could not be written into the workflow file"
                            .to_owned(),
                    )),
                    _ => Ok(()),
                }
            }
            Command::Evaluate(arguments) => {
                let entry = self.entry(arguments.workflow.as_deref())?;
                let optimization = arguments.apply(self.optimization(entry), &entry.metrics)?;
                let optimization = optimization.progress(true);
                let evaluation = match &arguments.case {
                    Some(case) => optimization.evaluate_named(case).await?,
                    None => optimization.evaluate().await?,
                };
                if arguments.json {
                    println!("{}", evaluation.to_json());
                } else {
                    print!("{evaluation}");
                }
                Ok(())
            }
            Command::Export(arguments) => {
                let entry = self.entry(arguments.workflow.as_deref())?;
                exchange::export(&*entry.program, &self.runner, &arguments.output)?;
                Ok(())
            }
            Command::Import(arguments) => {
                let entry = self.entry(arguments.workflow.as_deref())?;
                let file = self.optimization(entry).workflow_file();
                exchange::import(
                    &*entry.program,
                    &file,
                    &arguments.file,
                    arguments.lm.as_ref(),
                )?;
                Ok(())
            }
        }
    }

    fn optimization(&self, entry: &Entry) -> Optimization {
        let optimization =
            Optimization::of_program(Arc::clone(&entry.program), self.package.clone());
        (entry.configure)(optimization.runner(self.runner.clone()))
    }

    fn entry(&self, name: Option<&str>) -> Result<&Entry, Failed> {
        let found = match (name, self.programs.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(name), all) => all.iter().find(|it| it.program.def().name == name),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self
                .programs
                .iter()
                .map(|it| it.program.def().name)
                .collect();
            Failed::Called(match name {
                Some(name) => format!(
                    "no workflow is called `{name}`; there are {}",
                    names.join(", ")
                ),
                None => format!("which workflow? There are {}", names.join(", ")),
            })
        })
    }
}

/// Why a command was not done.
enum Failed {
    Called(String),
    Done(String),
}

impl From<OptimizeError> for Failed {
    fn from(error: OptimizeError) -> Self {
        match error {
            OptimizeError::Settings(_) => Self::Called(error.to_string()),
            _ => Self::Done(error.to_string()),
        }
    }
}

fn failed(error: &dyn Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
