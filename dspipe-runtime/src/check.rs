//! Checks and asserts of a workflow file: expressions that should hold for what a step gives.

use std::fmt;

/// A check or an assert of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckDef {
    /// Its name; where the workflow file gives none, the expression.
    pub name: &'static str,
    /// The expression over `inputs` and `outputs`, as it is written.
    pub expression: &'static str,
    /// What is meant by it, in the author's words; may be empty.
    pub message: &'static str,
    /// Whether an output for which it does not hold cannot be used. Otherwise it is only reported.
    pub is_assert: bool,
}

/// A check or an assert that did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckFailed {
    /// Its name; where the workflow file gives none, the expression.
    pub name: &'static str,
    /// The expression.
    pub expression: &'static str,
    /// What is meant by it; may be empty.
    pub message: &'static str,
}

impl From<&CheckDef> for CheckFailed {
    fn from(def: &CheckDef) -> Self {
        Self {
            name: def.name,
            expression: def.expression,
            message: def.message,
        }
    }
}

impl fmt::Display for CheckFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name != self.expression {
            write!(f, "{}: ", self.name)?;
        }
        write!(f, "`{}` must hold", self.expression)?;
        if self.message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.message)
        }
    }
}
