//! Structs and enums with their readers and writers.
//!
//! The impls are written out instead of derived: they cost rustc about a quarter of
//! serde's derives, and the reader reports every bad field of a reply, not the first.

use super::printer::{Printer, float, string};
use super::{Emitter, Scope, doc, schema};
use crate::ir::{Alternative, Bounds, Field, Name, Type, TypeDef, TypeDefKind, TypeKind, Variant};

/// What is derived for every struct and every enum, and need not be asked for.
const STRUCT_DERIVES: &str = "Clone, Debug, PartialEq";
const ENUM_DERIVES: &str = "Clone, Copy, Debug, PartialEq, Eq, Hash";

/// `Inputs`: what the workflow takes.
pub(super) fn inputs(emitter: &Emitter<'_>, out: &mut Printer) {
    let inputs = emitter.workflow.inputs.iter().map(|input| &input.field);
    let head = Head {
        scope: Scope::Workflow,
        name: emitter.type_name("Inputs"),
        docs: doc::lines(&["What the workflow takes."]),
    };
    record(emitter, &head, inputs, out);
}

/// `Outputs`: what each step gave.
pub(super) fn outputs(emitter: &Emitter<'_>, out: &mut Printer) {
    let output = emitter.type_name("Output");
    let workflow = emitter.workflow;
    let members: Vec<Member> = workflow
        .members
        .iter()
        .map(|&node| {
            let (name, guard) = (workflow.name_of(node), workflow.guard_of(node));
            Member {
                name,
                key: string(&name.text),
                docs: doc::output(name, guard),
                ty: match workflow.block_at(node) {
                    Some(block) => emitter.ty(&block.ty, Scope::Workflow),
                    None => [&name.ident, "::", &output].concat(),
                },
                optional: guard.is_some(),
                default: None,
                checks: Vec::new(),
            }
        })
        .collect();
    let head = Head {
        scope: Scope::Workflow,
        name: emitter.type_name("Outputs"),
        docs: doc::lines(&["What each step gave."]),
    };
    structure(emitter, &head, &members, out);
}

/// The name of a type, and what stands above it.
pub(super) struct Head {
    pub(super) scope: Scope,
    pub(super) name: String,
    pub(super) docs: Vec<String>,
}

/// A type of a step, or one with a name of its own.
pub(super) fn definition(emitter: &Emitter<'_>, scope: Scope, def: &TypeDef, out: &mut Printer) {
    if emitter.replacement(def).is_some() {
        return;
    }
    let fallback = match &def.kind {
        TypeDefKind::Struct(_) => "An object.",
        TypeDefKind::Enum(_) => "One of a fixed set of values.",
        TypeDefKind::Union(_) => "One of several types.",
    };
    let head = Head {
        scope,
        name: emitter.type_name(&def.ident),
        docs: doc::item(fallback, &def.description, &def.source),
    };
    match &def.kind {
        TypeDefKind::Struct(fields) => record(emitter, &head, fields.iter(), out),
        TypeDefKind::Enum(values) => enumeration(emitter, &head, values, out),
        TypeDefKind::Union(all) => union(emitter, &head, all, out),
    }
    if emitter.has_schema(scope, &head.name) {
        let schema = schema::of_definition(emitter.workflow, def);
        json_schema(emitter, &head.name, &schema, out);
    }
}

/// `JsonSchema`, for a type that is asked to have it. A derive would know nothing of the
/// names that its parts have in JSON.
pub(super) fn json_schema(emitter: &Emitter<'_>, name: &str, schema: &str, out: &mut Printer) {
    out.blank();
    out.flow([
        emitter.options.runtime,
        "::generated::json_schema!(",
        name,
        ", ",
        &string(schema),
        ");",
    ]);
}

/// A struct of fields.
pub(super) fn record<'f>(
    emitter: &Emitter<'_>,
    head: &Head,
    fields: impl Iterator<Item = &'f Field>,
    out: &mut Printer,
) {
    let members: Vec<Member> = fields
        .map(|field| {
            let (ty, optional) = match &field.ty.kind {
                TypeKind::Optional(inner) => (&**inner, true),
                _ => (&field.ty, false),
            };
            let default = field.default.as_ref();
            Member {
                name: &field.name,
                key: string(&field.name.text),
                docs: doc::field(&field.name.text, &field.description),
                ty: boxed(emitter.ty(ty, head.scope), field.boxed),
                optional,
                default: default.map(|value| string(&value.to_string())),
                checks: checks(ty),
            }
        })
        .collect();
    structure(emitter, head, &members, out);
}

/// A field of a struct, ready to be written.
struct Member<'a> {
    name: &'a Name,
    /// Its name in JSON, as a literal.
    key: String,
    docs: Vec<String>,
    /// Without the `Option` of an optional field.
    ty: String,
    optional: bool,
    /// JSON that stands for it where it is absent.
    default: Option<String>,
    /// What to do with a value that was read, as statements on `at` and `value`.
    checks: Vec<String>,
}

fn boxed(ty: String, boxed: bool) -> String {
    if boxed { format!("Box<{ty}>") } else { ty }
}

fn structure(emitter: &Emitter<'_>, head: &Head, members: &[Member<'_>], out: &mut Printer) {
    let name = &head.name;
    declare(emitter, head, STRUCT_DERIVES, out);
    out.open(["pub struct ", name, " {"]);
    for member in members {
        let (ident, ty) = (&member.name.ident, &member.ty);
        out.docs(&member.docs);
        if member.optional {
            out.line(["pub ", ident, ": Option<", ty, ">,"]);
        } else {
            out.line(["pub ", ident, ": ", ty, ","]);
        }
    }
    out.close("}");

    read(members, name, out);

    let names: Vec<&Name> = members.iter().map(|member| member.name).collect();
    serialize(name, &names, out);
    deserialize(emitter, name, out);
}

/// `Serialize` of a struct of these fields.
pub(super) fn serialize(name: &str, members: &[&Name], out: &mut Printer) {
    out.blank();
    out.open(["impl Serialize for ", name, " {"]);
    out.open(SERIALIZE);
    let mutable = if members.is_empty() { "" } else { "mut " };
    let text = string(super::unmarked(name));
    let count = members.len().to_string();
    out.line([
        "let ",
        mutable,
        "object = serializer.serialize_struct(",
        &text,
        ", ",
        &count,
        ")?;",
    ]);
    for Name { text, ident } in members {
        let key = string(text);
        out.flow(["object.serialize_field(", &key, ", &self.", ident, ")?;"]);
    }
    out.line("object.end()");
    out.close("}");
    out.close("}");
}

const SERIALIZE: &str =
    "fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {";

/// `Read` of a struct. Named like this, no field can hide the reader itself.
fn read(members: &[Member<'_>], name: &str, out: &mut Printer) {
    open_read(name, out);
    match members {
        [] => out.line("from.object()?;"),
        _ => out.line("let mut __object = from.object()?;"),
    }
    for member in members {
        let (ident, key) = (&member.name.ident, &member.key);
        // The checks that follow do not say which type they are for.
        let [open, ty, close] = match member.checks.as_slice() {
            [] => ["", "", ""],
            _ => ["::<", &member.ty, ">"],
        };
        let (method, comma, default) = match (&member.default, member.optional) {
            (Some(default), _) => ("or_default", ", ", default.as_str()),
            (None, true) => ("optional", "", ""),
            (None, false) => ("required", "", ""),
        };
        out.flow([
            "let ",
            ident,
            " = __object.",
            method,
            open,
            ty,
            close,
            "(",
            key,
            comma,
            default,
            ");",
        ]);
    }
    for member in members.iter().filter(|member| !member.checks.is_empty()) {
        let (ident, key) = (&member.name.ident, &member.key);
        let checks = closure(&member.checks);
        let checks = if member.optional && member.default.is_none() {
            format!("|at, value| at.some(value, {checks})")
        } else {
            checks
        };
        out.flow(["__object.check(", key, ", &", ident, ", ", &checks, ");"]);
    }
    let built: Vec<String> = members
        .iter()
        .map(|Member { name, .. }| [&name.ident, ": ", &name.ident, "?"].concat())
        .collect();
    match built.as_slice() {
        [] => out.line("Some(Self {})"),
        _ => out.flow(["Some(Self { ", &built.join(", "), " })"]),
    }
    out.close("}");
    out.close("}");
}

fn open_read(name: &str, out: &mut Printer) {
    out.blank();
    out.open(["impl Read for ", name, " {"]);
    out.open("fn read(from: Reader<'_>) -> Option<Self> {");
}

/// Docs, derives and attributes.
fn declare(emitter: &Emitter<'_>, head: &Head, derives: &str, out: &mut Printer) {
    out.blank();
    out.docs(&head.docs);
    out.line(["#[derive(", derives, ")]"]);
    for attribute in emitter.attributes(head.scope, &head.name, derives) {
        out.line(attribute);
    }
}

fn enumeration(emitter: &Emitter<'_>, head: &Head, values: &[Variant], out: &mut Printer) {
    let name = &head.name;
    declare(emitter, head, ENUM_DERIVES, out);
    out.open(["pub enum ", name, " {"]);
    for Variant { name, description } in values {
        out.docs(&doc::variant(&name.text, description));
        out.line([&name.ident, ","]);
    }
    out.close("}");

    out.blank();
    out.open(["impl ", name, " {"]);
    out.doc("Every value, in the order of the workflow file.");
    let variants = |each: &dyn Fn(&Variant) -> String| -> String {
        let all: Vec<String> = values.iter().map(each).collect();
        all.join(", ")
    };
    let all = variants(&|value| ["Self::", &value.name.ident].concat());
    out.flow([
        "pub const ALL: [Self; ",
        &values.len().to_string(),
        "] = [",
        &all,
        "];",
    ]);
    out.blank();
    out.doc("The value as it is written in the workflow file and in JSON.");
    out.line("#[must_use]");
    out.open("pub const fn as_str(self) -> &'static str {");
    out.open("match self {");
    for Variant { name, .. } in values {
        out.line(["Self::", &name.ident, " => ", &string(&name.text), ","]);
    }
    out.close("}");
    out.close("}");
    out.close("}");

    out.blank();
    out.open(["impl Display for ", name, " {"]);
    out.open("fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {");
    out.line("f.write_str(self.as_str())");
    out.close("}");
    out.close("}");

    open_read(name, out);
    let pairs = variants(&|Variant { name, .. }| {
        ["(", &string(&name.text), ", Self::", &name.ident, ")"].concat()
    });
    out.flow(["from.one_of(&[", &pairs, "])"]);
    out.close("}");
    out.close("}");

    out.blank();
    out.open(["impl Serialize for ", name, " {"]);
    out.open(SERIALIZE);
    out.line("serializer.serialize_str(self.as_str())");
    out.close("}");
    out.close("}");
    deserialize(emitter, name, out);
}

fn union(emitter: &Emitter<'_>, head: &Head, all: &[Alternative], out: &mut Printer) {
    let name = &head.name;
    declare(emitter, head, STRUCT_DERIVES, out);
    out.open(["pub enum ", name, " {"]);
    let types: Vec<String> = all
        .iter()
        .map(|one| boxed(emitter.ty(&one.ty, head.scope), one.boxed))
        .collect();
    for (one, ty) in all.iter().zip(&types) {
        out.docs(&doc::variant(
            &emitter.ty(&one.ty, head.scope),
            &one.description,
        ));
        out.line([&one.ident, "(", ty, "),"]);
    }
    out.close("}");

    open_read(name, out);
    let reads: Vec<String> = all
        .iter()
        .zip(&types)
        .map(|(one, ty)| {
            let ident = &one.ident;
            let read = match checks(&one.ty).as_slice() {
                [] => format!("<{ty} as Read>::read(from)"),
                checks => format!("from.checked::<{ty}>({})", closure(checks)),
            };
            format!("({}, |from| {read}.map(Self::{ident}))", string(ident))
        })
        .collect();
    out.flow(["from.alternatives(&[", &reads.join(", "), "])"]);
    out.close("}");
    out.close("}");

    out.blank();
    out.open(["impl Serialize for ", name, " {"]);
    out.open(SERIALIZE);
    out.open("match self {");
    for one in all {
        out.line([
            "Self::",
            &one.ident,
            "(value) => value.serialize(serializer),",
        ]);
    }
    out.close("}");
    out.close("}");
    out.close("}");
    deserialize(emitter, name, out);
}

/// `Deserialize` through the reader: the same errors, all of them.
fn deserialize(emitter: &Emitter<'_>, name: &str, out: &mut Printer) {
    let runtime = &emitter.options.runtime;
    out.blank();
    out.open(["impl<'de> Deserialize<'de> for ", name, " {"]);
    out.open("fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {");
    out.line([runtime, "::generated::deserialize(deserializer)"]);
    out.close("}");
    out.close("}");
}

/// A closure of statements on `at` and `value`.
fn closure(statements: &[String]) -> String {
    match statements {
        [only] if !only.starts_with("static ") => ["|at, value| ", only].concat(),
        several => format!("|at, value| {{ {}; }}", several.join("; ")),
    }
}

/// Statements that hold `value` against the limits of its type, reporting to `at`.
fn checks(ty: &Type) -> Vec<String> {
    let Bounds {
        minimum,
        maximum,
        exclusive_minimum,
        exclusive_maximum,
        multiple_of,
        numbers: choices,
        boolean,
        min_length,
        max_length,
        min_items,
        max_items,
        unique_items,
        pattern,
    } = ty.bounds();
    let numbers = [
        ("minimum", minimum),
        ("maximum", maximum),
        ("exclusive_minimum", exclusive_minimum),
        ("exclusive_maximum", exclusive_maximum),
        ("multiple_of", multiple_of),
    ]
    .into_iter()
    .filter_map(|(method, limit)| Some((method, float((*limit)?))));
    let sizes = [
        ("min_length", min_length),
        ("max_length", max_length),
        ("min_items", min_items),
        ("max_items", max_items),
    ]
    .into_iter()
    .filter_map(|(method, limit)| Some((method, (*limit)?.to_string())));
    let mut statements: Vec<String> = numbers
        .chain(sizes)
        .map(|(method, limit)| ["at.", method, "(value, ", &limit, ")"].concat())
        .collect();
    if !choices.is_empty() {
        let choices: Vec<String> = choices.iter().map(|number| float(*number)).collect();
        statements.push(format!("at.numbers(value, &[{}])", choices.join(", ")));
    }
    if let Some(boolean) = boolean {
        statements.push(format!("at.boolean(value, {boolean})"));
    }
    if *unique_items {
        statements.push("at.unique_items(value)".to_owned());
    }
    if let Some(pattern) = pattern {
        let pattern = string(pattern);
        statements.push(format!(
            "static PATTERN: expr::Pattern = expr::Pattern::new({pattern}); \
             at.pattern(value, &PATTERN)"
        ));
        // A static stands first, and only once in a block.
        statements.rotate_right(1);
    }
    let nested = match &ty.kind {
        TypeKind::List(item) => Some(("each", checks(item))),
        TypeKind::Map(value) => Some(("each_entry", checks(value))),
        TypeKind::Optional(inner) => Some(("some", checks(inner))),
        _ => None,
    };
    if let Some((method, inner)) = nested
        && !inner.is_empty()
    {
        statements.push(format!("at.{method}(value, {})", closure(&inner)));
    }
    statements
}
