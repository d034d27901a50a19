//! Settings of DSPy that contradict each other.

use crate::diag::{Code, Diagnostics, list};
use crate::spec::{DspyConfig, Workflow};

/// Checks the settings of the workflow and of its steps.
pub(super) fn check(workflow: &Workflow, diagnostics: &mut Diagnostics) {
    let outer = &workflow.dspy_config;
    one(outer, &DspyConfig::default(), diagnostics);
    for step in workflow.steps() {
        let config = &step.dspy_config;
        one(config, outer, diagnostics);
        let whole = [
            ("global_training_data", &config.global_training_data),
            ("validation_examples_path", &config.validation_examples_path),
            ("test_examples_path", &config.test_examples_path),
        ];
        for (key, path) in whole {
            let Some(path) = path else { continue };
            let message = format!(
                "`{key}` belongs to the workflow, not to step `{}`",
                step.name
            );
            let diagnostic = diagnostics.error(Code::InvalidSetting, path.span, message);
            diagnostic.label("of all steps, but set on one");
            if key == "global_training_data" {
                diagnostic.help("`training_examples_path` names the data of one step");
            }
        }
    }
}

/// One block, inside of another. Only what is set in it is its fault.
fn one(config: &DspyConfig, outer: &DspyConfig, diagnostics: &mut Diagnostics) {
    let enabled = config
        .optimization_enabled
        .as_ref()
        .or(outer.optimization_enabled.as_ref());
    if let (Some(enabled), Some(optimizer)) = (enabled, &config.optimizer)
        && !enabled.value
    {
        diagnostics
            .warning(
                Code::ConflictingSettings,
                optimizer.span,
                "an optimizer where optimization is off",
            )
            .label("this has no effect")
            .also(enabled.span, "off by this")
            .help("set `optimization_enabled: true`, or remove one of the two");
    }
    let optimizer = config.optimizer.as_ref().or(outer.optimizer.as_ref());
    // One from outside may be meant for the other steps.
    let (Some(chain), Some(iterations)) = (optimizer, &config.bootstrap_iterations) else {
        return;
    };
    let rounds = chain.value.iter().find_map(|s| s.setting("max_rounds"));
    if let Some(rounds) = rounds {
        diagnostics
            .warning(
                Code::ConflictingSettings,
                iterations.span,
                "`bootstrap_iterations` and `max_rounds` are one setting",
            )
            .label("this has no effect")
            .also(rounds.span, "this counts")
            .help("keep one of the two");
    } else if !chain.value.iter().any(|s| s.optimizer.bootstraps()) {
        let names: Vec<&str> = chain.value.iter().map(|s| s.optimizer.name()).collect();
        diagnostics
            .warning(
                Code::ConflictingSettings,
                iterations.span,
                format!("{} has no bootstrap iterations", list(&names)),
            )
            .label("this has no effect")
            .also(chain.span, "the optimizer")
            .help("remove it, or choose `bootstrap_few_shot`");
    }
}
