//! Outputs after the use of tools.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};
use tracing::{Instrument, info_span};

use super::Answers;
use super::trajectory::{Trajectory, Turn};
use crate::call::{Call, Reading, TaskReading};
use crate::error::Error;
use crate::lm::LmError;
use crate::prompt;
use crate::setup::Setup;
use crate::stream::AtOnce;
use crate::task::{Asked, AskedKind, Instead, More, Purpose, Task, free_name};
use crate::tool::{FINISH, Tool};

/// How often a request is made shorter, as in DSPy.
const SHORTENED: u32 = 3;

/// The output that the compiler adds.
const REASONING: &str = "reasoning";

/// What is read of a reply: any name, so that one of no tool is seen as an observation.
const SCHEMA: &str = r#"{"type":"object","properties":{"next_thought":{"type":"string"},"next_tool_name":{"type":"string"},"next_tool_args":{"type":"object"}},"required":["next_tool_name"]}"#;

/// What an agent works with.
struct Agent<'a> {
    setup: &'a Setup,
    input: &'a Value,
    /// The name of the field that shows the trajectory.
    field: Cow<'static, str>,
}

impl Call<'_> {
    pub(super) async fn react(
        &mut self,
        names: &[&str],
        max_steps: u32,
        input: &Value,
        answers: &dyn Answers,
    ) -> Result<usize, Error> {
        let (runner, def) = (self.runner, self.def);
        let tools = runner.tools.all(names).map_err(|source| Error::Tool {
            workflow: def.workflow,
            step: def.step,
            source,
        })?;
        let setup = self.setup().map_err(|error| self.failed(error))?;
        let agent = Agent {
            setup: &setup,
            input,
            field: free_name(def, "trajectory"),
        };
        let mut trajectory = Trajectory::default();
        let result = match self.turns(&agent, &tools, max_steps, &mut trajectory).await {
            Ok(()) => self.extract(&agent, &mut trajectory, answers).await,
            Err(error) => Err(error),
        };
        self.turns = trajectory.turns;
        result
    }

    /// Lets the LM use tools until it is done, or has used enough of them.
    async fn turns(
        &mut self,
        agent: &Agent<'_>,
        tools: &[&Tool],
        max_steps: u32,
        trajectory: &mut Trajectory,
    ) -> Result<(), Error> {
        let told = prompt::instructions(self.def, agent.setup.prompt.instructions());
        let instructions = self.agent_instructions(&told, tools, &agent.field);
        let names: Vec<&str> = tools
            .iter()
            .map(|tool| tool.name())
            .chain([FINISH])
            .collect();
        let outputs = outputs(&names);
        let instead = Instead {
            instructions: &instructions,
            takes_inputs: true,
            outputs: &outputs,
        };
        let reading = TaskReading {
            instead: &instead,
            schema: SCHEMA,
        };
        for _ in 0..max_steps {
            let ask = (Purpose::Turn, Some(&instead));
            let reply = match self.in_context(agent, trajectory, ask, &reading).await {
                Ok(reply) => reply,
                // As in DSPy, what was found so far has to do.
                Err(error @ Error::Reply { .. }) => {
                    tracing::info!(
                        step = self.def.step,
                        error = error.class(),
                        "the agent chose no tool"
                    );
                    break;
                }
                Err(error) if is_too_long(&error) => {
                    tracing::info!(
                        step = self.def.step,
                        "the trajectory does not fit into the context"
                    );
                    break;
                }
                Err(error) => return Err(error),
            };
            let turn = take_turn(reply, tools).await;
            let is_done = turn.tool == FINISH;
            trajectory.turns.push(turn);
            if is_done {
                break;
            }
        }
        Ok(())
    }

    /// The output, from what was found.
    async fn extract(
        &mut self,
        agent: &Agent<'_>,
        trajectory: &mut Trajectory,
        answers: &dyn Answers,
    ) -> Result<usize, Error> {
        let ask = (Purpose::Output, None);
        self.in_context(agent, trajectory, ask, answers).await
    }

    /// Asks with the trajectory, or with the later part of it that fits into the context.
    async fn in_context<T>(
        &mut self,
        agent: &Agent<'_>,
        trajectory: &mut Trajectory,
        (purpose, instead): (Purpose, Option<&Instead<'_>>),
        reading: &(impl Reading<T> + ?Sized),
    ) -> Result<T, Error> {
        let mut shortened = 0;
        loop {
            let task = Task {
                purpose,
                more: vec![More {
                    name: agent.field.clone(),
                    description: "What was thought, done and seen so far",
                    text: Cow::Owned(trajectory.text(self.def.adapter)),
                }],
                instead: instead.cloned(),
            };
            let (params, mut replies) = (self.params(), AtOnce);
            let answer = self.answer(
                agent.setup,
                &task,
                params,
                agent.input,
                reading,
                &mut replies,
            );
            match answer.await {
                Err(error) if is_too_long(&error) => {
                    shortened += 1;
                    if shortened >= SHORTENED || !trajectory.shorten() {
                        return Err(error);
                    }
                }
                answer => return answer,
            }
        }
    }

    fn agent_instructions(&self, told: &str, tools: &[&Tool], trajectory: &str) -> String {
        let outputs = self.def.outputs.iter();
        let outputs: Vec<String> = outputs
            // What leads from the trajectory to the answer needs no tools.
            .filter(|field| field.name != REASONING)
            .map(|field| format!("`{}`", field.name))
            .collect();
        let outputs = outputs.join(", ");
        let mut text = format!(
            "{told}\n\nYou are an agent with tools, and work in turns on all that is needed to write {outputs}. \
             Do not write that now. In each turn, look at `{trajectory}`, think about what is known and what is \
             missing, and choose one tool to use next. What the tool gives is then an observation in \
             `{trajectory}`. The tools are:\n"
        );
        for (at, tool) in tools.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "\n{}. `{}`: {}\n   Its arguments, as JSON Schema: {}",
                at + 1,
                tool.name(),
                tool.description().trim(),
                tool.parameters()
            );
        }
        let _ = write!(
            text,
            "\n{}. `{FINISH}`: Says that all that is needed for {outputs} is known.\n   It takes no arguments: {{}}",
            tools.len() + 1
        );
        text
    }
}

fn outputs<'a>(names: &'a [&'a str]) -> [Asked<'a>; 3] {
    [
        Asked {
            name: "next_thought",
            description: "What is known, what is missing, what to do next",
            kind: AskedKind::Text,
        },
        Asked {
            name: "next_tool_name",
            description: "The tool to use next",
            kind: AskedKind::Choice(names),
        },
        Asked {
            name: "next_tool_args",
            description: "Its arguments, a JSON object",
            kind: AskedKind::Object,
        },
    ]
}

/// Does what the LM has chosen. What goes wrong with it is an observation.
async fn take_turn(mut reply: Value, tools: &[&Tool]) -> Turn {
    let thought = prompt::value_text(&reply["next_thought"].take());
    let name = prompt::value_text(&reply["next_tool_name"].take());
    let arguments = match reply["next_tool_args"].take() {
        Value::Null => Value::Object(Map::new()),
        arguments => arguments,
    };
    let named = |known: &str| known == name || known.eq_ignore_ascii_case(name.trim());
    if named(FINISH) {
        return Turn {
            thought,
            tool: FINISH.to_owned(),
            arguments,
            observation: "Completed.".to_owned(),
        };
    }
    let exact = tools.iter().find(|tool| tool.name() == name);
    let Some(tool) = exact.or_else(|| tools.iter().find(|tool| named(tool.name()))) else {
        let known: Vec<&str> = tools
            .iter()
            .map(|tool| tool.name())
            .chain([FINISH])
            .collect();
        let observation = format!(
            "There is no tool `{name}`. The tools are {}.",
            known.join(", ")
        );
        return Turn {
            thought,
            tool: name,
            arguments,
            observation,
        };
    };
    let span = info_span!("tool", tool = tool.name());
    let given = tool.call(arguments.clone()).instrument(span).await;
    let observation = match given {
        Ok(given) => prompt::value_text(&given),
        Err(error) => format!("Error of `{}`: {error}", tool.name()),
    };
    Turn {
        thought,
        tool: tool.name().to_owned(),
        arguments,
        observation,
    }
}

fn is_too_long(error: &Error) -> bool {
    matches!(
        error,
        Error::Lm {
            source: LmError::ContextLength { .. },
            ..
        }
    )
}
