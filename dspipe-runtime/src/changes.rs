//! Steps that run otherwise than they were compiled: with another prompt, another LM, as another sample.
//!
//! Optimizers try prompts in this way, without a build for each.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::lm::{LmName, Message};
use crate::prompt::{DemoView, value_text};
use crate::signature::{Demo, Prompt, SignatureDef};

/// A prompt that was not compiled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptText {
    /// In place of the signature's instructions.
    pub instructions: String,
    /// In place of the signature's demos.
    pub demos: Vec<DemoText>,
}

/// An example of a step's work that was not compiled in. It may lack fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DemoText {
    /// Name and value of the input fields: texts as they are, everything else as compact JSON.
    pub inputs: Vec<(String, String)>,
    /// The reply, as JSON.
    pub output: String,
}

impl DemoText {
    /// The demo of these inputs and outputs, each an object with one key per field. Fields come in the order
    /// of the signature; those that it does not have are left out.
    pub fn new(def: &SignatureDef, inputs: &Value, outputs: &Value) -> Self {
        let known = |name: &str, of: &Value| of.get(name).cloned();
        let inputs = def.inputs.iter().filter_map(|field| {
            let value = known(field.name, inputs)?;
            Some((field.name.to_owned(), value_text(&value)))
        });
        let output: serde_json::Map<String, Value> = def
            .outputs
            .iter()
            .filter_map(|field| Some((field.name.to_owned(), known(field.name, outputs)?)))
            .collect();
        Self {
            inputs: inputs.collect(),
            output: Value::Object(output).to_string(),
        }
    }
}

impl From<&Demo> for DemoText {
    fn from(demo: &Demo) -> Self {
        let inputs = demo.inputs.iter();
        Self {
            inputs: inputs
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
            output: demo.output.to_owned(),
        }
    }
}

impl From<Prompt> for PromptText {
    fn from(prompt: Prompt) -> Self {
        Self {
            instructions: prompt.instructions.to_owned(),
            demos: prompt.demos.iter().map(DemoText::from).collect(),
        }
    }
}

/// How one step runs otherwise. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// The prompt, for every LM.
    pub prompt: Option<Arc<PromptText>>,
    /// The LM. It comes before that of the runner.
    pub lm: Option<LmName>,
    /// The sampling temperature.
    pub temperature: Option<f64>,
    /// The longest reply, in tokens.
    pub max_tokens: Option<u32>,
    /// Which of several replies to one request is wanted, from 0; see
    /// [`Params::repetition`](crate::lm::Params::repetition).
    pub repetition: u32,
}

/// How the steps of workflows run otherwise. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Changes(Arc<BTreeMap<(String, String), Change>>);

impl Changes {
    /// Everything as it was compiled.
    pub fn none() -> Self {
        Self::default()
    }

    /// With this change of a step, in place of an earlier one.
    #[must_use]
    pub fn with(
        self,
        workflow: impl Into<String>,
        step: impl Into<String>,
        change: Change,
    ) -> Self {
        let mut changes = Arc::unwrap_or_clone(self.0);
        changes.insert((workflow.into(), step.into()), change);
        Self(Arc::new(changes))
    }

    pub(crate) fn of(&self, def: &SignatureDef) -> Option<&Change> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&(def.workflow.to_owned(), def.step.to_owned()))
    }
}

/// The prompt that a step has for an LM.
#[derive(Debug)]
pub(crate) struct Chosen {
    source: Source,
    /// The messages before the inputs, when the step is asked for its output: the same for all inputs.
    head: OnceLock<Vec<Message>>,
}

#[derive(Debug)]
enum Source {
    Compiled(Prompt),
    Given(Arc<PromptText>),
}

impl From<Prompt> for Chosen {
    fn from(prompt: Prompt) -> Self {
        Self {
            source: Source::Compiled(prompt),
            head: OnceLock::new(),
        }
    }
}

impl From<Arc<PromptText>> for Chosen {
    fn from(prompt: Arc<PromptText>) -> Self {
        Self {
            source: Source::Given(prompt),
            head: OnceLock::new(),
        }
    }
}

impl Chosen {
    pub(crate) fn instructions(&self) -> &str {
        match &self.source {
            Source::Compiled(prompt) => prompt.instructions,
            Source::Given(prompt) => &prompt.instructions,
        }
    }

    pub(crate) fn demos(&self) -> Vec<DemoView<'_>> {
        match &self.source {
            Source::Compiled(prompt) => prompt.demos.iter().map(DemoView::from).collect(),
            Source::Given(prompt) => prompt.demos.iter().map(DemoView::from).collect(),
        }
    }

    /// The messages before the inputs, rendered when they are first asked for.
    pub(crate) fn head(&self, render: impl FnOnce() -> Vec<Message>) -> &[Message] {
        self.head.get_or_init(render)
    }
}
