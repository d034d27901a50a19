//! The best of several outputs, each made with advice on the one before.

use std::borrow::Cow;

use serde_json::Value;

use super::best::{Tried, is_of_one_sample, sampled};
use super::{Answers, Best};
use crate::call::{Call, TaskReading};
use crate::error::Error;
use crate::lm::Params;
use crate::prompt;
use crate::setup::Setup;
use crate::stream::AtOnce;
use crate::task::{Asked, AskedKind, Instead, More, Purpose, Task, free_name};

const INSTRUCTIONS: &str = "\
A step of a program gave outputs that are not good enough: their reward is below what is wanted. Find out what \
in the outputs made the reward low, and advise the step on how to do better when it is asked again with the \
same or similar inputs. The step will see your advice, but not these outputs, so the advice must stand by \
itself: name the situation, what went wrong in it, and exactly what to do instead.";

const OUTPUTS: [Asked<'static>; 2] = [
    Asked {
        name: "discussion",
        description: "What made the reward low",
        kind: AskedKind::Text,
    },
    Asked {
        name: "advice",
        description: "What the step must do otherwise, concretely",
        kind: AskedKind::Text,
    },
];

/// What is read of a reply; the discussion is for the LM itself.
const SCHEMA: &str = r#"{"type":"object","properties":{"discussion":{"type":"string"},"advice":{"type":"string"}},"required":["advice"]}"#;

impl Call<'_> {
    pub(super) async fn refine(
        &mut self,
        best: Best<'_>,
        input: &Value,
        answers: &dyn Answers,
    ) -> Result<usize, Error> {
        let setup = self.setup().map_err(|error| self.failed(error))?;
        let n = best.n.max(1);
        let name = free_name(self.def, "hint_");
        let mut tried = Tried::new(&best);
        let mut advice: Option<String> = None;
        for index in 0..n {
            let more = advice.iter().map(|text| More {
                name: name.clone(),
                description: "A hint from an earlier try",
                text: Cow::Borrowed(text),
            });
            let task = Task {
                more: more.collect(),
                ..Task::OUTPUT
            };
            let params = sampled(self.params(), index, n);
            match self.sample(&setup, &task, params, input, answers).await {
                Ok(sample) => {
                    let reward = self.reward(answers, &sample);
                    let output = answers.json(sample.place);
                    tried.rewarded(reward, sample);
                    if best.threshold.is_some_and(|enough| reward >= enough) || index + 1 == n {
                        break;
                    }
                    let params = Params {
                        repetition: params.repetition,
                        ..self.params()
                    };
                    let told = self.advise(&setup, &best, (input, &output, reward), params);
                    match told.await {
                        Ok(told) => advice = Some(told),
                        // The next try then has the advice that there is.
                        Err(error) if is_of_one_sample(&error) => {
                            tracing::info!(step = self.def.step, "there is no advice");
                        }
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => {
                    if let Some(error) = tried.failed(error) {
                        return Err(error);
                    }
                }
            }
        }
        self.choose_best(tried).map_err(|error| *error)
    }

    /// Asks what is wrong with an output.
    async fn advise(
        &mut self,
        setup: &Setup,
        best: &Best<'_>,
        (input, output, reward): (&Value, &Value, f64),
        params: Params,
    ) -> Result<String, Error> {
        let text = |name, description, text| More {
            name: Cow::Borrowed(name),
            description,
            text: Cow::Owned(text),
        };
        let measure = if best.reward.is_empty() {
            let checks = self.def.checks.iter().filter(|check| !check.is_assert);
            let checks: Vec<&str> = checks.map(|check| check.expression).collect();
            format!("the share of these that hold: {}", checks.join("; "))
        } else {
            best.reward.to_owned()
        };
        let wanted = best.threshold.map_or_else(
            || "as high as it can be".to_owned(),
            |wanted| wanted.to_string(),
        );
        let step = prompt::described(self.def, setup.prompt.instructions());
        let instead = Instead {
            instructions: INSTRUCTIONS,
            takes_inputs: false,
            outputs: &OUTPUTS,
        };
        let task = Task {
            purpose: Purpose::Advice,
            more: vec![
                text("step", "What the step is told", step),
                text("inputs", "What it was given, as JSON", pretty(input)),
                text("outputs", "What it gave, as JSON", pretty(output)),
                text("reward", "How outputs are measured", measure),
                text("wanted", "The reward that is good enough", wanted),
                text("found", "The reward of these outputs", reward.to_string()),
            ],
            instead: Some(instead.clone()),
        };
        let reading = TaskReading {
            instead: &instead,
            schema: SCHEMA,
        };
        let mut reply = self
            .answer(setup, &task, params, input, &reading, &mut AtOnce)
            .await?;
        Ok(match reply["advice"].take() {
            Value::String(advice) => advice,
            other => prompt::value_text(&other),
        })
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}
