//! The settings of DSPy's optimizers: which there are, and what values they take.

use super::optimizer::{Optimizer, Stage};
use crate::diag::{Code, Diagnostics, list};
use crate::source::{Span, Spanned};
use crate::yaml::{self, MapReader, Node};

/// One setting with its value, within its range.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Size(u32),
    Number(f64),
    Flag(bool),
    Choice(&'static str),
    /// `provider/model`.
    Lm(String),
}

impl Value {
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Size(size) => (*size).into(),
            Self::Number(number) => (*number).into(),
            Self::Flag(flag) => (*flag).into(),
            Self::Choice(word) => (*word).into(),
            Self::Lm(name) => name.clone().into(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Takes {
    /// A whole number, at least and at most.
    Size(u32, u32),
    /// A number, at least and at most.
    Number(f64, f64),
    Flag,
    Choice(&'static [&'static str]),
    Lm,
}

const MANY: u32 = 1_000_000;
const COUNT: Takes = Takes::Size(1, MANY);
const COUNT_OR_NONE: Takes = Takes::Size(0, MANY);
const THREADS: Takes = Takes::Size(1, 1024);
const TEMPERATURE: Takes = Takes::Number(0.0, 2.0);
const SEED: Takes = Takes::Size(0, u32::MAX);
const AUTO: Takes = Takes::Choice(&["light", "medium", "heavy"]);

type Table = &'static [(&'static str, Takes)];

const LABELED: Table = &[("k", COUNT), ("sample", Takes::Flag)];
const BOOTSTRAP: Table = &[
    ("metric_threshold", Takes::Number(0.0, 1.0)),
    ("max_bootstrapped_demos", COUNT_OR_NONE),
    ("max_labeled_demos", COUNT_OR_NONE),
    ("max_rounds", COUNT),
    ("max_errors", COUNT_OR_NONE),
    ("teacher_lm", Takes::Lm),
];
const RANDOM_SEARCH: Table = &[
    ("num_candidate_programs", COUNT),
    ("num_threads", THREADS),
    ("stop_at_score", Takes::Number(0.0, 100.0)),
    ("labeled_sample", Takes::Flag),
];
const COPRO: Table = &[
    ("breadth", Takes::Size(2, MANY)),
    ("depth", COUNT),
    ("init_temperature", TEMPERATURE),
    ("track_stats", Takes::Flag),
    ("prompt_model", Takes::Lm),
];
const MIPRO: Table = &[
    ("auto", AUTO),
    ("num_candidates", COUNT),
    ("num_trials", COUNT),
    ("max_bootstrapped_demos", COUNT_OR_NONE),
    ("max_labeled_demos", COUNT_OR_NONE),
    ("metric_threshold", Takes::Number(0.0, 1.0)),
    ("num_threads", THREADS),
    ("max_errors", COUNT_OR_NONE),
    ("seed", SEED),
    ("init_temperature", TEMPERATURE),
    ("verbose", Takes::Flag),
    ("track_stats", Takes::Flag),
    ("minibatch", Takes::Flag),
    ("minibatch_size", COUNT),
    ("minibatch_full_eval_steps", COUNT),
    ("program_aware_proposer", Takes::Flag),
    ("data_aware_proposer", Takes::Flag),
    ("tip_aware_proposer", Takes::Flag),
    ("fewshot_aware_proposer", Takes::Flag),
    ("view_data_batch_size", COUNT),
    ("prompt_model", Takes::Lm),
    ("task_model", Takes::Lm),
    ("teacher_lm", Takes::Lm),
];
const GEPA: Table = &[
    ("auto", AUTO),
    ("max_full_evals", COUNT),
    ("max_metric_calls", COUNT),
    ("reflection_minibatch_size", COUNT),
    (
        "candidate_selection_strategy",
        Takes::Choice(&["pareto", "current_best"]),
    ),
    ("reflection_lm", Takes::Lm),
    ("skip_perfect_score", Takes::Flag),
    ("add_format_failure_as_feedback", Takes::Flag),
    ("component_selector", Takes::Choice(&["round_robin", "all"])),
    ("use_merge", Takes::Flag),
    ("max_merge_invocations", COUNT_OR_NONE),
    ("num_threads", THREADS),
    ("failure_score", Takes::Number(0.0, 1.0)),
    ("perfect_score", Takes::Number(0.0, 1.0)),
    ("track_stats", Takes::Flag),
    ("track_best_outputs", Takes::Flag),
    ("warn_on_score_mismatch", Takes::Flag),
    ("seed", SEED),
];
const SIMBA: Table = &[
    ("bsize", COUNT),
    ("num_candidates", COUNT),
    ("max_steps", COUNT),
    ("max_demos", COUNT_OR_NONE),
    ("demo_input_field_maxlen", COUNT),
    ("num_threads", THREADS),
    ("temperature_for_sampling", TEMPERATURE),
    ("temperature_for_candidates", TEMPERATURE),
    ("seed", SEED),
    ("prompt_model", Takes::Lm),
    ("teacher_lm", Takes::Lm),
];
const RULES: Table = &[
    ("num_candidates", COUNT),
    ("num_rules", COUNT),
    ("num_threads", THREADS),
];

impl Optimizer {
    fn tables(self) -> &'static [Table] {
        match self {
            Self::LabeledFewShot => &[LABELED],
            Self::BootstrapFewShot => &[BOOTSTRAP],
            Self::BootstrapFewShotWithRandomSearch => &[BOOTSTRAP, RANDOM_SEARCH],
            Self::Copro => &[COPRO],
            Self::MiproV2 => &[MIPRO],
            Self::Gepa => &[GEPA],
            Self::Simba => &[SIMBA],
            Self::InferRules => &[RULES, BOOTSTRAP],
        }
    }
}

/// Reads `optimizer_settings`: of the one optimizer, or of each of a chain by its name.
pub(super) fn settings(node: &Node, chain: &mut [Stage], diagnostics: &mut Diagnostics) {
    if let [stage] = chain {
        stage.read_settings(node, diagnostics);
        return;
    }
    let Some(mut map) = MapReader::new(node, "`optimizer_settings` of a chain", diagnostics) else {
        return;
    };
    for stage in chain {
        if let Some(node) = map.optional(stage.optimizer.name()) {
            stage.read_settings(node, diagnostics);
        }
    }
    map.finish(diagnostics);
}

impl Stage {
    fn read_settings(&mut self, node: &Node, diagnostics: &mut Diagnostics) {
        let what = format!("`optimizer_settings` of `{}`", self.optimizer.name());
        let Some(mut map) = MapReader::new(node, &what, diagnostics) else {
            return;
        };
        for (key, takes) in self.optimizer.tables().iter().copied().flatten() {
            let Some((span, node)) = map.entry(key) else {
                continue;
            };
            if let Some(value) = takes.read(node, key, diagnostics) {
                self.settings.push(Setting { key, span, value });
            }
        }
        map.finish(diagnostics);
        self.contradictions(diagnostics);
    }

    pub(crate) fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// What DSPy would refuse at the start of an optimization.
    fn contradictions(&self, diagnostics: &mut Diagnostics) {
        let budgets: &[&str] = match self.optimizer {
            Optimizer::Gepa => &["auto", "max_full_evals", "max_metric_calls"],
            Optimizer::MiproV2 if self.setting("num_candidates").is_some() => {
                &["auto", "num_candidates"]
            }
            Optimizer::MiproV2 => &["auto", "num_trials"],
            _ => &[],
        };
        let set: Vec<&Setting> = budgets.iter().filter_map(|key| self.setting(key)).collect();
        if let [first, .., last] = set.as_slice() {
            diagnostics
                .error(
                    Code::InvalidSetting,
                    last.span,
                    format!("`{}` and `{}` exclude each other", first.key, last.key),
                )
                .label("keep one of the two")
                .also(first.span, "the other one");
        } else if self.optimizer == Optimizer::MiproV2 {
            for (one, other) in [
                ("num_candidates", "num_trials"),
                ("num_trials", "num_candidates"),
            ] {
                if let (Some(setting), None) = (self.setting(one), self.setting(other)) {
                    diagnostics
                        .error(
                            Code::InvalidSetting,
                            setting.span,
                            format!("`{one}` needs `{other}` too"),
                        )
                        .label(format!("`{other}` is not set"))
                        .help("set both, or `auto` and neither");
                }
            }
        }
    }
}

impl Takes {
    fn read(self, node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Value> {
        let what = format!("`{key}`");
        match self {
            Self::Size(min, max) => {
                let size = yaml::size(node, what, diagnostics)?;
                let value = in_range(&size, (min, max), key, diagnostics)?;
                Some(Value::Size(value))
            }
            Self::Number(min, max) => {
                let number = yaml::number(node, what, diagnostics)?;
                let value = in_range(&number, (min, max), key, diagnostics)?;
                Some(Value::Number(value))
            }
            Self::Flag => {
                let flag = yaml::boolean(node, what, diagnostics)?;
                Some(Value::Flag(flag.value))
            }
            Self::Choice(values) => {
                let text = yaml::text(node, what, diagnostics)?;
                let found = values.iter().find(|value| **value == text.value);
                if found.is_none() {
                    diagnostics
                        .error(
                            Code::InvalidSetting,
                            text.span,
                            format!("`{text}` is not a value of `{key}`"),
                        )
                        .label(format!("expected one of {}", list(values)))
                        .meant(text.span, &text.value, values.iter().copied());
                }
                found.map(|value| Value::Choice(value))
            }
            Self::Lm => {
                let text = yaml::text(node, what, diagnostics)?;
                let parts = text.value.split_once('/');
                if parts.is_none_or(|(provider, model)| provider.is_empty() || model.is_empty()) {
                    diagnostics
                        .error(
                            Code::InvalidLm,
                            text.span,
                            format!("`{text}` is not the name of an LM"),
                        )
                        .label("expected `provider/model`");
                    return None;
                }
                Some(Value::Lm(text.value))
            }
        }
    }
}

/// The number if it is from `min` to `max`.
pub(super) fn in_range<N: PartialOrd + Copy + std::fmt::Display>(
    number: &Spanned<N>,
    (min, max): (N, N),
    key: &str,
    diagnostics: &mut Diagnostics,
) -> Option<N> {
    if (min..=max).contains(&number.value) {
        return Some(number.value);
    }
    diagnostics
        .error(
            Code::InvalidSetting,
            number.span,
            format!("`{key}` cannot be {number}"),
        )
        .label(format!("expected {min} to {max}"));
    None
}
