//! A workflow that sorts support tickets, with prompts that an optimizer found.

/// The compiled workflow.
pub mod workflows {
    dspipe_runtime::include_workflows!();
}
