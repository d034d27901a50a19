//! The optimizers of DSPy.

use crate::diag::{Code, Diagnostics, list};
use crate::source::Span;
use crate::yaml::{self, Kind, Node};

use super::optimizer_settings::Setting;

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

/// One optimizer of a chain, with its settings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stage {
    pub(crate) optimizer: Optimizer,
    pub(crate) span: Span,
    pub(crate) settings: Vec<Setting>,
}

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

#[cfg(test)]
mod tests {
    use super::super::optimizer_settings::{Value, settings};
    use super::*;
    use crate::source::Sources;
    use crate::yaml::MapReader;

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
