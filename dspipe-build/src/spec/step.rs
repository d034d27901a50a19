//! One step of a workflow.

use super::{
    Check, Condition, DspyConfig, Example, Module, Signature, foreign, lms, optional_text,
};
use crate::diag::{Code, Diagnostics};
use crate::ir::Adapter;
use crate::source::{Span, Spanned};
use crate::yaml::{self, MapReader, Node};

/// One step as written.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: Spanned<String>,
    /// The block whose body it is in, by its place among all.
    pub(crate) within: Option<usize>,
    pub(crate) step_type: Option<Spanned<StepType>>,
    pub(crate) description: Option<Spanned<String>>,
    pub(crate) lm: Lm,
    pub(crate) module: Option<Module>,
    /// `stream: true`.
    pub(crate) streams: bool,
    pub(crate) condition: Option<Condition>,
    pub(crate) depends_on: Vec<Spanned<String>>,
    pub(crate) checks: Vec<Check>,
    /// `None`: missing or unreadable, and reported.
    pub(crate) signature: Option<Signature>,
    pub(crate) dspy_config: DspyConfig,
    pub(crate) examples: Vec<Example>,
    /// Files of examples that `examples` names.
    pub(crate) example_files: Vec<Spanned<String>>,
}

/// How the prompts of a step are written and its replies read.
const ADAPTERS: [(&str, Adapter); 3] = [
    ("dspipe", Adapter::Dspipe),
    ("dspy_chat", Adapter::DspyChat),
    ("dspy_json", Adapter::DspyJson),
];

/// A word out of a few.
pub(super) fn one_of<T: Copy>(
    written: &Spanned<String>,
    what: &str,
    known: &[(&'static str, T)],
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let found = known.iter().find(|(name, _)| *name == written.value);
    if found.is_none() {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        diagnostics
            .error(
                Code::InvalidSetting,
                written.span,
                format!("`{written}` is not {what}"),
            )
            .label(format!("expected one of {}", crate::diag::list(&names)))
            .meant(written.span, &written.value, names.iter().copied());
    }
    found.map(|(_, value)| *value)
}

/// Which LM to call and how; set on the workflow, overridden on a step.
#[derive(Debug, Default, Clone)]
pub(crate) struct Lm {
    /// `provider/model`, or a name under `lms`.
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) temperature: Option<Spanned<f64>>,
    pub(crate) max_tokens: Option<Spanned<u32>>,
    pub(crate) seed: Option<Spanned<i64>>,
    pub(crate) adapter: Option<Adapter>,
}

/// The step types that dspipe runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepType {
    /// `dspy`: whatever LM is named, or the default one.
    Any,
    Claude,
    Gemini,
    OpenAi,
    Ollama,
    Local,
}

impl StepType {
    const NAMES: [(&'static str, Self); 6] = [
        ("dspy", Self::Any),
        ("dspy_claude", Self::Claude),
        ("dspy_gemini", Self::Gemini),
        ("dspy_openai", Self::OpenAi),
        ("dspy_ollama", Self::Ollama),
        ("dspy_local", Self::Local),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, step_type)| *step_type == self)
            .map_or("dspy", |(name, _)| name)
    }
}

/// Step types of `pipeline_ex` that have no signature to check or optimize.
const UNTYPED: [&str; 12] = [
    "claude",
    "gemini",
    "claude_smart",
    "claude_session",
    "claude_extract",
    "claude_batch",
    "claude_robust",
    "parallel_claude",
    "gemini_instructor",
    "set_variable",
    "data_transform",
    "file_ops",
];

impl Step {
    pub(crate) fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut map = MapReader::new(node, "a step", diagnostics)?;
        let first_line = Span {
            end: node.span.start + 1,
            ..node.span
        };
        map.point_at(first_line);
        let name = map
            .required("name", diagnostics)
            .and_then(|node| yaml::text(node, "a step's `name`", diagnostics));
        let what = name.as_ref().map(|name| format!("step `{name}`"));
        if let (Some(name), Some(what)) = (&name, &what) {
            map.rename(what);
            map.point_at(name.span);
        }
        let kind = map
            .required("type", diagnostics)
            .and_then(|node| yaml::text(node, "a step's `type`", diagnostics));
        let step_type = kind.as_ref().and_then(|kind| step_type(kind, diagnostics));
        if kind.is_some() && step_type.is_none() {
            // The keys of a step that dspipe does not know mean nothing to it.
            return None;
        }
        let description = optional_text(&mut map, "description", diagnostics);
        let lm = Lm::read(&mut map, diagnostics);
        let module = map
            .optional("module")
            .and_then(|node| Module::read(node, diagnostics));
        let streams = map
            .optional("stream")
            .and_then(|node| yaml::boolean(node, "`stream`", diagnostics))
            .is_some_and(|streams| streams.value);
        let condition = map
            .optional("condition")
            .and_then(|node| Condition::read(node, diagnostics));
        let depends_on = map
            .optional("depends_on")
            .map(|node| names(node, diagnostics))
            .unwrap_or_default();
        let checks = Check::read_all(&mut map, diagnostics);
        let signature = signature(&mut map, diagnostics);
        let dspy_config = DspyConfig::read(&mut map, diagnostics);
        let (examples, example_files) = Example::read_all(map.optional("examples"), diagnostics);
        foreign::refuse(&mut map, &foreign::STEP, diagnostics);
        map.finish(diagnostics);
        Some(Self {
            name: name?,
            within: None,
            step_type,
            description,
            lm,
            module,
            streams,
            condition,
            depends_on,
            checks,
            signature,
            dspy_config,
            examples,
            example_files,
        })
    }
}

/// The steps that `depends_on` names: one, or a list.
pub(super) fn names(node: &Node, diagnostics: &mut Diagnostics) -> Vec<Spanned<String>> {
    match &node.kind {
        yaml::Kind::List(items) => items
            .iter()
            .filter_map(|item| yaml::text(item, "an item of `depends_on`", diagnostics))
            .collect(),
        _ => yaml::text(node, "`depends_on`", diagnostics)
            .into_iter()
            .collect(),
    }
}

impl Step {
    /// Whether its output begins with `reasoning`.
    pub(crate) fn reasons(&self) -> bool {
        self.module.as_ref().is_some_and(|module| module.reasons)
    }

    /// The files whose records belong to this step.
    pub(crate) fn data(&self) -> impl Iterator<Item = &Spanned<String>> {
        let training = &self.dspy_config.training_examples_path;
        self.example_files.iter().chain(training)
    }
}

fn step_type(kind: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<Spanned<StepType>> {
    let found = StepType::NAMES
        .iter()
        .find(|(name, _)| *name == kind.value)
        .map(|(_, step_type)| Spanned::new(*step_type, kind.span));
    if found.is_none() {
        let diagnostic = diagnostics.error(
            Code::UnknownStepType,
            kind.span,
            format!("dspipe does not run steps of type `{kind}`"),
        );
        let names = StepType::NAMES.iter().map(|(name, _)| *name);
        if UNTYPED.contains(&kind.value.as_str()) {
            diagnostic.label("a step of untyped text").help(format!(
                "give the step a `signature` and one of the types {}",
                crate::diag::list(&names.collect::<Vec<_>>())
            ));
        } else {
            diagnostic.label("unknown step type").meant(
                kind.span,
                &kind.value,
                names.chain(super::block::type_names()),
            );
        }
    }
    found
}

fn signature(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Option<Signature> {
    // Older documents of the format call it `dspy_signature`.
    let alias = map.entry("dspy_signature");
    let node = match (alias, map.optional("signature")) {
        (Some((span, _)), Some(node)) => {
            diagnostics
                .error(
                    Code::Duplicate,
                    span,
                    "`dspy_signature` is another name for `signature`, and both are there",
                )
                .also(node.span, "the other one");
            node
        }
        (Some((_, node)), None) | (None, Some(node)) => node,
        (None, None) => return map.required("signature", diagnostics).and(None),
    };
    Signature::read(node, map.what(), diagnostics)
}

/// A parameter that may stand in `lm` or beside it, but not in both.
fn once<T>(
    key: &str,
    inner: Option<Spanned<T>>,
    beside: Option<Spanned<T>>,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<T>> {
    if let (Some(inner), Some(beside)) = (&inner, &beside) {
        diagnostics
            .error(
                Code::Duplicate,
                beside.span,
                format!("`{key}` is there twice: in `lm` and beside it"),
            )
            .also(inner.span, "the other one");
    }
    inner.or(beside)
}

impl Lm {
    /// Reads `lm`, `temperature` and `max_tokens` of a workflow or a step.
    pub(crate) fn read(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Self {
        let used = match map.optional("lm") {
            Some(node) if matches!(node.kind, yaml::Kind::Map(_)) => {
                Self::used(node, map.what(), diagnostics)
            }
            Some(node) => Self {
                name: yaml::text(node, format_args!("`lm` of {}", map.what()), diagnostics),
                ..Self::default()
            },
            None => Self::default(),
        };
        let temperature = map
            .optional("temperature")
            .and_then(|node| yaml::number(node, "`temperature`", diagnostics));
        let max_tokens = map
            .optional("max_tokens")
            .and_then(|node| yaml::size(node, "`max_tokens`", diagnostics));
        let adapter = map
            .optional("adapter")
            .and_then(|node| yaml::text(node, "`adapter`", diagnostics))
            .and_then(|name| one_of(&name, "an adapter", &ADAPTERS, diagnostics));
        Self {
            name: used.name,
            temperature: once("temperature", used.temperature, temperature, diagnostics),
            max_tokens: once("max_tokens", used.max_tokens, max_tokens, diagnostics),
            seed: used.seed,
            adapter,
        }
    }

    /// `lm: {use: …, temperature: …}`.
    fn used(node: &Node, of: impl std::fmt::Display, diagnostics: &mut Diagnostics) -> Self {
        let what = format!("`lm` of {of}");
        let Some(mut map) = MapReader::new(node, &what, diagnostics) else {
            return Self::default();
        };
        let lm = Self {
            name: map
                .required("use", diagnostics)
                .and_then(|node| yaml::text(node, "`use`", diagnostics)),
            temperature: map
                .optional("temperature")
                .and_then(|node| yaml::number(node, "`temperature`", diagnostics)),
            max_tokens: map
                .optional("max_tokens")
                .and_then(|node| yaml::size(node, "`max_tokens`", diagnostics)),
            seed: lms::seed(&mut map, diagnostics),
            adapter: None,
        };
        map.finish(diagnostics);
        lm
    }

    /// These settings where they are set, `outer` elsewhere.
    pub(crate) fn over(self, outer: &Self) -> Self {
        Self {
            name: self.name.or_else(|| outer.name.clone()),
            temperature: self.temperature.or_else(|| outer.temperature.clone()),
            max_tokens: self.max_tokens.or_else(|| outer.max_tokens.clone()),
            seed: self.seed.or_else(|| outer.seed.clone()),
            adapter: self.adapter.or(outer.adapter),
        }
    }
}
