//! Samples, and the best of them.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;

use super::{Answers, Best};
use crate::call::Call;
use crate::check::CheckFailed;
use crate::error::Error;
use crate::lm::{LmError, Params};
use crate::read::Repair;
use crate::setup::Setup;
use crate::stream::AtOnce;
use crate::task::Task;

/// The temperature of samples where the step says none, as in DSPy.
const TEMPERATURE: f64 = 1.0;

/// An output, and what is reported with it.
pub(super) struct Sample {
    pub(super) place: usize,
    pub(super) repairs: Vec<Repair>,
    pub(super) checks: Vec<CheckFailed>,
}

/// Samples so far, of which the best is kept.
pub(super) struct Tried {
    best: Option<(f64, Sample)>,
    failed: u32,
    may_fail: u32,
    last: Option<Error>,
}

impl Tried {
    pub(super) fn new(best: &Best<'_>) -> Self {
        Self {
            best: None,
            failed: 0,
            may_fail: best.fail_count.unwrap_or(u32::MAX),
            last: None,
        }
    }

    /// Takes the next output with its reward. Of equal ones the first stays.
    pub(super) fn rewarded(&mut self, reward: f64, sample: Sample) {
        // A reward that is no number is worse than any.
        let reward = if reward.is_nan() {
            f64::NEG_INFINITY
        } else {
            reward
        };
        if self.best.as_ref().is_none_or(|(best, _)| reward > *best) {
            self.best = Some((reward, sample));
        }
    }

    /// Notes an output that cannot be used. The error comes back if too many cannot, or another sample would
    /// fail as well.
    pub(super) fn failed(&mut self, error: Error) -> Option<Error> {
        self.failed += 1;
        if !is_of_one_sample(&error) || self.failed > self.may_fail {
            return Some(error);
        }
        self.last = Some(error);
        None
    }
}

/// Whether the next sample may do better: what an LM says differs from sample to sample, a bad key does not.
pub(super) fn is_of_one_sample(error: &Error) -> bool {
    match error {
        Error::Reply { .. } => true,
        Error::Lm { source, .. } => matches!(
            source,
            LmError::Truncated { .. } | LmError::Refused { .. } | LmError::ContentFilter { .. }
        ),
        _ => false,
    }
}

impl<'a> Call<'a> {
    pub(super) async fn best_of_n(
        &mut self,
        best: Best<'_>,
        input: &Value,
        answers: &dyn Answers,
    ) -> Result<usize, Error> {
        let setup = self.setup().map_err(|error| self.failed(error))?;
        let n = best.n.max(1);
        let mut tried = Tried::new(&best);
        if best.threshold.is_none() {
            for result in self.samples(&setup, n, input, answers).await? {
                match result {
                    Ok(sample) => {
                        let reward = self.reward(answers, &sample);
                        tried.rewarded(reward, sample);
                    }
                    Err(error) => {
                        if let Some(error) = tried.failed(error) {
                            return Err(error);
                        }
                    }
                }
            }
        } else {
            for index in 0..n {
                let params = sampled(self.params(), index, n);
                let result = self
                    .sample(&setup, &Task::OUTPUT, params, input, answers)
                    .await;
                match result {
                    Ok(sample) => {
                        let reward = self.reward(answers, &sample);
                        tried.rewarded(reward, sample);
                        if best.threshold.is_some_and(|enough| reward >= enough) {
                            break;
                        }
                    }
                    Err(error) => {
                        if let Some(error) = tried.failed(error) {
                            return Err(error);
                        }
                    }
                }
            }
        }
        self.choose_best(tried).map_err(|error| *error)
    }

    /// One output that is asked for as any.
    pub(super) async fn sample_alone(
        &mut self,
        input: &Value,
        answers: &dyn Answers,
    ) -> Result<usize, Error> {
        let setup = self.setup().map_err(|error| self.failed(error))?;
        let params = self.params();
        let sample = self
            .sample(&setup, &Task::OUTPUT, params, input, answers)
            .await?;
        Ok(self.choose(sample))
    }

    /// One output.
    pub(super) async fn sample(
        &mut self,
        setup: &Setup,
        task: &Task<'_>,
        params: Params,
        input: &Value,
        answers: &dyn Answers,
    ) -> Result<Sample, Error> {
        let place = self
            .answer(setup, task, params, input, answers, &mut AtOnce)
            .await?;
        Ok(Sample {
            place,
            repairs: std::mem::take(&mut self.repairs),
            checks: std::mem::take(&mut self.checks),
        })
    }

    /// Outputs that are asked for at the same time, in their order.
    ///
    /// # Errors
    /// The first that another sample would not get around; the others are then given up.
    pub(super) async fn samples(
        &mut self,
        setup: &Setup,
        n: u32,
        input: &Value,
        answers: &dyn Answers,
    ) -> Result<Vec<Result<Sample, Error>>, Error> {
        let (runner, def, params) = (self.runner, self.def, self.params());
        let media = Arc::clone(&self.media);
        let ask = |index: u32| {
            let mut call: Call<'a> = Call::new(runner, def);
            call.media = Arc::clone(&media);
            async move {
                let params = sampled(params, index, n);
                let result = call
                    .sample(setup, &Task::OUTPUT, params, input, answers)
                    .await;
                (index, call, result)
            }
        };
        let mut running: FuturesUnordered<_> = (0..n).map(ask).collect();
        let mut results = Vec::new();
        while let Some((index, call, result)) = running.next().await {
            self.absorb(call);
            match result {
                Err(error) if !is_of_one_sample(&error) => {
                    if !running.is_empty() {
                        // Nobody knows what the others have cost so far.
                        self.cost = None;
                    }
                    return Err(error);
                }
                result => results.push((index, result)),
            }
        }
        results.sort_by_key(|(index, _)| *index);
        let (_, results): (Vec<u32>, Vec<_>) = results.into_iter().unzip();
        Ok(results)
    }

    pub(super) fn reward(&self, answers: &dyn Answers, sample: &Sample) -> f64 {
        let reward = answers.reward(self.def, &sample.place);
        let reward = reward.unwrap_or(f64::NEG_INFINITY);
        tracing::debug!(step = self.def.step, reward, "an output has its reward");
        reward
    }

    /// The output that the step gives.
    pub(super) fn choose(&mut self, sample: Sample) -> usize {
        self.repairs = sample.repairs;
        self.checks = sample.checks;
        sample.place
    }

    /// The best of several outputs, or why there is none.
    pub(super) fn choose_best(&mut self, tried: Tried) -> Result<usize, Box<Error>> {
        match (tried.best, tried.last) {
            (Some((_, sample)), _) => Ok(self.choose(sample)),
            (None, error) => Err(Box::new(error.unwrap_or_else(|| self.no_output()))),
        }
    }

    pub(super) fn no_output(&self) -> Error {
        Error::Input {
            workflow: self.def.workflow,
            step: self.def.step,
            reason: "its module asked for no output".to_owned(),
        }
    }
}

/// How one of `n` samples is asked for.
pub(super) fn sampled(params: Params, index: u32, n: u32) -> Params {
    // Each of the samples that an optimizer asks for is as many of its own.
    let repetition = params.repetition.saturating_mul(n).saturating_add(index);
    let own = params.seed.filter(|_| params.repetition == 0);
    let seed = match (own, repetition) {
        (Some(seed), _) => Some(seed.wrapping_add(u64::from(index))),
        (None, 0) => None,
        (None, repetition) => Some(u64::from(repetition)),
    };
    Params {
        temperature: params.temperature.or(Some(TEMPERATURE)),
        seed,
        repetition,
        ..params
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_differ_and_those_of_repetitions_too() {
        let plain = Params::default();
        let seeds = |params: Params| [0, 1, 2].map(|index| sampled(params, index, 3).seed);
        assert_eq!(seeds(plain), [None, Some(1), Some(2)]);
        let seeded = Params {
            seed: Some(40),
            ..plain
        };
        assert_eq!(seeds(seeded), [Some(40), Some(41), Some(42)]);
        let again = Params {
            repetition: 2,
            seed: Some(2),
            ..plain
        };
        assert_eq!(seeds(again), [Some(6), Some(7), Some(8)]);
        assert_eq!(sampled(again, 1, 3).repetition, 7);
    }

    #[test]
    fn the_step_has_the_last_word_on_the_temperature() {
        assert_eq!(
            sampled(Params::default(), 0, 2).temperature,
            Some(TEMPERATURE)
        );
        let cold = Params {
            temperature: Some(0.2),
            ..Params::default()
        };
        assert_eq!(sampled(cold, 1, 2).temperature, Some(0.2));
    }
}
