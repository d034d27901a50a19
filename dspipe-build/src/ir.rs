//! The checked workflow. What exists here is correct: `emit` cannot fail on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::check::Checked;
use crate::source::{Span, Spanned};

/// One workflow, names resolved and types known.
#[derive(Debug)]
pub(crate) struct Workflow {
    pub(crate) name: Name,
    pub(crate) description: String,
    /// `workflows/x.yaml:2`.
    pub(crate) source: String,
    pub(crate) inputs: Vec<Input>,
    /// In the order of the file.
    pub(crate) steps: Vec<Step>,
    /// Loops; a node is a step or, behind the steps, a block.
    pub(crate) blocks: Vec<Block>,
    /// The nodes that are in no block, in the order of the file.
    pub(crate) members: Vec<usize>,
    pub(crate) plan: Plan,
    /// All generated types; those of one module in the order in which they stand there.
    pub(crate) types: Vec<TypeDef>,
    #[expect(dead_code, reason = "its existence is the point")]
    pub(crate) checked: Checked,
}

/// A name as written and as a Rust identifier (raw or suffixed where it is a keyword).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) ident: String,
}

impl Name {
    /// That of something that is called like this in Rust, too.
    pub(crate) fn of(name: &str) -> Self {
        Self {
            text: name.to_owned(),
            ident: name.to_owned(),
        }
    }
}

/// A value that the workflow's caller supplies.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) field: Field,
    /// How many steps take it, by itself or inside a text.
    pub(crate) uses: usize,
}

/// One step and the types of its fields.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: Name,
    pub(crate) description: String,
    pub(crate) source: String,
    pub(crate) instructions: String,
    pub(crate) adapter: Adapter,
    pub(crate) lm: Option<String>,
    pub(crate) temperature: Option<f64>,
    pub(crate) max_tokens: Option<u32>,
    /// Its output can be had while it comes.
    pub(crate) streams: bool,
    /// The LM and its fallbacks, with the parameters of this step; empty where the name says all.
    pub(crate) lms: Vec<Lm>,
    /// The step runs only if this holds; its output is then an `Option`.
    pub(crate) guard: Option<Guard>,
    /// Steps that must have ended before this one starts, for whatever reason.
    pub(crate) after: Vec<usize>,
    pub(crate) inputs: Vec<BoundField>,
    pub(crate) outputs: Vec<Field>,
    pub(crate) checks: Vec<Check>,
    pub(crate) module: Module,
    pub(crate) demos: Vec<Demo>,
    /// What optimizers found, one for each LM.
    pub(crate) optimized: Vec<Prompt>,
}

/// A part of the control flow with steps inside.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) name: Name,
    pub(crate) description: String,
    pub(crate) source: String,
    /// As that of a step.
    pub(crate) guard: Option<Guard>,
    /// As those of a step.
    pub(crate) after: Vec<usize>,
    /// The nodes of its body, in the order of the file.
    pub(crate) members: Vec<usize>,
    /// That of its body.
    pub(crate) plan: Plan,
    /// What it gives, where it runs.
    pub(crate) ty: Type,
    pub(crate) kind: BlockKind,
}

#[derive(Debug)]
pub(crate) enum BlockKind {
    For(ForLoop),
    While(WhileLoop),
    Call(Call),
}

/// The body as long as something holds.
#[derive(Debug)]
pub(crate) struct WhileLoop {
    /// What must hold for another round.
    pub(crate) tests: Vec<Expr>,
    /// At most so many rounds.
    pub(crate) limit: u32,
    pub(crate) round: TypeRef,
}

/// A call of another workflow.
#[derive(Debug)]
pub(crate) struct Call {
    /// `None`: it has errors, which are reported.
    pub(crate) workflow: Option<Arc<Workflow>>,
    /// The node whose module has the code of the workflow: the first one that calls it.
    pub(crate) owner: usize,
    pub(crate) inputs: Vec<CallInput>,
}

/// An input of a workflow that is called.
#[derive(Debug)]
pub(crate) struct CallInput {
    pub(crate) name: Name,
    /// Its type in the called workflow is an `Option`, and its value is none.
    pub(crate) wrapped: bool,
    pub(crate) value: Passed,
}

/// How a value comes into a workflow that is called.
#[derive(Debug)]
pub(crate) enum Passed {
    /// As it is.
    Same(Binding),
    /// Read anew: it has the form of the input, and another type of Rust.
    Read(Binding),
    /// The default of the input.
    Default(Value),
    Nothing,
}

/// The body once for each item of a list.
#[derive(Debug)]
pub(crate) struct ForLoop {
    pub(crate) items: Expr,
    pub(crate) item: Name,
    pub(crate) item_type: Type,
    /// Rounds at the same time; 1 is one after the other.
    pub(crate) at_once: u32,
    /// Ends the loop behind a round for which all of these hold.
    pub(crate) until: Vec<Expr>,
}

/// An LM as a step asks it.
#[derive(Debug, Default)]
pub(crate) struct Lm {
    /// Its name under `lms`; empty for one that is not there.
    pub(crate) alias: String,
    /// `provider/model`.
    pub(crate) name: String,
    pub(crate) base_url: Option<String>,
    /// The runtime's name of the wire format.
    pub(crate) api: Option<&'static str>,
    pub(crate) api_key_env: Option<String>,
    /// In seconds, as the two others.
    pub(crate) timeout: Option<f64>,
    pub(crate) connect_timeout: Option<f64>,
    pub(crate) read_timeout: Option<f64>,
    pub(crate) max_concurrency: Option<u32>,
    pub(crate) requests_per_minute: Option<u32>,
    pub(crate) tokens_per_minute: Option<u32>,
    pub(crate) temperature: Option<f64>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) seed: Option<u64>,
    pub(crate) price: Option<LmPrice>,
}

/// US dollars per million tokens.
#[derive(Debug)]
pub(crate) struct LmPrice {
    pub(crate) input: f64,
    pub(crate) cached_input: Option<f64>,
    pub(crate) cache_write: Option<f64>,
    pub(crate) output: f64,
}

/// Whose prompts are rendered; those of DSPy are named as in the runtime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Adapter {
    #[default]
    Dspipe,
    DspyChat,
    DspyJson,
}

/// What must hold for a step to run.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Conditional steps that must have run; their outputs are there for the tests and the inputs.
    pub(crate) ran: Vec<usize>,
    /// Booleans that must all be true.
    pub(crate) tests: Vec<Expr>,
    /// The condition as it is written, on one line.
    pub(crate) text: String,
}

/// What should hold for the output of a step.
#[derive(Debug)]
pub(crate) struct Check {
    /// The expression, where it has no name.
    pub(crate) name: String,
    /// As it is written, on one line.
    pub(crate) expression: String,
    pub(crate) message: String,
    pub(crate) is_assert: bool,
    /// A boolean over the step's own fields.
    pub(crate) test: Expr,
}

/// How a step comes to its output.
#[derive(Debug)]
pub(crate) enum Module {
    Predict,
    BestOfN(Best),
    Refine(Best),
    Majority {
        n: u32,
        /// An output field.
        field: String,
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
    /// `None` is the share of the step's checks that hold.
    pub(crate) reward: Option<Reward>,
}

#[derive(Debug)]
pub(crate) struct Reward {
    /// As it is written, on one line.
    pub(crate) text: String,
    /// A number or a boolean over the step's own fields.
    pub(crate) value: Expr,
}

/// An input field and where its value comes from.
#[derive(Debug)]
pub(crate) struct BoundField {
    pub(crate) field: Field,
    pub(crate) binding: Binding,
}

/// A named value.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: Name,
    pub(crate) ty: Type,
    pub(crate) description: String,
    /// What stands for it where it is absent: a value of its type.
    pub(crate) default: Option<Value>,
    /// In a `Box`, because the type contains itself.
    pub(crate) boxed: bool,
    /// `sensitive: true`: kept out of recordings.
    pub(crate) sensitive: bool,
}

/// Where an input field's value comes from.
#[derive(Debug)]
pub(crate) enum Binding {
    /// One value, its type kept.
    Value(Expr),
    /// Text with values in it.
    Text(Vec<Piece>),
}

/// A piece of a text template.
#[derive(Debug)]
pub(crate) enum Piece {
    Literal(String),
    Value(Expr),
}

/// An expression that is well typed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    pub(crate) ty: Type,
    pub(crate) kind: ExprKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExprKind {
    Path(Path),
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    /// A value of an enum, by the index of its variant.
    Variant(TypeRef, usize),
    /// An integer where a number is wanted.
    Float(Box<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// Operands of one type: numbers, texts, booleans or enums.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// Whether an optional value is absent.
    Absent(Box<Expr>),
    /// Operands of one type: integers or numbers.
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    /// One of several values of one type.
    OneOf(Box<Expr>, Vec<Expr>),
    /// A text and a regular expression that compiles.
    Matches(Box<Expr>, String),
    /// What a path leads to in each item of a list; its root is the item.
    Each(Box<Expr>, Path),
    Loop(LoopValue),
    Call(Function, Vec<Expr>),
}

/// What a round of a loop knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoopValue {
    /// From 0.
    Index,
    /// How many items there are.
    Length,
    First,
    Last,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// The functions and filters of expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// Text, text.
    TextContains,
    /// List, item.
    ListContains,
    /// Map or object, key.
    HasKey,
    /// Text, list, map or object.
    Length,
    Lower,
    Upper,
    Trim,
    StartsWith,
    EndsWith,
    /// Text, what, by what.
    Replace,
    /// Text, characters.
    Truncate,
    /// List of texts, separator.
    Join,
    /// Anything.
    Json,
    /// Optional value, value.
    Default,
    First,
    Last,
    Round,
    Floor,
    Ceil,
    Abs,
    /// List of numbers.
    Sum,
    Average,
    Min,
    Max,
}

/// A value that is there when the step starts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    pub(crate) root: Root,
    /// Whether the root is there only if its step ran.
    pub(crate) root_optional: bool,
    pub(crate) hops: Vec<Hop>,
}

/// A field to go down to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hop {
    /// A Rust identifier.
    pub(crate) field: String,
    /// Whether the field is an `Option`.
    pub(crate) optional: bool,
    /// Whether its value is in a `Box`.
    pub(crate) boxed: bool,
}

impl Path {
    /// Whether something before the last field may be absent, or the last one is in a `Box`.
    pub(crate) fn is_chain(&self) -> bool {
        let before = self.hops.len().saturating_sub(1);
        self.hops.last().is_some_and(|hop| hop.boxed)
            || self.root_optional && !self.hops.is_empty()
            || self.hops[..before].iter().any(|hop| hop.optional)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// A workflow input, by index.
    Input(usize),
    /// What a node gave.
    Step(usize),
    /// The item that a round of this block, by its place among all, is for.
    Item(usize),
    /// What the round before gave, of this block.
    Last(usize),
    /// What the step itself was given; in checks and rewards only.
    Given,
    /// What the step itself gives; in checks and rewards only.
    Gives,
}

/// A type and the limits that replies are held to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Type {
    pub(crate) kind: TypeKind,
    /// Most types have none.
    bounds: Option<Box<Bounds>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TypeKind {
    String,
    Integer,
    Number,
    Boolean,
    /// Any JSON value.
    Any,
    /// Any JSON object.
    Object,
    List(Box<Type>),
    Map(Box<Type>),
    Optional(Box<Type>),
    Struct(TypeRef),
    Enum(TypeRef),
    /// One of several types, told apart by what fits.
    Union(TypeRef),
    /// An image or a document, in input fields only, by itself or optional.
    Media(MediaKind),
    /// The type could not be made out. Only in workflows that have errors, where it
    /// keeps one mistake from being reported many times.
    Broken,
}

/// What an LM can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaKind {
    Image,
    Document,
}

impl MediaKind {
    /// The name of the type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Document => "document",
        }
    }

    /// As messages call a value of it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Image => "an image",
            Self::Document => "a document",
        }
    }
}

/// A generated type, by its place in [`Workflow::types`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TypeRef(pub(crate) usize);

/// Limits on a value, as in JSON Schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_minimum: Option<f64>,
    pub(crate) exclusive_maximum: Option<f64>,
    pub(crate) multiple_of: Option<f64>,
    /// The numbers that there are; empty for any.
    pub(crate) numbers: Vec<f64>,
    /// The one boolean that there is.
    pub(crate) boolean: Option<bool>,
    pub(crate) min_length: Option<u32>,
    pub(crate) max_length: Option<u32>,
    pub(crate) min_items: Option<u32>,
    pub(crate) max_items: Option<u32>,
    pub(crate) unique_items: bool,
    /// A regular expression that compiles.
    pub(crate) pattern: Option<String>,
}

/// A struct or enum to generate.
#[derive(Debug)]
pub(crate) struct TypeDef {
    pub(crate) ident: String,
    pub(crate) home: Home,
    pub(crate) description: String,
    pub(crate) source: String,
    pub(crate) kind: TypeDefKind,
    /// The user's type that stands in its place.
    pub(crate) replacement: Option<String>,
    /// It contains itself, in a list or behind something optional.
    pub(crate) recursive: bool,
    /// It is generated otherwise, in this module of its home: with a step, or with a workflow that is called.
    pub(crate) elsewhere: Option<String>,
}

/// The module that a type stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Home {
    /// That of the workflow: a type of `types:`, or of another file.
    Workflow,
    /// That of a node.
    Step(usize),
}

#[derive(Debug, Clone)]
pub(crate) enum TypeDefKind {
    Struct(Vec<Field>),
    Enum(Vec<Variant>),
    Union(Vec<Alternative>),
}

/// A value of an enum.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Variant {
    pub(crate) name: Name,
    pub(crate) description: String,
}

/// A type of a union.
#[derive(Debug, Clone)]
pub(crate) struct Alternative {
    pub(crate) ident: String,
    pub(crate) description: String,
    pub(crate) ty: Type,
    /// In a `Box`, because the type contains itself.
    pub(crate) boxed: bool,
}

/// A labelled example that the prompt shows.
#[derive(Debug)]
pub(crate) struct Demo {
    /// In the order of the signature's fields.
    pub(crate) inputs: Vec<(String, Value)>,
    pub(crate) output: Value,
}

/// A labelled example with its place.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) span: Span,
    /// The step that it is an example of; `None` is the workflow as a whole.
    pub(crate) step: Option<usize>,
    pub(crate) inputs: Map<String, Value>,
    /// By step, what is known of its outputs.
    pub(crate) outputs: BTreeMap<usize, Map<String, Value>>,
}

impl Record {
    pub(crate) fn of_step(span: Span, step: usize, example: &Demo) -> Self {
        let output = example.output.as_object().cloned().unwrap_or_default();
        Self {
            span,
            step: Some(step),
            inputs: example.inputs.iter().cloned().collect(),
            outputs: BTreeMap::from([(step, output)]),
        }
    }

    pub(crate) fn of_workflow(
        span: Span,
        inputs: Vec<(usize, Map<String, Value>)>,
        outputs: Vec<(usize, Map<String, Value>)>,
    ) -> Self {
        let mut by_step: BTreeMap<usize, Map<String, Value>> = BTreeMap::new();
        for (step, values) in outputs {
            by_step.entry(step).or_default().extend(values);
        }
        Self {
            span,
            step: None,
            inputs: inputs.into_iter().flat_map(|(_, values)| values).collect(),
            outputs: by_step,
        }
    }
}

/// A case of a suite.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) span: Span,
    pub(crate) id: Option<Spanned<String>>,
    pub(crate) tags: Vec<String>,
    pub(crate) inputs: Map<String, Value>,
    /// By the names of steps, loops and calls, what is known of what they give.
    pub(crate) outputs: Map<String, Value>,
}

/// Instructions and demos that an optimizer found.
#[derive(Debug)]
pub(crate) struct Prompt {
    /// `provider/model`; `None` is any.
    pub(crate) lm: Option<String>,
    pub(crate) instructions: String,
    pub(crate) demos: Vec<Demo>,
}

/// In which order steps run, and which at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    Step(usize),
    /// One after the other.
    Series(Vec<Plan>),
    /// At the same time.
    Parallel(Vec<Plan>),
    /// Each as soon as what it needs is there; for what is neither of the two above.
    Graph(Vec<usize>),
}

impl Bounds {
    const NONE: Self = Self {
        minimum: None,
        maximum: None,
        exclusive_minimum: None,
        exclusive_maximum: None,
        multiple_of: None,
        numbers: Vec::new(),
        boolean: None,
        min_length: None,
        max_length: None,
        min_items: None,
        max_items: None,
        unique_items: false,
        pattern: None,
    };
}

impl Type {
    pub(crate) fn new(kind: TypeKind) -> Self {
        Self { kind, bounds: None }
    }

    pub(crate) fn bounded(kind: TypeKind, bounds: Bounds) -> Self {
        Self {
            kind,
            bounds: (bounds != Bounds::default()).then(|| Box::new(bounds)),
        }
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        const NONE: &Bounds = &Bounds::NONE;
        self.bounds.as_deref().unwrap_or(NONE)
    }

    /// The same type, the generated ones of which stand so many places further behind.
    pub(crate) fn shifted(&self, by: usize) -> Self {
        let inner = |ty: &Self| Box::new(ty.shifted(by));
        let kind = match &self.kind {
            TypeKind::List(ty) => TypeKind::List(inner(ty)),
            TypeKind::Map(ty) => TypeKind::Map(inner(ty)),
            TypeKind::Optional(ty) => TypeKind::Optional(inner(ty)),
            TypeKind::Struct(TypeRef(at)) => TypeKind::Struct(TypeRef(at + by)),
            TypeKind::Enum(TypeRef(at)) => TypeKind::Enum(TypeRef(at + by)),
            TypeKind::Union(TypeRef(at)) => TypeKind::Union(TypeRef(at + by)),
            other => other.clone(),
        };
        Self {
            kind,
            bounds: self.bounds.clone(),
        }
    }

    pub(crate) fn broken() -> Self {
        Self::new(TypeKind::Broken)
    }

    /// The kind, if it is an image or a document, which may be absent.
    pub(crate) fn media(&self) -> Option<MediaKind> {
        match &self.kind {
            TypeKind::Media(kind) => Some(*kind),
            TypeKind::Optional(inner) => inner.media(),
            _ => None,
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.kind == TypeKind::Broken
    }
}

impl Workflow {
    pub(crate) fn type_def(&self, reference: TypeRef) -> &TypeDef {
        &self.types[reference.0]
    }

    /// The block that a node is.
    pub(crate) fn block_at(&self, node: usize) -> Option<&Block> {
        self.blocks.get(node.checked_sub(self.steps.len())?)
    }

    pub(crate) fn name_of(&self, node: usize) -> &Name {
        match self.block_at(node) {
            Some(block) => &block.name,
            None => &self.steps[node].name,
        }
    }

    pub(crate) fn guard_of(&self, node: usize) -> Option<&Guard> {
        match self.block_at(node) {
            Some(block) => block.guard.as_ref(),
            None => self.steps[node].guard.as_ref(),
        }
    }
}
