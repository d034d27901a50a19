//! The clients that are measured, each a process of its own: this program in its roles, programs that are
//! written with rivals, and Python.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dspipe_runtime::local;

/// How often, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Calls a second.
    pub(crate) rate: f64,
    /// Microseconds.
    pub(crate) median: f64,
    /// Microseconds; one call in a hundred took longer.
    pub(crate) p99: f64,
}

/// A program that makes calls.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// What its figures are called.
    pub(crate) name: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(&'static str, &'static str)>,
}

impl Client {
    pub(crate) fn new(
        name: &'static str,
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            name,
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            variables: Vec::new(),
        }
    }

    /// With a variable of the environment.
    pub(crate) fn with(mut self, variable: &'static str, value: &'static str) -> Self {
        self.variables.push((variable, value));
        self
    }

    /// This program, with these arguments first.
    pub(crate) fn of_this(
        name: &'static str,
        role: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Self, Box<dyn Error>> {
        Ok(Self::new(name, std::env::current_exe()?, role))
    }

    /// A program of `clients/`, built if it is not; the error says in a line why it cannot be.
    pub(crate) fn rival(name: &'static str, directory: &str) -> Result<Self, String> {
        let binary = build(directory)?;
        Ok(Self::new(name, binary, [""; 0]))
    }

    /// A script of `clients/` in the environment of dspipe's own optimizers, which is set up if it is not
    /// there.
    pub(crate) fn python(name: &'static str, script: &str) -> Result<Self, String> {
        Ok(Self::new(name, python()?, [clients().join(script)]))
    }

    /// What it prints, told these arguments too.
    pub(crate) fn run(
        &self,
        url: &str,
        more: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<String, Box<dyn Error>> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg(url)
            .args(more.into_iter().map(Into::into));
        let command = without_settings(&mut command, url);
        let output = command.envs(self.variables.iter().copied()).output()?;
        printed(self.name, &output)
    }

    /// Has so many callers make calls for a while.
    pub(crate) fn measure(
        &self,
        url: &str,
        callers: usize,
        seconds: f64,
    ) -> Result<Measured, Box<dyn Error>> {
        let printed = self.run(url, [callers.to_string(), seconds.to_string()])?;
        let numbers: Vec<f64> = printed
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let [calls, seconds, median, p99] = numbers[..] else {
            return Err(format!("{} printed {printed:?}", self.name).into());
        };
        if calls < 1.0 {
            return Err(format!("{} made no call in its time", self.name).into());
        }
        Ok(Measured {
            rate: calls / seconds,
            median,
            p99,
        })
    }
}

/// Without the settings of whoever measures; the only provider is the scripted server.
fn without_settings<'a>(command: &'a mut Command, url: &str) -> &'a mut Command {
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        let is_setting = name.starts_with("DSPIPE_") && name != "DSPIPE_HOME";
        if is_setting || name.starts_with("OPENAI_") || name.to_lowercase().ends_with("_proxy") {
            command.env_remove(&variable);
        }
    }
    command
        .env("OPENAI_BASE_URL", url)
        .env("OPENAI_API_KEY", "sk-bench")
}

fn printed(what: &str, output: &Output) -> Result<String, Box<dyn Error>> {
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout.clone())?);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{what} failed ({}): {said}", output.status).into())
}

/// The interpreter of the environment with DSPy.
fn python() -> Result<PathBuf, String> {
    let ready = || -> Result<PathBuf, Box<dyn Error>> {
        let settings = local::Settings::from_env()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (environment, _) = runtime.block_on(local::optimizers(&settings))?;
        Ok(environment.python)
    };
    ready().map_err(|error| line(&error.to_string()))
}

pub(crate) fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Builds a crate of `clients/` and gives its program. What was built is kept between runs.
pub(crate) fn build(directory: &str) -> Result<PathBuf, String> {
    let target = crate::rustc::target()
        .map_err(|error| error.to_string())?
        .join("clients");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet"])
        .current_dir(clients().join(directory))
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(line(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(target.join("release").join(format!("client-{directory}")))
}

/// The first line that says what is wrong.
pub(crate) fn line(text: &str) -> String {
    let mut lines = text.lines();
    let error = lines.clone().find(|line| line.starts_with("error"));
    error
        .or_else(|| lines.next())
        .unwrap_or("it does not say why")
        .to_owned()
}
