//! Members of a workflow that are no steps themselves: loops with a body of steps.

use super::{Condition, Step, optional_text};
use crate::diag::{Code, Diagnostics};
use crate::source::{Span, Spanned};
use crate::yaml::{self, Kind, MapReader, Node};

/// Deeper loops than this are not written by people.
const MAX_DEPTH: usize = 8;

/// Rounds at the same time, where `parallel: true` is all that is said.
const AT_ONCE: u32 = 4;

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

/// A loop as written.
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
        let mut map = MapReader::new(node, "a loop", diagnostics)?;
        map.point_at(Span {
            end: node.span.start + 1,
            ..node.span
        });
        let name = map
            .required("name", diagnostics)
            .and_then(|node| yaml::text(node, "a loop's `name`", diagnostics));
        let what = name.as_ref().map(|name| format!("loop `{name}`"));
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
        let condition = map
            .optional("condition")
            .and_then(|node| Condition::read(node, diagnostics));
        let kind = match ty {
            Type::For => BlockKind::For(ForLoop::read(&mut map, diagnostics)),
        };
        let body = map.required("steps", diagnostics).and_then(|node| {
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
}

impl Type {
    const NAMES: [(&'static str, Self); 1] = [("for_loop", Self::For)];

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

impl ForLoop {
    fn read(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Self {
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
