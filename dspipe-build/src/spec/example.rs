//! One labelled example of a step.

use crate::diag::Diagnostics;
use crate::yaml::{MapReader, Node};

/// Input and output as written; `check` holds them against the signature.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) input: Node,
    pub(crate) output: Node,
}

impl Example {
    pub(crate) fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut map = MapReader::new(node, "an example", diagnostics)?;
        let input = map.required("input", diagnostics);
        let output = map.required("output", diagnostics);
        map.finish(diagnostics);
        Some(Self {
            input: input?.clone(),
            output: output?.clone(),
        })
    }
}
