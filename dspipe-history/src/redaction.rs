//! Keeps fields out of the file.
//!
//! A redacted field is removed before anything is written. Its text is also replaced wherever else it
//! occurs in the same execution (an output that quotes an input), and within a recorded run of a workflow
//! also in later steps. The file remembers the rules, so that whoever opens it later keeps to them. Texts shorter than [`SHORTEST`] bytes are only removed from their own field: they
//! would occur anywhere.

use std::collections::HashSet;
use std::ffi::OsString;
use std::str::FromStr;

use dspipe_runtime::{SignatureDef, WorkflowDef};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What stands in place of a redacted text.
const MARK: &str = "[redacted]";

/// Shorter texts are not looked for outside of their field.
pub const SHORTEST: usize = 4;

/// Ends of the names of environment variables that hold keys: the same as for recordings of replies.
const KEY_NAMES: [&str; 6] = [
    "_KEY",
    "_TOKEN",
    "_SECRET",
    "_PASSWORD",
    "_PASSWD",
    "_CREDENTIALS",
];

/// Shorter values are words that occur anywhere.
const SHORTEST_KEY: usize = 8;

/// Which fields are kept out of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    names: HashSet<String>,
    places: HashSet<(String, String, String)>,
}

impl Redaction {
    /// Keeps nothing out.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps out what the rule says.
    #[must_use]
    pub fn with(mut self, rule: RedactionRule) -> Self {
        match rule {
            RedactionRule::Name(name) => self.names.insert(name),
            RedactionRule::Place {
                workflow,
                step,
                field,
            } => self.places.insert((workflow, step, field)),
        };
        self
    }

    /// Keeps out what either says.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.names.extend(other.names);
        self.places.extend(other.places);
        self
    }

    /// Keeps out the fields of a step that its workflow calls `sensitive`.
    pub fn of(def: &SignatureDef) -> Self {
        let fields = def.inputs.iter().chain(def.outputs);
        fields
            .filter(|field| field.sensitive)
            .fold(Self::new(), |redaction, field| {
                redaction.with(RedactionRule::Place {
                    workflow: def.workflow.to_owned(),
                    step: def.step.to_owned(),
                    field: field.name.to_owned(),
                })
            })
    }

    /// Keeps out the fields that a workflow and its steps call `sensitive`.
    pub fn of_workflow(def: &WorkflowDef) -> Self {
        let inputs = def.inputs.iter().filter(|field| field.sensitive);
        let inputs = inputs.fold(Self::new(), |redaction, field| {
            redaction.with(RedactionRule::Place {
                workflow: def.name.to_owned(),
                // An input of the run, and of no step that has none of this name.
                step: String::new(),
                field: field.name.to_owned(),
            })
        });
        def.steps
            .iter()
            .fold(inputs, |redaction, step| redaction.and(Self::of(step)))
    }

    /// The rules.
    pub fn rules(&self) -> impl Iterator<Item = RedactionRule> {
        let names = self.names.iter().cloned().map(RedactionRule::Name);
        let places = self.places.iter().cloned();
        names.chain(places.map(|(workflow, step, field)| RedactionRule::Place {
            workflow,
            step,
            field,
        }))
    }

    /// Whether nothing is kept out.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.places.is_empty()
    }

    /// Whether a field at the top of a step's inputs or outputs is kept out. The inputs of a run
    /// (`step` is `None`) have those fields of all its steps.
    fn names_field(&self, workflow: &str, step: Option<&str>, field: &str) -> bool {
        self.places.iter().any(|(in_workflow, in_step, name)| {
            in_workflow == workflow && step.is_none_or(|step| in_step == step) && name == field
        })
    }

    /// Takes the fields out of what went into a step (or a run) and came out, and adds their texts to
    /// `secrets`. Returns the places from which something was taken.
    pub(crate) fn apply(
        &self,
        workflow: &str,
        step: Option<&str>,
        inputs: &mut Value,
        outputs: Option<&mut Value>,
        secrets: &mut HashSet<String>,
    ) -> Vec<String> {
        let Some(step) = step else {
            return self.apply_to_run(&[workflow], inputs, outputs, secrets);
        };
        let mut taken = Taken {
            places: Vec::new(),
            secrets,
        };
        self.remove_fields(workflow, Some(step), inputs, "inputs", &mut taken);
        if let Some(outputs) = outputs {
            self.remove_fields(workflow, Some(step), outputs, "outputs", &mut taken);
        }
        taken.sorted()
    }

    /// The same of a run of a workflow, the first of these; the others are those that it called.
    pub(crate) fn apply_to_run(
        &self,
        workflows: &[&str],
        inputs: &mut Value,
        outputs: Option<&mut Value>,
        secrets: &mut HashSet<String>,
    ) -> Vec<String> {
        let mut taken = Taken {
            places: Vec::new(),
            secrets,
        };
        if let Some(workflow) = workflows.first() {
            self.remove_fields(workflow, None, inputs, "inputs", &mut taken);
        }
        if let Some(outputs) = outputs {
            self.remove_outputs(workflows, outputs, "outputs", &mut taken);
            self.remove_names(outputs, "outputs", &mut taken);
        }
        taken.sorted()
    }

    /// The outputs of a run are by the names of steps, also in the rounds of loops and in what called workflows gave.
    fn remove_outputs(
        &self,
        workflows: &[&str],
        value: &mut Value,
        path: &str,
        taken: &mut Taken<'_>,
    ) {
        match value {
            Value::Object(fields) => {
                for (step, value) in fields {
                    let path = format!("{path}.{step}");
                    if let Value::Object(fields) = value {
                        remove(fields, &path, taken, |field| {
                            let mut workflows = workflows.iter();
                            workflows.any(|it| self.names_field(it, Some(step), field))
                        });
                    }
                    self.remove_outputs(workflows, value, &path, taken);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.remove_outputs(workflows, item, &format!("{path}[]"), taken);
                }
            }
            _ => {}
        }
    }

    fn remove_fields(
        &self,
        workflow: &str,
        step: Option<&str>,
        value: &mut Value,
        path: &str,
        taken: &mut Taken<'_>,
    ) {
        if let Value::Object(fields) = value {
            remove(fields, path, taken, |field| {
                self.names_field(workflow, step, field)
            });
        }
        self.remove_names(value, path, taken);
    }

    fn remove_names(&self, value: &mut Value, path: &str, taken: &mut Taken<'_>) {
        match value {
            Value::Object(fields) => {
                remove(fields, path, taken, |field| self.names.contains(field));
                for (name, value) in fields {
                    self.remove_names(value, &format!("{path}.{name}"), taken);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.remove_names(item, &format!("{path}[]"), taken);
                }
            }
            _ => {}
        }
    }
}

struct Taken<'a> {
    places: Vec<String>,
    secrets: &'a mut HashSet<String>,
}

impl Taken<'_> {
    fn sorted(mut self) -> Vec<String> {
        self.places.sort();
        self.places.dedup();
        self.places
    }
}

/// Takes out of outputs what is at a place that was left out before, as in `outputs.people[].email`; whether
/// something was there.
pub(crate) fn remove_place(outputs: &mut Value, place: &str) -> bool {
    let Some(path) = place.strip_prefix("outputs.") else {
        return false;
    };
    let keys: Vec<&str> = path.split('.').collect();
    remove_at(outputs, &keys)
}

fn remove_at(value: &mut Value, path: &[&str]) -> bool {
    match (value, path) {
        (Value::Array(items), _) => {
            let mut found = false;
            for item in items {
                found |= remove_at(item, path);
            }
            found
        }
        (Value::Object(fields), [last]) => {
            fields.shift_remove(last.trim_end_matches("[]")).is_some()
        }
        (Value::Object(fields), [key, rest @ ..]) => fields
            .get_mut(key.trim_end_matches("[]"))
            .is_some_and(|inner| remove_at(inner, rest)),
        _ => false,
    }
}

fn remove(
    fields: &mut Map<String, Value>,
    path: &str,
    taken: &mut Taken<'_>,
    is_kept_out: impl Fn(&str) -> bool,
) {
    fields.retain(|name, value| {
        let stays = !is_kept_out(name);
        if !stays {
            taken.places.push(format!("{path}.{name}"));
            collect_texts(value, taken.secrets);
        }
        stays
    });
}

fn collect_texts(value: &Value, texts: &mut HashSet<String>) {
    match value {
        Value::String(text) if text.trim().len() >= SHORTEST => {
            texts.insert(text.trim().to_owned());
        }
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(fields) => fields.values().for_each(|item| collect_texts(item, texts)),
        _ => {}
    }
}

/// The values of environment variables that hold keys and tokens, by their names.
pub(crate) fn keys_of(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> HashSet<String> {
    let is_key = |name: &OsString| {
        let name = name.to_string_lossy().to_ascii_uppercase();
        KEY_NAMES.iter().any(|end| name.ends_with(end))
    };
    let values = variables
        .into_iter()
        .filter(|(name, _)| is_key(name))
        .filter_map(|(_, value)| value.into_string().ok());
    values
        .map(|value| value.trim().to_owned())
        .filter(|value| value.len() >= SHORTEST_KEY)
        .collect()
}

/// Replaces every secret in the texts and keys of a value.
pub(crate) fn scrub(value: &mut Value, secrets: &HashSet<String>) {
    match value {
        Value::String(text) => scrub_text(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub(item, secrets)),
        Value::Object(fields) => {
            if fields.keys().any(|key| contains(key, secrets)) {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(mut key, value)| {
                        scrub_text(&mut key, secrets);
                        (key, value)
                    })
                    .collect();
            }
            for value in fields.values_mut() {
                scrub(value, secrets);
            }
        }
        _ => {}
    }
}

/// Replaces every secret in a text.
pub(crate) fn scrub_text(text: &mut String, secrets: &HashSet<String>) {
    if !contains(text, secrets) {
        return;
    }
    // The longest first: one secret may be a part of another.
    let mut found: Vec<&String> = secrets.iter().filter(|one| text.contains(*one)).collect();
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in found {
        *text = text.replace(secret, MARK);
    }
}

fn contains(text: &str, secrets: &HashSet<String>) -> bool {
    secrets.iter().any(|secret| text.contains(secret))
}

/// A field, or a name of fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedactionRule {
    /// Every field of this name, at any depth, in every step.
    Name(String),
    /// An input or output field of one step.
    Place {
        /// The workflow's name.
        workflow: String,
        /// The step's name.
        step: String,
        /// The field's name.
        field: String,
    },
}

impl FromStr for RedactionRule {
    type Err = RedactionError;

    fn from_str(text: &str) -> Result<Self, RedactionError> {
        let parts: Vec<&str> = text.split('.').collect();
        match parts[..] {
            _ if parts.iter().any(|part| part.trim().is_empty()) => {}
            [name] => return Ok(Self::Name(name.to_owned())),
            [workflow, step, field] => {
                return Ok(Self::Place {
                    workflow: workflow.to_owned(),
                    step: step.to_owned(),
                    field: field.to_owned(),
                });
            }
            _ => {}
        }
        Err(RedactionError {
            text: text.to_owned(),
        })
    }
}

/// A text that does not say which field is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` does not name a field; write `workflow.step.field`, or a name such as `email` for every \
     field of that name"
)]
pub struct RedactionError {
    text: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(rules: &[&str]) -> Redaction {
        rules.iter().fold(Redaction::new(), |redaction, rule| {
            redaction.with(rule.parse().unwrap())
        })
    }

    #[test]
    fn what_the_workflow_calls_sensitive_is_taken_out_of_its_step() {
        let def = SignatureDef {
            inputs: &[dspipe_runtime::FieldDef {
                name: "ticket",
                ty: "string",
                description: "",
                sensitive: true,
            }],
            ..crate::test_support::DEF
        };
        let rules: Vec<RedactionRule> = Redaction::of(&def).rules().collect();
        assert_eq!(rules, ["support.triage.ticket".parse().unwrap()]);
        assert!(Redaction::of(&crate::test_support::DEF).is_empty());
    }

    #[test]
    fn a_name_is_taken_out_at_any_depth() {
        let mut inputs = json!({"email": "a@example.org", "text": "hi"});
        let mut outputs = json!({"people": [{"email": "b@example.org", "age": 3}, {"age": 4}]});
        let mut secrets = HashSet::new();
        let places = rules(&["email"]).apply(
            "w",
            Some("s"),
            &mut inputs,
            Some(&mut outputs),
            &mut secrets,
        );
        assert_eq!(inputs, json!({"text": "hi"}));
        assert_eq!(outputs, json!({"people": [{"age": 3}, {"age": 4}]}));
        assert_eq!(places, ["inputs.email", "outputs.people[].email"]);
        assert_eq!(secrets.len(), 2);
    }

    #[test]
    fn a_place_is_one_field_of_one_step_and_of_its_run() {
        let redaction = rules(&["w.s.note"]);
        let run = |workflow: &str, step: Option<&str>| {
            let mut inputs = json!({"note": "secret", "rest": 1});
            let mut outputs = json!({"s": {"note": 1}, "other": {"note": 2}});
            let mut secrets = HashSet::new();
            redaction.apply(
                workflow,
                step,
                &mut inputs,
                Some(&mut outputs),
                &mut secrets,
            )
        };
        assert_eq!(run("w", Some("s")), ["inputs.note"]);
        assert_eq!(run("w", None), ["inputs.note", "outputs.s.note"]);
        assert!(run("w", Some("other")).is_empty());
        assert!(run("other", Some("s")).is_empty());
    }

    #[test]
    fn in_a_run_steps_are_looked_for_in_loops_and_calls() {
        let redaction = rules(&["w.s.note", "called.t.name"]);
        let apply = |workflows: &[&str]| {
            let mut outputs = json!({
                "each": [{"s": {"note": "one", "rest": 1}}, {"s": null}],
                "until": {"last": {"s": {"note": "two"}}, "iterations": 1},
                "call": {"t": {"name": "Ada"}},
                "note": {"name": "x"},
            });
            let mut secrets = HashSet::new();
            let run = &mut Value::Null;
            let taken = redaction.apply_to_run(workflows, run, Some(&mut outputs), &mut secrets);
            (taken, outputs)
        };
        let (taken, outputs) = apply(&["w", "called"]);
        assert_eq!(
            taken,
            [
                "outputs.call.t.name",
                "outputs.each[].s.note",
                "outputs.until.last.s.note"
            ]
        );
        assert_eq!(
            outputs,
            json!({
                "each": [{"s": {"rest": 1}}, {"s": null}],
                "until": {"last": {"s": {}}, "iterations": 1},
                "call": {"t": {}},
                "note": {"name": "x"},
            })
        );
        assert_eq!(apply(&["w"]).0.len(), 2);
        assert!(apply(&["other"]).0.is_empty());
    }

    #[test]
    fn what_was_left_out_once_is_found_again() {
        let mut outputs = json!({"people": [{"email": "a", "age": 1}, {"age": 2}], "note": "x"});
        assert!(remove_place(&mut outputs, "outputs.people[].email"));
        assert!(remove_place(&mut outputs, "outputs.note"));
        assert!(!remove_place(&mut outputs, "inputs.people"));
        assert!(!remove_place(&mut outputs, "outputs.none.deep"));
        assert_eq!(outputs, json!({"people": [{"age": 1}, {"age": 2}]}));
    }

    #[test]
    fn what_quotes_a_secret_is_scrubbed() {
        let secrets = HashSet::from(["Ada".to_owned() + " Lovelace", "Lovelace".to_owned()]);
        let mut value = json!({"Dear Ada Lovelace": ["Mrs Lovelace", 3]});
        scrub(&mut value, &secrets);
        assert_eq!(value, json!({"Dear [redacted]": ["Mrs [redacted]", 3]}));
    }

    #[test]
    fn keys_are_known_by_the_names_of_their_variables() {
        let variables = [
            ("OPENAI_API_KEY", "sk-12345678"),
            ("my_token", " tok-12345678\n"),
            ("SHORT_KEY", "1234567"),
            ("HOME", "/home/somebody"),
        ];
        let keys = keys_of(variables.map(|(name, value)| (name.into(), value.into())));
        let expected = ["sk-12345678", "tok-12345678"].map(str::to_owned);
        assert_eq!(keys, HashSet::from(expected));
    }

    #[test]
    fn rules_have_one_or_three_parts() {
        for wrong in ["", "a.b", "a.b.c.d", "a..c", "."] {
            assert!(wrong.parse::<RedactionRule>().is_err(), "{wrong}");
        }
    }
}
