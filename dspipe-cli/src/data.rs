//! `cargo dspipe data`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use dspipe_history::Time;
use dspipe_history::training::{
    CollectOptions, DataError, DataStats, Example, NO_VALUE, Part, Report, Shape, Shares, Split,
    Stratum, SynthesisOptions, Synthesized, ValidateOptions, Validator, collect, read, read_all,
    replace, select, split, synthesize, write,
};
use dspipe_runtime::{LmName, LocalRunner};
use serde_json::{Value, json};

use crate::history::{Place, overwrite};
use crate::table::Table;
use crate::{Failure, Format};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make training data of executions, the best ones first.
    Collect {
        #[command(flatten)]
        place: Place,
        /// Of this workflow.
        #[arg(long)]
        workflow: String,
        /// Of this step; else of runs of the whole workflow.
        #[arg(long)]
        step: Option<String>,
        /// On this LM.
        #[arg(long)]
        lm: Option<String>,
        /// Begun within this time, as in `30d`.
        #[arg(long, value_parser = humantime::parse_duration)]
        since: Option<Duration>,
        /// With a score of at least this, or accepted or corrected by a person.
        #[arg(long)]
        min_score: Option<f64>,
        /// Only what a person has accepted or corrected.
        #[arg(long)]
        reviewed: bool,
        /// Also executions with other fields or types than the newest one had.
        #[arg(long)]
        any_signature: bool,
        /// Inputs that are that similar count as the same, from 0 to 1.
        #[arg(long, value_parser = unit)]
        near: Option<f64>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// What examples must look like: a JSON file.
        #[arg(long)]
        signature: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// Check examples one by one, and rate them.
    ///
    /// Exit code: 0 if all are valid, 1 if not.
    Validate {
        /// A JSONL file of examples.
        file: PathBuf,
        /// What examples must look like: a JSON file with the keys `inputs` and `outputs` (JSON Schemas), and
        /// perhaps `instructions`.
        #[arg(long)]
        signature: PathBuf,
        /// Another JSONL file, which must not have the same inputs.
        #[arg(long)]
        against: Option<PathBuf>,
        /// Inputs that are that similar are nearly the same, from 0 to 1.
        #[arg(long, value_parser = unit, default_value_t = 0.85)]
        near: f64,
        /// For people, or one JSON object for tools.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Pick a few examples that differ as much as possible.
    Select {
        /// A JSONL file of examples.
        file: PathBuf,
        /// How many.
        #[arg(long)]
        count: usize,
        /// What examples look like: with it, every value of an enum is covered first.
        #[arg(long)]
        signature: Option<PathBuf>,
        /// Another seed picks others.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        #[command(flatten)]
        target: Target,
    },
    /// Split examples into `train.jsonl`, `validation.jsonl` and `test.jsonl`.
    ///
    /// The inputs of an example decide where it goes: it stays there when others are added.
    Split {
        /// A JSONL file of examples.
        file: PathBuf,
        /// Where the three files go. It is made if it is not there.
        #[arg(long)]
        into: PathBuf,
        /// How much goes into each: train, validation, test.
        #[arg(long, default_value = "0.8,0.1,0.1")]
        shares: Shares,
        /// Another seed gives another split.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// The output field, such as `report.urgency`, whose values are counted in each part.
        #[arg(long)]
        stratify: Option<String>,
        /// An input field; examples with the same value in it stay together.
        #[arg(long)]
        group: Option<String>,
        /// Replace the files.
        #[arg(long)]
        force: bool,
        /// For people, or one JSON object for tools.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Have an LM make up examples. They are marked as synthetic, and `split` puts them into training.
    Synthesize {
        /// A JSONL file of examples that the new ones differ from.
        file: PathBuf,
        /// What examples must look like, with `instructions`: a JSON file.
        #[arg(long)]
        signature: PathBuf,
        /// How many.
        #[arg(long)]
        count: usize,
        /// The LM, as `provider/model`; else the one in `DSPIPE_LM`, else the embedded one.
        #[arg(long)]
        lm: Option<LmName>,
        /// Inputs that are that similar count as the same, from 0 to 1.
        #[arg(long, value_parser = unit, default_value_t = 0.85)]
        near: f64,
        /// Decides which examples the LM is shown.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        #[command(flatten)]
        target: Target,
    },
    /// Print what is in a file of examples.
    Stats {
        /// A JSONL file of examples.
        file: PathBuf,
        /// What examples look like: with it, the values of enums are counted.
        #[arg(long)]
        signature: Option<PathBuf>,
        /// For people, or one JSON object for tools.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
}

#[derive(Args)]
pub(crate) struct Target {
    /// The JSONL file that is written.
    #[arg(long, short)]
    output: PathBuf,
    /// Replace it.
    #[arg(long)]
    force: bool,
    /// For people, or one JSON object for tools.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

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
            seed,
            target,
        } => {
            let shape = signature.as_deref().map(shape).transpose()?;
            let examples = examples(&file)?;
            let picked = select(&examples, shape.as_ref(), count, seed);
            let count = target.write(picked.iter().filter_map(|&index| examples.get(index)))?;
            target.report(count, &json!({"of": examples.len()}))
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

fn print_report(
    out: &mut impl Write,
    file: &Path,
    report: &Report,
    unreadable: &[String],
) -> std::io::Result<()> {
    for error in unreadable {
        writeln!(out, "{error}")?;
    }
    for one in &report.examples {
        for issue in &one.issues {
            writeln!(
                out,
                "{}:{}: {}: {}",
                file.display(),
                one.line,
                issue.field,
                issue.message
            )?;
        }
    }
    let all = report.examples.len() + unreadable.len();
    writeln!(
        out,
        "{} of {all} examples valid, quality {:.3}",
        report.valid, report.quality
    )?;
    for (label, balance) in &report.balance {
        writeln!(out, "  balance of {label}: {balance:.3}")?;
    }
    Ok(())
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

fn print_strata(out: &mut impl Write, settings: &Split, strata: &[Stratum]) -> std::io::Result<()> {
    let head = settings.stratify.as_deref().unwrap_or("examples");
    let mut table = Table::new(&[head, "train", "validation", "test"]);
    for stratum in strata {
        let count = |part| {
            stratum
                .counts
                .get(&part)
                .copied()
                .unwrap_or_default()
                .to_string()
        };
        let mut row = vec![stratum.value.clone()];
        row.extend(Part::ALL.map(count));
        table.row(row);
    }
    table.print(out)?;
    for stratum in strata {
        for part in &stratum.missing {
            let (value, part) = (&stratum.value, part.as_str());
            writeln!(
                out,
                "warning: no example of `{value}` is in {part}; add more of it"
            )?;
        }
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

fn print_stats(out: &mut impl Write, stats: &DataStats) -> std::io::Result<()> {
    writeln!(
        out,
        "{} examples, {} synthetic, {} different inputs",
        stats.examples, stats.synthetic, stats.distinct_inputs
    )?;
    let mut table = Table::new(&["field", "in", "shortest", "mean", "longest", "types"]);
    for (name, field) in &stats.fields {
        let types = field
            .types
            .iter()
            .map(|(name, count)| format!("{name} {count}"));
        table.row(vec![
            name.clone(),
            field.present.to_string(),
            field.shortest.to_string(),
            (field.characters / field.present.max(1)).to_string(),
            field.longest.to_string(),
            types.collect::<Vec<_>>().join(", "),
        ]);
    }
    table.print(out)?;
    for (label, values) in &stats.labels {
        let values = values
            .iter()
            .map(|(value, count)| format!("{value} {count}"));
        writeln!(out, "{label}: {}", values.collect::<Vec<_>>().join(", "))?;
    }
    Ok(())
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

/// A number from 0 to 1.
fn unit(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("write a number from 0 to 1".to_owned()),
    }
}
