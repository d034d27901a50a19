//! The types of expressions.

use std::ops::Range;

use super::functions::{boolean, float};
use super::templates::Binder;
use crate::diag::Code;
use crate::expr::{self, Kind, Node, Operator};
use crate::ir::{Arithmetic, Comparison, Expr, ExprKind, Type, TypeDefKind, TypeKind};
use crate::source::{Sources, Span};
use crate::yaml::locate_part;

/// An expression's text, where it stands, and the step it is for.
pub(super) struct Here<'a> {
    pub(super) step: usize,
    pub(super) text: &'a str,
    pub(super) around: Span,
}

impl Here<'_> {
    pub(super) fn span(&self, sources: &Sources, part: &Range<usize>) -> Span {
        locate_part(sources, self.around, self.text, part.clone())
    }
}

impl Binder<'_> {
    /// Reads an expression; what is wrong with its form is reported.
    pub(super) fn parse<'t>(&mut self, here: &Here<'t>) -> Option<Node<'t>> {
        match expr::parse(here.text) {
            Ok(node) => Some(node),
            Err(error) => {
                let span = here.span(self.sources, &error.range);
                self.diagnostics
                    .error(
                        Code::InvalidTemplate,
                        span,
                        format!("`{}` is not an expression", here.text),
                    )
                    .label(error.message);
                None
            }
        }
    }

    /// An expression of any type. A text where an enum is expected is one of its values.
    pub(super) fn expr(
        &mut self,
        here: &Here<'_>,
        node: &Node<'_>,
        expected: Option<&Type>,
    ) -> Option<Expr> {
        let of = |kind, value| {
            Some(Expr {
                ty: Type::new(kind),
                kind: value,
            })
        };
        match &node.kind {
            Kind::Path(parts) => {
                let span = here.span(self.sources, &node.range);
                let value = self.path(here.step, parts, span)?;
                if let Some(kind) = value.ty.media().filter(|_| !self.whole) {
                    self.diagnostics
                        .error(
                            Code::MisplacedMedia,
                            span,
                            format!("{} is passed on whole, and no part of anything", kind.words()),
                        )
                        .label("this is no text, nor can it be computed with")
                        .help(format!(
                            "give it to a field of type `{}`, with a template of nothing but this path",
                            kind.name()
                        ));
                    return None;
                }
                Some(value)
            }
            Kind::Text(text) => match expected.map(|ty| &ty.kind) {
                Some(TypeKind::Enum(_)) => self.variant(here, node, text, expected?),
                _ => of(TypeKind::String, ExprKind::Text(text.clone())),
            },
            Kind::Integer(number) => match expected.map(|ty| &ty.kind) {
                Some(TypeKind::Number) => {
                    let value = of(TypeKind::Integer, ExprKind::Integer(*number))?;
                    Some(float(value))
                }
                _ => of(TypeKind::Integer, ExprKind::Integer(*number)),
            },
            Kind::Number(number) => of(TypeKind::Number, ExprKind::Number(*number)),
            Kind::Boolean(value) => of(TypeKind::Boolean, ExprKind::Boolean(*value)),
            Kind::Null => {
                self.mistake(here, node, "`null` is not a value")
                    .label("compare with it: `x == null`, or `x != null`");
                None
            }
            Kind::List(_) => {
                self.mistake(here, node, "a list stands to the right of `in` only")
                    .label("no list is expected here");
                None
            }
            Kind::Not(inner) => {
                let inner = self.boolean(here, inner)?;
                Some(boolean(ExprKind::Not(Box::new(inner))))
            }
            Kind::And(parts) => {
                let parts = self.booleans(here, parts)?;
                Some(boolean(ExprKind::And(parts)))
            }
            Kind::Or(parts) => {
                let parts = self.booleans(here, parts)?;
                Some(boolean(ExprKind::Or(parts)))
            }
            Kind::Negate(inner) => {
                let value = self.number(here, inner)?;
                Some(Expr {
                    ty: Type::new(value.ty.kind.clone()),
                    kind: ExprKind::Negate(Box::new(value)),
                })
            }
            Kind::Between(parts) => self.between(here, parts),
            Kind::Binary(operator, left, right) => self.binary(here, node, *operator, left, right),
            Kind::Call {
                name,
                at,
                arguments,
            } => self.call(here, name, at, arguments, expected),
        }
    }

    /// An expression whose value must be there.
    pub(super) fn operand(
        &mut self,
        here: &Here<'_>,
        node: &Node<'_>,
        expected: Option<&Type>,
    ) -> Option<Expr> {
        let value = self.expr(here, node, expected)?;
        if matches!(value.ty.kind, TypeKind::Optional(_)) {
            self.absent(here, node, &value);
            return None;
        }
        Some(value)
    }

    /// Reports a value that is used as if it were there.
    pub(super) fn absent(&mut self, here: &Here<'_>, node: &Node<'_>, value: &Expr) {
        let span = here.span(self.sources, &node.range);
        let written = &here.text[node.range.clone()];
        let because = match &value.kind {
            ExprKind::Path(path) if path.root_optional => match path.root {
                crate::ir::Root::Step(step) => self
                    .workflow
                    .condition_of(step)
                    .map(|condition| (condition.span(), "the step runs only if this holds")),
                _ => None,
            },
            _ => None,
        };
        let step = match (&because, &value.kind) {
            (Some(_), ExprKind::Path(path)) => match path.root {
                crate::ir::Root::Step(step) => Some(self.workflow.name_of(step).value.clone()),
                _ => None,
            },
            _ => None,
        };
        let diagnostic = self
            .diagnostics
            .error(
                Code::AbsentValue,
                span,
                format!("`{written}` may be absent"),
            )
            .label("this is used as if it were there");
        match (because, step) {
            (Some((place, why)), Some(step)) => {
                diagnostic.also(place, why).help(format!(
                    "say what stands for it (`{written} | default(…)`), or give this step the condition \
                     `steps.{step} != null`"
                ));
            }
            _ => {
                diagnostic.help(format!("say what stands for it: `{written} | default(…)`"));
            }
        }
    }

    fn booleans(&mut self, here: &Here<'_>, parts: &[Node<'_>]) -> Option<Vec<Expr>> {
        let typed: Vec<Option<Expr>> = parts.iter().map(|part| self.boolean(here, part)).collect();
        typed.into_iter().collect()
    }

    /// An expression that is true or false.
    pub(super) fn boolean(&mut self, here: &Here<'_>, node: &Node<'_>) -> Option<Expr> {
        let value = self.operand(here, node, None)?;
        match value.ty.kind {
            TypeKind::Boolean => Some(value),
            TypeKind::Broken => None,
            _ => {
                self.wrong_operand(here, node, &value.ty, "true or false");
                None
            }
        }
    }

    fn number(&mut self, here: &Here<'_>, node: &Node<'_>) -> Option<Expr> {
        let value = self.operand(here, node, None)?;
        match value.ty.kind {
            TypeKind::Integer | TypeKind::Number => Some(value),
            TypeKind::Broken => None,
            _ => {
                self.wrong_operand(here, node, &value.ty, "a number");
                None
            }
        }
    }

    fn variant(&mut self, here: &Here<'_>, node: &Node<'_>, text: &str, ty: &Type) -> Option<Expr> {
        let TypeKind::Enum(reference) = ty.kind else {
            return None;
        };
        let def = &self.types[reference.0];
        let TypeDefKind::Enum(values) = &def.kind else {
            return None;
        };
        if let Some(index) = values.iter().position(|value| value.name.text == text) {
            return Some(Expr {
                ty: Type::new(ty.kind.clone()),
                kind: ExprKind::Variant(reference, index),
            });
        }
        let span = here.span(self.sources, &node.range);
        let names: Vec<String> = values.iter().map(|value| value.name.text.clone()).collect();
        self.diagnostics
            .error(
                Code::ImpossibleComparison,
                span,
                format!("the value is never `{text}`"),
            )
            .label("no such value")
            .meant_in(self.sources, span, text, names.iter().map(String::as_str));
        None
    }

    fn binary(
        &mut self,
        here: &Here<'_>,
        node: &Node<'_>,
        operator: Operator,
        left: &Node<'_>,
        right: &Node<'_>,
    ) -> Option<Expr> {
        match operator {
            Operator::Equal | Operator::NotEqual => {
                let is_null = |node: &Node<'_>| node.kind == Kind::Null;
                match (is_null(left), is_null(right)) {
                    (false, true) => self.null_test(here, operator, left),
                    (true, false) => self.null_test(here, operator, right),
                    _ => self.equality(here, operator, left, right),
                }
            }
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => {
                let (left, right) = (self.number(here, left), self.number(here, right));
                let (left, right) = alike(left?, right?);
                Some(compared(comparison(operator), left, right))
            }
            Operator::Contains => self.contains(here, left, right),
            Operator::Matches => self.matches(here, left, right),
            Operator::In | Operator::NotIn => {
                let found = match &right.kind {
                    Kind::List(items) => self.one_of(here, left, right, items)?,
                    _ => self.contains(here, right, left)?,
                };
                Some(match operator {
                    Operator::In => found,
                    _ => boolean(ExprKind::Not(Box::new(found))),
                })
            }
            Operator::Add
            | Operator::Subtract
            | Operator::Multiply
            | Operator::Divide
            | Operator::Remainder => self.arithmetic(here, node, operator, left, right),
        }
    }

    /// `x == null` and `x != null`. A step by itself stands for its output.
    fn null_test(&mut self, here: &Here<'_>, operator: Operator, node: &Node<'_>) -> Option<Expr> {
        let value = match self.conditional_step(node) {
            Some(step) => self.whole_step(here, node, step)?,
            None => {
                // Whether it is there may be asked of an image, too.
                self.whole = matches!(node.kind, Kind::Path(_));
                let value = self.expr(here, node, None);
                self.whole = false;
                value?
            }
        };
        if value.ty.is_broken() {
            return None;
        }
        if !matches!(value.ty.kind, TypeKind::Optional(_)) {
            let span = here.span(self.sources, &node.range);
            let always = if operator == Operator::Equal {
                "never"
            } else {
                "always"
            };
            self.diagnostics
                .error(
                    Code::ImpossibleComparison,
                    span,
                    format!("this {always} holds: the value is always there"),
                )
                .label("never null");
            return None;
        }
        let absent = boolean(ExprKind::Absent(Box::new(value)));
        Some(match operator {
            Operator::Equal => absent,
            _ => boolean(ExprKind::Not(Box::new(absent))),
        })
    }

    fn equality(
        &mut self,
        here: &Here<'_>,
        operator: Operator,
        left: &Node<'_>,
        right: &Node<'_>,
    ) -> Option<Expr> {
        // The side that has a type of its own says what a text on the other one means.
        let turned = matches!(left.kind, Kind::Text(_) | Kind::Integer(_));
        let (typed, other) = if turned { (right, left) } else { (left, right) };
        let scalar = |ty: &Type| {
            matches!(
                ty.kind,
                TypeKind::String
                    | TypeKind::Integer
                    | TypeKind::Number
                    | TypeKind::Boolean
                    | TypeKind::Enum(_)
            )
        };
        let a = self.operand(here, typed, None)?;
        if !scalar(&a.ty) {
            self.wrong_operand(here, typed, &a.ty, "a text, a number or a boolean");
            return None;
        }
        let b = self.operand(here, other, Some(&a.ty))?;
        let b = self.comparable(here, other, b, &a.ty)?;
        let (a, b) = if turned { alike(b, a) } else { alike(a, b) };
        Some(compared(comparison(operator), a, b))
    }

    /// A value as one that can be compared with a value of type `wanted`.
    pub(super) fn comparable(
        &mut self,
        here: &Here<'_>,
        node: &Node<'_>,
        value: Expr,
        wanted: &Type,
    ) -> Option<Expr> {
        match (&wanted.kind, &value.ty.kind) {
            (TypeKind::Broken, _) | (_, TypeKind::Broken) => None,
            (TypeKind::Number, TypeKind::Integer) => Some(float(value)),
            (TypeKind::Integer, TypeKind::Number)
            | (TypeKind::String, TypeKind::Enum(_))
            | (TypeKind::Enum(_), TypeKind::String) => Some(value),
            _ if self.same(wanted, &value.ty) => Some(value),
            _ => {
                let described = self.describe(wanted);
                self.wrong_operand(here, node, &value.ty, &described);
                None
            }
        }
    }

    fn one_of(
        &mut self,
        here: &Here<'_>,
        value: &Node<'_>,
        list: &Node<'_>,
        items: &[Node<'_>],
    ) -> Option<Expr> {
        let value = self.operand(here, value, None)?;
        if items.is_empty() {
            self.mistake(here, list, "nothing is in an empty list")
                .label("list at least one value");
            return None;
        }
        let typed: Vec<Option<Expr>> = items
            .iter()
            .map(|item| {
                let found = self.operand(here, item, Some(&value.ty))?;
                self.comparable(here, item, found, &value.ty)
            })
            .collect();
        let items: Vec<Expr> = typed.into_iter().collect::<Option<_>>()?;
        Some(boolean(ExprKind::OneOf(Box::new(value), items)))
    }

    fn matches(&mut self, here: &Here<'_>, value: &Node<'_>, pattern: &Node<'_>) -> Option<Expr> {
        let value = self.text(here, value)?;
        let Kind::Text(text) = &pattern.kind else {
            self.mistake(
                here,
                pattern,
                "the pattern of `matches` must be written out",
            )
            .label("expected a quoted regular expression");
            return None;
        };
        if let Err(error) = regex_lite::Regex::new(text) {
            self.mistake(
                here,
                pattern,
                &format!("the pattern is not a regular expression: {error}"),
            )
            .label("this does not compile");
            return None;
        }
        Some(boolean(ExprKind::Matches(Box::new(value), text.clone())))
    }

    fn between(&mut self, here: &Here<'_>, parts: &[Node<'_>; 3]) -> Option<Expr> {
        let [value, low, high] = [0, 1, 2].map(|at| self.number(here, &parts[at]));
        let (value, low, high) = (value?, low?, high?);
        let at_least = alike(value.clone(), low);
        let at_most = alike(value, high);
        Some(boolean(ExprKind::And(vec![
            compared(Comparison::GreaterOrEqual, at_least.0, at_least.1),
            compared(Comparison::LessOrEqual, at_most.0, at_most.1),
        ])))
    }

    fn arithmetic(
        &mut self,
        here: &Here<'_>,
        node: &Node<'_>,
        operator: Operator,
        left: &Node<'_>,
        right: &Node<'_>,
    ) -> Option<Expr> {
        if operator == Operator::Add && (is_text(left) || is_text(right)) {
            self.mistake(here, node, "texts are not added")
                .label("this is not arithmetic")
                .help("put the text around the placeholders: `{{ a }} and {{ b }}`");
            return None;
        }
        let (a, b) = (self.number(here, left), self.number(here, right));
        let (a, b) = (a?, b?);
        let zero = matches!(b.kind, ExprKind::Integer(0))
            || matches!(b.kind, ExprKind::Number(number) if number == 0.0);
        let (operator, (a, b)) = match operator {
            Operator::Add => (Arithmetic::Add, alike(a, b)),
            Operator::Subtract => (Arithmetic::Subtract, alike(a, b)),
            Operator::Multiply => (Arithmetic::Multiply, alike(a, b)),
            Operator::Remainder => (Arithmetic::Remainder, alike(a, b)),
            // 5 / 2 is 2.5, as everybody who writes YAML expects.
            _ => (Arithmetic::Divide, (float(a), float(b))),
        };
        if zero && matches!(operator, Arithmetic::Divide | Arithmetic::Remainder) {
            self.mistake(here, right, "a division by zero")
                .label("this is always 0");
            return None;
        }
        Some(Expr {
            ty: Type::new(a.ty.kind.clone()),
            kind: ExprKind::Arithmetic(operator, Box::new(a), Box::new(b)),
        })
    }

    fn mistake(
        &mut self,
        here: &Here<'_>,
        node: &Node<'_>,
        message: &str,
    ) -> &mut crate::diag::Diagnostic {
        let span = here.span(self.sources, &node.range);
        self.diagnostics.error(Code::InvalidTemplate, span, message)
    }
}

fn is_text(node: &Node<'_>) -> bool {
    matches!(node.kind, Kind::Text(_))
}

/// Two numbers as numbers of one kind.
fn alike(a: Expr, b: Expr) -> (Expr, Expr) {
    match (&a.ty.kind, &b.ty.kind) {
        (TypeKind::Number, TypeKind::Integer) => (a, float(b)),
        (TypeKind::Integer, TypeKind::Number) => (float(a), b),
        _ => (a, b),
    }
}

fn compared(comparison: Comparison, a: Expr, b: Expr) -> Expr {
    boolean(ExprKind::Compare(comparison, Box::new(a), Box::new(b)))
}

fn comparison(operator: Operator) -> Comparison {
    match operator {
        Operator::NotEqual => Comparison::NotEqual,
        Operator::Less => Comparison::Less,
        Operator::LessOrEqual => Comparison::LessOrEqual,
        Operator::Greater => Comparison::Greater,
        Operator::GreaterOrEqual => Comparison::GreaterOrEqual,
        _ => Comparison::Equal,
    }
}
