//! Keys that pipelines of `pipeline_ex` have and workflows do without: refused by name, with what stands in their
//! place.

use crate::diag::{Code, Diagnostics};
use crate::yaml::MapReader;

/// A key, why it is not read, and what to do.
type Foreign = (&'static str, &'static str, &'static str);

/// Keys of the workflow.
pub(super) const WORKFLOW: [Foreign; 16] = [
    ("defaults", "it is for steps of untyped text", DEFAULTS),
    (
        "gemini_functions",
        "a compiled workflow calls no functions of the model",
        REMOVE,
    ),
    (
        "workspace_dir",
        "a compiled workflow has no working directory",
        REMOVE,
    ),
    ("output_dir", "a compiled workflow writes no files", OUTPUTS),
    (
        "checkpoint_dir",
        "a run is not kept to go on with later",
        REMOVE,
    ),
    (
        "checkpoint_enabled",
        "a run is not kept to go on with later",
        REMOVE,
    ),
    (
        "environment",
        "settings of an environment are in its variables",
        REMOVE,
    ),
    (
        "environments",
        "settings of an environment are in its variables",
        REMOVE,
    ),
    (
        "claude_auth",
        "keys are in environment variables",
        "name the variable: `api_key_env` of an LM under `lms`",
    ),
    (
        "resource_limits",
        "limits are those of LMs",
        "see `max_concurrency` and its like of an LM under `lms`",
    ),
    (
        "variables",
        "a workflow has constants and inputs",
        "put constants under `global_vars`; inputs are fields without a `template`",
    ),
    ("hooks", "it is for steps that run Claude Code", REMOVE),
    ("agents", "it is for steps that run Claude Code", REMOVE),
    (
        "mcp_servers",
        "it is for steps that run Claude Code",
        REMOVE,
    ),
    (
        "hybrid_config",
        "a step has a signature or does not run",
        REMOVE,
    ),
    ("outputs", "what every step gives is an output", REMOVE),
];

/// Keys of a step.
pub(super) const STEP: [Foreign; 15] = [
    (
        "prompt",
        "a prompt is made of the signature",
        "say what to do under `instructions`, and what it is about in `input_fields`",
    ),
    (
        "instructions",
        "it belongs to the signature",
        "move it under `signature`",
    ),
    (
        "input_fields",
        "it belongs to the signature",
        "move it under `signature`",
    ),
    (
        "output_fields",
        "it belongs to the signature",
        "move it under `signature`",
    ),
    (
        "model",
        "the LM is named by `lm`",
        "write `lm: provider/model`",
    ),
    (
        "token_budget",
        "parameters stand in the step",
        "write `max_tokens` and `temperature`",
    ),
    (
        "claude_options",
        "it is for steps that run Claude Code",
        "write `lm`, `max_tokens` and `temperature`",
    ),
    ("preset", "it is for steps that run Claude Code", REMOVE),
    ("role", "nothing reads it", REMOVE),
    (
        "output_to_file",
        "a compiled workflow writes no files",
        OUTPUTS,
    ),
    (
        "output_schema",
        "outputs are declared in the signature",
        "write them under `output_fields`, with their `schema`",
    ),
    ("retry", "failures that pass are tried again anyway", REMOVE),
    (
        "retry_config",
        "failures that pass are tried again anyway",
        REMOVE,
    ),
    (
        "timeout_seconds",
        "time-outs are those of LMs",
        "write `timeout` of an LM under `lms`",
    ),
    ("cache", "replies are not cached", REMOVE),
];

const REMOVE: &str = "take it away";
const DEFAULTS: &str = "write `lm`, `temperature` and `max_tokens` into the workflow";
const OUTPUTS: &str = "take it away; the caller of `run` has the outputs";

/// Reports keys that nothing has asked for.
pub(super) fn refuse(map: &mut MapReader<'_>, known: &[Foreign], diagnostics: &mut Diagnostics) {
    if !map.has_more() {
        return;
    }
    for (key, reason, help) in known {
        if let Some((span, _)) = map.entry(key) {
            diagnostics
                .error(
                    Code::Unsupported,
                    span,
                    format!("{} has `{key}`, which dspipe does not take", map.what()),
                )
                .label(*reason)
                .help(*help);
        }
        map.forget(&[key]);
    }
}
