//! Reads Python annotations: `list[str]`, `Literal['a', 'b']`, `dict[str, Item] | None`.

use super::types::PyType;
use super::value::PyValue;

/// Deeper annotations are refused, so that reading may recurse.
const MAX_DEPTH: usize = 64;

/// An annotation that is not understood: where, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the type `{annotation}` is not understood at character {at}: {message}")]
pub struct AnnotationError {
    annotation: String,
    at: usize,
    message: String,
}

/// The type. `class` finds what is not a name of Python's own.
pub(super) fn parse(
    annotation: &str,
    class: &mut dyn FnMut(&str) -> Result<Option<PyType>, String>,
) -> Result<PyType, AnnotationError> {
    let mut parser = Parser {
        text: annotation,
        at: 0,
        depth: 0,
        class,
    };
    let result = parser.union().and_then(|ty| {
        if parser.rest().is_empty() {
            Ok(ty)
        } else {
            Err("the type ends before".to_owned())
        }
    });
    result.map_err(|message| AnnotationError {
        annotation: annotation.to_owned(),
        at: annotation[..parser.at].chars().count() + 1,
        message,
    })
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    class: &'a mut dyn FnMut(&str) -> Result<Option<PyType>, String>,
}

impl<'a> Parser<'a> {
    /// What is left, without white space before it.
    fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn take(&mut self, token: char) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len_utf8();
        }
        found
    }

    fn expect(&mut self, token: char) -> Result<(), String> {
        if self.take(token) {
            Ok(())
        } else {
            Err(format!("`{token}` is missing"))
        }
    }

    fn union(&mut self) -> Result<PyType, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("it is nested too deeply".to_owned());
        }
        let mut members = vec![self.single()?];
        while self.take('|') {
            members.push(self.single()?);
        }
        self.depth -= 1;
        Ok(PyType::union(members))
    }

    fn single(&mut self) -> Result<PyType, String> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
            .unwrap_or(rest.len());
        let name = &rest[..end];
        if name.is_empty() {
            return Err("a name of a type is missing".to_owned());
        }
        let start = self.at;
        self.at += end;
        let brackets = self.rest().starts_with('[');
        let plain = name
            .strip_prefix("typing.")
            .or_else(|| name.strip_prefix("dspy."))
            .unwrap_or(name);
        let ty = match (plain, brackets) {
            ("str", false) => PyType::Str,
            ("int", false) => PyType::Int,
            ("float", false) => PyType::Float,
            ("bool", false) => PyType::Bool,
            ("None" | "NoneType", false) => PyType::None,
            ("Any", false) => PyType::Any,
            ("list", false) => PyType::AnyList,
            ("dict", false) => PyType::AnyDict,
            ("History", false) => PyType::History,
            ("list" | "List", true) => {
                let [item] = self.arguments()?;
                PyType::List(Box::new(item))
            }
            ("dict" | "Dict", true) => {
                let [key, value] = self.arguments()?;
                PyType::Dict(Box::new(key), Box::new(value))
            }
            ("Optional", true) => {
                let [inner] = self.arguments()?;
                inner.optional()
            }
            ("Union", true) => PyType::union(self.all_arguments(Self::union)?),
            ("Literal", true) => {
                let mut values = Vec::new();
                for value in self.all_arguments(Self::literal)? {
                    if !values.contains(&value) {
                        values.push(value);
                    }
                }
                PyType::Literal(values)
            }
            (_, false) => match (self.class)(name)? {
                Some(ty) => ty,
                None => {
                    self.at = start;
                    return Err(format!("`{name}` is neither known nor described"));
                }
            },
            (_, true) => {
                self.at = start;
                return Err(format!("`{name}[…]` is not supported"));
            }
        };
        Ok(ty)
    }

    fn arguments<const N: usize>(&mut self) -> Result<[PyType; N], String> {
        let arguments = self.all_arguments(Self::union)?;
        let count = arguments.len();
        arguments
            .try_into()
            .map_err(|_| format!("{N} types are needed between the brackets, not {count}"))
    }

    fn all_arguments<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.expect('[')?;
        let mut all = vec![read(self)?];
        while self.take(',') {
            if self.rest().starts_with(']') {
                break;
            }
            all.push(read(self)?);
        }
        self.expect(']')?;
        Ok(all)
    }

    fn literal(&mut self) -> Result<PyValue, String> {
        let rest = self.rest();
        if let Some(quote) = rest.chars().next().filter(|c| *c == '\'' || *c == '"') {
            return self.quoted(quote).map(PyValue::Str);
        }
        let end = rest.find([',', ']']).unwrap_or(rest.len());
        let word = rest[..end].trim_end();
        let value =
            match word {
                "None" => PyValue::None,
                "True" => PyValue::Bool(true),
                "False" => PyValue::Bool(false),
                _ => PyValue::Int(word.parse().map_err(
                    |_| "a text in quotes, a whole number, True, False or None is needed",
                )?),
            };
        self.at += word.len();
        Ok(value)
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let (text, length) = super::python_literal::quoted(&self.text[self.at..], quote)
            .ok_or("a text does not end")?;
        self.at += length;
        Ok(text)
    }
}
