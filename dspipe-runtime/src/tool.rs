//! Tools of `module: react`: functions of the program that an LM may call.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::lm::BoxFuture;
use crate::read::{Schema, Strictness, parse};

/// The tool by which an LM says that it is done.
pub(crate) const FINISH: &str = "finish";

/// The longest name that providers would take.
const LONGEST_NAME: usize = 64;

type Function = dyn Fn(Value) -> BoxFuture<'static, Result<Value, ToolError>> + Send + Sync;

/// A function of the program that an LM may call, in steps with `module: react`. Cloning is cheap.
///
/// What it gives, the LM sees as an observation: a text as it is, everything else as JSON. An error is an
/// observation too, so that the LM can do better; it does not end the step.
///
/// ```
/// # #[cfg(feature = "tools")]
/// # mod example {
/// use dspipe_runtime::{LocalRunner, Tool};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Lookup {
///     /// The number of the order
///     order: u32,
/// }
///
/// async fn lookup(args: Lookup) -> Result<String, std::io::Error> {
///     Ok(format!("Order {} was sent on Monday.", args.order))
/// }
///
/// fn runner() -> LocalRunner {
///     LocalRunner::from_env().with_tool(Tool::new("lookup", "Finds an order.", lookup))
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Tool {
    name: String,
    description: String,
    parameters: Value,
    function: Arc<Function>,
}

/// Why a call of a tool gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// The arguments are not what the tool takes.
    #[error("the arguments cannot be used: {0}")]
    Arguments(String),
    /// The function failed.
    #[error("{0}")]
    Failed(String),
    /// What the function gave does not serialize.
    #[error("the result cannot be shown: {0}")]
    Result(String),
}

/// Why a step cannot have a tool that it names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MissingTool {
    /// The runner has no such tool.
    #[error(
        "there is no tool `{tool}`{}; register it with `LocalRunner::with_tool`", listed(.known)
    )]
    NotRegistered {
        /// Its name.
        tool: String,
        /// The tools that the runner has.
        known: Vec<String>,
    },
    /// A tool cannot be called so.
    #[error(
        "a tool cannot be called `{tool}`: names are up to {LONGEST_NAME} letters, digits, `_` and `-`, and \
         `{FINISH}` is how the LM says that it is done"
    )]
    Name {
        /// The name.
        tool: String,
    },
}

fn listed(known: &[String]) -> String {
    if known.is_empty() {
        ", nor any other".to_owned()
    } else {
        format!(", but {}", known.join(", "))
    }
}

impl Tool {
    /// A function that takes a struct. The LM is told the schema of the struct; what it sends is read
    /// leniently, as replies are.
    #[cfg(feature = "tools")]
    pub fn new<A, F, R, E>(
        name: impl Into<String>,
        description: impl Into<String>,
        function: impl Fn(A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: serde::de::DeserializeOwned + schemars::JsonSchema,
        F: Future<Output = Result<R, E>> + Send + 'static,
        R: Serialize,
        E: fmt::Display,
    {
        let parameters = crate::structs::schema_of::<A>();
        Self::of(name, description, parameters, move |arguments| {
            let arguments = serde_path_to_error::deserialize(arguments)
                .map_err(|error| ToolError::Arguments(error.to_string()))?;
            Ok(function(arguments))
        })
    }

    /// A function that takes JSON, whose JSON Schema is told to the LM.
    pub fn untyped<F, R, E>(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Value,
        function: impl Fn(Value) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<R, E>> + Send + 'static,
        R: Serialize,
        E: fmt::Display,
    {
        Self::of(name, description, parameters, move |arguments| {
            Ok(function(arguments))
        })
    }

    fn of<F, R, E>(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Value,
        start: impl Fn(Value) -> Result<F, ToolError> + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<R, E>> + Send + 'static,
        R: Serialize,
        E: fmt::Display,
    {
        // A schema that replies could not be held to is left to the function.
        let schema = Schema::parse(&parameters.to_string()).ok();
        let function = move |arguments: Value| -> BoxFuture<'static, Result<Value, ToolError>> {
            let arguments = match &schema {
                None => Ok(arguments),
                Some(schema) => parse(schema, &arguments.to_string(), Strictness::Lenient)
                    .map(|parsed| parsed.value)
                    .map_err(|error| ToolError::Arguments(error.lines().join("; "))),
            };
            let started = arguments.and_then(&start);
            Box::pin(async move {
                let given = started?.await;
                let given = given.map_err(|error| ToolError::Failed(error.to_string()))?;
                serde_json::to_value(given).map_err(|error| ToolError::Result(error.to_string()))
            })
        };
        Self {
            name: name.into(),
            description: description.into(),
            parameters,
            function: Arc::new(function),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for, as the LM is told.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The JSON Schema of its arguments.
    pub fn parameters(&self) -> &Value {
        &self.parameters
    }

    /// Calls it.
    ///
    /// # Errors
    /// [`ToolError`] if the arguments do not fit, or the function fails.
    pub async fn call(&self, arguments: Value) -> Result<Value, ToolError> {
        (self.function)(arguments).await
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool")
            .field("name", &self.name)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

/// The tools of a runner. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tools(Arc<BTreeMap<String, Tool>>);

impl Tools {
    pub(crate) fn add(&mut self, tool: Tool) {
        Arc::make_mut(&mut self.0).insert(tool.name.clone(), tool);
    }

    /// The tools of these names.
    ///
    /// # Errors
    /// [`MissingTool`] for the first that there is not, or that no LM could be told of.
    pub(crate) fn all<'t>(&'t self, names: &[&str]) -> Result<Vec<&'t Tool>, MissingTool> {
        let find = |name: &&str| {
            if !is_name(name) {
                return Err(MissingTool::Name {
                    tool: (*name).to_owned(),
                });
            }
            self.0.get(*name).ok_or_else(|| MissingTool::NotRegistered {
                tool: (*name).to_owned(),
                known: self.0.keys().map(|name| format!("`{name}`")).collect(),
            })
        };
        names.iter().map(find).collect()
    }
}

fn is_name(name: &str) -> bool {
    name != FINISH
        && (1..=LONGEST_NAME).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn twice() -> Tool {
        let parameters = json!({
            "type": "object",
            "properties": {"number": {"type": "integer"}},
            "required": ["number"],
        });
        Tool::untyped(
            "twice",
            "Doubles a number.",
            parameters,
            |args| async move {
                match args["number"].as_i64() {
                    Some(13) => Err("13 is not doubled here"),
                    number => Ok(number.map(|number| number * 2)),
                }
            },
        )
    }

    #[tokio::test]
    async fn arguments_are_read_as_replies_are() {
        assert_eq!(twice().call(json!({"number": 4})).await, Ok(json!(8)));
        assert_eq!(twice().call(json!({"Number": "4"})).await, Ok(json!(8)));
    }

    #[tokio::test]
    async fn what_goes_wrong_is_said() {
        let error = twice().call(json!({"n": 4, "x": 1})).await.unwrap_err();
        assert!(matches!(&error, ToolError::Arguments(reason) if reason.contains("number")));
        let error = twice().call(json!({"number": 13})).await.unwrap_err();
        assert_eq!(error.to_string(), "13 is not doubled here");
    }

    #[test]
    fn tools_that_are_not_there_are_named() {
        let mut tools = Tools::default();
        let error = tools.all(&["twice"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no tool `twice`, nor any other; register it with `LocalRunner::with_tool`"
        );
        tools.add(twice());
        assert_eq!(tools.all(&["twice"]).unwrap()[0].name(), "twice");
        let error = tools.all(&["twice", "search"]).unwrap_err();
        assert!(error.to_string().contains("but `twice`"), "{error}");
        for name in ["finish", "", "a b"] {
            assert!(matches!(tools.all(&[name]), Err(MissingTool::Name { .. })));
        }
    }
}
