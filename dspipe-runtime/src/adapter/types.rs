//! The types of DSPy's fields, and their names in prompts.

use std::sync::Arc;

use super::print;
use super::value::{PyDict, PyValue};

/// The type of a field: a Python annotation that DSPy takes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PyType {
    /// `str`.
    Str,
    /// `int`.
    Int,
    /// `float`.
    Float,
    /// `bool`.
    Bool,
    /// `None`.
    None,
    /// `typing.Any`.
    Any,
    /// `list`, of anything.
    AnyList,
    /// `dict`, of anything.
    AnyDict,
    /// `list[…]`.
    List(Box<PyType>),
    /// `dict[…, …]`.
    Dict(Box<PyType>, Box<PyType>),
    /// `Union[…]`, with `None` for `Optional[…]`. Python makes it flat and drops repetitions.
    Union(Vec<PyType>),
    /// `Literal[…]` of texts, whole numbers, booleans and `None`.
    Literal(Vec<PyValue>),
    /// A subclass of `enum.Enum`.
    Enum(Arc<PyEnum>),
    /// A subclass of `pydantic.BaseModel`.
    Model(Arc<PyModel>),
    /// A class that brings its own JSON Schema.
    Schema(Arc<PySchema>),
    /// `dspy.History`: what was said before, for an input field.
    History,
}

/// An `enum.Enum`.
#[derive(Clone, Debug, PartialEq)]
pub struct PyEnum {
    /// The name of the class.
    pub name: String,
    /// Names and values of the members, in order.
    pub members: Vec<(String, PyValue)>,
}

/// A `pydantic.BaseModel`.
#[derive(Clone, Debug, PartialEq)]
pub struct PyModel {
    /// The name of the class.
    pub name: String,
    /// The class's documentation; may be empty.
    pub doc: String,
    /// Its fields, in order.
    pub fields: Vec<PyModelField>,
}

/// A field of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct PyModelField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: PyType,
    /// What it holds; may be empty.
    pub description: String,
    /// Its value when there is none; without it, the field is required.
    pub default: Option<PyValue>,
    /// Whether the default comes from a `default_factory`: its schema does not show it.
    pub has_factory: bool,
    /// What pydantic's `Field` calls `ge`, `gt`, `le`, `lt`, `multiple_of`, `min_length`, `max_length`
    /// and `pattern`.
    pub limits: PyDict,
}

/// A class with a JSON Schema of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct PySchema {
    /// The name of the class.
    pub name: String,
    /// The schema, without references.
    pub schema: PyValue,
}

impl PyType {
    /// `Optional[self]`.
    #[must_use]
    pub fn optional(self) -> Self {
        Self::union(vec![self, Self::None])
    }

    /// `Union[…]` as Python makes it: flat, without repetitions, and the type itself if there is one.
    #[must_use]
    pub fn union(types: Vec<Self>) -> Self {
        let mut members: Vec<Self> = Vec::new();
        for ty in types {
            let inner = match ty {
                Self::Union(inner) => inner,
                other => vec![other],
            };
            for ty in inner {
                if !members.contains(&ty) {
                    members.push(ty);
                }
            }
        }
        match (members.pop(), members.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                members.extend(last);
                Self::Union(members)
            }
        }
    }

    /// Whether all values are texts.
    pub(super) fn is_text(&self) -> bool {
        match self {
            Self::Str => true,
            Self::Literal(values) => values.iter().all(|value| value.as_str().is_some()),
            _ => false,
        }
    }

    /// Whether a reply without the field gives `None`.
    pub(super) fn allows_none(&self) -> bool {
        match self {
            Self::None => true,
            Self::Union(members) => members.iter().any(Self::allows_none),
            _ => false,
        }
    }

    /// The name that DSPy's prompts have: `list[str]`, `Union[int, NoneType]`, `Literal['a', 'b']`.
    pub fn name(&self) -> String {
        self.print(quoted)
    }

    /// The annotation as source code, which [`PyType`] reads again.
    pub(super) fn annotation(&self) -> String {
        self.print(|text| print::repr(&PyValue::from(text)))
    }

    fn print(&self, quote: fn(&str) -> String) -> String {
        let joined = |types: &[Self]| {
            let names: Vec<String> = types.iter().map(|ty| ty.print(quote)).collect();
            names.join(", ")
        };
        match self {
            Self::Str => "str".to_owned(),
            Self::Int => "int".to_owned(),
            Self::Float => "float".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::None => "NoneType".to_owned(),
            Self::Any => "Any".to_owned(),
            Self::AnyList => "list".to_owned(),
            Self::AnyDict => "dict".to_owned(),
            Self::List(item) => format!("list[{}]", item.print(quote)),
            Self::Dict(key, value) => format!("dict[{}, {}]", key.print(quote), value.print(quote)),
            Self::Union(members) => format!("Union[{}]", joined(members)),
            Self::Literal(values) => {
                let values: Vec<String> = values
                    .iter()
                    .map(|value| match value {
                        PyValue::Str(text) => quote(text),
                        other => print::repr(other),
                    })
                    .collect();
                format!("Literal[{}]", values.join(", "))
            }
            Self::Enum(class) => class.name.clone(),
            Self::Model(class) => class.name.clone(),
            Self::Schema(class) => class.name.clone(),
            Self::History => "History".to_owned(),
        }
    }
}

/// A text as DSPy quotes it in a type's name: not as `repr` does.
fn quoted(text: &str) -> String {
    match (text.contains('\''), text.contains('"')) {
        (true, false) => format!("\"{text}\""),
        (true, true) => format!("'{}'", text.replace('\'', "\\'")),
        (false, _) => format!("'{text}'"),
    }
}
