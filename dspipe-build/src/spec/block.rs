//! Members of a workflow that are no steps themselves: loops with a body of steps, and calls of workflows.

use super::{Condition, Step, optional_text};
use crate::diag::{Code, Diagnostics};
use crate::source::{Span, Spanned};
use crate::yaml::{self, Kind, MapReader, Node};

/// Deeper loops than this are not written by people.
const MAX_DEPTH: usize = 8;

/// Rounds at the same time, where `parallel: true` is all that is said.
const AT_ONCE: u32 = 4;

/// Rounds of a loop with a condition, where nothing is said, and at most.
const ITERATIONS: u32 = 100;
const MOST_ITERATIONS: u32 = 1000;

/// More rounds at the same time than this are more than any provider takes.
const MOST_AT_ONCE: u32 = 1000;

/// The steps and blocks of a workflow, those in bodies included.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// In the order of the file.
    pub(crate) steps: Vec<Step>,
    /// In the order of the file; a block before those inside of it.
    pub(crate) blocks: Vec<Block>,
    /// Those that are in no block.
    pub(crate) top: Vec<Member>,
}

/// A member of a workflow or of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    Step(usize),
    Block(usize),
}

/// A loop or a call as written.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) name: Spanned<String>,
    /// The block whose body it is in.
    pub(crate) within: Option<usize>,
    pub(crate) description: Option<Spanned<String>>,
    /// It runs only if this holds.
    pub(crate) condition: Option<Condition>,
    pub(crate) depends_on: Vec<Spanned<String>>,
    pub(crate) members: Vec<Member>,
    pub(crate) kind: BlockKind,
}

#[derive(Debug)]
pub(crate) enum BlockKind {
    For(ForLoop),
    While(WhileLoop),
    Call(Call),
}

/// `while_loop`.
#[derive(Debug)]
pub(crate) struct WhileLoop {
    /// `None`: missing or unreadable, and reported.
    pub(crate) condition: Option<Condition>,
    pub(crate) max_iterations: u32,
}

/// `pipeline`.
#[derive(Debug)]
pub(crate) struct Call {
    /// `None`: missing or unreadable, and reported.
    pub(crate) file: Option<Spanned<String>>,
    /// Names and templates.
    pub(crate) inputs: Vec<(Spanned<String>, Spanned<String>)>,
}

/// `for_loop`.
#[derive(Debug)]
pub(crate) struct ForLoop {
    pub(crate) iterator: Spanned<String>,
    /// `None`: missing or unreadable, and reported.
    pub(crate) data_source: Option<Spanned<String>>,
    /// How many rounds run at the same time.
    pub(crate) at_once: u32,
    pub(crate) break_condition: Option<Condition>,
}

impl Members {
    /// Reads a list of steps and blocks; `within` is the block that it is the body of.
    pub(crate) fn read(
        &mut self,
        items: &[Node],
        within: Option<usize>,
        depth: usize,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Member> {
        let mut members = Vec::with_capacity(items.len());
        for node in items {
            let member = match Type::of(node) {
                Some(ty) => self.block(node, ty, within, depth, diagnostics),
                None => Step::read(node, diagnostics).map(|mut step| {
                    step.within = within;
                    self.steps.push(step);
                    Member::Step(self.steps.len() - 1)
                }),
            };
            members.extend(member);
        }
        members
    }

    fn block(
        &mut self,
        node: &Node,
        ty: Type,
        within: Option<usize>,
        depth: usize,
        diagnostics: &mut Diagnostics,
    ) -> Option<Member> {
        let mut map = MapReader::new(node, ty.what(), diagnostics)?;
        map.point_at(Span {
            end: node.span.start + 1,
            ..node.span
        });
        let name = map.required("name", diagnostics).and_then(|node| {
            yaml::text(
                node,
                format_args!("the `name` of {}", ty.what()),
                diagnostics,
            )
        });
        let what = name.as_ref().map(|name| match ty {
            Type::Call => format!("call `{name}`"),
            _ => format!("loop `{name}`"),
        });
        if let (Some(name), Some(what)) = (&name, &what) {
            map.rename(what);
            map.point_at(name.span);
        }
        map.optional("type");
        let description = optional_text(&mut map, "description", diagnostics);
        let depends_on = map
            .optional("depends_on")
            .map(|node| super::step::names(node, diagnostics))
            .unwrap_or_default();
        let condition = match ty {
            // It is the loop's own: where it does not hold at first, there is no round.
            Type::While => None,
            _ => map
                .optional("condition")
                .and_then(|node| Condition::read(node, diagnostics)),
        };
        let kind = match ty {
            Type::For => BlockKind::For(ForLoop::read(&mut map, diagnostics)),
            Type::While => BlockKind::While(WhileLoop::read(&mut map, diagnostics)),
            Type::Call => BlockKind::Call(Call::read(&mut map, diagnostics)),
        };
        let body = match ty {
            Type::Call => None,
            _ => map.required("steps", diagnostics),
        };
        let body = body.and_then(|node| {
            let items = yaml::list(node, "`steps` of a loop", diagnostics)?;
            if items.is_empty() {
                diagnostics
                    .error(Code::MissingKey, node.span, "the loop has no steps")
                    .label("at least one step is needed");
            }
            Some((node.span, items))
        });
        map.finish(diagnostics);
        // Its own place comes before those of the blocks in it.
        let index = self.blocks.len();
        self.blocks.push(Block {
            name: name?,
            within,
            description,
            condition,
            depends_on,
            members: Vec::new(),
            kind,
        });
        if let Some((span, items)) = body {
            if depth == MAX_DEPTH {
                diagnostics
                    .error(Code::TooLarge, span, "loops that are nested too deeply")
                    .label(format!("more than {MAX_DEPTH} of them"));
            } else {
                let members = self.read(items, Some(index), depth + 1, diagnostics);
                if let Some(block) = self.blocks.get_mut(index) {
                    block.members = members;
                }
            }
        }
        Some(Member::Block(index))
    }
}

/// The types of blocks.
#[derive(Clone, Copy)]
enum Type {
    For,
    While,
    Call,
}

impl Type {
    const NAMES: [(&'static str, Self); 3] = [
        ("for_loop", Self::For),
        ("while_loop", Self::While),
        ("pipeline", Self::Call),
    ];

    fn what(self) -> &'static str {
        match self {
            Self::For | Self::While => "a loop",
            Self::Call => "a call",
        }
    }

    /// That of a node, if it is a block.
    fn of(node: &Node) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            return None;
        };
        let (_, ty) = entries.iter().find(|(key, _)| key.text == "type")?;
        let Kind::Scalar { text, .. } = &ty.kind else {
            return None;
        };
        let mut names = Self::NAMES.iter();
        names
            .find(|(name, _)| name == text)
            .map(|(_, found)| *found)
    }
}

/// The types of blocks, for suggestions.
pub(super) fn type_names() -> impl Iterator<Item = &'static str> {
    Type::NAMES.iter().map(|(name, _)| *name)
}

/// Keys that pipelines elsewhere have, with what to do instead.
fn refused(map: &mut MapReader<'_>, keys: &[(&'static str, &str)], diagnostics: &mut Diagnostics) {
    for &(key, instead) in keys {
        if let Some((span, _)) = map.entry(key) {
            diagnostics
                .error(
                    Code::Unsupported,
                    span,
                    format!("`{key}` of {} is not supported", map.what()),
                )
                .label("not supported")
                .help(instead);
        }
        map.forget(&[key]);
    }
}

impl WhileLoop {
    fn read(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Self {
        let condition = map
            .required("condition", diagnostics)
            .and_then(|node| Condition::read(node, diagnostics));
        let limit = map
            .optional("max_iterations")
            .and_then(|node| yaml::size(node, "`max_iterations`", diagnostics));
        let limit = limit.unwrap_or_else(|| Spanned::new(ITERATIONS, map.span()));
        if !(1..=MOST_ITERATIONS).contains(&limit.value) {
            diagnostics
                .error(
                    Code::InvalidSetting,
                    limit.span,
                    format!("`max_iterations` is {limit}"),
                )
                .label(format!("expected 1 to {MOST_ITERATIONS}"));
        }
        Self {
            condition,
            max_iterations: limit.value,
        }
    }
}

impl Call {
    fn read(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Self {
        let keys = [
            (
                "pipeline",
                "write the workflow into a file of its own, and name it in `pipeline_file`",
            ),
            ("pipeline_ref", "name the file in `pipeline_file`"),
            (
                "outputs",
                "all outputs are there, as `steps.<call>.<step>.<field>`",
            ),
            (
                "config",
                "a called workflow has the settings of its own file",
            ),
        ];
        refused(map, &keys, diagnostics);
        let file = map
            .required("pipeline_file", diagnostics)
            .and_then(|node| yaml::text(node, "`pipeline_file`", diagnostics));
        let mut inputs = Vec::new();
        match map.optional("inputs") {
            Some(Node {
                kind: Kind::Map(entries),
                ..
            }) => {
                for (key, value) in entries {
                    let what = format_args!("the input `{}`", key.text);
                    if let Some(text) = yaml::text(value, what, diagnostics) {
                        inputs.push((Spanned::new(key.text.clone(), key.span), text));
                    }
                }
            }
            // Says what is wrong.
            Some(node) => _ = MapReader::new(node, "`inputs` of a call", diagnostics),
            None => {}
        }
        Self { file, inputs }
    }
}

impl ForLoop {
    fn read(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Self {
        let keys = [
            (
                "batch_size",
                "`max_parallel` says how many rounds run at the same time",
            ),
            (
                "break_on_error",
                "the first error always ends a loop, and the workflow with it",
            ),
            (
                "continue_condition",
                "give the steps of the loop a `condition`",
            ),
        ];
        refused(map, &keys, diagnostics);
        let iterator = map
            .optional("iterator")
            .and_then(|node| yaml::text(node, "`iterator`", diagnostics))
            .unwrap_or_else(|| Spanned::new("item".to_owned(), map.span()));
        let data_source = map
            .required("data_source", diagnostics)
            .and_then(|node| yaml::text(node, "`data_source`", diagnostics));
        let parallel = map
            .optional("parallel")
            .and_then(|node| yaml::boolean(node, "`parallel`", diagnostics));
        let limit = map
            .optional("max_parallel")
            .and_then(|node| yaml::size(node, "`max_parallel`", diagnostics));
        let break_at = map.entry("break_condition");
        let break_condition = break_at.and_then(|(_, node)| Condition::read(node, diagnostics));
        if let Some(limit) = &limit {
            if !(1..=MOST_AT_ONCE).contains(&limit.value) {
                diagnostics
                    .error(
                        Code::InvalidSetting,
                        limit.span,
                        format!("`max_parallel` is {limit}"),
                    )
                    .label(format!("expected 1 to {MOST_AT_ONCE}"));
            }
            if let Some(parallel) = parallel.as_ref().filter(|it| !it.value && limit.value > 1) {
                diagnostics
                    .error(
                        Code::InvalidSetting,
                        limit.span,
                        "rounds at the same time where `parallel` is `false`",
                    )
                    .label("more than one at a time")
                    .also(parallel.span, "one after the other")
                    .help("remove one of the two");
            }
        }
        let at_once = match (&parallel, &limit) {
            (_, Some(limit)) => limit.value.clamp(1, MOST_AT_ONCE),
            (Some(parallel), None) if parallel.value => AT_ONCE,
            _ => 1,
        };
        if let Some((span, _)) = break_at
            && at_once > 1
        {
            let diagnostic = diagnostics.error(
                Code::InvalidSetting,
                span,
                "`break_condition` in a loop whose rounds run at the same time",
            );
            diagnostic.label("which rounds it would spare depends on chance");
            let place = limit.as_ref().map(|it| it.span);
            if let Some(place) = place.or(parallel.as_ref().map(|it| it.span)) {
                diagnostic.also(place, "at the same time because of this");
            }
            diagnostic.help("remove one of the two");
        }
        Self {
            iterator,
            data_source,
            at_once,
            break_condition,
        }
    }
}
