//! The arguments of `cargo dspipe data`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use dspipe_history::training::Shares;
use dspipe_runtime::LmName;

use crate::Format;
use crate::history::Place;

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
        /// Embeddings of the inputs, to tell how far examples are apart: a JSON list of numbers on the line of each
        /// example. Without it and without an embedder, their words tell.
        #[arg(long, conflicts_with = "embedder")]
        vectors: Option<PathBuf>,
        /// The model that embeds the inputs, as `ollama/nomic-embed-text`; else the one in `DSPIPE_EMBEDDER`. The
        /// provider's URL and key are those of its LMs.
        #[arg(long)]
        embedder: Option<LmName>,
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
    pub(super) output: PathBuf,
    /// Replace it.
    #[arg(long)]
    pub(super) force: bool,
    /// For people, or one JSON object for tools.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(super) format: Format,
}

/// A number from 0 to 1.
fn unit(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("write a number from 0 to 1".to_owned()),
    }
}
