//! `cargo dspipe render` and `read-reply`: what an adapter makes of a case, to look at and to compare.

use std::io::{Read, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use dspipe_runtime::adapter::{Adapter, Case, PyValue};

use crate::Failure;

/// One of DSPy's adapters.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Name {
    DspyChat,
    DspyJson,
}

impl From<Name> for Adapter {
    fn from(name: Name) -> Self {
        match name {
            Name::DspyChat => Self::DspyChat,
            Name::DspyJson => Self::DspyJson,
        }
    }
}

/// Prints the messages for the case on standard input, as JSON.
pub(crate) fn render(adapter: Name) -> Result<ExitCode, Failure> {
    answer(|case| {
        let messages = case
            .render(adapter.into())
            .map_err(|error| error.to_string())?;
        serde_json::to_string_pretty(&messages).map_err(|error| error.to_string())
    })
}

/// Prints the fields that the reply of the case on standard input holds, as JSON.
pub(crate) fn read_reply(adapter: Name) -> Result<ExitCode, Failure> {
    answer(|case| {
        let read = case.parse(adapter.into());
        let fields = read
            .ok_or("the case has no `reply`")?
            .map_err(|error| error.to_string())?;
        serde_json::to_string_pretty(&PyValue::Dict(fields)).map_err(|error| error.to_string())
    })
}

fn answer(of: impl FnOnce(&Case) -> Result<String, String>) -> Result<ExitCode, Failure> {
    let mut text = String::new();
    if let Err(error) = std::io::stdin().read_to_string(&mut text) {
        eprintln!("error: cannot read standard input: {error}");
        return Ok(ExitCode::from(2));
    }
    let case = match Case::from_json(&text) {
        Ok(case) => case,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(2));
        }
    };
    match of(&case) {
        Ok(answer) => {
            writeln!(std::io::stdout(), "{answer}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("error: {error}");
            Ok(ExitCode::FAILURE)
        }
    }
}
