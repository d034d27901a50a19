//! Expressions of templates and conditions as Rust.

use std::collections::BTreeSet;

use super::printer::{float, string};
use super::{Emitter, blocks, run};
use crate::ir::{
    Arithmetic, Binding, BlockKind, Comparison, Expr, ExprKind, Function, LoopValue, Passed, Path,
    Piece, Root, Type, TypeDefKind, TypeKind, TypeRef, Workflow,
};

/// A value, owned: moved when this is its only use, copied or cloned otherwise.
pub(super) fn value(emitter: &Emitter<'_>, expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Path(path) => {
            let is_copy = Emitter::is_copy(&expr.ty);
            if path.is_chain() {
                let chain = chain(emitter, path);
                return if is_copy {
                    format!("{chain}.copied()")
                } else {
                    format!("{chain}.cloned()")
                };
            }
            let place = place(emitter, path);
            let only_use = match path.root {
                Root::Input(input) => {
                    path.hops.len() == 1 && emitter.workflow.inputs[input].uses == 1
                }
                Root::Step(_) | Root::Item(_) | Root::Last(_) | Root::Given | Root::Gives => false,
            };
            if only_use || is_copy {
                place
            } else {
                format!("{place}.clone()")
            }
        }
        ExprKind::Text(text) if text.is_empty() => "String::new()".to_owned(),
        ExprKind::Text(text) => {
            let text = string(text);
            format!("String::from({text})")
        }
        ExprKind::Integer(number) => number.to_string(),
        ExprKind::Number(number) => float(*number),
        ExprKind::Variant(reference, index) => variant(emitter, *reference, *index),
        ExprKind::Float(inner) => {
            let (helpers, inner) = (helpers(emitter), value(emitter, inner));
            format!("{helpers}::float({inner})")
        }
        ExprKind::Negate(inner) => {
            let inner_value = value(emitter, inner);
            if inner.ty.kind == TypeKind::Integer {
                let helpers = helpers(emitter);
                format!("{helpers}::subtract(0, {inner_value})")
            } else {
                format!("(-{inner_value})")
            }
        }
        ExprKind::Arithmetic(operator, a, b) => arithmetic(emitter, *operator, a, b),
        ExprKind::Call(function, arguments) => call(emitter, *function, arguments),
        ExprKind::Each(list, path) => each(emitter, list, path, &expr.ty),
        ExprKind::Loop(LoopValue::Index) => format!("{}::integer(__index)", helpers(emitter)),
        ExprKind::Loop(LoopValue::Length) => format!("{}::length(__items)", helpers(emitter)),
        ExprKind::Loop(LoopValue::First | LoopValue::Last)
        | ExprKind::Boolean(_)
        | ExprKind::Not(_)
        | ExprKind::And(_)
        | ExprKind::Or(_)
        | ExprKind::Compare(..)
        | ExprKind::Absent(_)
        | ExprKind::OneOf(..)
        | ExprKind::Matches(..) => test(emitter, expr, true),
    }
}

/// A reference to a value.
pub(super) fn reference(emitter: &Emitter<'_>, expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Path(path) if !path.is_chain() => {
            let place = place(emitter, path);
            // The item of a loop is a reference, unless it is copied.
            let is_item = matches!(path.root, Root::Item(_)) && path.hops.is_empty();
            if is_item && !Emitter::is_copy(&expr.ty) {
                place
            } else {
                format!("&{place}")
            }
        }
        ExprKind::Text(text) => string(text),
        _ => {
            let value = value(emitter, expr);
            format!("&{value}")
        }
    }
}

/// A value as a template shows it, as `&str` or `&String`.
pub(super) fn shown(emitter: &Emitter<'_>, expr: &Expr) -> String {
    match (&expr.ty.kind, &expr.kind) {
        (TypeKind::String | TypeKind::Enum(_), ExprKind::Path(_) | ExprKind::Text(_)) => {
            text(emitter, expr)
        }
        (TypeKind::String, _) => reference(emitter, expr),
        _ => {
            let (helpers, value) = (helpers(emitter), reference(emitter, expr));
            format!("&{helpers}::text({value})")
        }
    }
}

/// A text, or the text of an enum, as `&str`.
fn text(emitter: &Emitter<'_>, expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Text(text) => string(text),
        ExprKind::Path(path) => {
            let place = place(emitter, path);
            format!("{place}.as_str()")
        }
        _ => {
            let value = value(emitter, expr);
            format!("{value}.as_str()")
        }
    }
}

/// Tests that must all hold; `None` if there are none.
pub(super) fn tests(emitter: &Emitter<'_>, all: &[Expr]) -> Option<String> {
    match all {
        [] => None,
        [only] => Some(test(emitter, only, true)),
        several => Some(joined(emitter, several, true, true)),
    }
}

/// A test that is true where not all of these hold.
pub(super) fn failed(emitter: &Emitter<'_>, all: &[Expr]) -> String {
    match all {
        [] => "false".to_owned(),
        [only] => test(emitter, only, false),
        several => joined(emitter, several, false, false),
    }
}

/// A boolean that is true if the expression is `wanted`. Negations are pushed down to where they can be
/// written without a bracket.
fn test(emitter: &Emitter<'_>, expr: &Expr, wanted: bool) -> String {
    match &expr.kind {
        ExprKind::Boolean(value) => {
            let value = *value == wanted;
            value.to_string()
        }
        ExprKind::Not(inner) => test(emitter, inner, !wanted),
        ExprKind::And(parts) => joined(emitter, parts, wanted, wanted),
        ExprKind::Or(parts) => joined(emitter, parts, !wanted, wanted),
        ExprKind::Absent(inner) => {
            let inner = match &inner.kind {
                ExprKind::Path(path) if !path.is_chain() => place(emitter, path),
                _ => optional(emitter, inner),
            };
            if wanted {
                format!("{inner}.is_none()")
            } else {
                format!("{inner}.is_some()")
            }
        }
        ExprKind::Loop(LoopValue::First) if wanted => "__index == 0".to_owned(),
        ExprKind::Loop(LoopValue::First) => "__index != 0".to_owned(),
        ExprKind::Loop(LoopValue::Last) if wanted => "__index + 1 == __items.len()".to_owned(),
        ExprKind::Loop(LoopValue::Last) => "__index + 1 != __items.len()".to_owned(),
        ExprKind::Compare(comparison, a, b) => {
            let comparison = if wanted {
                *comparison
            } else {
                opposite(*comparison)
            };
            compared(emitter, comparison, a, b)
        }
        ExprKind::OneOf(one, several) => {
            let texts = one.ty.kind == TypeKind::String;
            let value_of = |expr: &Expr| {
                if texts {
                    text(emitter, expr)
                } else {
                    value(emitter, expr)
                }
            };
            let one = value_of(one);
            let several: Vec<String> = several.iter().map(value_of).collect();
            negated(
                wanted,
                &format!("[{}].contains(&{one})", several.join(", ")),
            )
        }
        ExprKind::Matches(inner, pattern) => {
            let (helpers, inner) = (helpers(emitter), text(emitter, inner));
            let pattern = string(pattern);
            let found = format!(
                "{{ static PATTERN: {helpers}::Pattern = {helpers}::Pattern::new({pattern}); \
                 PATTERN.matches({inner}) }}"
            );
            negated(wanted, &found)
        }
        _ => {
            let value = value(emitter, expr);
            negated(wanted, &value)
        }
    }
}

fn negated(wanted: bool, value: &str) -> String {
    if wanted {
        value.to_owned()
    } else {
        format!("!{value}")
    }
}

/// Parts with `&&` or `||` between them, each of them `wanted`.
fn joined(emitter: &Emitter<'_>, parts: &[Expr], and: bool, wanted: bool) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| {
            let written = test(emitter, part, wanted);
            // What a part becomes depends on how often it is negated on the way.
            if is_chain_of_tests(part) {
                format!("({written})")
            } else {
                written
            }
        })
        .collect();
    parts.join(if and { " && " } else { " || " })
}

fn is_chain_of_tests(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::And(_) | ExprKind::Or(_) => true,
        ExprKind::Not(inner) => is_chain_of_tests(inner),
        _ => false,
    }
}

fn opposite(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterOrEqual,
        Comparison::LessOrEqual => Comparison::Greater,
        Comparison::Greater => Comparison::LessOrEqual,
        Comparison::GreaterOrEqual => Comparison::Less,
    }
}

fn compared(emitter: &Emitter<'_>, comparison: Comparison, a: &Expr, b: &Expr) -> String {
    let equal = match comparison {
        Comparison::Equal => true,
        Comparison::NotEqual => false,
        ordered => {
            let (a, b) = (value(emitter, a), value(emitter, b));
            return match ordered {
                Comparison::Less => format!("{a} < {b}"),
                Comparison::LessOrEqual => format!("{a} <= {b}"),
                Comparison::Greater => format!("{a} > {b}"),
                _ => format!("{a} >= {b}"),
            };
        }
    };
    match (&a.ty.kind, &a.kind, &b.kind) {
        (TypeKind::Boolean, _, ExprKind::Boolean(value)) => test(emitter, a, *value == equal),
        (TypeKind::Boolean, ExprKind::Boolean(value), _) => test(emitter, b, *value == equal),
        (TypeKind::Number, ..) => {
            let helpers = helpers(emitter);
            let (a, b) = (value(emitter, a), value(emitter, b));
            negated(equal, &format!("{helpers}::equal({a}, {b})"))
        }
        _ => {
            // An enum and a text meet as texts.
            let texts = a.ty.kind == TypeKind::String || b.ty.kind == TypeKind::String;
            let (a, b) = if texts {
                (text(emitter, a), text(emitter, b))
            } else {
                (value(emitter, a), value(emitter, b))
            };
            if equal {
                format!("{a} == {b}")
            } else {
                format!("{a} != {b}")
            }
        }
    }
}

fn arithmetic(emitter: &Emitter<'_>, operator: Arithmetic, a: &Expr, b: &Expr) -> String {
    let whole = a.ty.kind == TypeKind::Integer;
    let (a, b) = (value(emitter, a), value(emitter, b));
    let helpers = helpers(emitter);
    match (operator, whole) {
        (Arithmetic::Add, true) => format!("{helpers}::add({a}, {b})"),
        (Arithmetic::Subtract, true) => format!("{helpers}::subtract({a}, {b})"),
        (Arithmetic::Multiply, true) => format!("{helpers}::multiply({a}, {b})"),
        (Arithmetic::Remainder, true) => format!("{helpers}::remainder({a}, {b})"),
        (Arithmetic::Add, false) => format!("({a} + {b})"),
        (Arithmetic::Subtract, false) => format!("({a} - {b})"),
        (Arithmetic::Multiply, false) => format!("({a} * {b})"),
        (Arithmetic::Divide, _) => format!("({a} / {b})"),
        (Arithmetic::Remainder, false) => format!("({a} % {b})"),
    }
}

fn call(emitter: &Emitter<'_>, function: Function, arguments: &[Expr]) -> String {
    let helpers = helpers(emitter);
    let name = match function {
        Function::TextContains => "contains",
        Function::ListContains => "has",
        Function::HasKey => "has_key",
        Function::Length => "length",
        Function::Lower => "lower",
        Function::Upper => "upper",
        Function::Trim => "trim",
        Function::StartsWith => "starts_with",
        Function::EndsWith => "ends_with",
        Function::Replace => "replace",
        Function::Truncate => "truncate",
        Function::Join => "join",
        Function::Json => "json",
        Function::Default => "or",
        Function::First => "first",
        Function::Last => "last",
        Function::Round => "round",
        Function::Floor => "floor",
        Function::Ceil => "ceil",
        Function::Abs => "abs",
        Function::Sum => "sum",
        Function::Average => "average",
        Function::Min => "min",
        Function::Max => "max",
    };
    if function == Function::Default {
        let found = optional(emitter, &arguments[0]);
        let other = match &arguments[1].kind {
            ExprKind::Text(text) if text.is_empty() => "String::new".to_owned(),
            _ => {
                let other = value(emitter, &arguments[1]);
                format!("|| {other}")
            }
        };
        return format!("{helpers}::{name}({found}, {other})");
    }
    // An item that is itself optional may be there and be absent.
    let flattened = matches!(function, Function::First | Function::Last)
        && matches!(&arguments[0].ty.kind, TypeKind::List(item)
            if matches!(item.kind, TypeKind::Optional(_)));
    let flatten = if flattened { ".flatten()" } else { "" };
    let arguments = arguments.iter().enumerate().map(|(index, argument)| {
        match argument.ty.kind {
            // The item to look for stays what the list holds.
            _ if function == Function::ListContains && index == 1 => match argument.ty.kind {
                TypeKind::String => text(emitter, argument),
                _ => reference(emitter, argument),
            },
            _ if function == Function::Json => reference(emitter, argument),
            TypeKind::String | TypeKind::Enum(_) => text(emitter, argument),
            TypeKind::Integer | TypeKind::Number | TypeKind::Boolean => value(emitter, argument),
            _ => reference(emitter, argument),
        }
    });
    let arguments: Vec<String> = arguments.collect();
    format!("{helpers}::{name}({}){flatten}", arguments.join(", "))
}

/// A value that may be absent, as an option of a reference.
fn optional(emitter: &Emitter<'_>, expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Path(path) => chain(emitter, path),
        _ => {
            let value = value(emitter, expr);
            format!("{value}.as_ref()")
        }
    }
}

/// `map`: the same path in each item of a list.
fn each(emitter: &Emitter<'_>, list: &Expr, path: &Path, ty: &Type) -> String {
    let (helpers, list) = (helpers(emitter), reference(emitter, list));
    let is_copy = matches!(&ty.kind, TypeKind::List(item) if Emitter::is_copy(item));
    let value = if path.is_chain() {
        let chain = chain_from("value".to_owned(), path);
        let owned = if is_copy { ".copied()" } else { ".cloned()" };
        chain + owned
    } else {
        let place = place_from("value".to_owned(), path);
        let owned = if is_copy { "" } else { ".clone()" };
        place + owned
    };
    format!("{helpers}::map({list}, |value| {value})")
}

/// A path to a value that may be absent, as an option of a reference.
fn chain(emitter: &Emitter<'_>, path: &Path) -> String {
    chain_from(root(emitter, path), path)
}

fn chain_from(root: String, path: &Path) -> String {
    let mut tokens = root;
    let mut is_option = path.root_optional;
    if is_option {
        tokens = format!("{tokens}.as_ref()");
    }
    let mut fields = String::new();
    for hop in &path.hops {
        let field = &hop.field;
        let borrowed = if hop.boxed { "as_deref" } else { "as_ref" };
        if is_option {
            fields = format!("{fields}.{field}");
            if hop.optional {
                tokens = format!("{tokens}.and_then(|value| value{fields}.{borrowed}())");
                fields = String::new();
            }
        } else {
            tokens = format!("{tokens}.{field}");
            if hop.optional {
                tokens = format!("{tokens}.{borrowed}()");
                is_option = true;
            }
        }
    }
    if fields.is_empty() {
        tokens
    } else {
        format!("{tokens}.map(|value| &value{fields})")
    }
}

fn place(emitter: &Emitter<'_>, path: &Path) -> String {
    place_from(root(emitter, path), path)
}

fn place_from(root: String, path: &Path) -> String {
    let mut place = root;
    for hop in &path.hops {
        place.push('.');
        place.push_str(&hop.field);
    }
    place
}

fn root(emitter: &Emitter<'_>, path: &Path) -> String {
    match path.root {
        Root::Input(_) => "inputs".to_owned(),
        Root::Step(step) => run::output(emitter, step).to_owned(),
        Root::Item(block) => blocks::item(emitter, block).to_owned(),
        Root::Last(_) => "__last".to_owned(),
        Root::Given => "input".to_owned(),
        Root::Gives => "output".to_owned(),
    }
}

fn variant(emitter: &Emitter<'_>, reference: TypeRef, index: usize) -> String {
    let ty = Type::new(TypeKind::Enum(reference));
    let name = emitter.ty(&ty, emitter.scope.get());
    let TypeDefKind::Enum(values) = &emitter.workflow.type_def(reference).kind else {
        return name;
    };
    let variant = values.get(index).map_or("", |value| &value.name.ident);
    format!("{name}::{variant}")
}

/// The module with the functions of expressions, which `run` then imports.
pub(super) fn helpers(emitter: &Emitter<'_>) -> &'static str {
    emitter.calls_helpers.set(true);
    "expr"
}

/// The nodes whose outputs a node's code names.
pub(super) fn used_steps(workflow: &Workflow, node: usize) -> BTreeSet<usize> {
    let mut used = BTreeSet::new();
    node_roots(workflow, node, &mut |root| {
        if let Root::Step(step) = root {
            used.insert(step);
        }
    });
    used
}

/// Calls `found` with the root of every path in a node's code, bodies included.
pub(super) fn node_roots(workflow: &Workflow, node: usize, found: &mut dyn FnMut(Root)) {
    if let Some(guard) = workflow.guard_of(node) {
        guard.ran.iter().for_each(|step| found(Root::Step(*step)));
        guard.tests.iter().for_each(|test| each_root(test, found));
    }
    let Some(block) = workflow.block_at(node) else {
        for input in &workflow.steps[node].inputs {
            binding_roots(&input.binding, found);
        }
        return;
    };
    match &block.kind {
        BlockKind::For(it) => {
            each_root(&it.items, found);
            it.until.iter().for_each(|test| each_root(test, found));
        }
        BlockKind::While(it) => it.tests.iter().for_each(|test| each_root(test, found)),
        BlockKind::Call(call) => {
            let bindings = call.inputs.iter().filter_map(|input| match &input.value {
                Passed::Same(binding) | Passed::Read(binding) => Some(binding),
                Passed::Default(_) | Passed::Nothing => None,
            });
            bindings.for_each(|binding| binding_roots(binding, found));
        }
    }
    for member in &block.members {
        node_roots(workflow, *member, found);
    }
}

fn binding_roots(binding: &Binding, found: &mut dyn FnMut(Root)) {
    match binding {
        Binding::Value(value) => each_root(value, found),
        Binding::Text(pieces) => {
            for piece in pieces {
                if let Piece::Value(value) = piece {
                    each_root(value, found);
                }
            }
        }
    }
}

/// Calls `found` with the root of every path in an expression.
pub(crate) fn each_root(expr: &Expr, found: &mut dyn FnMut(Root)) {
    match &expr.kind {
        ExprKind::Path(path) => found(path.root),
        ExprKind::Text(_)
        | ExprKind::Integer(_)
        | ExprKind::Number(_)
        | ExprKind::Boolean(_)
        | ExprKind::Variant(..)
        | ExprKind::Loop(_) => {}
        ExprKind::Float(inner)
        | ExprKind::Not(inner)
        | ExprKind::Negate(inner)
        | ExprKind::Absent(inner)
        | ExprKind::Matches(inner, _)
        | ExprKind::Each(inner, _) => each_root(inner, found),
        ExprKind::And(parts) | ExprKind::Or(parts) | ExprKind::Call(_, parts) => {
            for part in parts {
                each_root(part, found);
            }
        }
        ExprKind::OneOf(one, several) => {
            each_root(one, found);
            for part in several {
                each_root(part, found);
            }
        }
        ExprKind::Compare(_, a, b) | ExprKind::Arithmetic(_, a, b) => {
            each_root(a, found);
            each_root(b, found);
        }
    }
}
