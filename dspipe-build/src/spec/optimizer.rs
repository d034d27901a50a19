//! The optimizers of DSPy and their settings.

use crate::diag::{Code, Diagnostics, list};
use crate::source::{Span, Spanned};
use crate::yaml::{self, Kind, MapReader, Node};

/// An optimizer whose result is instructions and demos: what a compiled workflow can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Optimizer {
    LabeledFewShot,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    Copro,
    MiproV2,
    Gepa,
    Simba,
    InferRules,
}

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

/// One optimizer of a chain, with its settings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stage {
    pub(crate) optimizer: Optimizer,
    pub(crate) span: Span,
    pub(crate) settings: Vec<Setting>,
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

/// Optimizers of DSPy that are refused, and why.
const REFUSED: [(&str, &str); 9] = [
    (
        "knn_few_shot",
        "it picks new demos at every call; a compiled workflow has fixed prompts",
    ),
    (
        "ensemble",
        "it runs several programs at every call; a compiled workflow is one",
    ),
    ("bootstrap_finetune", CHANGES_WEIGHTS),
    ("finetune", CHANGES_WEIGHTS),
    ("grpo", CHANGES_WEIGHTS),
    (
        "bootstrap_few_shot_with_optuna",
        "its search cannot be repeated: DSPy gives it no seed",
    ),
    ("avatar_optimizer", "it does not run in DSPy 3.4"),
    ("re_anchor", "it tunes thresholds, and a signature has none"),
    (
        "better_together",
        "a chain is written as a list: `optimizer: [first, second]`",
    ),
];
const CHANGES_WEIGHTS: &str =
    "it changes weights of the model; dspipe optimizes instructions and demos";

impl Optimizer {
    const NAMES: [(&'static str, Self); 8] = [
        ("labeled_few_shot", Self::LabeledFewShot),
        ("bootstrap_few_shot", Self::BootstrapFewShot),
        (
            "bootstrap_few_shot_with_random_search",
            Self::BootstrapFewShotWithRandomSearch,
        ),
        ("copro", Self::Copro),
        ("mipro_v2", Self::MiproV2),
        ("gepa", Self::Gepa),
        ("simba", Self::Simba),
        ("infer_rules", Self::InferRules),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, optimizer)| *optimizer == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether it lets a teacher make demos, in rounds.
    pub(crate) fn bootstraps(self) -> bool {
        matches!(
            self,
            Self::BootstrapFewShot | Self::BootstrapFewShotWithRandomSearch | Self::InferRules
        )
    }

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

    /// An optimizer by its name here or that of its class in DSPy.
    pub(crate) fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Stage> {
        let name = yaml::text(node, format_args!("`{key}`"), diagnostics)?;
        let wanted = plain(&name.value);
        let found = Self::NAMES
            .iter()
            .find(|(name, _)| plain(name) == wanted)
            .map(|(_, optimizer)| *optimizer);
        let short = (wanted == "bootstraprs").then_some(Self::BootstrapFewShotWithRandomSearch);
        if let Some(optimizer) = found.or(short) {
            return Some(Stage {
                optimizer,
                span: name.span,
                settings: Vec::new(),
            });
        }
        let names: Vec<&str> = Self::NAMES.iter().map(|(name, _)| *name).collect();
        match REFUSED.iter().find(|(name, _)| plain(name) == wanted) {
            Some((_, reason)) => diagnostics
                .error(
                    Code::Unsupported,
                    name.span,
                    format!("the optimizer `{name}` is not supported"),
                )
                .label(*reason)
                .help(format!("supported are {}", list(&names))),
            None => diagnostics
                .error(
                    Code::InvalidSetting,
                    name.span,
                    format!("no optimizer is called `{name}`"),
                )
                .label("unknown optimizer")
                .meant(name.span, &name.value, names),
        };
        None
    }

    /// One optimizer, or a list of them that run one after the other.
    pub(crate) fn read_chain(node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<Stage>> {
        let Kind::List(items) = &node.kind else {
            return Self::read(node, "optimizer", diagnostics).map(|stage| vec![stage]);
        };
        if items.is_empty() {
            diagnostics
                .error(Code::InvalidSetting, node.span, "a chain of no optimizers")
                .label("expected at least one name");
        }
        let mut chain: Vec<Stage> = Vec::new();
        for item in items {
            let Some(stage) = Self::read(item, "optimizer", diagnostics) else {
                continue;
            };
            match chain.iter().find(|s| s.optimizer == stage.optimizer) {
                Some(first) => {
                    diagnostics
                        .error(
                            Code::Duplicate,
                            stage.span,
                            format!("`{}` is in the chain twice", stage.optimizer.name()),
                        )
                        .label("again here")
                        .also(first.span, "first here");
                }
                None => chain.push(stage),
            }
        }
        (!chain.is_empty()).then_some(chain)
    }
}

/// Without what names of optimizers are spelt differently by: `MIPROv2`, `mipro_v2`.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
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
        let Some(mut map) = MapReader::new(node, what, diagnostics) else {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn read(text: &str) -> (Vec<Stage>, Vec<String>) {
        let mut sources = Sources::default();
        let file = sources.add("t.yaml", text);
        let mut diagnostics = Diagnostics::default();
        let root = yaml::parse(&sources, file, &mut diagnostics).unwrap();
        let mut map = MapReader::new(&root, "the test", &mut diagnostics).unwrap();
        let mut chain = map
            .optional("optimizer")
            .and_then(|node| Optimizer::read_chain(node, &mut diagnostics))
            .unwrap_or_default();
        if let Some(node) = map.optional("optimizer_settings") {
            settings(node, &mut chain, &mut diagnostics);
        }
        let messages = diagnostics.into_sorted();
        (chain, messages.into_iter().map(|d| d.message).collect())
    }

    #[test]
    fn names_of_dspy_and_of_this_format() {
        for (written, wanted) in [
            ("LabeledFewShot", Optimizer::LabeledFewShot),
            ("BootstrapRS", Optimizer::BootstrapFewShotWithRandomSearch),
            ("MIPROv2", Optimizer::MiproV2),
            ("COPRO", Optimizer::Copro),
            ("SIMBA", Optimizer::Simba),
            ("infer-rules", Optimizer::InferRules),
        ] {
            let (chain, messages) = read(&format!("optimizer: {written}"));
            assert!(messages.is_empty(), "{messages:?}");
            assert_eq!(chain[0].optimizer, wanted);
        }
        for (name, optimizer) in Optimizer::NAMES {
            assert_eq!(
                read(&format!("optimizer: {name}")).0[0].optimizer,
                optimizer
            );
            assert_eq!(optimizer.name(), name);
        }
        for (name, _) in REFUSED {
            let (chain, messages) = read(&format!("optimizer: {name}"));
            assert!(chain.is_empty());
            assert!(messages[0].contains("is not supported"), "{messages:?}");
        }
    }

    #[test]
    fn settings_are_typed() {
        let (chain, messages) = read(
            "optimizer: [bootstrap_few_shot, gepa]\noptimizer_settings:\n  \
             bootstrap_few_shot: {metric_threshold: 0.5, max_rounds: 2}\n  \
             gepa: {auto: heavy, use_merge: false, reflection_lm: openai/gpt-5}\n",
        );
        assert!(messages.is_empty(), "{messages:?}");
        let values: Vec<(&str, Value)> = chain
            .into_iter()
            .flat_map(|stage| stage.settings)
            .map(|setting| (setting.key, setting.value))
            .collect();
        assert_eq!(
            values,
            [
                ("metric_threshold", Value::Number(0.5)),
                ("max_rounds", Value::Size(2)),
                ("auto", Value::Choice("heavy")),
                ("reflection_lm", Value::Lm("openai/gpt-5".to_owned())),
                ("use_merge", Value::Flag(false)),
            ]
        );
    }
}
