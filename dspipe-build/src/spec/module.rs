//! `module` of a step: how it comes to its output.

use super::optimizer_settings::in_range;
use super::step::one_of;
use crate::diag::{Code, Diagnostics};
use crate::source::{Span, Spanned};
use crate::yaml::{self, Kind, MapReader, Node};

/// How a step comes to its output, as written.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) span: Span,
    /// The output begins with `reasoning`.
    pub(crate) reasons: bool,
    pub(crate) kind: ModuleKind,
}

#[derive(Debug)]
pub(crate) enum ModuleKind {
    /// One answer.
    Predict,
    BestOfN(Best),
    Refine(Best),
    Majority {
        n: u32,
        field: Option<Spanned<String>>,
    },
    React {
        tools: Vec<String>,
        max_steps: u32,
    },
}

/// How the best of several outputs is chosen.
#[derive(Debug)]
pub(crate) struct Best {
    pub(crate) n: u32,
    pub(crate) threshold: Option<f64>,
    pub(crate) fail_count: Option<u32>,
    pub(crate) reward: Option<Spanned<String>>,
    /// A key could not be read, which may have been the reward.
    pub(crate) has_slip: bool,
}

/// More outputs for one are slips of the hand.
const MANY: u32 = 100;
/// Outputs for one, where nothing is said.
const FEW: u32 = 3;
const VOTES: u32 = 5;
/// As in DSPy.
const MAX_STEPS: u32 = 20;
/// The tool by which an LM says that it is done.
const FINISH: &str = "finish";
const LONGEST_NAME: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Name {
    Predict,
    ChainOfThought,
    BestOfN,
    Refine,
    Majority,
    React,
}

const NAMES: [(&str, Name); 6] = [
    ("predict", Name::Predict),
    ("chain_of_thought", Name::ChainOfThought),
    ("best_of_n", Name::BestOfN),
    ("refine", Name::Refine),
    ("majority", Name::Majority),
    ("react", Name::React),
];

/// What the outputs are asked for with, of which one is chosen.
const INNER: [(&str, bool); 2] = [("predict", false), ("chain_of_thought", true)];

impl Module {
    /// Reads `module` of a step: a name, or `{name: settings}`.
    pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            let name = yaml::text(node, "`module`", diagnostics)?;
            let name = one_of(&name, "a module", &NAMES, diagnostics)?;
            return Self::named(name, node.span, None, diagnostics);
        };
        let [(key, settings)] = entries.as_slice() else {
            diagnostics
                .error(
                    Code::InvalidSetting,
                    node.span,
                    "a step has one module with its settings",
                )
                .label("expected one key, such as `best_of_n`");
            return None;
        };
        let name = Spanned::new(key.text.clone(), key.span);
        let name = one_of(&name, "a module", &NAMES, diagnostics)?;
        Self::named(name, key.span, Some(settings), diagnostics)
    }

    fn named(
        name: Name,
        span: Span,
        settings: Option<&Node>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let what = NAMES.iter().find(|(_, known)| *known == name);
        let what = format!("`{}`", what.map_or("module", |(text, _)| text));
        let mut map = match settings {
            Some(node) if !node.is_null() => Some(MapReader::new(node, &what, diagnostics)?),
            _ => None,
        };
        let (kind, reasons) = match name {
            Name::Predict => (Some(ModuleKind::Predict), false),
            Name::ChainOfThought => (Some(ModuleKind::Predict), true),
            Name::BestOfN | Name::Refine => {
                let mut best = Best::read(map.as_mut(), diagnostics);
                let reasons = inner(map.as_mut(), diagnostics);
                best.has_slip = map.as_ref().is_some_and(MapReader::has_more);
                let kind = if name == Name::Refine {
                    ModuleKind::Refine(best)
                } else {
                    ModuleKind::BestOfN(best)
                };
                (Some(kind), reasons)
            }
            Name::Majority => {
                let field = map
                    .as_mut()
                    .and_then(|map| map.optional("field"))
                    .and_then(|node| yaml::text(node, "`field`", diagnostics));
                let kind = ModuleKind::Majority {
                    n: size(map.as_mut(), "n", (2, MANY), diagnostics).unwrap_or(VOTES),
                    field,
                };
                (Some(kind), inner(map.as_mut(), diagnostics))
            }
            Name::React => (react(span, map.as_mut(), diagnostics), true),
        };
        if let Some(map) = map {
            map.finish(diagnostics);
        }
        Some(Self {
            span,
            reasons,
            kind: kind?,
        })
    }
}

impl Best {
    fn read(mut map: Option<&mut MapReader<'_>>, diagnostics: &mut Diagnostics) -> Self {
        let reward = map
            .as_mut()
            .and_then(|map| map.optional("reward"))
            .and_then(|node| yaml::text(node, "`reward`", diagnostics));
        let threshold = map
            .as_mut()
            .and_then(|map| map.optional("threshold"))
            .and_then(|node| yaml::number(node, "`threshold`", diagnostics));
        Self {
            n: size(map.as_deref_mut(), "n", (2, MANY), diagnostics).unwrap_or(FEW),
            threshold: threshold.map(|threshold| threshold.value),
            fail_count: size(map, "fail_count", (0, MANY), diagnostics),
            reward,
            has_slip: false,
        }
    }
}

fn inner(map: Option<&mut MapReader<'_>>, diagnostics: &mut Diagnostics) -> bool {
    map.and_then(|map| map.optional("module"))
        .and_then(|node| yaml::text(node, "`module`", diagnostics))
        .and_then(|name| {
            let what = "a module that another one can be made of";
            one_of(&name, what, &INNER, diagnostics)
        })
        .unwrap_or(false)
}

fn react(
    span: Span,
    map: Option<&mut MapReader<'_>>,
    diagnostics: &mut Diagnostics,
) -> Option<ModuleKind> {
    let Some(map) = map else {
        diagnostics
            .error(Code::MissingKey, span, "`react` has no `tools`")
            .label("`tools` is missing here")
            .help("for example `module: {react: {tools: [search, lookup]}}`");
        return None;
    };
    let node = map.required("tools", diagnostics);
    let max_steps = size(Some(map), "max_steps", (1, MANY), diagnostics);
    let node = node?;
    let items = yaml::list(node, "`tools`", diagnostics)?;
    if items.is_empty() {
        diagnostics
            .error(Code::MissingKey, node.span, "`react` has no tools")
            .label("at least one tool is needed");
        return None;
    }
    let mut tools: Vec<Spanned<String>> = Vec::with_capacity(items.len());
    for item in items {
        if let Some(name) = yaml::text(item, "the name of a tool", diagnostics) {
            check_tool(&name, &tools, diagnostics);
            tools.push(name);
        }
    }
    Some(ModuleKind::React {
        tools: tools.into_iter().map(|tool| tool.value).collect(),
        max_steps: max_steps.unwrap_or(MAX_STEPS),
    })
}

/// Names that all providers take for tools.
fn check_tool(name: &Spanned<String>, before: &[Spanned<String>], diagnostics: &mut Diagnostics) {
    let legal = (1..=LONGEST_NAME).contains(&name.value.len())
        && name
            .value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if !legal || name.value == FINISH {
        let label = if legal {
            "this is how the LM says that it is done"
        } else {
            "names of tools are up to 64 ASCII letters, digits, `_` and `-`"
        };
        diagnostics
            .error(
                Code::InvalidName,
                name.span,
                format!("a tool cannot be called `{name}`"),
            )
            .label(label);
    } else if let Some(first) = before.iter().find(|first| first.value == name.value) {
        diagnostics
            .error(
                Code::Duplicate,
                name.span,
                format!("the tool `{name}` is there twice"),
            )
            .label("once is enough")
            .also(first.span, "the first one");
    }
}

fn size(
    map: Option<&mut MapReader<'_>>,
    key: &'static str,
    range: (u32, u32),
    diagnostics: &mut Diagnostics,
) -> Option<u32> {
    let node = map?.optional(key)?;
    let size = yaml::size(node, format_args!("`{key}`"), diagnostics)?;
    in_range(&size, range, key, diagnostics)
}
