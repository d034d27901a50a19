//! Programs that Python DSPy saved with `program.save("x.json")`, and such files for it to load.
//!
//! The file has neither names nor types of fields: they are matched by position with the signatures that
//! the steps have here. What an LM, its settings and its keys were is not taken over.

use super::coerce::validate;
use super::json::{self, JsonError};
use super::prefix::infer_prefix;
use super::print;
use super::signature::{DspyField, DspySignature};
use super::types::PyType;
use super::value::{PyDict, PyValue};

/// The version of DSPy whose files these are.
const DSPY_VERSION: &str = "3.4.1";

/// What a program's predictor is told: the part of it that optimizers change.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedStep {
    /// The step's name here.
    pub step: String,
    /// The predictor's name in the file: `rate`, `rate.predict` for a `ChainOfThought`, empty if the
    /// program is a single `Predict`.
    pub predictor: String,
    /// The step's signature with the file's instructions, descriptions and prefixes. For a
    /// `ChainOfThought` its first output is `reasoning`.
    pub signature: DspySignature,
    /// The demos, with the fields of the signature only.
    pub demos: Vec<PyDict>,
}

/// A file that is not such a program, or the program of something else.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// It is not JSON.
    #[error("the saved program is not JSON: {0}")]
    Json(#[from] JsonError),
    /// A part has another form than DSPy gives it.
    #[error(
        "the saved program's `{place}` must be {form}: was it written by `program.save(\"….json\")`?"
    )]
    Form {
        /// The part.
        place: String,
        /// What it must be.
        form: &'static str,
    },
    /// No step has the name of a predictor.
    #[error("the saved program has a predictor `{predictor}`, but there is no step of that name; the steps are {steps}", steps = list(.steps))]
    UnknownPredictor {
        /// The predictor.
        predictor: String,
        /// The steps.
        steps: Vec<String>,
    },
    /// Two predictors belong to one step.
    #[error("the saved program has two predictors for the step `{step}`")]
    TwoPredictors {
        /// The step.
        step: String,
    },
    /// The program is a single predictor, but there are several steps.
    #[error("the saved program is a single predictor without a name, but there are several steps ({steps}): give the one that it is for", steps = list(.steps))]
    Nameless {
        /// The steps.
        steps: Vec<String>,
    },
    /// A predictor has another number of fields.
    #[error("step `{step}` has the fields {fields}, but the saved program's predictor has {found} fields ({prefixes})", fields = list(.fields), prefixes = .prefixes.join(" "))]
    FieldCount {
        /// The step.
        step: String,
        /// The step's fields.
        fields: Vec<String>,
        /// How many the predictor has.
        found: usize,
        /// How the predictor calls them.
        prefixes: Vec<String>,
    },
    /// A predictor has its fields in another order.
    #[error(
        "step `{step}`: the saved program has `{prefix}` where the step has the field `{field}`: bring the fields into the program's order"
    )]
    FieldOrder {
        /// The step.
        step: String,
        /// The step's field.
        field: String,
        /// The predictor's.
        prefix: String,
    },
    /// A value of a demo does not fit its field.
    #[error("step `{step}`, demo {number}, field `{field}`: {message}")]
    Demo {
        /// The step.
        step: String,
        /// Which demo, from 1.
        number: usize,
        /// The field.
        field: String,
        /// What is wrong.
        message: String,
    },
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Reads a saved program for steps with these names and signatures.
///
/// The result has the steps in the order of the file. A step that the file lacks is not in it: DSPy leaves
/// out predictors that were frozen.
///
/// # Errors
/// [`SavedError`] if the file is not a saved program, or not one with these steps.
pub fn read_program(
    text: &str,
    steps: &[(&str, &DspySignature)],
) -> Result<Vec<SavedStep>, SavedError> {
    let program = as_dict(json::read(text)?, "program")?;
    let names = || steps.iter().map(|(name, _)| (*name).to_owned()).collect();
    if program.contains_key("signature") {
        let [(name, signature)] = steps else {
            return Err(SavedError::Nameless { steps: names() });
        };
        return Ok(vec![read_step(name, "", signature, program)?]);
    }
    let mut saved: Vec<SavedStep> = Vec::new();
    for (predictor, state) in program {
        if predictor == "metadata" {
            continue;
        }
        let step = predictor.strip_suffix(".predict").unwrap_or(&predictor);
        // A `ChainOfThought` that was saved alone is just `predict`.
        let only = (predictor == "predict" && steps.len() == 1).then(|| &steps[0]);
        let Some((name, signature)) = steps.iter().find(|(name, _)| *name == step).or(only) else {
            return Err(SavedError::UnknownPredictor {
                predictor,
                steps: names(),
            });
        };
        if saved.iter().any(|saved| saved.step == *name) {
            return Err(SavedError::TwoPredictors {
                step: (*name).to_owned(),
            });
        }
        let state = as_dict(state, &predictor)?;
        saved.push(read_step(name, &predictor, signature, state)?);
    }
    Ok(saved)
}

/// Writes a program that DSPy's `program.load` takes, if its predictors have the names of
/// [`SavedStep::predictor`] and the same fields in the same order.
pub fn write_program(steps: &[SavedStep]) -> String {
    let versions = PyDict::from([("dspy".to_owned(), DSPY_VERSION.into())]);
    let metadata = PyDict::from([("dependency_versions".to_owned(), PyValue::Dict(versions))]);
    let mut program = PyDict::new();
    for step in steps {
        let state = state(step);
        if step.predictor.is_empty() {
            program.extend(state);
        } else {
            program.insert(step.predictor.clone(), PyValue::Dict(state));
        }
    }
    program.insert("metadata".to_owned(), PyValue::Dict(metadata));
    print::pretty_json(&PyValue::Dict(program)) + "\n"
}

fn state(step: &SavedStep) -> PyDict {
    let text = |text: String| PyValue::Str(text);
    let fields = step.signature.fields().map(|field| {
        let prefix = field
            .prefix
            .clone()
            .unwrap_or_else(|| infer_prefix(&field.name));
        let desc = field
            .desc
            .clone()
            .unwrap_or_else(|| format!("${{{}}}", field.name));
        PyValue::Dict(PyDict::from([
            ("prefix".to_owned(), text(prefix)),
            ("description".to_owned(), text(desc)),
        ]))
    });
    let signature = PyDict::from([
        (
            "instructions".to_owned(),
            text(step.signature.instructions()),
        ),
        ("fields".to_owned(), PyValue::List(fields.collect())),
    ]);
    let demos = step.demos.iter().cloned().map(PyValue::Dict).collect();
    PyDict::from([
        ("traces".to_owned(), PyValue::List(Vec::new())),
        ("train".to_owned(), PyValue::List(Vec::new())),
        ("demos".to_owned(), PyValue::List(demos)),
        ("signature".to_owned(), PyValue::Dict(signature)),
        ("lm".to_owned(), PyValue::None),
    ])
}

fn read_step(
    step: &str,
    predictor: &str,
    signature: &DspySignature,
    mut state: PyDict,
) -> Result<SavedStep, SavedError> {
    let place = |part: &str| match predictor {
        "" => part.to_owned(),
        name => format!("{name}.{part}"),
    };
    let mut saved = as_dict(take(&mut state, "signature"), &place("signature"))?;
    let fields = as_list(take(&mut saved, "fields"), &place("signature.fields"))?;
    let mut shown = Vec::new();
    for field in fields {
        let mut field = as_dict(field, &place("signature.fields"))?;
        let prefix = as_text(
            take(&mut field, "prefix"),
            &place("signature.fields.prefix"),
        )?;
        let desc = take(&mut field, "description");
        shown.push((
            prefix,
            as_text(desc, &place("signature.fields.description"))?,
        ));
    }
    let mut signature = with_reasoning(signature, predictor, shown.len());
    let instructions = take(&mut saved, "instructions");
    signature.instructions = Some(as_text(instructions, &place("signature.instructions"))?);
    describe(step, &mut signature, shown)?;
    let demos = as_list(take(&mut state, "demos"), &place("demos"))?;
    let demos = demos
        .into_iter()
        .enumerate()
        .map(|(index, demo)| {
            let demo = as_dict(demo, &place("demos"))?;
            read_demo(step, index + 1, &signature, demo)
        })
        .collect::<Result<_, _>>()?;
    Ok(SavedStep {
        step: step.to_owned(),
        predictor: predictor.to_owned(),
        signature,
        demos,
    })
}

/// The signature of a predictor: a `ChainOfThought` has one output more than the step.
fn with_reasoning(signature: &DspySignature, predictor: &str, found: usize) -> DspySignature {
    let mut signature = signature.clone();
    let thinks = predictor == "predict" || predictor.ends_with(".predict");
    if thinks && found == signature.fields().count() + 1 {
        signature
            .outputs
            .insert(0, DspyField::new("reasoning", PyType::Str));
    }
    signature
}

/// Puts the file's descriptions and prefixes into a signature.
fn describe(
    step: &str,
    signature: &mut DspySignature,
    shown: Vec<(String, String)>,
) -> Result<(), SavedError> {
    let names: Vec<String> = signature.fields().map(|field| field.name.clone()).collect();
    if names.len() != shown.len() {
        return Err(SavedError::FieldCount {
            step: step.to_owned(),
            fields: names,
            found: shown.len(),
            prefixes: shown.into_iter().map(|(prefix, _)| prefix).collect(),
        });
    }
    let usual: Vec<String> = names.iter().map(|name| infer_prefix(name)).collect();
    let fields = signature.inputs.iter_mut().chain(&mut signature.outputs);
    for ((index, field), (prefix, desc)) in fields.enumerate().zip(shown) {
        // A prefix may be anything, but not the one of another field.
        if prefix != usual[index] && usual.contains(&prefix) {
            return Err(SavedError::FieldOrder {
                step: step.to_owned(),
                field: field.name.clone(),
                prefix,
            });
        }
        field.desc = (desc != format!("${{{}}}", field.name)).then_some(desc);
        field.prefix = (prefix != usual[index]).then_some(prefix);
    }
    Ok(())
}

/// The fields of the signature, if their values fit. `None` is a field that the demo lacks.
fn read_demo(
    step: &str,
    number: usize,
    signature: &DspySignature,
    mut demo: PyDict,
) -> Result<PyDict, SavedError> {
    demo.retain(|name, _| signature.fields().any(|field| field.name == *name));
    for field in signature.fields() {
        let Some(value) = demo
            .get(&field.name)
            .filter(|value| **value != PyValue::None)
        else {
            continue;
        };
        validate(value, &field.ty).map_err(|message| SavedError::Demo {
            step: step.to_owned(),
            number,
            field: field.name.clone(),
            message,
        })?;
    }
    Ok(demo)
}

fn take(dict: &mut PyDict, key: &str) -> PyValue {
    dict.shift_remove(key).unwrap_or(PyValue::None)
}

fn as_dict(value: PyValue, place: &str) -> Result<PyDict, SavedError> {
    match value {
        PyValue::Dict(dict) => Ok(dict),
        _ => Err(form(place, "an object")),
    }
}

fn as_list(value: PyValue, place: &str) -> Result<Vec<PyValue>, SavedError> {
    match value {
        PyValue::List(list) => Ok(list),
        _ => Err(form(place, "a list")),
    }
}

fn as_text(value: PyValue, place: &str) -> Result<String, SavedError> {
    match value {
        PyValue::Str(text) => Ok(text),
        _ => Err(form(place, "a text")),
    }
}

fn form(place: &str, form: &'static str) -> SavedError {
    SavedError::Form {
        place: place.to_owned(),
        form,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = r#"{
        "rate": {"traces": [], "train": [], "demos": [{"ticket": "x", "urgency": 3, "augmented": true}],
            "signature": {"instructions": "Rate it.", "fields": [
                {"prefix": "Ticket:", "description": "What"},
                {"prefix": "Urgency:", "description": "${urgency}"}]}, "lm": null},
        "metadata": {"dependency_versions": {"python": "3.12", "dspy": "3.4.1"}}
    }"#;

    fn signature(fields: &[(&str, PyType)]) -> DspySignature {
        let field = |(name, ty): &(&str, PyType)| DspyField::new(*name, ty.clone());
        DspySignature {
            instructions: None,
            inputs: fields[..1].iter().map(field).collect(),
            outputs: fields[1..].iter().map(field).collect(),
        }
    }

    fn error(step: &str, fields: &[(&str, PyType)]) -> String {
        read_program(PROGRAM, &[(step, &signature(fields))])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_belongs_to_the_step_is_taken() {
        let plain = signature(&[("ticket", PyType::Str), ("urgency", PyType::Int)]);
        let saved = read_program(PROGRAM, &[("rate", &plain)]).unwrap();
        assert_eq!(saved[0].signature.inputs[0].desc.as_deref(), Some("What"));
        assert_eq!(saved[0].signature.outputs[0].desc, None);
        assert_eq!(saved[0].demos[0].len(), 2);
    }

    #[test]
    fn a_program_of_other_steps_is_refused() {
        let text = PyType::Str;
        assert_eq!(
            error(
                "sort",
                &[("ticket", text.clone()), ("urgency", PyType::Int)]
            ),
            "the saved program has a predictor `rate`, but there is no step of that name; the steps are `sort`"
        );
        assert_eq!(
            error("rate", &[("ticket", text.clone())]),
            "step `rate` has the fields `ticket`, but the saved program's predictor has 2 fields (Ticket: Urgency:)"
        );
        assert_eq!(
            error(
                "rate",
                &[("urgency", text.clone()), ("ticket", text.clone())]
            ),
            "step `rate`: the saved program has `Ticket:` where the step has the field `urgency`: bring the fields into the program's order"
        );
        assert_eq!(
            error("rate", &[("ticket", text.clone()), ("urgency", text)]),
            "step `rate`, demo 1, field `urgency`: 3 is not a string"
        );
    }
}
