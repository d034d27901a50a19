//! Instructions and demos into the text of a workflow file, all else in it as it is.
//!
//! The text is edited where the spans of the YAML say, and then read and checked again: what is not exactly what
//! was asked for is an error, so no way of writing YAML can make a wrong file of a right one.

mod edits;
mod examples;
mod text;

use std::path::Path;

use serde_json::{Map, Value};

use crate::check;
use crate::data::DataFiles;
use crate::diag::Diagnostics;
use crate::files::read_data;
use crate::ir;
use crate::library::Library;
use crate::nested::Nested;
use crate::source::{Sources, Span};
use crate::spec;
use crate::training::{Invalid, finish};
use crate::yaml::{self, Key, Kind, Node};

use edits::Edits;
use examples::Example;

/// What a step of a workflow file is to say.
#[derive(Clone, Debug, PartialEq)]
pub struct StepText {
    /// The name of the step.
    pub step: String,
    /// Its instructions; white space at their end does not count.
    pub instructions: String,
    /// The examples that its prompt is to show, inputs and outputs by field, in this order. Those that lack a
    /// required field cannot stand in a workflow file and are left out; those that are there twice are there once.
    pub examples: Vec<(Map<String, Value>, Map<String, Value>)>,
}

/// The text of a workflow file with these instructions and demos; every comment and all other text is as before.
///
/// `path` is where the file is, for the files that it names. Demos stand at the beginning of `examples`, which keep
/// what they have, and `few_shot_examples` of the step says how many they are. The result has been checked.
///
/// # Errors
/// [`Invalid`] if the text is no right workflow, there is no such step, a demo does not fit it, or the text is
/// written in a way that cannot be edited, such as with an alias in place of what is to change.
pub fn write_back(path: &Path, text: &str, steps: &[StepText]) -> Result<String, Invalid> {
    let old = Front::read(path, text)?;
    let mut edits = Edits::new(text);
    let mut wanted = old.root.to_json();
    let mut shown = Vec::new();
    for step in steps {
        let mut writer = old.writer(step, &mut edits)?;
        let demos = writer.write(step, &mut wanted)?;
        shown.push((step, demos));
    }
    let new = edits.apply();
    let found = Front::read(path, &new).map_err(|invalid| Invalid {
        report: format!(
            "the prompts do not fit {}, which stays as it is; with them it would have\n{invalid}",
            path.display()
        ),
    })?;
    if found.root.to_json() != wanted || !shown.iter().all(|(step, demos)| found.shows(step, demos))
    {
        return Err(Invalid {
            report: format!(
                "{} is written in a way that the prompts cannot be put into, and stays as it is: does it use \
                 anchors and aliases for what is to change?",
                path.display()
            ),
        });
    }
    Ok(new)
}

/// A workflow file that was read and checked.
struct Front {
    sources: Sources,
    root: Node,
    spec: spec::Workflow,
    checked: ir::Workflow,
    /// The examples in the file itself.
    records: Vec<ir::Record>,
    required: Vec<(Vec<String>, Vec<String>)>,
}

impl Front {
    fn read(path: &Path, text: &str) -> Result<Self, Invalid> {
        let mut sources = Sources::default();
        let mut diagnostics = Diagnostics::default();
        let file = sources.add(path.to_string_lossy().replace('\\', "/"), text);
        let read = yaml::parse(&sources, file, &mut diagnostics).and_then(|root| {
            let spec = spec::Workflow::read(&root, &mut diagnostics)?;
            Some((root, spec))
        });
        let Some((root, mut spec)) = read else {
            return finish(&sources, diagnostics, None).map(|(_, never)| never);
        };
        let mut read = |path: &Path| read_data(path);
        let library = Library::load(&mut spec, &mut sources, &mut read, &mut diagnostics);
        let data = DataFiles::load(&spec, &mut sources, &mut read, &mut diagnostics);
        let nested = Nested::load(&spec, &mut sources, &mut read, &mut diagnostics);
        let checked = check::check(
            &spec,
            &library,
            &nested,
            &sources,
            &data,
            None,
            &mut diagnostics,
        );
        finish(&sources, diagnostics, Some(()))?;
        // All that they could say has been said.
        let said = &mut Diagnostics::default();
        let none = DataFiles::default();
        let records = check::records(&spec, &library, &sources, &none, None, said);
        let required = check::required(&spec, &library, &sources, said);
        Ok(Self {
            sources,
            root,
            spec,
            checked,
            records,
            required,
        })
    }

    fn writer<'f, 't>(
        &'f self,
        step: &StepText,
        edits: &'f mut Edits<'t>,
    ) -> Result<Writer<'f, 't>, Invalid> {
        let steps = self.spec.steps();
        let found = steps.iter().position(|it| it.name.value == step.step);
        let mut way = Vec::new();
        let node = found.and_then(|index| {
            let workflow = get(&self.root, "workflow")?.1;
            find(workflow, steps[index].name.span, &mut way)
        });
        let (Some(index), Some(node)) = (found, node) else {
            let names: Vec<&str> = steps.iter().map(|it| it.name.value.as_str()).collect();
            return Err(Invalid {
                report: format!(
                    "no step of `{}` is called `{}`; its steps are {}",
                    self.spec.name,
                    step.step,
                    names.join(", ")
                ),
            });
        };
        Ok(Writer {
            front: self,
            index,
            way,
            node,
            edits,
        })
    }

    /// Whether a step has these instructions, and its prompt shows these demos.
    fn shows(&self, step: &StepText, demos: &[Example]) -> bool {
        let found = self
            .checked
            .steps
            .iter()
            .find(|it| it.name.text == step.step);
        found.is_some_and(|found| {
            found.instructions == step.instructions.trim_end()
                && found.demos.len() == demos.len()
                && found.demos.iter().zip(demos).all(|(found, demo)| {
                    let inputs = Value::Object(found.inputs.iter().cloned().collect());
                    demo.is_in(&inputs, &found.output)
                })
        })
    }
}

/// Edits one step.
struct Writer<'f, 't> {
    front: &'f Front,
    index: usize,
    /// Its place in `steps`, behind those of the loops around it.
    way: Vec<usize>,
    node: &'f Node,
    edits: &'f mut Edits<'t>,
}

impl Writer<'_, '_> {
    /// Gives the demos that the prompt is to show; `wanted` becomes what the file is to say.
    fn write(&mut self, step: &StepText, wanted: &mut Value) -> Result<Vec<Example>, Invalid> {
        let mut wanted = &mut wanted["workflow"];
        for place in &self.way {
            wanted = &mut wanted["steps"][*place];
        }
        let instructions = step.instructions.trim_end();
        if self.front.checked.steps[self.index].instructions != instructions {
            let key = self.signature()?;
            self.instructions(instructions)?;
            wanted[key]["instructions"] = instructions.into();
        }
        let demos = self.whole(step);
        // First of all, since they may be below the last line of the step, where the other goes too.
        if let Some(examples) = self.examples(&demos)? {
            wanted["examples"] = examples.into();
        }
        let config = &self.front.spec.steps()[self.index].dspy_config;
        let of_workflow = &self.front.spec.dspy_config.few_shot_examples;
        let count = config.few_shot_examples.as_ref().or(of_workflow.as_ref());
        if count.map_or(0, |count| count.value as usize) != demos.len() {
            self.count(demos.len())?;
            wanted["dspy_config"]["few_shot_examples"] = demos.len().into();
        }
        Ok(demos)
    }

    /// The demos that may stand in the file, each once.
    fn whole(&self, step: &StepText) -> Vec<Example> {
        let (inputs, outputs) = &self.front.required[self.index];
        let mut found: Vec<Example> = Vec::new();
        for (input, output) in &step.examples {
            let has = |values: &Map<String, Value>, names: &[String]| {
                names.iter().all(|name| values.contains_key(name))
            };
            let demo = Example::new(input, output);
            if has(input, inputs) && has(output, outputs) && !found.contains(&demo) {
                found.push(demo);
            }
        }
        found
    }

    fn signature(&self) -> Result<&'static str, Invalid> {
        ["signature", "dspy_signature"]
            .into_iter()
            .find(|key| self.node.has(key))
            .ok_or_else(|| self.cannot("signature", self.node.span))
    }

    fn instructions(&mut self, text: &str) -> Result<(), Invalid> {
        let (signature_key, signature) = self.entry(self.node, self.signature()?)?;
        let in_brackets = self.edits.is_flow(signature);
        let Some((key, value)) = get(signature, "instructions") else {
            let entry = if in_brackets {
                vec![format!("instructions: {}", text::quoted(text))]
            } else {
                scalar("instructions", text, self.column_of(signature))
            };
            return self.add_first(signature_key, signature, &entry);
        };
        let column = self.edits.column(key.span.start);
        let body = if in_brackets {
            None
        } else {
            text::block(text, column + 2)
        };
        let head = match &body {
            Some(_) => "|-".to_owned(),
            None => text::quoted(text),
        };
        let body = body.unwrap_or_default();
        let place = self.value_of(key)?;
        let start = place.start;
        if self.edits.starts_with(start, '|') || self.edits.starts_with(start, '>') {
            // A comment may stand behind the header.
            let header = self.edits.token_end(start);
            let line_end = self.edits.line_end(start);
            self.edits.replace(start, header, head);
            let end = self.edits.end(value).max(line_end);
            self.edits.replace_lines(line_end, end, &body);
        } else {
            let end = if self.edits.starts_with(start, '*') {
                self.edits.token_end(start)
            } else {
                value.span.end
            };
            self.edits.replace(start, end, head);
            self.edits.insert_lines(end, &body);
        }
        Ok(())
    }

    /// `few_shot_examples`.
    fn count(&mut self, count: usize) -> Result<(), Invalid> {
        let entry = format!("few_shot_examples: {count}");
        let Some((key, config)) = get(self.node, "dspy_config") else {
            let lines = if self.edits.is_flow(self.node) {
                vec![format!("dspy_config: {{{entry}}}")]
            } else {
                let indent = " ".repeat(self.column_of(self.node));
                vec![
                    format!("{indent}dspy_config:"),
                    format!("{indent}  {entry}"),
                ]
            };
            self.add_last(&lines);
            return Ok(());
        };
        if let Some((key, value)) = get(config, "few_shot_examples") {
            let place = self.value_of(key)?;
            let end = if self.edits.starts_with(place.start, '*') {
                self.edits.token_end(place.start)
            } else {
                value.span.end
            };
            self.edits.replace(place.start, end, count.to_string());
            return Ok(());
        }
        let (key, config) = (key.clone(), config);
        let indent = " ".repeat(if self.edits.is_flow(config) {
            0
        } else {
            self.column_of(config)
        });
        self.add_first(&key, config, &[format!("{indent}{entry}")])
    }

    /// Puts an entry at the beginning of the mapping that is the value of a key.
    fn add_first(&mut self, key: &Key, map: &Node, entry: &[String]) -> Result<(), Invalid> {
        let place = self.value_of(key)?;
        if self.edits.starts_with(place.start, '*') {
            return Err(self.cannot(&key.text, key.span));
        }
        if self.edits.is_flow(map) {
            self.add_first_in_brackets(map, &entry.join(" "));
        } else {
            self.edits.insert_lines(place.lead, entry);
        }
        Ok(())
    }

    fn add_first_in_brackets(&mut self, map: &Node, entry: &str) {
        let (at, comma) = match &map.kind {
            Kind::Map(entries) => match entries.first() {
                Some((key, _)) => (key.span.start, ", "),
                None => (map.span.start + 1, ""),
            },
            _ => (map.span.start + 1, ""),
        };
        self.edits.replace(at, at, format!("{entry}{comma}"));
    }

    /// Puts an entry into the step: at its end, or in brackets at its beginning.
    fn add_last(&mut self, lines: &[String]) {
        if self.edits.is_flow(self.node) {
            self.add_first_in_brackets(self.node, &lines.join(" "));
        } else {
            self.edits.insert_lines(self.edits.end(self.node), lines);
        }
    }

    /// The column of the keys of a block mapping.
    fn column_of(&self, map: &Node) -> usize {
        self.edits.column(map.span.start)
    }

    fn entry<'n>(&self, map: &'n Node, key: &str) -> Result<(&'n Key, &'n Node), Invalid> {
        get(map, key).ok_or_else(|| self.cannot(key, map.span))
    }

    fn value_of(&self, key: &Key) -> Result<edits::Place, Invalid> {
        let place = self.edits.value_of(key.span.end);
        place.ok_or_else(|| self.cannot(&key.text, key.span))
    }

    fn cannot(&self, what: &str, span: Span) -> Invalid {
        let place = self.front.sources.location(span);
        let step = &self.front.spec.steps()[self.index].name;
        Invalid {
            report: format!(
                "{place}: `{what}` of step `{step}` is written in a way that prompts cannot be put into; if it is an \
                 alias, write the value out"
            ),
        }
    }
}

/// An entry of a block mapping whose value is a text.
fn scalar(key: &str, text: &str, column: usize) -> Vec<String> {
    let indent = " ".repeat(column);
    match text::block(text, column + 2) {
        Some(body) => [format!("{indent}{key}: |-")]
            .into_iter()
            .chain(body)
            .collect(),
        None => vec![format!("{indent}{key}: {}", text::quoted(text))],
    }
}

/// The step whose name stands at a place, in a workflow or a loop.
fn find<'n>(map: &'n Node, name: Span, way: &mut Vec<usize>) -> Option<&'n Node> {
    let Kind::List(items) = &get(map, "steps")?.1.kind else {
        return None;
    };
    for (place, node) in items.iter().enumerate() {
        way.push(place);
        if get(node, "name").is_some_and(|(_, value)| value.span == name) {
            return Some(node);
        }
        if let Some(found) = find(node, name, way) {
            return Some(found);
        }
        way.pop();
    }
    None
}

fn get<'n>(map: &'n Node, name: &str) -> Option<(&'n Key, &'n Node)> {
    match &map.kind {
        Kind::Map(entries) => {
            let entry = entries.iter().find(|(key, _)| key.text == name);
            entry.map(|(key, value)| (key, value))
        }
        _ => None,
    }
}
