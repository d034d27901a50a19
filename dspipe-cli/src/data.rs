//! `cargo dspipe data`.

mod args;
mod print;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dspipe_history::Time;
use dspipe_history::training::{
    CollectOptions, DataError, DataStats, Example, NO_VALUE, Part, Shape, Split, Stratum,
    SynthesisOptions, Synthesized, ValidateOptions, Validator, collect, read, read_all, replace,
    select, select_by_vectors, split, synthesize, write,
};
use dspipe_runtime::lm::Embedder;
use dspipe_runtime::{LmError, LmName, LocalRunner};
use serde_json::{Value, json};

pub(crate) use args::Command;

use args::Target;
use print::{print_report, print_stats, print_strata};

use crate::history::{Place, overwrite};
use crate::{Failure, Format};

impl Target {
    fn write<'a>(&self, examples: impl IntoIterator<Item = &'a Example>) -> Result<u64, DataError> {
        write(&self.output, overwrite(self.force), examples)
    }

    fn check(&self) -> Result<(), DataError> {
        if self.output.exists() && !self.force {
            return Err(DataError::Exists {
                path: self.output.clone(),
            });
        }
        Ok(())
    }

    /// Says what was written: for people as lines, for tools as an object.
    fn report(&self, count: u64, details: &Value) -> Result<ExitCode, Failure> {
        let mut out = std::io::stdout().lock();
        if let Format::Json = self.format {
            let report = json!({"version": 1, "examples": count, "details": details});
            writeln!(out, "{report}")?;
            return Ok(ExitCode::SUCCESS);
        }
        writeln!(out, "{count} examples in {}", self.output.display())?;
        for (name, value) in details.as_object().into_iter().flatten() {
            if value.as_u64() != Some(0) {
                writeln!(out, "  {}: {value}", name.replace('_', " "))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Collect {
            place,
            workflow,
            step,
            lm,
            since,
            min_score,
            reviewed,
            any_signature,
            near,
            limit,
            signature,
            target,
        } => {
            let options = CollectOptions {
                workflow,
                step,
                lm,
                since: since.map(|since| Time::now().before(since)),
                min_score,
                reviewed,
                any_signature,
                near,
                limit: Some(limit),
            };
            collect_into(&place, &options, signature.as_deref(), &target)
        }
        Command::Validate {
            file,
            signature,
            against,
            near,
            format,
        } => validate(&file, &signature, against.as_deref(), near, format),
        Command::Select {
            file,
            count,
            signature,
            vectors: file_of_vectors,
            embedder,
            seed,
            target,
        } => {
            let by = match (file_of_vectors, embedder_of(embedder)?) {
                (Some(path), _) => By::File(path),
                (None, Some(name)) => By::Model(name),
                (None, None) => By::Words,
            };
            pick(&file, count, signature.as_deref(), by, seed, &target)
        }
        Command::Split {
            file,
            into,
            shares,
            seed,
            stratify,
            group,
            force,
            format,
        } => {
            let settings = Split {
                shares,
                seed,
                stratify,
                group,
            };
            split_into(&file, &into, &settings, force, format)
        }
        Command::Synthesize {
            file,
            signature,
            count,
            lm,
            near,
            seed,
            target,
        } => {
            let options = SynthesisOptions {
                near,
                seed,
                ..SynthesisOptions::new(count)
            };
            make_up(&file, &signature, lm, options, &target)
        }
        Command::Stats {
            file,
            signature,
            format,
        } => stats(&file, signature.as_deref(), format),
    }
}

fn collect_into(
    place: &Place,
    options: &CollectOptions,
    signature: Option<&Path>,
    target: &Target,
) -> Result<ExitCode, Failure> {
    let shape = signature.map(shape).transpose()?;
    let history = place.open()?;
    let (mut count, mut skipped) = (0, Value::Null);
    replace(&target.output, overwrite(target.force), |out| {
        let found = collect(&history, options, shape.as_ref(), |example| {
            serde_json::to_writer(&mut *out, example).map_err(DataError::from)?;
            out.write_all(b"\n").map_err(DataError::from)?;
            count += 1;
            Ok::<_, Failure>(())
        })?;
        // Plain numbers always serialize.
        skipped = serde_json::to_value(found).unwrap_or_default();
        Ok::<_, Failure>(())
    })?;
    target.report(count, &skipped)
}

fn validate(
    file: &Path,
    signature: &Path,
    against: Option<&Path>,
    near: f64,
    format: Format,
) -> Result<ExitCode, Failure> {
    let shape = shape(signature)?;
    let mut validator = Validator::new(&shape, ValidateOptions { near });
    for example in against.map(read).transpose()?.into_iter().flatten() {
        let (line, example) = example?;
        validator.push_other(line, &example);
    }
    let mut unreadable = Vec::new();
    for example in read(file)? {
        match example {
            Ok((line, example)) => validator.push(line, &example),
            Err(error @ DataError::Line { .. }) => unreadable.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    let report = validator.finish();
    let good = unreadable.is_empty() && report.valid == report.examples.len();
    let mut out = BufWriter::new(std::io::stdout().lock());
    match format {
        Format::Json => {
            let report = json!({"version": 1, "report": report, "unreadable": unreadable});
            writeln!(out, "{report}")?;
        }
        Format::Human => print_report(&mut out, file, &report, &unreadable)?,
    }
    out.flush()?;
    Ok(ExitCode::from(u8::from(!good)))
}

fn split_into(
    file: &Path,
    into: &Path,
    settings: &Split,
    force: bool,
    format: Format,
) -> Result<ExitCode, Failure> {
    let path = |part: Part| into.join(format!("{}.jsonl", part.as_str()));
    // All three or none.
    if let Some(path) = Part::ALL.map(path).into_iter().find(|path| path.exists())
        && !force
    {
        return Err(DataError::Exists { path }.into());
    }
    let examples = examples(file)?;
    let (parts, strata) = split(&examples, settings);
    check_fields(&examples, settings, &strata)?;
    std::fs::create_dir_all(into).map_err(|source| DataError::Write {
        path: into.to_owned(),
        source,
    })?;
    let mut counts = serde_json::Map::new();
    for part in Part::ALL {
        let there = examples.iter().zip(&parts).filter(|(_, at)| **at == part);
        let count = write(
            &path(part),
            overwrite(force),
            there.map(|(example, _)| example),
        )?;
        counts.insert(part.as_str().to_owned(), count.into());
    }
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            let report = json!({"version": 1, "examples": counts, "strata": strata});
            writeln!(out, "{report}")?;
        }
        Format::Human => print_strata(&mut out, settings, &strata)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A field that no example has was meant to be another one.
fn check_fields(examples: &[Example], settings: &Split, strata: &[Stratum]) -> Result<(), Failure> {
    let absent = |side: &str, field: &str| {
        Failure::Message(format!("no example has the {side} field `{field}`"))
    };
    if let Some(field) = &settings.group
        && !examples.iter().any(|one| one.inputs.contains_key(field))
    {
        return Err(absent("input", field));
    }
    if let Some(field) = &settings.stratify
        && strata.iter().all(|stratum| stratum.value == NO_VALUE)
    {
        return Err(absent("output", field));
    }
    Ok(())
}

fn make_up(
    file: &Path,
    signature: &Path,
    lm: Option<LmName>,
    options: SynthesisOptions,
    target: &Target,
) -> Result<ExitCode, Failure> {
    target.check()?;
    let shape = shape(signature)?;
    let known = examples(file)?;
    let mut runner = LocalRunner::from_env();
    let name = match lm {
        Some(name) => {
            runner = runner.with_lm(name.clone());
            name.to_string()
        }
        None => std::env::var("DSPIPE_LM").unwrap_or_else(|_| LmName::embedded().to_string()),
    };
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let made: Synthesized = tokio.block_on(synthesize(&runner, &name, &shape, &known, options));
    if let Some(error) = &made.stopped {
        if made.examples.is_empty() {
            return Err(Failure::Message(error.to_string()));
        }
        eprintln!("warning: stopped early: {error}");
    }
    let count = target.write(&made.examples)?;
    let details = json!({
        "requests": made.requests,
        "misfits": made.misfits,
        "duplicates": made.duplicates,
    });
    let code = target.report(count, &details)?;
    Ok(if made.examples.len() < options.count {
        ExitCode::FAILURE
    } else {
        code
    })
}

fn stats(file: &Path, signature: Option<&Path>, format: Format) -> Result<ExitCode, Failure> {
    let shape = signature.map(shape).transpose()?;
    let mut stats = DataStats::default();
    for example in read(file)? {
        stats.push(&example?.1, shape.as_ref());
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    match format {
        Format::Json => writeln!(out, "{}", json!({"version": 1, "stats": stats}))?,
        Format::Human => print_stats(&mut out, &stats)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn examples(file: &Path) -> Result<Vec<Example>, DataError> {
    let all = read_all(file)?;
    Ok(all.into_iter().map(|(_, example)| example).collect())
}

fn shape(path: &Path) -> Result<Shape, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })?;
    Shape::parse(&text).map_err(|error| Failure::Message(format!("{}: {error}", path.display())))
}

/// What tells how far examples are apart.
enum By {
    Words,
    File(PathBuf),
    Model(LmName),
}

fn pick(
    file: &Path,
    count: usize,
    signature: Option<&Path>,
    by: By,
    seed: u64,
    target: &Target,
) -> Result<ExitCode, Failure> {
    target.check()?;
    let shape = signature.map(shape).transpose()?;
    let examples = examples(file)?;
    let by = match by {
        By::Words => None,
        By::File(path) => Some((vectors(&path)?, path.display().to_string())),
        By::Model(name) => Some((embedded(&name, &examples)?, name.to_string())),
    };
    let picked = match &by {
        None => select(&examples, shape.as_ref(), count, seed),
        Some((vectors, of)) => select_by_vectors(&examples, vectors, shape.as_ref(), count, seed)
            .map_err(|error| Failure::Message(format!("{of}: {error}")))?,
    };
    let count = target.write(picked.iter().filter_map(|&index| examples.get(index)))?;
    target.report(count, &json!({"of": examples.len()}))
}

/// The embedder that is named here, else in the environment.
fn embedder_of(named: Option<LmName>) -> Result<Option<LmName>, Failure> {
    const VARIABLE: &str = "DSPIPE_EMBEDDER";
    let set = std::env::var(VARIABLE).ok();
    match (named, set.filter(|name| !name.trim().is_empty())) {
        (Some(name), _) => Ok(Some(name)),
        (None, Some(name)) => {
            let name = name.trim().parse::<LmName>();
            let name = name.map_err(|error| Failure::Message(format!("{VARIABLE}: {error}")))?;
            Ok(Some(name))
        }
        (None, None) => Ok(None),
    }
}

/// What a model makes of the inputs of examples.
fn embedded(name: &LmName, examples: &[Example]) -> Result<Vec<Vec<f32>>, Failure> {
    let failed = |error: LmError| Failure::Message(error.to_string());
    let embedder = Embedder::from_env(name.clone()).map_err(failed)?;
    let texts: Vec<String> = examples.iter().map(Example::text).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio.block_on(embedder.embed(&texts)).map_err(failed)
}

/// A list of numbers on each line, of an embedding each.
fn vectors(path: &Path) -> Result<Vec<Vec<f32>>, Failure> {
    let wrong = |problem: &dyn std::fmt::Display| {
        Failure::Message(format!("{}: {problem}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let read = lines.map(|(number, line)| {
        serde_json::from_str(line)
            .map_err(|error| wrong(&format_args!("line {}: {error}", number + 1)))
    });
    read.collect()
}
