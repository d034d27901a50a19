//! `dspy_config`: what DSPy is told.

use crate::diag::{Code, Diagnostics};
use crate::source::Spanned;
use crate::yaml::{self, MapReader};

use super::optional_text;

/// The settings of a workflow or of one step; a step inherits what it does not set.
#[derive(Debug, Default, Clone)]
pub(crate) struct DspyConfig {
    pub(crate) optimization_enabled: Option<Spanned<bool>>,
    pub(crate) evaluation_mode: Option<Spanned<String>>,
    pub(crate) evaluation_metric: Option<Spanned<String>>,
    pub(crate) optimization_target: Option<Spanned<String>>,
    pub(crate) training_size: Option<Spanned<u32>>,
    pub(crate) validation_size: Option<Spanned<u32>>,
    pub(crate) few_shot_examples: Option<Spanned<u32>>,
    pub(crate) bootstrap_iterations: Option<Spanned<u32>>,
    pub(crate) training_examples_path: Option<Spanned<String>>,
    pub(crate) global_training_data: Option<Spanned<String>>,
}

impl DspyConfig {
    /// Reads the block under `dspy_config` of a workflow or a step, if there is one.
    pub(crate) fn read(parent: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Self {
        let what = format!("`dspy_config` of {}", parent.what());
        let Some(node) = parent.optional("dspy_config") else {
            return Self::default();
        };
        let Some(mut map) = MapReader::new(node, what, diagnostics) else {
            return Self::default();
        };
        let config = Self {
            optimization_enabled: map
                .optional("optimization_enabled")
                .and_then(|node| yaml::boolean(node, "`optimization_enabled`", diagnostics)),
            evaluation_mode: optional_text(&mut map, "evaluation_mode", diagnostics),
            evaluation_metric: optional_text(&mut map, "evaluation_metric", diagnostics),
            optimization_target: optional_text(&mut map, "optimization_target", diagnostics),
            training_size: optional_size(&mut map, "training_size", diagnostics),
            validation_size: optional_size(&mut map, "validation_size", diagnostics),
            few_shot_examples: optional_size(&mut map, "few_shot_examples", diagnostics),
            bootstrap_iterations: optional_size(&mut map, "bootstrap_iterations", diagnostics),
            training_examples_path: optional_text(&mut map, "training_examples_path", diagnostics),
            global_training_data: optional_text(&mut map, "global_training_data", diagnostics),
        };
        map.finish(diagnostics);
        for size in [&config.training_size, &config.validation_size] {
            if let Some(size) = size.as_ref().filter(|size| size.value == 0) {
                diagnostics
                    .error(Code::InvalidSetting, size.span, "a set of no examples")
                    .label("expected 1 or more");
            }
        }
        config
    }

    /// These settings where they are set, `outer` elsewhere.
    pub(crate) fn over(self, outer: &Self) -> Self {
        Self {
            optimization_enabled: self
                .optimization_enabled
                .or_else(|| outer.optimization_enabled.clone()),
            evaluation_mode: self
                .evaluation_mode
                .or_else(|| outer.evaluation_mode.clone()),
            evaluation_metric: self
                .evaluation_metric
                .or_else(|| outer.evaluation_metric.clone()),
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
            global_training_data: self
                .global_training_data
                .or_else(|| outer.global_training_data.clone()),
        }
    }
}

fn optional_size(
    map: &mut MapReader<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<u32>> {
    let node = map.optional(key)?;
    yaml::size(node, format_args!("`{key}`"), diagnostics)
}
