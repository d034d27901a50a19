//! `cargo dspipe parse`: how a reply is read.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use dspipe_runtime::read::{Ignored, Schema, Strictness, parse};

use crate::Failure;

pub(crate) fn run(schema: &Path, strict: bool) -> Result<ExitCode, Failure> {
    let shown = schema.display();
    let text = fs::read_to_string(schema)
        .map_err(|error| Failure::Call(format!("cannot read {shown}: {error}")))?;
    let schema =
        Schema::parse(&text).map_err(|error| Failure::Call(format!("{shown}: {error}")))?;
    for ignored in schema.ignored() {
        let Ignored { pointer, keyword } = ignored;
        eprintln!("warning: {shown}: no reply is held to `{keyword}` at `#{pointer}`");
    }
    let mut reply = Vec::new();
    std::io::stdin()
        .read_to_end(&mut reply)
        .map_err(|error| Failure::Call(format!("cannot read the reply: {error}")))?;
    let strictness = if strict {
        Strictness::Strict
    } else {
        Strictness::Lenient
    };
    let reply = match String::from_utf8(reply) {
        Ok(reply) => reply,
        Err(error) => {
            eprintln!("error: the reply is not UTF-8: {error}");
            return Ok(ExitCode::FAILURE);
        }
    };
    match parse(&schema, &reply, strictness) {
        Ok(parsed) => {
            for repair in &parsed.repairs {
                eprintln!("repair: {repair}");
            }
            writeln!(std::io::stdout(), "{}", parsed.value)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            for line in error.lines() {
                eprintln!("error: {line}");
            }
            Ok(ExitCode::FAILURE)
        }
    }
}
