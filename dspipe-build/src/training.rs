//! What a workflow says about its optimization: the settings, and the records of its training data.
//!
//! The build checks both, and compiles neither in; optimizers read them here, with the same checks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::check;
use crate::data::{DataFile, DataFiles};
use crate::diag::{self, Code, Diagnostics, Severity};
use crate::files::read_data;
use crate::library::Library;
use crate::source::{Sources, Span};
use crate::spec::{self, DspyConfig};
use crate::yaml::{self, MapReader};

/// What a workflow file says about its optimization.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Training {
    /// The settings of `dspy_config`.
    pub settings: Settings,
    /// The records of its training data, in the order of the files.
    pub records: Vec<Record>,
    /// By step, the inputs that come from the workflow's caller.
    pub given: BTreeMap<String, Vec<String>>,
    /// What is wrong with them without making them useless, each on a line.
    pub warnings: Vec<String>,
}

/// The settings of a workflow's `dspy_config`; what it does not set, the first of its steps that does.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// Whether the workflow is to be optimized at all.
    pub enabled: Option<bool>,
    /// The optimizers in the order in which they run; may be empty.
    pub stages: Vec<Stage>,
    /// The name of a metric.
    pub metric: Option<String>,
    /// How many records to train with.
    pub training_size: Option<usize>,
    /// How many records to compare candidates by.
    pub validation_size: Option<usize>,
    /// The file of records to compare candidates by; as seen from where the workflow file was.
    pub validation: Option<PathBuf>,
    /// The file of records that no optimizer sees; as seen from where the workflow file was.
    pub held_out: Option<PathBuf>,
}

/// An optimizer with its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its name in workflow files, as in `mipro_v2`.
    pub optimizer: &'static str,
    /// The settings that are not left to DSPy.
    pub settings: Map<String, Value>,
}

/// A labelled example.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Where it is, as in `data/train.jsonl:12`.
    pub source: String,
    /// The step that it is an example of; `None` is the workflow as a whole.
    pub step: Option<String>,
    /// What goes in, by field.
    pub inputs: Map<String, Value>,
    /// By step and field, what is known of what should come out.
    pub outputs: BTreeMap<String, Map<String, Value>>,
}

/// Settings or data that are not right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The diagnostics as rustc would print them.
    pub report: String,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.report.trim_end())
    }
}

impl std::error::Error for Invalid {}

impl Training {
    /// Reads what a workflow file says, and the records that it names and has itself.
    ///
    /// # Errors
    /// [`Invalid`] if the workflow or a record is not right.
    pub fn read(workflow: &Path) -> Result<Self, Invalid> {
        read(workflow, None)
    }

    /// The same with the records of these files, in place of those that the workflow names.
    ///
    /// # Errors
    /// [`Invalid`] if the workflow, a file or a record is not right.
    pub fn read_with(workflow: &Path, files: &[PathBuf]) -> Result<Self, Invalid> {
        read(workflow, Some(files))
    }
}

impl Settings {
    /// The stages that a list of optimizers and their settings stand for, both in YAML as in a workflow file.
    ///
    /// ```
    /// # use dspipe_build::Settings;
    /// let stages = Settings::stages("mipro_v2", "auto: light").unwrap();
    /// assert_eq!(stages[0].optimizer, "mipro_v2");
    /// let error = Settings::stages("mipro_v2", "auto: lite").unwrap_err();
    /// assert!(error.report.contains("light"));
    /// ```
    ///
    /// # Errors
    /// [`Invalid`] if there is no such optimizer or setting, or a value does not fit.
    pub fn stages(optimizers: &str, settings: &str) -> Result<Vec<Stage>, Invalid> {
        let mut text = format!("dspy_config:\n  optimizer: {optimizers}\n");
        if !settings.trim().is_empty() {
            text.push_str("  optimizer_settings:\n");
            for line in settings.lines() {
                text.push_str("    ");
                text.push_str(line);
                text.push('\n');
            }
        }
        let mut sources = Sources::default();
        let file = sources.add("settings", text);
        let mut diagnostics = Diagnostics::default();
        let config = yaml::parse(&sources, file, &mut diagnostics).and_then(|root| {
            let mut map = MapReader::new(&root, "the settings", &mut diagnostics)?;
            let config = DspyConfig::read(&mut map, &mut diagnostics);
            map.finish(&mut diagnostics);
            Some(config)
        });
        let (_, config) = finish(&sources, diagnostics, config)?;
        Ok(Self::of(&config, Path::new("")).stages)
    }

    /// `directory` is that of the workflow file.
    fn of(config: &DspyConfig, directory: &Path) -> Self {
        let file = |path: &Option<crate::source::Spanned<String>>| {
            path.as_ref().map(|path| directory.join(&path.value))
        };
        let size = |size: &Option<crate::source::Spanned<u32>>| {
            size.as_ref().map(|size| size.value as usize)
        };
        let mut stages: Vec<Stage> = config
            .optimizer
            .iter()
            .flat_map(|chain| &chain.value)
            .map(stage)
            .collect();
        for stage in &mut stages {
            stage.set_demos(size(&config.few_shot_examples));
            stage.set_rounds(size(&config.bootstrap_iterations));
        }
        Self {
            enabled: config.optimization_enabled.as_ref().map(|it| it.value),
            stages,
            metric: config.metric.as_ref().map(|it| it.value.clone()),
            training_size: size(&config.training_size),
            validation_size: size(&config.validation_size),
            validation: file(&config.validation_examples_path),
            held_out: file(&config.test_examples_path),
        }
    }
}

impl Stage {
    /// `few_shot_examples`, as the optimizer calls it.
    fn set_demos(&mut self, demos: Option<usize>) {
        let key = match self.optimizer {
            "labeled_few_shot" => "k",
            "simba" => "max_demos",
            "copro" | "gepa" => return,
            _ => "max_labeled_demos",
        };
        self.set(key, demos.filter(|demos| *demos > 0));
    }

    /// `bootstrap_iterations`, as the optimizer calls it.
    fn set_rounds(&mut self, rounds: Option<usize>) {
        if matches!(
            self.optimizer,
            "bootstrap_few_shot" | "bootstrap_few_shot_with_random_search" | "infer_rules"
        ) {
            self.set("max_rounds", rounds);
        }
    }

    fn set(&mut self, key: &str, value: Option<usize>) {
        if let Some(value) = value
            && !self.settings.contains_key(key)
        {
            self.settings.insert(key.to_owned(), value.into());
        }
    }
}

fn stage(stage: &spec::Stage) -> Stage {
    let settings = stage.settings.iter();
    Stage {
        optimizer: stage.optimizer.name(),
        settings: settings
            .map(|setting| (setting.key.to_owned(), setting.value.to_json()))
            .collect(),
    }
}

fn read(workflow: &Path, files: Option<&[PathBuf]>) -> Result<Training, Invalid> {
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let shown = |path: &Path| path.to_string_lossy().replace('\\', "/");
    let text = match read_data(workflow) {
        Ok(text) => text,
        Err(problem) => {
            let report = format!("{} cannot be read: {problem}", workflow.display());
            return Err(Invalid { report });
        }
    };
    let file = sources.add(shown(workflow), text);
    let spec = yaml::parse(&sources, file, &mut diagnostics)
        .and_then(|root| spec::Workflow::read(&root, &mut diagnostics));
    let Some(mut spec) = spec else {
        return finish(&sources, diagnostics, None).map(|(_, never)| never);
    };
    let mut read = |path: &Path| read_data(path);
    let library = Library::load(&mut spec, &mut sources, &mut read, &mut diagnostics);
    let data;
    let mut opened = None;
    match files {
        None => data = DataFiles::load(&spec, &mut sources, &mut read, &mut diagnostics),
        Some(files) => {
            data = DataFiles::default();
            opened = Some(open(files, &mut sources, &mut diagnostics));
        }
    }
    let records = check::records(
        &spec,
        &library,
        &sources,
        &data,
        opened.as_deref(),
        &mut diagnostics,
    );
    let config = spec
        .steps()
        .iter()
        .fold(spec.dspy_config.clone(), |config, step| {
            config.over(&step.dspy_config)
        });
    let name = |step: usize| spec.steps()[step].name.value.clone();
    let records: Vec<Record> = records
        .into_iter()
        .map(|record| Record {
            source: sources.location(record.span),
            step: record.step.map(name),
            inputs: record.inputs,
            outputs: record
                .outputs
                .into_iter()
                .map(|(step, values)| (name(step), values))
                .collect(),
        })
        .collect();
    let given = spec.steps().iter().map(|step| {
        let fields = step.signature.iter().flat_map(|it| &it.inputs);
        let fields = fields.filter(|field| field.template.is_none());
        let names = fields.map(|field| field.name.value.clone()).collect();
        (step.name.value.clone(), names)
    });
    let given = given.collect();
    let (warnings, records) = finish(&sources, diagnostics, Some(records))?;
    Ok(Training {
        settings: Settings::of(&config, workflow.parent().unwrap_or(Path::new(""))),
        records,
        given,
        warnings,
    })
}

fn open(files: &[PathBuf], sources: &mut Sources, diagnostics: &mut Diagnostics) -> Vec<DataFile> {
    let mut found = Vec::new();
    for path in files {
        let shown = path.to_string_lossy().replace('\\', "/");
        let problem = match (DataFile::format_of(path), read_data(path)) {
            (Some(format), Ok(text)) => {
                let file = sources.add(shown, text);
                found.push(DataFile::new(file, format));
                continue;
            }
            (None, _) => "expected a name that ends in .json, .jsonl, .csv or .yaml".to_owned(),
            (_, Err(problem)) => problem.to_string(),
        };
        let file = sources.add(shown.clone(), "");
        let span = Span {
            file,
            start: 0,
            end: 0,
        };
        let message = format!("the data `{shown}` cannot be read: {problem}");
        diagnostics.error(Code::InvalidData, span, message);
    }
    found
}

/// The warnings, each on a line, and the result; with errors, all that is wrong.
pub(crate) fn finish<T>(
    sources: &Sources,
    diagnostics: Diagnostics,
    result: Option<T>,
) -> Result<(Vec<String>, T), Invalid> {
    let failed = diagnostics.has_errors();
    let diagnostics = diagnostics.into_sorted();
    match result {
        Some(result) if !failed => Ok((
            diagnostics
                .iter()
                .map(|diagnostic| diag::render_line(sources, diagnostic))
                .collect(),
            result,
        )),
        _ => {
            let errors = diagnostics
                .iter()
                .filter(|it| it.severity == Severity::Error);
            let rendered: Vec<String> = errors.map(|it| diag::render(sources, it)).collect();
            Err(Invalid {
                report: rendered.join("\n\n"),
            })
        }
    }
}
