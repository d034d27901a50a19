//! JSON Schema, parsed once into what reading a reply needs.

mod build;
mod checks;
mod merge;

use std::collections::HashMap;

use regex_lite::Regex;
use serde_json::{Number, Value};

/// Why a JSON Schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The text is not JSON.
    #[error("the schema is not JSON: {0}")]
    Json(String),
    /// A keyword has a value that means nothing.
    #[error("the schema is wrong at `#{pointer}`: {reason}")]
    Invalid {
        /// Where, as a JSON pointer; empty for the whole.
        pointer: String,
        /// What is wrong there.
        reason: String,
    },
    /// A keyword that replies cannot be held to here.
    #[error("the schema uses `{keyword}` at `#{pointer}`, which is not supported")]
    Unsupported {
        /// Where, as a JSON pointer; empty for the whole.
        pointer: String,
        /// The keyword.
        keyword: String,
    },
}

/// What a reply must be: a JSON Schema (draft 2020-12, and what earlier drafts and `OpenAPI` write differently).
///
/// Understood are `type`, `properties`, `required`, `additionalProperties`, `patternProperties`, `propertyNames`,
/// `items`, `prefixItems`, `enum`, `const`, `anyOf`, `oneOf` (as `anyOf`), `allOf`, `nullable`, `default`, local `$ref`,
/// and the limits of numbers, texts and lists. `not`, `if`, `contains` and `dependent…` are held against what was read.
/// Annotations such as `title` and `description` help to recognise a key or a choice. What else a draft has to say what
/// a value must be is refused; `format` and keywords that no draft has are [ignored](Self::ignored).
#[derive(Clone, Debug)]
pub struct Schema {
    types: Vec<Type>,
    root: TypeId,
    keys: Keys,
    ignored: Vec<Ignored>,
}

/// A keyword of a schema that nothing is held to: one that is not known, or `format`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Where it is, as a JSON pointer; empty for the whole.
    pub pointer: String,
    /// The keyword.
    pub keyword: String,
}

/// The place of a type in its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TypeId(usize);

/// A type that a value can have.
#[derive(Clone, Debug)]
pub(super) struct Type {
    pub(super) shape: Shape,
    pub(super) nullable: bool,
    pub(super) default: Option<Value>,
    pub(super) title: Option<String>,
    /// What is held against the value when it was read.
    pub(super) checks: Vec<Check>,
}

/// What a value that was read is held against.
#[derive(Clone, Debug)]
pub(super) enum Check {
    /// Nothing can be of this type.
    Never,
    Not(TypeId),
    If {
        test: TypeId,
        then: Option<TypeId>,
        otherwise: Option<TypeId>,
    },
    /// Where a key is there, others must be.
    Needs {
        key: String,
        keys: Vec<String>,
    },
    NeedsSchema {
        key: String,
        ty: TypeId,
    },
    /// So many items must be of a type.
    Contains {
        ty: TypeId,
        min: u32,
        max: Option<u32>,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Any,
    Null,
    Boolean,
    Number(NumberType),
    Text(TextType),
    List(ListType),
    Object(ObjectType),
    Choice(Vec<Choice>),
    Union(Vec<TypeId>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct NumberType {
    pub(super) integer: bool,
    pub(super) minimum: Option<Limit>,
    pub(super) maximum: Option<Limit>,
    pub(super) multiple_of: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) value: f64,
    pub(super) exclusive: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct TextType {
    pub(super) min: Option<u32>,
    pub(super) max: Option<u32>,
    pub(super) pattern: Option<Regex>,
}

#[derive(Clone, Debug)]
pub(super) struct ListType {
    /// The types of the first items, where they differ.
    pub(super) first: Vec<TypeId>,
    /// The type of the others; `None` where there are no others.
    pub(super) items: Option<TypeId>,
    pub(super) min: Option<u32>,
    pub(super) max: Option<u32>,
    pub(super) unique: bool,
}

#[derive(Clone, Debug)]
pub(super) struct ObjectType {
    pub(super) properties: Vec<Property>,
    pub(super) index: HashMap<String, usize>,
    /// The types of keys that match.
    pub(super) patterns: Vec<(Regex, TypeId)>,
    pub(super) others: Others,
    /// What the keys that are not properties must be.
    pub(super) names: Option<TypeId>,
    pub(super) min: Option<u32>,
    pub(super) max: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) ty: TypeId,
    pub(super) required: bool,
}

/// Keys that are not properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// Nothing is said: valid in JSON Schema, dropped in lenient reading.
    Unsaid,
    Forbidden,
    Of(TypeId),
}

/// One value of an `enum`.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) value: Value,
    /// What it is also called: its title and description.
    pub(super) names: Vec<String>,
}

/// The names of all properties, folded; they tell keys from other text in a damaged reply.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    names: std::collections::HashSet<String>,
    /// Whether any key may occur.
    open: bool,
}

impl Keys {
    /// Whether a text is the name of a property, in whatever case.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.names.contains(&super::fold::fold(key))
    }

    /// Whether a text may be a key.
    pub(super) fn may_be(&self, key: &str) -> bool {
        self.open || self.knows(key)
    }
}

impl Schema {
    /// Parses the text of a JSON Schema.
    ///
    /// # Errors
    /// If it is not JSON, not a schema, or uses a keyword that is not supported.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| SchemaError::Json(error.to_string()))?;
        Self::from_value(&value)
    }

    /// Takes in a JSON Schema.
    ///
    /// # Errors
    /// If it is not a schema, or uses a keyword that is not supported.
    pub fn from_value(value: &Value) -> Result<Self, SchemaError> {
        build::build(value)
    }

    /// The keywords that nothing is held to.
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    pub(super) fn root(&self) -> TypeId {
        self.root
    }

    pub(super) fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0]
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The objects that a type can be, itself or as a part of a union.
    pub(super) fn objects(&self, id: TypeId) -> Vec<&ObjectType> {
        let mut found = Vec::new();
        let mut open = vec![id];
        let mut seen = Vec::new();
        while let Some(id) = open.pop() {
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            match &self.get(id).shape {
                Shape::Object(object) => found.push(object),
                Shape::Union(types) => open.extend(types.iter().rev()),
                _ => {}
            }
        }
        found
    }

    /// Whether what is asked for is a list, or an object with nothing but one.
    pub(super) fn wants_list(&self) -> bool {
        let only = || match &self.get(self.root).shape {
            Shape::Object(object) => object.only(),
            _ => None,
        };
        self.is_list(self.root) || only().is_some_and(|property| self.is_list(property.ty))
    }

    /// Whether a type is neither an object nor a list, and no part of it is.
    pub(super) fn is_scalar(&self, id: TypeId) -> bool {
        match &self.get(id).shape {
            Shape::Object(_) | Shape::List(_) => false,
            // A union of a union is flattened when it is built.
            Shape::Union(types) => types
                .iter()
                .all(|ty| !matches!(self.get(*ty).shape, Shape::Object(_) | Shape::List(_))),
            _ => true,
        }
    }

    /// Whether a text can be of a type, or of a part of it.
    pub(super) fn takes_text(&self, id: TypeId) -> bool {
        let takes = |id: &TypeId| matches!(self.get(*id).shape, Shape::Text(_) | Shape::Any);
        match &self.get(id).shape {
            Shape::Union(types) => types.iter().any(takes),
            _ => takes(&id),
        }
    }

    /// Whether a type, or a part of it, is a list.
    pub(super) fn is_list(&self, id: TypeId) -> bool {
        match &self.get(id).shape {
            Shape::List(_) => true,
            // A union of a union is flattened when it is built.
            Shape::Union(types) => types
                .iter()
                .any(|ty| matches!(self.get(*ty).shape, Shape::List(_))),
            _ => false,
        }
    }
}

impl ObjectType {
    /// Whether keys that are no properties have a type.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.others, Others::Of(_)) || !self.patterns.is_empty()
    }

    /// The types of a key that is no property.
    pub(super) fn types_of(&self, key: &str) -> Vec<TypeId> {
        let matching = self
            .patterns
            .iter()
            .filter(|(pattern, _)| pattern.is_match(key));
        let types: Vec<TypeId> = matching.map(|(_, ty)| *ty).collect();
        match self.others {
            Others::Of(ty) if types.is_empty() => vec![ty],
            _ => types,
        }
    }

    /// The one property that a value without its key can be of.
    pub(super) fn only(&self) -> Option<&Property> {
        match &self.properties[..] {
            [only] => Some(only),
            all => {
                let mut required = all.iter().filter(|property| property.required);
                let first = required.next()?;
                required.next().is_none().then_some(first)
            }
        }
    }
}

impl NumberType {
    /// Whether a number is within the limits.
    pub(super) fn admits(&self, number: &Number) -> bool {
        let Some(value) = number.as_f64() else {
            return false;
        };
        self.minimum
            .is_none_or(|limit| value > limit.value || !limit.exclusive && value >= limit.value)
            && self
                .maximum
                .is_none_or(|limit| value < limit.value || !limit.exclusive && value <= limit.value)
    }
}
