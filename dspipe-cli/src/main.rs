//! `cargo dspipe`: check workflows, look at the Rust they become, how replies are read, and what was done.

mod check;
mod data;
mod evals;
mod history;
mod parse;
mod render;
mod table;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use dspipe_build::{Code, Compilation, Config};
use dspipe_history::HistoryError;
use dspipe_history::training::DataError;

/// Check dspipe workflows, look at the Rust they become, and at what they did.
#[derive(Parser)]
#[command(name = "cargo dspipe", bin_name = "cargo dspipe", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print what a build would say about workflow files, and about suites (`*.eval.yaml`).
    ///
    /// Exit code: 0 without errors, 1 with errors, 2 when called wrongly.
    Check {
        /// Workflow files, or directories of them, and suites.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// For people, or one JSON object for tools.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Print the Rust that a workflow file becomes.
    Expand {
        /// A workflow file.
        file: PathBuf,
    },
    /// Print the JSON Schema of the format, for editors.
    Schema,
    /// Print the messages that DSPy sends for a case on standard input, as JSON.
    ///
    /// A case is {"signature": …, "demos": […], "inputs": {…}}.
    Render {
        /// DSPy's adapter.
        #[arg(long)]
        adapter: render::Name,
    },
    /// Print the fields that DSPy reads from the `reply` of a case on standard input, as JSON.
    ReadReply {
        /// DSPy's adapter.
        #[arg(long)]
        adapter: render::Name,
    },
    /// Print what a diagnostic means, with a wrong and a right example.
    Explain {
        /// The code of a diagnostic, such as E004.
        code: Code,
    },
    /// Read a reply of an LM, from standard input, as what a JSON Schema asks for.
    ///
    /// Prints the value as JSON on standard output, and what had to be repaired on standard error, one
    /// repair a line with the bytes of the reply that it is about. Exit code: 0 if the reply could be read,
    /// 1 if not, with everything that is wrong on standard error, 2 when called wrongly.
    Parse {
        /// A file with the JSON Schema.
        #[arg(long)]
        schema: PathBuf,
        /// Take nothing but JSON that is right as it is.
        #[arg(long)]
        strict: bool,
    },
    /// Look after the recordings and the baselines of suites.
    #[command(subcommand)]
    Evals(evals::Command),
    /// Look at what workflows did, where they record it.
    #[command(subcommand)]
    History(history::Command),
    /// Make training data of what workflows did, and look after it.
    #[command(subcommand)]
    Data(data::Command),
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
}

fn main() -> ExitCode {
    // Cargo passes the subcommand's own name on: `cargo-dspipe dspipe check …`.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "dspipe") {
        arguments.remove(1);
    }
    let result = match Cli::parse_from(arguments).command {
        Command::Check { files, format } => check::run(&files, format),
        Command::Expand { file } => expand(&file),
        Command::Schema => schema(),
        Command::Render { adapter } => render::render(adapter),
        Command::ReadReply { adapter } => render::read_reply(adapter),
        Command::Explain { code } => explain(code),
        Command::Parse { schema, strict } => parse::run(&schema, strict),
        Command::Evals(command) => evals::run(command),
        Command::History(command) => history::run(command),
        Command::Data(command) => data::run(command),
    };
    match result {
        Ok(code) => code,
        Err(Failure::Load(error)) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
        Err(Failure::Call(message)) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
        Err(Failure::History(HistoryError::Export(error)))
            if error.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            ExitCode::SUCCESS
        }
        Err(Failure::History(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        Err(Failure::Data(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        Err(Failure::Message(message)) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
        // Whoever reads the output has stopped: nothing is wrong with that.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(Failure::Output(error)) => {
            eprintln!("error: cannot print: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Failure {
    Load(dspipe_build::Error),
    /// It was called wrongly, or its input cannot be read.
    Call(String),
    Output(std::io::Error),
    History(HistoryError),
    Data(DataError),
    Message(String),
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        Self::History(error)
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

fn expand(file: &Path) -> Result<ExitCode, Failure> {
    let compilation = load(&[file.to_owned()])?;
    for workflow in compilation.workflows() {
        eprint!("{}", compilation.report(workflow));
        if workflow.errors() == 0
            && let Some(code) = workflow.code()
        {
            write!(std::io::stdout(), "{code}")?;
        }
    }
    Ok(ExitCode::from(u8::from(compilation.errors() > 0)))
}

fn schema() -> Result<ExitCode, Failure> {
    let schema = dspipe_build::format_schema();
    writeln!(std::io::stdout(), "{schema:#}")?;
    Ok(ExitCode::SUCCESS)
}

fn explain(code: Code) -> Result<ExitCode, Failure> {
    write!(std::io::stdout(), "{}", code.explanation())?;
    Ok(ExitCode::SUCCESS)
}

fn load(files: &[PathBuf]) -> Result<Compilation, Failure> {
    let mut config = Config::new();
    for file in files {
        if file.is_dir() {
            config.workflows(file);
        } else {
            config.workflow(file);
        }
    }
    config.load(Path::new("")).map_err(Failure::Load)
}
