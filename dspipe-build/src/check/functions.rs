//! The functions and filters of expressions: their names and types.

use super::exprs::Here;
use super::templates::Binder;
use crate::diag::Code;
use crate::expr::{Kind, Node};
use crate::ir::{Expr, ExprKind, Function, Root, Type, TypeKind};

/// Every name, other spellings included.
const NAMES: [(&str, Named); 41] = [
    ("length", Named::Function(Function::Length)),
    ("count", Named::Function(Function::Length)),
    ("is_empty", Named::IsEmpty),
    ("isEmpty", Named::IsEmpty),
    ("contains", Named::Contains),
    ("lower", Named::Function(Function::Lower)),
    ("toLowerCase", Named::Function(Function::Lower)),
    ("upper", Named::Function(Function::Upper)),
    ("toUpperCase", Named::Function(Function::Upper)),
    ("trim", Named::Function(Function::Trim)),
    ("starts_with", Named::Function(Function::StartsWith)),
    ("startsWith", Named::Function(Function::StartsWith)),
    ("ends_with", Named::Function(Function::EndsWith)),
    ("endsWith", Named::Function(Function::EndsWith)),
    ("replace", Named::Function(Function::Replace)),
    ("truncate", Named::Function(Function::Truncate)),
    ("join", Named::Function(Function::Join)),
    ("json", Named::Function(Function::Json)),
    ("default", Named::Function(Function::Default)),
    ("first", Named::Function(Function::First)),
    ("last", Named::Function(Function::Last)),
    ("round", Named::Function(Function::Round)),
    ("floor", Named::Function(Function::Floor)),
    ("ceil", Named::Function(Function::Ceil)),
    ("abs", Named::Function(Function::Abs)),
    ("sum", Named::Function(Function::Sum)),
    ("average", Named::Function(Function::Average)),
    ("min", Named::Function(Function::Min)),
    ("max", Named::Function(Function::Max)),
    ("map", Named::Map),
    // What pipelines elsewhere have and this language has not, with what to do instead.
    ("any", Named::Instead("compare the values one by one")),
    ("all", Named::Instead("compare the values one by one")),
    (
        "now",
        Named::Instead("make the time an input of the workflow"),
    ),
    (
        "days",
        Named::Instead("make the time an input of the workflow"),
    ),
    (
        "hours",
        Named::Instead("make the time an input of the workflow"),
    ),
    (
        "minutes",
        Named::Instead("make the time an input of the workflow"),
    ),
    (
        "seconds",
        Named::Instead("make the time an input of the workflow"),
    ),
    ("sqrt", Named::Instead("compare with the square")),
    ("pow", Named::Instead("multiply")),
    ("matches", Named::Instead("write `text matches 'pattern'`")),
    ("between", Named::Instead("write `x between 1 and 5`")),
];

#[derive(Clone, Copy)]
enum Named {
    Function(Function),
    /// Which one depends on the type.
    Contains,
    IsEmpty,
    Map,
    Instead(&'static str),
}

impl Binder<'_> {
    /// The type of a call.
    pub(super) fn call(
        &mut self,
        here: &Here<'_>,
        name: &str,
        at: &std::ops::Range<usize>,
        arguments: &[Node<'_>],
        expected: Option<&Type>,
    ) -> Option<Expr> {
        let Some((_, named)) = NAMES.iter().find(|(known, _)| *known == name) else {
            let span = here.span(self.sources, at);
            let known = NAMES
                .iter()
                .filter(|(_, named)| !matches!(named, Named::Instead(_)))
                .map(|(name, _)| *name);
            self.diagnostics
                .error(
                    Code::InvalidCall,
                    span,
                    format!("there is no function `{name}`"),
                )
                .label("unknown function")
                .meant(span, name, known);
            return None;
        };
        let arity = match named {
            Named::Instead(instead) => {
                let span = here.span(self.sources, at);
                self.diagnostics
                    .error(
                        Code::InvalidCall,
                        span,
                        format!("`{name}` is not a function here"),
                    )
                    .label("not supported")
                    .help(*instead);
                return None;
            }
            Named::Contains | Named::Map => 2,
            Named::IsEmpty => 1,
            Named::Function(function) => arity(*function),
        };
        if arguments.len() != arity {
            let span = here.span(self.sources, at);
            let found = arguments.len();
            self.diagnostics
                .error(
                    Code::InvalidCall,
                    span,
                    format!("`{name}` takes {}, not {found}", count(arity)),
                )
                .label(format!("expected {}", count(arity)))
                .help("in `x | f(y)`, `x` is the first");
            return None;
        }
        match named {
            Named::Contains => self.contains(here, &arguments[0], &arguments[1]),
            Named::Map => self.each(here, &arguments[0], &arguments[1]),
            Named::IsEmpty => {
                let length = self.function(here, Function::Length, name, arguments, None)?;
                let zero = integer(0);
                Some(Expr {
                    ty: Type::new(TypeKind::Boolean),
                    kind: ExprKind::Compare(
                        crate::ir::Comparison::Equal,
                        Box::new(length),
                        Box::new(zero),
                    ),
                })
            }
            Named::Function(function) => self.function(here, *function, name, arguments, expected),
            Named::Instead(_) => None,
        }
    }

    /// `value contains part`: in a text, a list or a map.
    pub(super) fn contains(
        &mut self,
        here: &Here<'_>,
        whole: &Node<'_>,
        part: &Node<'_>,
    ) -> Option<Expr> {
        let value = self.operand(here, whole, None)?;
        let (function, part) = match &value.ty.kind {
            TypeKind::String | TypeKind::Enum(_) => {
                (Function::TextContains, self.text(here, part)?)
            }
            TypeKind::List(item) => {
                let item = (**item).clone();
                let found = self.operand(here, part, Some(&item))?;
                let found = self.comparable(here, part, found, &item)?;
                (Function::ListContains, found)
            }
            TypeKind::Map(_) | TypeKind::Object => (Function::HasKey, self.text(here, part)?),
            TypeKind::Broken => return None,
            _ => {
                self.wrong_operand(here, whole, &value.ty, "a text, a list or a map");
                return None;
            }
        };
        Some(boolean(ExprKind::Call(function, vec![value, part])))
    }

    fn function(
        &mut self,
        here: &Here<'_>,
        function: Function,
        name: &str,
        arguments: &[Node<'_>],
        expected: Option<&Type>,
    ) -> Option<Expr> {
        if function == Function::Default {
            return self.default(here, &arguments[0], &arguments[1], expected);
        }
        let value = self.operand(here, &arguments[0], None)?;
        if value.ty.is_broken() {
            return None;
        }
        let mut call = vec![value];
        let ty = match function {
            Function::Length => {
                let fits = matches!(
                    call[0].ty.kind,
                    TypeKind::String
                        | TypeKind::Enum(_)
                        | TypeKind::List(_)
                        | TypeKind::Map(_)
                        | TypeKind::Object
                );
                if !fits {
                    let ty = call[0].ty.clone();
                    self.wrong_operand(here, &arguments[0], &ty, "a text, a list or a map");
                    return None;
                }
                TypeKind::Integer
            }
            Function::Lower | Function::Upper | Function::Trim => {
                self.must_be_text(here, &arguments[0], &call[0])?;
                TypeKind::String
            }
            Function::StartsWith | Function::EndsWith => {
                self.must_be_text(here, &arguments[0], &call[0])?;
                call.push(self.text(here, &arguments[1])?);
                TypeKind::Boolean
            }
            Function::Replace => {
                self.must_be_text(here, &arguments[0], &call[0])?;
                call.push(self.text(here, &arguments[1])?);
                call.push(self.text(here, &arguments[2])?);
                TypeKind::String
            }
            Function::Truncate => {
                self.must_be_text(here, &arguments[0], &call[0])?;
                let length = self.operand(here, &arguments[1], None)?;
                if length.ty.kind != TypeKind::Integer {
                    self.wrong_operand(here, &arguments[1], &length.ty, "a number of characters");
                    return None;
                }
                call.push(length);
                TypeKind::String
            }
            Function::Join => {
                let is_texts = matches!(&call[0].ty.kind, TypeKind::List(item)
                    if matches!(item.kind, TypeKind::String | TypeKind::Enum(_) | TypeKind::Any
                        | TypeKind::Integer | TypeKind::Number | TypeKind::Boolean));
                if !is_texts {
                    let ty = call[0].ty.clone();
                    self.wrong_operand(here, &arguments[0], &ty, "a list of texts or numbers");
                    return None;
                }
                call.push(self.text(here, &arguments[1])?);
                TypeKind::String
            }
            Function::Json => TypeKind::String,
            Function::First | Function::Last => self.end_of_list(here, &arguments[0], &call[0])?,
            Function::Round | Function::Floor | Function::Ceil => {
                self.must_be_number(here, &arguments[0], &call[0])?;
                call[0] = float(call.remove(0));
                TypeKind::Integer
            }
            Function::Abs => {
                self.must_be_number(here, &arguments[0], &call[0])?;
                call[0].ty.kind.clone()
            }
            Function::Sum | Function::Average | Function::Min | Function::Max => {
                self.of_numbers(here, function, &arguments[0], &call[0])?
            }
            Function::TextContains
            | Function::ListContains
            | Function::HasKey
            | Function::Default => {
                let span = here.span(self.sources, &arguments[0].range);
                self.diagnostics.error(
                    Code::InvalidCall,
                    span,
                    format!("`{name}` cannot be called"),
                );
                return None;
            }
        };
        Some(Expr {
            ty: Type::new(ty),
            kind: ExprKind::Call(function, call),
        })
    }

    /// `list | map('a.b')`: what the same path leads to in each item.
    fn each(&mut self, here: &Here<'_>, list: &Node<'_>, path: &Node<'_>) -> Option<Expr> {
        let value = self.operand(here, list, None)?;
        let span = here.span(self.sources, &path.range);
        let Kind::Text(text) = &path.kind else {
            self.diagnostics
                .error(
                    Code::InvalidCall,
                    span,
                    "the path of `map` must be written out",
                )
                .label("expected a quoted path, such as `'title'`");
            return None;
        };
        let item = match &value.ty.kind {
            TypeKind::List(item) => (**item).clone(),
            TypeKind::Broken => return None,
            _ => {
                self.wrong_operand(here, list, &value.ty, "a list");
                return None;
            }
        };
        let optional = matches!(item.kind, TypeKind::Optional(_));
        let parts: Vec<&str> = text.split('.').map(str::trim).collect();
        // The root is of no matter: the hops are the same for every item.
        let found = self.descend(Root::Given, optional, Vec::new(), item, &parts, text, span)?;
        let ExprKind::Path(path) = found.kind else {
            return None;
        };
        Some(Expr {
            ty: Type::new(TypeKind::List(Box::new(found.ty))),
            kind: ExprKind::Each(Box::new(value), path),
        })
    }

    /// What `first` and `last` give.
    fn end_of_list(&mut self, here: &Here<'_>, node: &Node<'_>, list: &Expr) -> Option<TypeKind> {
        match &list.ty.kind {
            TypeKind::List(item) => Some(match &item.kind {
                TypeKind::Optional(_) => item.kind.clone(),
                _ => TypeKind::Optional(item.clone()),
            }),
            _ => {
                self.wrong_operand(here, node, &list.ty, "a list");
                None
            }
        }
    }

    /// What a function of a list of numbers gives; of an empty one most give nothing.
    fn of_numbers(
        &mut self,
        here: &Here<'_>,
        function: Function,
        node: &Node<'_>,
        list: &Expr,
    ) -> Option<TypeKind> {
        let item = match &list.ty.kind {
            TypeKind::List(item) if matches!(item.kind, TypeKind::Integer | TypeKind::Number) => {
                item.kind.clone()
            }
            _ => {
                self.wrong_operand(here, node, &list.ty, "a list of numbers");
                return None;
            }
        };
        Some(match function {
            Function::Sum => item,
            Function::Average => TypeKind::Optional(Box::new(Type::new(TypeKind::Number))),
            _ => TypeKind::Optional(Box::new(Type::new(item))),
        })
    }

    /// `value | default(other)`: what may be absent, and what stands for it then.
    fn default(
        &mut self,
        here: &Here<'_>,
        value: &Node<'_>,
        other: &Node<'_>,
        expected: Option<&Type>,
    ) -> Option<Expr> {
        let found = self.expr(here, value, None)?;
        let TypeKind::Optional(inner) = &found.ty.kind else {
            if !found.ty.is_broken() {
                let span = here.span(self.sources, &value.range);
                self.diagnostics
                    .warning(
                        Code::ConstantCondition,
                        span,
                        "a `default` that is never used",
                    )
                    .label("this value is always there");
            }
            // It still counts as what it is.
            self.expr(here, other, expected)?;
            return Some(found);
        };
        let inner = (**inner).clone();
        let instead = self.operand(here, other, Some(&inner))?;
        let instead = self.comparable(here, other, instead, &inner)?;
        Some(Expr {
            ty: inner,
            kind: ExprKind::Call(Function::Default, vec![found, instead]),
        })
    }

    /// A text, or an enum, whose values are texts.
    pub(super) fn text(&mut self, here: &Here<'_>, node: &Node<'_>) -> Option<Expr> {
        let value = self.operand(here, node, None)?;
        self.must_be_text(here, node, &value)?;
        Some(value)
    }

    fn must_be_text(&mut self, here: &Here<'_>, node: &Node<'_>, value: &Expr) -> Option<()> {
        match value.ty.kind {
            TypeKind::String | TypeKind::Enum(_) => Some(()),
            TypeKind::Broken => None,
            _ => {
                self.wrong_operand(here, node, &value.ty, "a text");
                None
            }
        }
    }

    fn must_be_number(&mut self, here: &Here<'_>, node: &Node<'_>, value: &Expr) -> Option<()> {
        match value.ty.kind {
            TypeKind::Integer | TypeKind::Number => Some(()),
            TypeKind::Broken => None,
            _ => {
                self.wrong_operand(here, node, &value.ty, "a number");
                None
            }
        }
    }

    /// A value of another type than the place asks for.
    pub(super) fn wrong_operand(
        &mut self,
        here: &Here<'_>,
        node: &Node<'_>,
        found: &Type,
        wanted: &str,
    ) {
        if found.is_broken() {
            return;
        }
        let span = here.span(self.sources, &node.range);
        let described = self.describe(found);
        let untyped = matches!(found.kind, TypeKind::Any | TypeKind::Object);
        let diagnostic = self
            .diagnostics
            .error(
                Code::TypeMismatch,
                span,
                format!("expected {wanted}, found {described}"),
            )
            .label(format!("this is {described}"));
        if untyped {
            diagnostic.help("give the field a `schema`, so that its type is known");
        } else if matches!(node.kind, Kind::Text(_)) {
            diagnostic.help("numbers and `true` stand without quotes");
        }
    }
}

fn arity(function: Function) -> usize {
    match function {
        Function::Replace => 3,
        Function::TextContains
        | Function::ListContains
        | Function::HasKey
        | Function::StartsWith
        | Function::EndsWith
        | Function::Truncate
        | Function::Join
        | Function::Default => 2,
        _ => 1,
    }
}

fn count(arity: usize) -> String {
    match arity {
        1 => "1 value".to_owned(),
        other => format!("{other} values"),
    }
}

pub(super) fn boolean(kind: ExprKind) -> Expr {
    Expr {
        ty: Type::new(TypeKind::Boolean),
        kind,
    }
}

fn integer(number: i64) -> Expr {
    Expr {
        ty: Type::new(TypeKind::Integer),
        kind: ExprKind::Integer(number),
    }
}

/// An integer as a number; a number as it is.
pub(super) fn float(value: Expr) -> Expr {
    if value.ty.kind == TypeKind::Number {
        return value;
    }
    Expr {
        ty: Type::new(TypeKind::Number),
        kind: match value.kind {
            #[expect(clippy::cast_precision_loss, reason = "as Rust would read the literal")]
            ExprKind::Integer(number) => ExprKind::Number(number as f64),
            _ => ExprKind::Float(Box::new(value)),
        },
    }
}
