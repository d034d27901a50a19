//! Workflows of the tests, compiled, and what the tests share.

pub mod server;

/// Code that was generated from `workflows/`, under the strictest lints that a user may set.
#[deny(warnings, missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod workflows {
    dspipe_runtime::include_workflows!();
}
