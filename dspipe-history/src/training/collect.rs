//! From executions to examples.

use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::{Map, Value};

use super::dedup::{Deduplicator, Kept};
use super::{Example, Shape};
use crate::error::HistoryError;
use crate::execution::{Execution, Time, Verdict};
use crate::filter::{Filter, Kind, Order};
use crate::history::History;

/// Which executions become examples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectOptions {
    /// Of this workflow.
    pub workflow: String,
    /// Of this step; `None` takes runs of the whole workflow.
    pub step: Option<String>,
    /// On this LM.
    pub lm: Option<String>,
    /// Begun at this time or later.
    pub since: Option<Time>,
    /// With a score of at least this, or accepted or corrected by a person.
    pub min_score: Option<f64>,
    /// Only what a person has accepted or corrected.
    pub reviewed: bool,
    /// Also executions with other fields or types than the newest one had.
    pub any_signature: bool,
    /// Inputs that are that similar count as the same; `None` compares exactly.
    pub near: Option<f64>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Why an execution did not become an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It failed, and nobody has corrected it.
    Failed,
    /// A person has rejected it.
    Rejected,
    /// No person has looked at it, or its score is too low or missing.
    NotGoodEnough,
    /// Fields of it were kept out of the history, so it is not whole.
    Redacted,
    /// Its step had other fields or types then.
    OtherSignature,
    /// It does not fit the signature.
    Misfit,
    /// Its inputs are those of a better one.
    Exact,
    /// Its inputs are nearly those of a better one.
    Near,
}

/// How many executions did not become examples, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// See [`Left::Failed`].
    pub failed: u64,
    /// See [`Left::Rejected`].
    pub rejected: u64,
    /// See [`Left::NotGoodEnough`].
    pub not_good_enough: u64,
    /// See [`Left::Redacted`].
    pub redacted: u64,
    /// See [`Left::OtherSignature`].
    pub other_signature: u64,
    /// See [`Left::Misfit`].
    pub misfit: u64,
    /// See [`Left::Exact`].
    pub exact: u64,
    /// See [`Left::Near`].
    pub near: u64,
}

impl Skipped {
    fn count(&mut self, left: Left) {
        let count = match left {
            Left::Failed => &mut self.failed,
            Left::Rejected => &mut self.rejected,
            Left::NotGoodEnough => &mut self.not_good_enough,
            Left::Redacted => &mut self.redacted,
            Left::OtherSignature => &mut self.other_signature,
            Left::Misfit => &mut self.misfit,
            Left::Exact => &mut self.exact,
            Left::Near => &mut self.near,
        };
        *count += 1;
    }
}

/// Turns executions into examples, one at a time. Offered the best ones first, it keeps the best of those
/// with the same inputs.
#[derive(Debug)]
pub struct Collector<'a> {
    options: &'a CollectOptions,
    shape: Option<&'a Shape>,
    signature: Option<String>,
    known: Deduplicator,
}

impl<'a> Collector<'a> {
    /// `signature` is the fingerprint that executions must have, if they have one; `shape` is what examples
    /// must look like.
    pub fn new(
        options: &'a CollectOptions,
        shape: Option<&'a Shape>,
        signature: Option<String>,
    ) -> Self {
        Self {
            options,
            shape,
            signature,
            known: Deduplicator::new(options.near),
        }
    }

    /// The example in an execution: the corrected outputs where there are any.
    ///
    /// # Errors
    /// [`Left`] tells why there is none.
    pub fn offer(&mut self, execution: Execution) -> Result<Example, Left> {
        let reviewed = matches!(execution.feedback, Some(Verdict::Accept | Verdict::Correct));
        let good_enough = match self.options.min_score {
            Some(least) => execution.score.is_some_and(|score| score >= least),
            None => true,
        };
        if execution.feedback == Some(Verdict::Reject) {
            return Err(Left::Rejected);
        }
        let is_corrected = execution.corrected.is_some();
        let outputs = match (execution.corrected, execution.outputs) {
            (Some(corrected), _) => corrected,
            (None, Some(outputs)) if execution.error.is_none() => outputs,
            _ => return Err(Left::Failed),
        };
        if !reviewed && (self.options.reviewed || !good_enough) {
            return Err(Left::NotGoodEnough);
        }
        if !execution.redacted.is_empty() {
            return Err(Left::Redacted);
        }
        if let (Some(wanted), Some(found)) = (&self.signature, &execution.signature)
            && wanted != found
        {
            return Err(Left::OtherSignature);
        }
        let mut example = Example::new(
            object(execution.inputs).ok_or(Left::Misfit)?,
            object(outputs).ok_or(Left::Misfit)?,
        );
        let of = if is_corrected { "correction of " } else { "" };
        example.source = format!("{of}execution {}", execution.id);
        if self
            .shape
            .is_some_and(|shape| !shape.misfits(&example).is_empty())
        {
            return Err(Left::Misfit);
        }
        match self.known.keep(&example) {
            Kept::New => Ok(example),
            Kept::Exact { .. } => Err(Left::Exact),
            Kept::Near { .. } => Err(Left::Near),
        }
    }
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

/// Hands over the examples in a history, the best ones first, one at a time.
///
/// # Errors
/// [`HistoryError`], and what `take` fails with.
pub fn collect<E: From<HistoryError>>(
    history: &History,
    options: &CollectOptions,
    shape: Option<&Shape>,
    mut take: impl FnMut(&Example) -> Result<(), E>,
) -> Result<Skipped, E> {
    let filter = Filter {
        workflow: Some(options.workflow.clone()),
        kind: options.step.clone().map_or(Kind::Runs, Kind::Step),
        lm: options.lm.clone(),
        since: options.since,
        order: Order::BestFirst,
        ..Filter::default()
    };
    let newest = Filter {
        order: Order::NewestFirst,
        limit: Some(1),
        ..filter.clone()
    };
    let newest = if options.any_signature {
        None
    } else {
        history.list(&newest)?.pop()
    };
    let signature = newest.and_then(|newest| newest.signature);
    let mut collector = Collector::new(options, shape, signature);
    let mut skipped = Skipped::default();
    let mut left = options.limit.unwrap_or(usize::MAX);
    if left == 0 {
        return Ok(skipped);
    }
    let failed = history.each(&filter, |execution| {
        match collector.offer(execution) {
            Ok(example) => {
                if let Err(error) = take(&example) {
                    return ControlFlow::Break(Some(error));
                }
                left -= 1;
            }
            Err(reason) => skipped.count(reason),
        }
        if left == 0 {
            ControlFlow::Break(None)
        } else {
            ControlFlow::Continue(())
        }
    })?;
    match failed.flatten() {
        Some(error) => Err(error),
        None => Ok(skipped),
    }
}
