//! What is held against values that were read.

use serde_json::{Map, Value};

use super::build::Builder;
use super::merge::APART;
use super::{Check, SchemaError, TypeId};

impl Builder<'_> {
    /// What was set apart in a schema.
    pub(super) fn checks(&mut self, map: &Map<String, Value>) -> Result<Vec<Check>, SchemaError> {
        let mut checks = Vec::new();
        let Some(Value::Array(apart)) = map.get(APART) else {
            return Ok(checks);
        };
        for part in apart.iter().filter_map(Value::as_object) {
            self.check(part, &mut checks)?;
        }
        Ok(checks)
    }

    fn check(
        &mut self,
        part: &Map<String, Value>,
        checks: &mut Vec<Check>,
    ) -> Result<(), SchemaError> {
        if let Some(not) = part.get("not") {
            checks.push(Check::Not(self.below(&["not"], not)?));
        }
        if let Some(test) = part.get("if") {
            let test = self.below(&["if"], test)?;
            let then = self.part(part, "then")?;
            let otherwise = self.part(part, "else")?;
            checks.push(Check::If {
                test,
                then,
                otherwise,
            });
        }
        for keyword in ["dependentRequired", "dependentSchemas", "dependencies"] {
            match part.get(keyword) {
                None => {}
                Some(Value::Object(dependents)) => {
                    for (key, needed) in dependents {
                        checks.push(self.dependent(keyword, key, needed)?);
                    }
                }
                Some(_) => return Err(self.invalid(format!("`{keyword}` is an object"))),
            }
        }
        if let Some(contains) = part.get("contains") {
            checks.push(Check::Contains {
                ty: self.below(&["contains"], contains)?,
                min: self.size(part, "minContains")?.unwrap_or(1),
                max: self.size(part, "maxContains")?,
            });
        }
        Ok(())
    }

    fn part(
        &mut self,
        part: &Map<String, Value>,
        keyword: &str,
    ) -> Result<Option<TypeId>, SchemaError> {
        let schema = part.get(keyword);
        schema
            .map(|schema| self.below(&[keyword], schema))
            .transpose()
    }

    /// What must be so where a key is there; until draft 7, `dependencies` were both.
    fn dependent(
        &mut self,
        keyword: &str,
        key: &str,
        needed: &Value,
    ) -> Result<Check, SchemaError> {
        let key_name = key.to_owned();
        match needed {
            Value::Array(keys) if keyword != "dependentSchemas" => Ok(Check::Needs {
                key: key_name,
                keys: keys
                    .iter()
                    .filter_map(|key| key.as_str().map(str::to_owned))
                    .collect(),
            }),
            _ if keyword == "dependentRequired" => {
                Err(self.invalid("`dependentRequired` holds lists of keys"))
            }
            schema => Ok(Check::NeedsSchema {
                key: key_name,
                ty: self.below(&[keyword, key], schema)?,
            }),
        }
    }
}
