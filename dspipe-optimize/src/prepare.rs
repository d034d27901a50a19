//! From settings and files to what an optimization works with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dspipe_build::{Record as LabelledRecord, Settings, Stage, Training};
use dspipe_eval::metric::{Declared, Registry};
use dspipe_history::training::Shares;
use dspipe_runtime::LmName;

use crate::data::{self, Data, Sizes};
use crate::error::OptimizeError;
use crate::metric::LabelledFields;
use crate::optimization::{NamedMetric, Optimization};

/// The seed of the search does not move what is held out: scores stay comparable.
const SPLIT_SEED: u64 = 0;

/// What an optimization works with, once the files have been read.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) workflow_file: PathBuf,
    pub(crate) stages: Vec<Stage>,
    pub(crate) data: Data,
    pub(crate) metric: NamedMetric,
    pub(crate) lm: Option<LmName>,
    pub(crate) proposer: LmName,
    /// By step, the inputs that come from the workflow's caller.
    pub(crate) given: BTreeMap<String, Vec<String>>,
    pub(crate) warnings: Vec<String>,
}

/// What examples are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Optimize,
    /// Held-out examples are enough, and no optimizer need be named.
    Evaluate,
}

impl Optimization {
    /// Reads the files, and refuses what cannot be before anything is paid for.
    pub(crate) fn prepare(&self, purpose: Purpose) -> Result<Prepared, OptimizeError> {
        let def = self.def();
        let workflow_file = self.workflow_file();
        let read = |files: &[PathBuf]| Training::read_with(&workflow_file, files);
        let training = match &self.train {
            Some(files) => read(files)?,
            None => Training::read(&workflow_file)?,
        };
        let settings = training.settings;
        let mut warnings = training.warnings;
        if settings.enabled == Some(false) && purpose == Purpose::Optimize {
            warnings.push(format!(
                "`{}` has `optimization_enabled: false`; it is optimized all the same, because you asked for it",
                def.name
            ));
        }
        let stages = self
            .stages
            .clone()
            .unwrap_or_else(|| settings.stages.clone());
        if stages.is_empty() && purpose == Purpose::Optimize {
            return Err(OptimizeError::Settings(format!(
                "which optimizer? Set `optimizer` in the `dspy_config` of `{}`, or name one with --optimizer",
                def.name
            )));
        }
        for step in &self.steps {
            if !def.steps.iter().any(|known| known.step == step) {
                let known: Vec<&str> = def.steps.iter().map(|known| known.step).collect();
                return Err(OptimizeError::Settings(format!(
                    "no step of `{}` is called `{step}`; its steps are {}",
                    def.name,
                    known.join(", ")
                )));
            }
        }
        let data = self.data(training.records, &settings, &workflow_file, purpose)?;
        let metric = self.metric_of(settings.metric)?;
        let lms: Vec<LmName> = def
            .steps
            .iter()
            .map(|step| self.runner.lm_name(step))
            .collect::<Result<_, _>>()?;
        let Some(first) = lms.first().cloned() else {
            return Err(OptimizeError::Settings(format!(
                "`{}` has no steps",
                def.name
            )));
        };
        Ok(Prepared {
            workflow_file,
            stages,
            data,
            metric,
            lm: lms.iter().all(|lm| *lm == first).then(|| first.clone()),
            proposer: self.proposer.clone().unwrap_or(first),
            given: training.given,
            warnings,
        })
    }

    /// The examples in their sets; `records` are those to train with.
    fn data(
        &self,
        records: Vec<LabelledRecord>,
        settings: &Settings,
        workflow_file: &Path,
        purpose: Purpose,
    ) -> Result<Data, OptimizeError> {
        let def = self.def();
        let read = |files: &[PathBuf]| Training::read_with(workflow_file, files);
        let whole = |records: Vec<LabelledRecord>| data::of_workflow(records, def);
        let records = match &self.train {
            Some(_) => records,
            None => data::without_copies(records, workflow_file),
        };
        let train = whole(records)?;
        let judging = |given: &[PathBuf], named: Option<PathBuf>| match given {
            [] => named.into_iter().collect(),
            given => given.to_vec(),
        };
        let validation_files: Vec<PathBuf> = judging(&self.validation, settings.validation.clone());
        let held_out_files: Vec<PathBuf> = judging(&self.held_out, settings.held_out.clone());
        let mut data = match held_out_files.as_slice() {
            [_, ..] => {
                let mut train = train;
                let validation = match settings.validation_size {
                    _ if !validation_files.is_empty() => whole(read(&validation_files)?.records)?,
                    // The last ones of the file, so that those before them train.
                    Some(size) if size < train.len() => train.split_off(train.len() - size),
                    _ => Vec::new(),
                };
                Data::given(train, validation, whole(read(&held_out_files)?.records)?)
            }
            [] => {
                let mut data = Data::split(train, self.split_shares()?, SPLIT_SEED);
                if !validation_files.is_empty() {
                    let records = whole(read(&validation_files)?.records)?;
                    let validation = Data::given(Vec::new(), records, Vec::new()).validation;
                    data.validation = validation;
                }
                data
            }
        };
        data.limit(Sizes {
            train: settings.training_size,
            validation: settings.validation_size,
        });
        for (set, name) in [(&data.train, "to train with"), (&data.held_out, "held out")] {
            let needed = purpose == Purpose::Optimize || name == "held out";
            if needed && set.is_empty() {
                return Err(OptimizeError::Data(format!(
                    "there is no example {name}: of {} training, {} validation and {} held-out examples none may \
                     be missing but those for validation; label more, or change --split",
                    data.train.len(),
                    data.validation.len(),
                    data.held_out.len()
                )));
            }
        }
        Ok(data)
    }

    /// The metric by the call, by the workflow file, or else the first that the program brings.
    pub(crate) fn metric_of(&self, named: Option<String>) -> Result<NamedMetric, OptimizeError> {
        let known = |name: &String| self.known_metrics.iter().find(|(known, _)| known == name);
        if let Some(metric) = &self.metric {
            return Ok(metric.clone());
        }
        let Some(name) = named else {
            let own = self.known_metrics.first().cloned();
            let labelled =
                || -> NamedMetric { ("labelled fields".to_owned(), Arc::new(LabelledFields)) };
            return Ok(own.unwrap_or_else(labelled));
        };
        if let Some(metric) = known(&name) {
            return Ok(metric.clone());
        }
        let registry = Registry::new(self.runner.clone());
        match Declared::parse(&name.clone().into(), &registry) {
            Ok(metric) => Ok((name, Arc::new(metric))),
            Err(error) => Err(OptimizeError::Settings(format!(
                "the metric `{name}` of `dspy_config`: {error}; a Rust function is given with \
                 `Commands::metric` or `Optimization::metric`"
            ))),
        }
    }

    fn split_shares(&self) -> Result<Shares, OptimizeError> {
        match self.shares {
            Some(shares) => Ok(shares),
            None => Shares::new(0.5, 0.2, 0.3)
                .map_err(|error| OptimizeError::Settings(error.to_string())),
        }
    }
}
