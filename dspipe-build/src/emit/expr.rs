//! Expressions of templates and conditions as Rust.

use std::collections::BTreeSet;

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::{Emitter, Scope, ident, run};
use crate::ir::{
    Arithmetic, Binding, Comparison, Expr, ExprKind, Function, Path, Piece, Root, Step, Type,
    TypeDefKind, TypeKind, TypeRef,
};

/// A value, owned: moved when this is its only use, copied or cloned otherwise.
pub(super) fn value(emitter: &Emitter<'_>, expr: &Expr) -> TokenStream {
    match &expr.kind {
        ExprKind::Path(path) => {
            let is_copy = Emitter::is_copy(&expr.ty);
            if path.is_chain() {
                let chain = chain(emitter, path);
                return if is_copy {
                    quote!(#chain.copied())
                } else {
                    quote!(#chain.cloned())
                };
            }
            let place = place(emitter, path);
            let only_use = match path.root {
                Root::Input(input) => {
                    path.hops.len() == 1 && emitter.workflow.inputs[input].uses == 1
                }
                Root::Step(_) => false,
            };
            if only_use || is_copy {
                place
            } else {
                quote!(#place.clone())
            }
        }
        ExprKind::Text(text) if text.is_empty() => quote!(String::new()),
        ExprKind::Text(text) => {
            let text = super::string(text);
            quote!(String::from(#text))
        }
        ExprKind::Integer(number) => {
            let number = Literal::i64_unsuffixed(*number);
            quote!(#number)
        }
        ExprKind::Number(number) => {
            let number = Literal::f64_unsuffixed(*number);
            quote!(#number)
        }
        ExprKind::Variant(reference, index) => variant(emitter, *reference, *index),
        ExprKind::Float(inner) => {
            let (helpers, inner) = (helpers(emitter), value(emitter, inner));
            quote!(#helpers::float(#inner))
        }
        ExprKind::Negate(inner) => {
            let inner_value = value(emitter, inner);
            if inner.ty.kind == TypeKind::Integer {
                let helpers = helpers(emitter);
                quote!(#helpers::subtract(0, #inner_value))
            } else {
                quote!((-#inner_value))
            }
        }
        ExprKind::Arithmetic(operator, a, b) => arithmetic(emitter, *operator, a, b),
        ExprKind::Call(function, arguments) => call(emitter, *function, arguments),
        ExprKind::Boolean(_)
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
pub(super) fn reference(emitter: &Emitter<'_>, expr: &Expr) -> TokenStream {
    match &expr.kind {
        ExprKind::Path(path) if !path.is_chain() => {
            let place = place(emitter, path);
            quote!(&#place)
        }
        ExprKind::Text(text) => super::string(text),
        _ => {
            let value = value(emitter, expr);
            quote!(&#value)
        }
    }
}

/// A value as a template shows it, as `&str` or `&String`.
pub(super) fn shown(emitter: &Emitter<'_>, expr: &Expr) -> TokenStream {
    match (&expr.ty.kind, &expr.kind) {
        (TypeKind::String | TypeKind::Enum(_), ExprKind::Path(_) | ExprKind::Text(_)) => {
            text(emitter, expr)
        }
        (TypeKind::String, _) => reference(emitter, expr),
        _ => {
            let (helpers, value) = (helpers(emitter), reference(emitter, expr));
            quote!(&#helpers::text(#value))
        }
    }
}

/// A text, or the text of an enum, as `&str`.
fn text(emitter: &Emitter<'_>, expr: &Expr) -> TokenStream {
    match &expr.kind {
        ExprKind::Text(text) => super::string(text),
        ExprKind::Path(path) => {
            let place = place(emitter, path);
            quote!(#place.as_str())
        }
        _ => {
            let value = value(emitter, expr);
            quote!(#value.as_str())
        }
    }
}

/// Tests that must all hold; `None` if there are none.
pub(super) fn tests(emitter: &Emitter<'_>, all: &[Expr]) -> Option<TokenStream> {
    match all {
        [] => None,
        [only] => Some(test(emitter, only, true)),
        several => Some(joined(emitter, several, true, true)),
    }
}

/// A boolean that is true if the expression is `wanted`. Negations are pushed down to where they can be
/// written without a bracket.
fn test(emitter: &Emitter<'_>, expr: &Expr, wanted: bool) -> TokenStream {
    match &expr.kind {
        ExprKind::Boolean(value) => {
            let value = *value == wanted;
            quote!(#value)
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
                quote!(#inner.is_none())
            } else {
                quote!(#inner.is_some())
            }
        }
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
            let (one, several) = (value_of(one), several.iter().map(value_of));
            negated(wanted, &quote!([#(#several),*].contains(&#one)))
        }
        ExprKind::Matches(inner, pattern) => {
            let (helpers, inner) = (helpers(emitter), text(emitter, inner));
            let pattern = super::string(pattern);
            let found = quote! {
                {
                    static PATTERN: #helpers::Pattern = #helpers::Pattern::new(#pattern);
                    PATTERN.matches(#inner)
                }
            };
            negated(wanted, &found)
        }
        _ => {
            let value = value(emitter, expr);
            negated(wanted, &value)
        }
    }
}

fn negated(wanted: bool, value: &TokenStream) -> TokenStream {
    if wanted {
        quote!(#value)
    } else {
        quote!(!#value)
    }
}

/// Parts with `&&` or `||` between them, each of them `wanted`.
fn joined(emitter: &Emitter<'_>, parts: &[Expr], and: bool, wanted: bool) -> TokenStream {
    let parts: Vec<TokenStream> = parts
        .iter()
        .map(|part| {
            let written = test(emitter, part, wanted);
            // What a part becomes depends on how often it is negated on the way.
            if is_chain_of_tests(part) {
                quote!((#written))
            } else {
                written
            }
        })
        .collect();
    if and {
        quote!(#(#parts)&&*)
    } else {
        quote!(#(#parts)||*)
    }
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

fn compared(emitter: &Emitter<'_>, comparison: Comparison, a: &Expr, b: &Expr) -> TokenStream {
    let equal = match comparison {
        Comparison::Equal => true,
        Comparison::NotEqual => false,
        ordered => {
            let (a, b) = (value(emitter, a), value(emitter, b));
            return match ordered {
                Comparison::Less => quote!(#a < #b),
                Comparison::LessOrEqual => quote!(#a <= #b),
                Comparison::Greater => quote!(#a > #b),
                _ => quote!(#a >= #b),
            };
        }
    };
    match (&a.ty.kind, &a.kind, &b.kind) {
        (TypeKind::Boolean, _, ExprKind::Boolean(value)) => test(emitter, a, *value == equal),
        (TypeKind::Boolean, ExprKind::Boolean(value), _) => test(emitter, b, *value == equal),
        (TypeKind::Number, ..) => {
            let helpers = helpers(emitter);
            let (a, b) = (value(emitter, a), value(emitter, b));
            negated(equal, &quote!(#helpers::equal(#a, #b)))
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
                quote!(#a == #b)
            } else {
                quote!(#a != #b)
            }
        }
    }
}

fn arithmetic(emitter: &Emitter<'_>, operator: Arithmetic, a: &Expr, b: &Expr) -> TokenStream {
    let whole = a.ty.kind == TypeKind::Integer;
    let (a, b) = (value(emitter, a), value(emitter, b));
    let helpers = helpers(emitter);
    match (operator, whole) {
        (Arithmetic::Add, true) => quote!(#helpers::add(#a, #b)),
        (Arithmetic::Subtract, true) => quote!(#helpers::subtract(#a, #b)),
        (Arithmetic::Multiply, true) => quote!(#helpers::multiply(#a, #b)),
        (Arithmetic::Remainder, true) => quote!(#helpers::remainder(#a, #b)),
        (Arithmetic::Add, false) => quote!((#a + #b)),
        (Arithmetic::Subtract, false) => quote!((#a - #b)),
        (Arithmetic::Multiply, false) => quote!((#a * #b)),
        (Arithmetic::Divide, _) => quote!((#a / #b)),
        (Arithmetic::Remainder, false) => quote!((#a % #b)),
    }
}

fn call(emitter: &Emitter<'_>, function: Function, arguments: &[Expr]) -> TokenStream {
    let helpers = helpers(emitter);
    let name = ident(match function {
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
    });
    if function == Function::Default {
        let found = optional(emitter, &arguments[0]);
        let other = match &arguments[1].kind {
            ExprKind::Text(text) if text.is_empty() => quote!(String::new),
            _ => {
                let other = value(emitter, &arguments[1]);
                quote!(|| #other)
            }
        };
        return quote!(#helpers::#name(#found, #other));
    }
    // An item that is itself optional may be there and be absent.
    let flattened = matches!(function, Function::First | Function::Last)
        && matches!(&arguments[0].ty.kind, TypeKind::List(item)
            if matches!(item.kind, TypeKind::Optional(_)));
    let flatten = flattened.then(|| quote!(.flatten()));
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
    quote!(#helpers::#name(#(#arguments),*) #flatten)
}

/// A value that may be absent, as an option of a reference.
fn optional(emitter: &Emitter<'_>, expr: &Expr) -> TokenStream {
    match &expr.kind {
        ExprKind::Path(path) => chain(emitter, path),
        _ => {
            let value = value(emitter, expr);
            quote!(#value.as_ref())
        }
    }
}

/// A path to a value that may be absent, as an option of a reference.
fn chain(emitter: &Emitter<'_>, path: &Path) -> TokenStream {
    let mut tokens = root(emitter, path);
    let mut is_option = path.root_optional;
    if is_option {
        tokens = quote!(#tokens.as_ref());
    }
    let mut fields = TokenStream::new();
    for hop in &path.hops {
        let field = ident(&hop.field);
        let borrowed = if hop.boxed {
            quote!(as_deref)
        } else {
            quote!(as_ref)
        };
        if is_option {
            fields = quote!(#fields.#field);
            if hop.optional {
                tokens = quote!(#tokens.and_then(|value| value #fields.#borrowed()));
                fields = TokenStream::new();
            }
        } else {
            tokens = quote!(#tokens.#field);
            if hop.optional {
                tokens = quote!(#tokens.#borrowed());
                is_option = true;
            }
        }
    }
    if fields.is_empty() {
        tokens
    } else {
        quote!(#tokens.map(|value| &value #fields))
    }
}

fn place(emitter: &Emitter<'_>, path: &Path) -> TokenStream {
    let root = root(emitter, path);
    let fields = path.hops.iter().map(|hop| ident(&hop.field));
    quote!(#root #(.#fields)*)
}

fn root(emitter: &Emitter<'_>, path: &Path) -> TokenStream {
    match path.root {
        Root::Input(_) => quote!(inputs),
        Root::Step(step) => {
            let name = run::output(emitter, step);
            quote!(#name)
        }
    }
}

fn variant(emitter: &Emitter<'_>, reference: TypeRef, index: usize) -> TokenStream {
    let ty = Type::new(TypeKind::Enum(reference));
    let name = emitter.ty(&ty, Scope::Workflow);
    let TypeDefKind::Enum(values) = &emitter.workflow.type_def(reference).kind else {
        return name;
    };
    let variant = values.get(index).map(|value| ident(&value.name.ident));
    quote!(#name::#variant)
}

/// The module with the functions of expressions, which `run` then imports.
pub(super) fn helpers(emitter: &Emitter<'_>) -> TokenStream {
    emitter.calls_helpers.set(true);
    quote!(expr)
}

/// The steps whose outputs a step's code names.
pub(super) fn used_steps(step: &Step) -> BTreeSet<usize> {
    let mut used = BTreeSet::new();
    for input in &step.inputs {
        match &input.binding {
            Binding::Value(value) => collect(value, &mut used),
            Binding::Text(pieces) => {
                for piece in pieces {
                    if let Piece::Value(value) = piece {
                        collect(value, &mut used);
                    }
                }
            }
        }
    }
    if let Some(guard) = &step.guard {
        used.extend(&guard.ran);
        for test in &guard.tests {
            collect(test, &mut used);
        }
    }
    used
}

fn collect(expr: &Expr, used: &mut BTreeSet<usize>) {
    match &expr.kind {
        ExprKind::Path(path) => {
            if let Root::Step(step) = path.root {
                used.insert(step);
            }
        }
        ExprKind::Text(_)
        | ExprKind::Integer(_)
        | ExprKind::Number(_)
        | ExprKind::Boolean(_)
        | ExprKind::Variant(..) => {}
        ExprKind::Float(inner)
        | ExprKind::Not(inner)
        | ExprKind::Negate(inner)
        | ExprKind::Absent(inner)
        | ExprKind::Matches(inner, _) => collect(inner, used),
        ExprKind::And(parts) | ExprKind::Or(parts) | ExprKind::Call(_, parts) => {
            for part in parts {
                collect(part, used);
            }
        }
        ExprKind::OneOf(one, several) => {
            collect(one, used);
            for part in several {
                collect(part, used);
            }
        }
        ExprKind::Compare(_, a, b) | ExprKind::Arithmetic(_, a, b) => {
            collect(a, used);
            collect(b, used);
        }
    }
}
