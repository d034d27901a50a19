//! What an endpoint is sent for a schema, made once: a workflow asks for the same few over and over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::parse;
use crate::lm::LmError;

/// So many are kept; workflows have fewer, and a program that makes up schemas must not fill the memory.
const MOST: usize = 256;

/// A schema as a server takes it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(in crate::lm) struct Form {
    /// Whether it is in strict mode, where there is one.
    #[serde(skip)]
    pub(in crate::lm) strict: bool,
    schema: Value,
}

/// The forms of schemas that one endpoint was sent. Clones share them.
#[derive(Clone, Debug, Default)]
pub(in crate::lm) struct Forms(Arc<Mutex<HashMap<String, Arc<Form>>>>);

impl Forms {
    /// The form of a schema, which `rewrite` makes, with whether it is strict, if it is not there.
    pub(in crate::lm) fn of(
        &self,
        schema: &str,
        rewrite: impl FnOnce(Value) -> (bool, Value),
    ) -> Result<Arc<Form>, LmError> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(form) = lock().get(schema) {
            return Ok(Arc::clone(form));
        }
        let (strict, rewritten) = rewrite(parse(schema)?);
        let form = Arc::new(Form {
            strict,
            schema: rewritten,
        });
        let mut forms = lock();
        if forms.len() >= MOST {
            forms.clear();
        }
        forms.insert(schema.to_owned(), Arc::clone(&form));
        Ok(form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_rewritten_once() {
        let forms = Forms::default();
        let mut made = 0;
        for _ in 0..3 {
            let form = forms.of(r#"{"type": "string"}"#, |schema| {
                made += 1;
                (true, schema)
            });
            let form = form.unwrap();
            assert!(form.strict);
            assert_eq!(
                serde_json::to_string(&*form).unwrap(),
                r#"{"type":"string"}"#
            );
        }
        assert_eq!(made, 1);
        assert!(forms.of("{", |schema| (true, schema)).is_err());
    }

    #[test]
    fn only_so_many_are_kept() {
        let forms = Forms::default();
        for number in 0..3 * MOST {
            let schema = format!(r#"{{"maximum":{number}}}"#);
            let form = forms.of(&schema, |schema| (false, schema)).unwrap();
            assert_eq!(serde_json::to_string(&*form).unwrap(), schema);
        }
        assert!(forms.0.lock().unwrap().len() <= MOST);
    }
}
