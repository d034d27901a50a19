//! Names as Rust identifiers.

use std::collections::HashMap;

use heck::{ToSnakeCase, ToUpperCamelCase};

use super::report_duplicate;
use crate::diag::{Code, Diagnostics};
use crate::ir::{Home, Name};
use crate::source::{Spanned, boundary};
use crate::spec;

/// Names that the generated module of a workflow uses itself.
const RESERVED_STEPS: [&str; 7] = [
    "expr", "run", "run_with", "runner", "inputs", "outputs", "super",
];

/// Type names that generated code uses itself: what the runtime's `generated` module has, and what
/// stands in each step's module.
const RESERVED_TYPES: &[&str] = &[
    "Adapter",
    "BTreeMap",
    "Box",
    "Checks",
    "Clone",
    "Copy",
    "Debug",
    "Demo",
    "Deserialize",
    "Deserializer",
    "Display",
    "Eq",
    "Err",
    "Error",
    "FieldDef",
    "FmtResult",
    "Formatter",
    "From",
    "Future",
    "Hash",
    "Input",
    "Map",
    "ModuleDef",
    "None",
    "Ok",
    "Option",
    "Output",
    "PartialEq",
    "Prompt",
    "Read",
    "Reader",
    "Result",
    "Runner",
    "Self",
    "Send",
    "Serialize",
    "SerializeStruct",
    "Serializer",
    "Signature",
    "SignatureDef",
    "Slot",
    "Some",
    "Step",
    "String",
    "Value",
    "Vec",
    "WorkflowDef",
];

/// The workflow's name and its module.
pub(super) fn workflow(name: &Spanned<String>, diagnostics: &mut Diagnostics) -> Name {
    word("workflow", name, diagnostics)
}

/// The module of a workflow that is known by this name only.
pub(crate) fn module_name(name: &str) -> String {
    or_placeholder(snake(name))
}

/// The names of steps and, behind them, of blocks: their modules and functions.
pub(super) fn nodes(workflow: &spec::Workflow, diagnostics: &mut Diagnostics) -> Vec<Name> {
    let steps = workflow.steps().iter().map(|step| &step.name);
    let blocks = workflow.blocks().iter().map(|block| &block.name);
    let spanned: Vec<&Spanned<String>> = steps.chain(blocks).collect();
    let names = words("step", &spanned, diagnostics);
    for (name, written) in names.iter().zip(spanned) {
        if RESERVED_STEPS.contains(&name.ident.as_str()) {
            diagnostics
                .error(
                    Code::InvalidName,
                    written.span,
                    format!("a step cannot be called `{written}`"),
                )
                .label("the generated module needs this name itself")
                .help("a verb with its object reads well, such as `run_checks`");
        }
    }
    names
}

/// What the item of a loop is called.
pub(super) fn iterator(written: &Spanned<String>, diagnostics: &mut Diagnostics) -> Name {
    let name = word("loop's item", written, diagnostics);
    let root = ["steps", "global_vars", "loop"].contains(&written.value.as_str());
    if root || RESERVED_STEPS.contains(&name.ident.as_str()) {
        diagnostics
            .error(
                Code::InvalidName,
                written.span,
                format!("the item of a loop cannot be called `{written}`"),
            )
            .label("paths start with this name already");
    }
    name
}

/// Names of one kind that must differ, also once they are identifiers.
pub(super) fn words(
    what: &str,
    names: &[&Spanned<String>],
    diagnostics: &mut Diagnostics,
) -> Vec<Name> {
    let words = names
        .iter()
        .map(|name| word(what, name, diagnostics))
        .collect();
    tell_apart(what, names, words, diagnostics)
}

/// Property names may be any text; only their identifiers are derived.
pub(super) fn properties(names: &[&Spanned<String>], diagnostics: &mut Diagnostics) -> Vec<Name> {
    let idents = names
        .iter()
        .map(|name| {
            let ident = snake(&name.value);
            if ident.is_empty() {
                diagnostics
                    .error(
                        Code::InvalidName,
                        name.span,
                        format!("the property `{name}` has no letter or digit to name a field by"),
                    )
                    .label("rename it");
            }
            Name {
                text: name.value.clone(),
                ident: or_placeholder(ident),
            }
        })
        .collect();
    tell_apart("property", names, idents, diagnostics)
}

/// The variants of an enum.
pub(super) fn variants(values: &[&Spanned<String>], diagnostics: &mut Diagnostics) -> Vec<Name> {
    let idents = values
        .iter()
        .map(|value| {
            let ident = camel(&value.value);
            if ident.is_empty() {
                diagnostics
                    .error(
                        Code::InvalidName,
                        value.span,
                        format!(
                            "the enum value `{value}` has no letter or digit to name a variant by"
                        ),
                    )
                    .label("rename it");
            }
            Name {
                text: value.value.clone(),
                ident: if ident.is_empty() {
                    PLACEHOLDER.to_upper_camel_case()
                } else {
                    ident
                },
            }
        })
        .collect();
    tell_apart("enum value", values, idents, diagnostics)
}

/// The name of a variant that holds a value, from what it is called.
pub(super) fn variant_ident(label: &str) -> String {
    let name = camel(label);
    if name.is_empty() {
        "Object".to_owned()
    } else {
        name
    }
}

/// The name of a generated type, from the fields that lead to it.
pub(super) fn type_name(path: &[&str], home: Home) -> String {
    let name = camel(&path.join(" "));
    let taken =
        home == Home::Workflow && matches!(name.as_str(), "Inputs" | "Outputs" | "Workflow");
    if taken || RESERVED_TYPES.contains(&name.as_str()) || name.is_empty() {
        return format!("{name}Value");
    }
    name
}

/// Longer names make file names that no file system takes.
const LONGEST: usize = 100;

fn word(what: &str, name: &Spanned<String>, diagnostics: &mut Diagnostics) -> Name {
    if name.value.len() > LONGEST {
        diagnostics
            .error(
                Code::InvalidName,
                name.span,
                format!("the name of a {what} with {} bytes", name.value.len()),
            )
            .label(format!("names have up to {LONGEST}"));
        return Name {
            text: name.value.clone(),
            ident: or_placeholder(snake(&name.value[..boundary(&name.value, LONGEST)])),
        };
    }
    let legal = name.value.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if !legal {
        diagnostics
            .error(
                Code::InvalidName,
                name.span,
                format!("`{name}` cannot be the name of a {what}"),
            )
            .label("names are ASCII letters, digits, `_` and `-`, and start with a letter");
    }
    Name {
        text: name.value.clone(),
        ident: or_placeholder(snake(&name.value)),
    }
}

/// So many names are compared faster than hashed.
const FEW: usize = 16;

/// Reports names that are one identifier, and gives the later ones another, so that what is generated
/// in spite of the errors has no errors of its own.
fn tell_apart(
    what: &str,
    names: &[&Spanned<String>],
    mut idents: Vec<Name>,
    diagnostics: &mut Diagnostics,
) -> Vec<Name> {
    let differ = || {
        let mut rest = idents.as_slice();
        std::iter::from_fn(|| {
            let (name, after) = rest.split_first()?;
            rest = after;
            Some(after.iter().all(|other| other.ident != name.ident))
        })
        .all(|differs| differs)
    };
    if idents.len() <= FEW && differ() {
        return idents;
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    // Where the numbers of the others of a name go on, so that thousands of one name take no time.
    let mut next: HashMap<String, usize> = HashMap::new();
    for (index, name) in idents.iter_mut().enumerate() {
        if let Some(first) = seen.get(&name.ident) {
            if !name.ident.eq_ignore_ascii_case(PLACEHOLDER) {
                report_duplicate(what, names[*first], names[index], &name.ident, diagnostics);
            }
            let number = next.entry(name.ident.clone()).or_insert(2);
            name.ident = numbered(&name.ident, number, |ident| seen.contains_key(ident));
        }
        seen.insert(name.ident.clone(), index);
    }
    idents
}

/// An identifier like this one that is not taken.
pub(crate) fn another(ident: &str, taken: impl Fn(&str) -> bool) -> String {
    numbered(ident, &mut 2, taken)
}

/// The first identifier like this one, counted from `number`, that is not taken.
pub(super) fn numbered(ident: &str, number: &mut usize, taken: impl Fn(&str) -> bool) -> String {
    let base = ident.trim_start_matches("r#");
    loop {
        let ident = format!("{base}{number}");
        *number += 1;
        if !taken(&ident) {
            return ident;
        }
    }
}

/// Stands in for a name that is reported as unusable.
const PLACEHOLDER: &str = "unnamed";

fn or_placeholder(ident: String) -> String {
    if ident.is_empty() {
        PLACEHOLDER.to_owned()
    } else {
        ident
    }
}

/// The name as a field, function or module; empty if nothing in it can be.
fn snake(name: &str) -> String {
    let ident = if is_snake(name) {
        name.to_owned()
    } else {
        ascii(name).to_snake_case()
    };
    if ident.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("_{ident}");
    }
    match ident.as_str() {
        "self" | "super" | "crate" => format!("{ident}_"),
        word if is_keyword(word) => format!("r#{ident}"),
        _ => ident,
    }
}

/// Whether a name is written as fields are: most are.
fn is_snake(name: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    name.split('_').all(is_part)
}

/// The name as a type or variant; empty if nothing in it can be.
fn camel(name: &str) -> String {
    let ident = ascii(name).to_upper_camel_case();
    match ident.as_str() {
        "Self" => "Self_".to_owned(),
        _ if ident.starts_with(|c: char| c.is_ascii_digit()) => format!("N{ident}"),
        _ => ident,
    }
}

fn ascii(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

/// Strict and reserved keywords of every edition from 2021 on.
fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "abstract"
            | "as"
            | "async"
            | "await"
            | "become"
            | "box"
            | "break"
            | "const"
            | "continue"
            | "do"
            | "dyn"
            | "else"
            | "enum"
            | "extern"
            | "false"
            | "final"
            | "fn"
            | "for"
            | "gen"
            | "if"
            | "impl"
            | "in"
            | "let"
            | "loop"
            | "macro"
            | "match"
            | "mod"
            | "move"
            | "mut"
            | "override"
            | "priv"
            | "pub"
            | "ref"
            | "return"
            | "static"
            | "struct"
            | "trait"
            | "true"
            | "try"
            | "type"
            | "typeof"
            | "unsafe"
            | "unsized"
            | "use"
            | "virtual"
            | "where"
            | "while"
            | "yield"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        for (name, wanted) in [
            ("source_code", "source_code"),
            ("sourceCode", "source_code"),
            ("type", "r#type"),
            ("self", "self_"),
            ("3d", "_3d"),
            ("a-b c", "a_b_c"),
            ("é", ""),
        ] {
            assert_eq!(snake(name), wanted);
        }
        for (name, wanted) in [
            ("low", "Low"),
            ("not-started", "NotStarted"),
            ("self", "Self_"),
            ("4k", "N4k"),
            ("+", ""),
        ] {
            assert_eq!(camel(name), wanted);
        }
        assert_eq!(
            type_name(&["analysis", "complexity"], Home::Workflow),
            "AnalysisComplexity"
        );
        assert_eq!(type_name(&["output"], Home::Step(0)), "OutputValue");
    }
}
