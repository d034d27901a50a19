//! How a step comes to its output, besides asking for it: the modules of DSPy that belong to running.
//!
//! A workflow file names one with `module:`. In Rust, [`BestOfN`], [`Refine`], [`Majority`] and [`React`] run
//! any step in their way, whatever its file says:
//!
//! ```
//! # #[cfg(feature = "macros")]
//! # mod example {
//! # #[dspipe_runtime::dspy_signature(workflow = "../dspipe-macros/workflows/triage.yaml")]
//! # pub(crate) mod triage {}
//! use dspipe_runtime::module::BestOfN;
//! use dspipe_runtime::{Error, LocalRunner};
//! use triage::sort;
//!
//! async fn sorted(runner: &LocalRunner, input: &sort::Input) -> Result<sort::Output, Error> {
//!     let reward = |_: &sort::Input, output: &sort::Output| f64::from(output.kind != sort::Kind::Praise);
//!     BestOfN::new(3)
//!         .with_threshold(1.0)
//!         .run::<sort::Step>(runner, input, reward)
//!         .await
//! }
//! # }
//! ```
//!
//! Samples of one request differ by their [repetition](crate::lm::Params::repetition), which is also their
//! seed, and are taken at temperature 1.0 where the step says none, as in DSPy. Recordings keep them apart.

mod best;
mod majority;
mod react;
mod refine;
mod shelf;
mod trajectory;

use serde_json::Value;

use crate::call::Call;
use crate::error::Error;
use crate::runner::LocalRunner;
use crate::signature::Signature;

pub(crate) use shelf::{Answers, Shelf};
pub use trajectory::Turn;

/// How a step comes to its output, as its workflow file says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ModuleDef {
    /// One answer. Reasoning before it (`chain_of_thought`) is a field of the signature.
    #[default]
    Predict,
    /// The best of several.
    BestOfN(BestDef),
    /// The best of several, each made with advice on the one before.
    Refine(BestDef),
    /// What most of several say.
    Majority {
        /// How many.
        n: u32,
        /// The output field that they are compared by.
        field: &'static str,
    },
    /// An answer after the use of tools.
    React {
        /// The tools, by name.
        tools: &'static [&'static str],
        /// The most calls of tools.
        max_steps: u32,
    },
}

/// How outputs are chosen by their reward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestDef {
    /// The most outputs that are asked for.
    pub n: u32,
    /// The reward that is good enough to stop; `None` asks for all `n`.
    pub threshold: Option<f64>,
    /// How many of them may fail before the step does; `None` is all but one.
    pub fail_count: Option<u32>,
    /// The reward as the workflow file has it; empty for the share of the step's checks that hold.
    pub reward: &'static str,
}

/// [`ModuleDef`], from wherever.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan<'a> {
    Predict,
    BestOfN(Best<'a>),
    Refine(Best<'a>),
    Majority {
        n: u32,
        field: &'a str,
    },
    React {
        tools: &'a [&'a str],
        max_steps: u32,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Best<'a> {
    n: u32,
    threshold: Option<f64>,
    fail_count: Option<u32>,
    reward: &'a str,
}

impl Plan<'static> {
    pub(crate) fn of(def: &ModuleDef) -> Self {
        match *def {
            ModuleDef::Predict => Self::Predict,
            ModuleDef::BestOfN(def) => Self::BestOfN(Best::of(def)),
            ModuleDef::Refine(def) => Self::Refine(Best::of(def)),
            ModuleDef::Majority { n, field } => Self::Majority { n, field },
            ModuleDef::React { tools, max_steps } => Self::React { tools, max_steps },
        }
    }
}

impl Best<'static> {
    fn of(def: BestDef) -> Self {
        Self {
            n: def.n,
            threshold: def.threshold,
            fail_count: def.fail_count,
            reward: def.reward,
        }
    }
}

impl Call<'_> {
    /// Comes to an output by a module; the output's place on the shelf.
    pub(crate) async fn by_module(
        &mut self,
        plan: Plan<'_>,
        input: &Value,
        answers: &dyn Answers,
    ) -> Result<usize, Error> {
        match plan {
            Plan::Predict => self.sample_alone(input, answers).await,
            Plan::BestOfN(best) => self.best_of_n(best, input, answers).await,
            Plan::Refine(best) => self.refine(best, input, answers).await,
            Plan::Majority { n, field } => self.majority(n, field, input, answers).await,
            Plan::React { tools, max_steps } => self.react(tools, max_steps, input, answers).await,
        }
    }
}

/// Asks several times and takes the output with the highest reward; `BestOfN` of DSPy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestOfN(BestDef);

/// Asks several times, each time with advice on what was wrong with the output before, and takes the output
/// with the highest reward; `Refine` of DSPy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refine(BestDef);

macro_rules! by_reward {
    ($name:ident, $($plan:tt)+) => {
        impl $name {
            /// At most so many outputs; 0 is 1.
            pub const fn new(n: u32) -> Self {
                Self(BestDef {
                    n,
                    threshold: None,
                    fail_count: None,
                    reward: "",
                })
            }

            /// Stops at the first output with this reward or a higher one. Without it, all are asked for.
            #[must_use]
            pub const fn with_threshold(mut self, threshold: f64) -> Self {
                self.0.threshold = Some(threshold);
                self
            }

            /// Lets so many of the outputs fail before the step does. Without it, one that can be read is
            /// enough.
            #[must_use]
            pub const fn with_fail_count(mut self, fail_count: u32) -> Self {
                self.0.fail_count = Some(fail_count);
                self
            }

            /// Runs a step.
            ///
            /// # Errors
            /// That of the last output, if none can be used or too many cannot; any other error of the LM at
            /// once.
            pub async fn run<S: Signature>(
                &self,
                runner: &LocalRunner,
                input: &S::Input,
                reward: impl Fn(&S::Input, &S::Output) -> f64 + Send + Sync,
            ) -> Result<S::Output, Error> {
                let best = Best {
                    reward: "a function of the program that calls the step",
                    ..Best::of(self.0)
                };
                let plan = $($plan)+(best);
                runner.planned::<S>(plan, input, Some(&reward)).await
            }
        }
    };
}

by_reward!(BestOfN, Plan::BestOfN);
by_reward!(Refine, Plan::Refine);

/// Asks several times and takes the output whose field has the value that most of them have; `majority` of
/// DSPy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Majority {
    n: u32,
    field: Option<String>,
}

impl Majority {
    /// So many outputs, compared by their last field; 0 is 1.
    pub const fn new(n: u32) -> Self {
        Self { n, field: None }
    }

    /// Compares outputs by this field.
    #[must_use]
    pub fn by(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Runs a step.
    ///
    /// # Errors
    /// That of the last output, if none can be used; any other error of the LM at once. [`Error::Input`] if
    /// the step has no such field.
    pub async fn run<S: Signature>(
        &self,
        runner: &LocalRunner,
        input: &S::Input,
    ) -> Result<S::Output, Error> {
        let last = S::DEF.outputs.last().map_or("", |field| field.name);
        let plan = Plan::Majority {
            n: self.n,
            field: self.field.as_deref().unwrap_or(last),
        };
        runner.planned::<S>(plan, input, None).await
    }
}

/// Lets the LM use tools, one after the other, until it knows enough for the output; `ReAct` of DSPy.
///
/// The tools are those of the runner ([`LocalRunner::with_tool`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct React {
    tools: Vec<String>,
    max_steps: u32,
}

impl React {
    /// The most calls of tools, as in DSPy.
    pub const MAX_STEPS: u32 = 20;

    /// With these tools.
    pub fn new<T: Into<String>>(tools: impl IntoIterator<Item = T>) -> Self {
        Self {
            tools: tools.into_iter().map(Into::into).collect(),
            max_steps: Self::MAX_STEPS,
        }
    }

    /// After so many calls of tools the LM has to answer.
    #[must_use]
    pub const fn with_max_steps(mut self, max_steps: u32) -> Self {
        self.max_steps = max_steps;
        self
    }

    /// Runs a step.
    ///
    /// # Errors
    /// [`Error::Tool`] before anything is asked, if the runner lacks a tool; otherwise as a step.
    pub async fn run<S: Signature>(
        &self,
        runner: &LocalRunner,
        input: &S::Input,
    ) -> Result<S::Output, Error> {
        let tools: Vec<&str> = self.tools.iter().map(String::as_str).collect();
        let plan = Plan::React {
            tools: &tools,
            max_steps: self.max_steps,
        };
        runner.planned::<S>(plan, input, None).await
    }
}
