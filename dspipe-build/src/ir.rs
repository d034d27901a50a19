//! The checked workflow. What exists here is correct: `emit` cannot fail on it.

use serde_json::Value;

use crate::check::Checked;

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
    pub(crate) plan: Plan,
    #[expect(dead_code, reason = "its existence is the point")]
    pub(crate) checked: Checked,
}

/// A name as written and as a Rust identifier (raw or suffixed where it is a keyword).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) ident: String,
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
    pub(crate) lm: Option<String>,
    pub(crate) temperature: Option<f64>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) inputs: Vec<BoundField>,
    pub(crate) outputs: Vec<Field>,
    pub(crate) types: Vec<TypeDef>,
    pub(crate) demos: Vec<Demo>,
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
}

/// Where an input field's value comes from.
#[derive(Debug)]
pub(crate) enum Binding {
    /// One value, its type kept.
    Path(Path),
    /// Text with values in it.
    Text(Vec<Piece>),
}

/// A piece of a text template.
#[derive(Debug)]
pub(crate) enum Piece {
    Literal(String),
    Value(Path),
}

/// A value that is there when the step starts.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) root: Root,
    /// Fields to go down, as Rust identifiers.
    pub(crate) fields: Vec<String>,
    pub(crate) ty: Type,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// A workflow input, by index.
    Input(usize),
    /// A step's output, by index of the step.
    Step(usize),
}

/// A type and the limits that replies are held to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Type {
    pub(crate) kind: TypeKind,
    pub(crate) bounds: Bounds,
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
    /// The type could not be made out. Only in workflows that have errors, where it
    /// keeps one mistake from being reported many times.
    Broken,
}

/// A generated type: of which step, and which of its types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypeRef {
    pub(crate) step: usize,
    pub(crate) index: usize,
}

/// Limits on a value, as in JSON Schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    pub(crate) min_length: Option<u32>,
    pub(crate) max_length: Option<u32>,
    pub(crate) min_items: Option<u32>,
    pub(crate) max_items: Option<u32>,
}

/// A struct or enum to generate.
#[derive(Debug)]
pub(crate) struct TypeDef {
    pub(crate) ident: String,
    pub(crate) description: String,
    pub(crate) source: String,
    pub(crate) kind: TypeDefKind,
}

#[derive(Debug)]
pub(crate) enum TypeDefKind {
    Struct(Vec<Field>),
    Enum(Vec<Name>),
}

/// A labelled example that the prompt shows.
#[derive(Debug)]
pub(crate) struct Demo {
    /// In the order of the signature's fields.
    pub(crate) inputs: Vec<(String, Value)>,
    pub(crate) output: Value,
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

impl Type {
    pub(crate) fn new(kind: TypeKind) -> Self {
        Self {
            kind,
            bounds: Bounds::default(),
        }
    }

    pub(crate) fn broken() -> Self {
        Self::new(TypeKind::Broken)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.kind == TypeKind::Broken
    }
}

impl Workflow {
    pub(crate) fn type_def(&self, reference: TypeRef) -> &TypeDef {
        &self.steps[reference.step].types[reference.index]
    }
}
