//! Labelled examples of a step.

use crate::diag::{Code, Diagnostics};
use crate::source::Spanned;
use crate::yaml::{self, Kind, MapReader, Node};

/// Input and output as written; `check` holds them against the signature.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) input: Node,
    pub(crate) output: Node,
}

impl Example {
    /// Reads `examples`: a list, or a file, or a list some of whose items are files.
    pub(crate) fn read_all(
        node: Option<&Node>,
        diagnostics: &mut Diagnostics,
    ) -> (Vec<Self>, Vec<Spanned<String>>) {
        let (mut examples, mut files) = (Vec::new(), Vec::new());
        let Some(node) = node else {
            return (examples, files);
        };
        match &node.kind {
            Kind::Scalar { .. } if !node.is_null() => {
                files.extend(yaml::text(node, "`examples`", diagnostics));
            }
            Kind::Map(_) => files.extend(file(node, diagnostics)),
            Kind::List(items) => {
                for item in items {
                    if names_a_file(item) {
                        files.extend(file(item, diagnostics));
                    } else {
                        examples.extend(Self::read(item, diagnostics));
                    }
                }
            }
            Kind::Scalar { .. } => {
                diagnostics
                    .error(
                        Code::WrongKind,
                        node.span,
                        "`examples` must be a list of examples or a file of them, not nothing",
                    )
                    .label("expected a list (`- input: …`) or the name of a file");
            }
        }
        (examples, files)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
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

fn names_a_file(node: &Node) -> bool {
    matches!(&node.kind, Kind::Map(entries) if entries.iter().any(|(key, _)| key.text == "file"))
}

/// `{file: path}`.
fn file(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
    let mut map = MapReader::new(node, "`examples`", diagnostics)?;
    let path = map
        .required("file", diagnostics)
        .and_then(|node| yaml::text(node, "`file`", diagnostics));
    map.finish(diagnostics);
    path
}
