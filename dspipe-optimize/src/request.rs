//! A workflow and its examples as the bridge is told of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dspipe_runtime::{FieldDef, Value, WorkflowDef};
use indexmap::IndexMap;

use crate::bridge::{
    Demo, Example as ToldExample, Field, Fields, Optimize, Program, Prompts, Runs, Stage, Step,
};
use crate::data::Example;
use crate::optimization::Optimization;
use crate::prepare::Prepared;

pub(crate) fn optimize(
    optimization: &Optimization,
    prepared: &Prepared,
    prompts: &Prompts,
) -> Optimize {
    let def = optimization.def();
    let told = |examples: &[Example]| {
        let examples = examples.iter();
        examples
            .map(|it| example(def, &prepared.given, it))
            .collect()
    };
    let validation = &prepared.data.validation;
    let stages = prepared.stages.iter();
    Optimize {
        job: def.name.to_owned(),
        program: program(def, prompts, &optimization.steps),
        train: told(&prepared.data.train),
        val: (!validation.is_empty()).then(|| told(validation)),
        stages: stages
            .map(|stage| Stage {
                optimizer: stage.optimizer.to_owned(),
                settings: stage.settings.clone(),
            })
            .collect(),
        seed: Some(optimization.seed),
        threads: u32::try_from(optimization.threads).ok(),
    }
}

/// The program with these prompts; of the steps only those of `limit`, if there are any.
pub(crate) fn program(def: &WorkflowDef, prompts: &Prompts, limit: &[String]) -> Program {
    let wanted = |step: &str| limit.is_empty() || limit.iter().any(|name| name == step);
    let steps = def.steps.iter().filter(|step| wanted(step.step));
    let steps = steps.map(|step| {
        let prompt = prompts.get(step.step);
        let instructions = prompt.map(|prompt| prompt.instructions.clone());
        let demos: Vec<Demo> = prompt
            .map(|prompt| prompt.demos.clone())
            .unwrap_or_default();
        Step {
            name: step.step.to_owned(),
            inputs: fields(step.inputs, step.input_schema),
            outputs: fields(step.outputs, step.output_schema),
            instructions: instructions.unwrap_or_else(|| step.instructions.to_owned()),
            description: step.description.to_owned(),
            demos,
        }
    });
    Program {
        name: def.name.to_owned(),
        inputs: fields(def.inputs, def.input_schema),
        steps: steps.collect(),
        description: def.description.to_owned(),
        outline: outline(def),
        runs: Runs::Workflow,
    }
}

/// What each step takes and gives, one a line, for the LM that proposes.
fn outline(def: &WorkflowDef) -> String {
    let names = |fields: &[FieldDef]| {
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        names.join(", ")
    };
    def.steps.iter().fold(String::new(), |mut text, step| {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{}({}) -> {}",
            step.step,
            names(step.inputs),
            names(step.outputs)
        );
        text
    })
}

/// Fields with their schemas; types that a schema shares with others are in each.
fn fields(defs: &[FieldDef], schema: &str) -> Vec<Field> {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let shared = schema.get("$defs");
    defs.iter()
        .map(|field| {
            let mut own = schema["properties"][field.name].clone();
            if let (Some(shared), Value::Object(own)) = (shared, &mut own) {
                own.insert("$defs".to_owned(), shared.clone());
            }
            Field {
                name: field.name.to_owned(),
                description: field.description.to_owned(),
                schema: own,
            }
        })
        .collect()
}

/// An example; for each labelled step, what is known of its fields.
fn example(
    def: &WorkflowDef,
    given: &BTreeMap<String, Vec<String>>,
    example: &Example,
) -> ToldExample {
    let mut labels = Fields::new();
    let mut steps = IndexMap::new();
    for step in def.steps {
        let Some(outputs) = example.labels.get(step.step) else {
            continue;
        };
        labels.extend(outputs.clone());
        let given = given.get(step.step).into_iter().flatten();
        let inputs = given.filter_map(|name| {
            let value = example.inputs.get(name)?;
            Some((name.clone(), value.clone()))
        });
        let mut known: Fields = inputs.collect();
        known.extend(outputs.clone());
        steps.insert(step.step.to_owned(), known);
    }
    ToldExample {
        id: example.id.clone(),
        inputs: example.inputs.clone(),
        labels,
        steps,
    }
}

#[cfg(test)]
mod tests {
    use dspipe_runtime::SignatureDef;

    use super::*;

    const fn step(name: &'static str) -> SignatureDef {
        SignatureDef {
            workflow: "two",
            step: name,
            source: "two.yaml:1",
            description: "",
            instructions: "Do it.",
            inputs: &[],
            outputs: &[],
            input_schema: "{}",
            output_schema: "{}",
            demos: &[],
            optimized: &[],
            adapter: None,
            lm: None,
            temperature: None,
            max_tokens: None,
            lms: &[],
            checks: &[],
            module: dspipe_runtime::module::ModuleDef::Predict,
        }
    }

    const DEF: WorkflowDef = WorkflowDef {
        name: "two",
        description: "",
        source: "two.yaml:1",
        inputs: &[],
        input_schema: "{}",
        steps: &[&step("first"), &step("second")],
    };

    #[test]
    fn a_limit_leaves_the_other_steps_as_they_are() {
        let names = |limit: &[String]| -> Vec<String> {
            let told = program(&DEF, &Prompts::new(), limit);
            assert_eq!(told.outline.lines().count(), 2, "{}", told.outline);
            told.steps.into_iter().map(|step| step.name).collect()
        };
        assert_eq!(names(&[]), ["first", "second"]);
        assert_eq!(names(&["second".to_owned()]), ["second"]);
    }
}
