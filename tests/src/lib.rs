//! Workflows of the tests, compiled, and what the tests share.

pub mod server;

/// Code that was generated from `workflows/`, under the strictest lints that a user may set.
#[deny(warnings, missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod workflows {
    dspipe_runtime::include_workflows!();
}

/// Generated code as it is committed in `goldens/`: that of the files of the user who asked for dspipe, and of
/// workflows of the tests.
#[deny(warnings, missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod seed {
    /// Conditions and expressions of every kind, from `workflows/`.
    pub mod conditions {
        include!("../goldens/conditions.rs");
    }
    /// Calls of workflows and loops with a condition, from `workflows/`.
    pub mod calls {
        include!("../goldens/calls.rs");
    }
    /// Loops of every kind, from `workflows/`.
    pub mod loops {
        include!("../goldens/loops.rs");
    }
    /// LMs by names, with all that can be said of them, from `workflows/`.
    pub mod lms {
        include!("../goldens/lms.rs");
    }
    /// Checks and asserts, from `workflows/`.
    pub mod checks {
        include!("../goldens/checks.rs");
    }
    /// Modules and their rewards, from `workflows/`.
    pub mod modules {
        include!("../goldens/modules.rs");
    }
    /// Named types, alternatives and defaults, from `workflows/`.
    pub mod types {
        include!("../goldens/types.rs");
    }
    /// A step with a nested schema and an example.
    pub mod code_analyzer {
        include!("../goldens/code_analyzer.rs");
    }
    /// Three steps, each on what the one before gave.
    pub mod comprehensive_code_analysis {
        include!("../goldens/comprehensive_code_analysis.rs");
    }
    /// A step that writes a text.
    pub mod documentation_generator {
        include!("../goldens/documentation_generator.rs");
    }
}
