//! `dspy_config`: what DSPy is told.

use crate::diag::{Code, Diagnostics};
use crate::source::{Span, Spanned};
use crate::yaml::{self, MapReader};

use super::optimizer::{Optimizer, Stage};
use super::optimizer_settings::{self, in_range};
use super::optional_text;

/// The settings of a workflow or of one step; a step inherits what it does not set.
#[derive(Debug, Default, Clone)]
pub(crate) struct DspyConfig {
    pub(crate) optimization_enabled: Option<Spanned<bool>>,
    /// The optimizers in the order in which they run, by `optimizer` or `evaluation_mode`.
    pub(crate) optimizer: Option<Spanned<Vec<Stage>>>,
    /// By `metric` or `evaluation_metric`.
    pub(crate) metric: Option<Spanned<String>>,
    pub(crate) optimization_target: Option<Spanned<String>>,
    pub(crate) training_size: Option<Spanned<u32>>,
    pub(crate) validation_size: Option<Spanned<u32>>,
    pub(crate) few_shot_examples: Option<Spanned<u32>>,
    pub(crate) bootstrap_iterations: Option<Spanned<u32>>,
    pub(crate) training_examples_path: Option<Spanned<String>>,
    /// Of the workflow only, as the next two.
    pub(crate) validation_examples_path: Option<Spanned<String>>,
    pub(crate) test_examples_path: Option<Spanned<String>>,
    pub(crate) global_training_data: Option<Spanned<String>>,
}

/// Larger sets are slips of the hand.
const MANY: u32 = 1_000_000;
/// More demos than this do not help, and fill the prompt.
const MAX_DEMOS: u32 = 1_000;
const MAX_ROUNDS: u32 = 1_000;

impl DspyConfig {
    /// Reads the block under `dspy_config` of a workflow or a step, if there is one.
    pub(crate) fn read(parent: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Self {
        let Some(node) = parent.optional("dspy_config") else {
            return Self::default();
        };
        let what = format!("`dspy_config` of {}", parent.what());
        let Some(mut map) = MapReader::new(node, &what, diagnostics) else {
            return Self::default();
        };
        let config = Self {
            optimization_enabled: map
                .optional("optimization_enabled")
                .and_then(|node| yaml::boolean(node, "`optimization_enabled`", diagnostics)),
            optimizer: optimizer(&mut map, diagnostics),
            metric: metric(&mut map, diagnostics),
            optimization_target: optional_text(&mut map, "optimization_target", diagnostics),
            training_size: size(&mut map, "training_size", (1, MANY), diagnostics),
            validation_size: size(&mut map, "validation_size", (1, MANY), diagnostics),
            few_shot_examples: size(&mut map, "few_shot_examples", (0, MAX_DEMOS), diagnostics),
            bootstrap_iterations: size(
                &mut map,
                "bootstrap_iterations",
                (1, MAX_ROUNDS),
                diagnostics,
            ),
            training_examples_path: optional_text(&mut map, "training_examples_path", diagnostics),
            validation_examples_path: optional_text(
                &mut map,
                "validation_examples_path",
                diagnostics,
            ),
            test_examples_path: optional_text(&mut map, "test_examples_path", diagnostics),
            global_training_data: optional_text(&mut map, "global_training_data", diagnostics),
        };
        map.finish(diagnostics);
        config
    }

    /// These settings where they are set, `outer` elsewhere.
    pub(crate) fn over(self, outer: &Self) -> Self {
        Self {
            optimization_enabled: self
                .optimization_enabled
                .or_else(|| outer.optimization_enabled.clone()),
            optimizer: self.optimizer.or_else(|| outer.optimizer.clone()),
            metric: self.metric.or_else(|| outer.metric.clone()),
            optimization_target: self
                .optimization_target
                .or_else(|| outer.optimization_target.clone()),
            training_size: self.training_size.or_else(|| outer.training_size.clone()),
            validation_size: self
                .validation_size
                .or_else(|| outer.validation_size.clone()),
            few_shot_examples: self
                .few_shot_examples
                .or_else(|| outer.few_shot_examples.clone()),
            bootstrap_iterations: self
                .bootstrap_iterations
                .or_else(|| outer.bootstrap_iterations.clone()),
            training_examples_path: self
                .training_examples_path
                .or_else(|| outer.training_examples_path.clone()),
            validation_examples_path: self
                .validation_examples_path
                .or_else(|| outer.validation_examples_path.clone()),
            test_examples_path: self
                .test_examples_path
                .or_else(|| outer.test_examples_path.clone()),
            global_training_data: self
                .global_training_data
                .or_else(|| outer.global_training_data.clone()),
        }
    }
}

/// `optimizer` with `optimizer_settings`; `evaluation_mode` is the older name of the first.
fn optimizer(
    map: &mut MapReader<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<Vec<Stage>>> {
    let mode = map.entry("evaluation_mode");
    let named = mode.is_some();
    let mode = mode.and_then(|(key, node)| {
        let stage = Optimizer::read(node, "evaluation_mode", diagnostics)?;
        Some((key, stage))
    });
    let node = map.optional("optimizer");
    let named = named || node.is_some();
    let chain = node.and_then(|node| {
        let chain = Optimizer::read_chain(node, diagnostics)?;
        Some(Spanned::new(chain, node.span))
    });
    if let (Some((key, mode)), Some(chain)) = (&mode, &chain)
        && chain.value.first().map(|stage| stage.optimizer) != Some(mode.optimizer)
    {
        unused(
            *key,
            "evaluation_mode",
            chain.span,
            "optimizer",
            diagnostics,
        );
    }
    let mut chain = match (chain, node) {
        (None, None) => mode.map(|(_, stage)| Spanned::new(vec![stage.clone()], stage.span)),
        (chain, _) => chain,
    };
    if let Some((key, node)) = map.entry("optimizer_settings") {
        match &mut chain {
            Some(chain) => optimizer_settings::settings(node, &mut chain.value, diagnostics),
            // An optimizer that could not be read is reported already.
            None if named => {}
            None => {
                diagnostics
                    .error(
                        Code::MissingKey,
                        key,
                        format!(
                            "{} has `optimizer_settings`, but no `optimizer`",
                            map.what()
                        ),
                    )
                    .label("settings of which optimizer?")
                    .help("set `optimizer` beside it");
            }
        }
    }
    chain
}

/// `metric`, or `evaluation_metric` by its older name: a metric of dspipe or of the user.
fn metric(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
    let older = map.entry("evaluation_metric");
    let metric = optional_text(map, "metric", diagnostics);
    let older = older.and_then(|(key, node)| {
        let name = yaml::text(node, "`evaluation_metric`", diagnostics)?;
        Some((key, name))
    });
    if let (Some((key, older)), Some(metric)) = (&older, &metric)
        && older != metric
    {
        unused(
            *key,
            "evaluation_metric",
            metric.span,
            "metric",
            diagnostics,
        );
    }
    let name = metric.or(older.map(|(_, name)| name))?;
    let legal = name.value.split("::").all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    });
    if !legal {
        diagnostics
            .error(
                Code::InvalidSetting,
                name.span,
                format!("`{name}` cannot be the name of a metric"),
            )
            .label("expected a name such as `exact` or `documentation_quality`");
        return None;
    }
    Some(name)
}

fn unused(key: Span, name: &str, winner: Span, winner_name: &str, diagnostics: &mut Diagnostics) {
    diagnostics
        .warning(
            Code::ConflictingSettings,
            key,
            format!("`{name}` says something else than `{winner_name}`"),
        )
        .label("this has no effect")
        .also(winner, "this counts")
        .help(format!(
            "`{name}` is an older name of `{winner_name}`: keep one"
        ));
}

fn size(
    map: &mut MapReader<'_>,
    key: &'static str,
    range: (u32, u32),
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<u32>> {
    let node = map.optional(key)?;
    let size = yaml::size(node, format_args!("`{key}`"), diagnostics)?;
    in_range(&size, range, key, diagnostics).map(|_| size)
}
