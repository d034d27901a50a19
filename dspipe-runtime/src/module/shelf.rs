//! Outputs of any type, by their places, so that modules are compiled once and not for every step.

use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::call::Reading;
use crate::check::CheckFailed;
use crate::read::{ReadError, Repair};
use crate::signature::SignatureDef;

/// Reads outputs and keeps them; they are known by their places.
pub(crate) trait Answers: Reading<usize> {
    /// An output as JSON.
    fn json(&self, place: usize) -> Value;
}

/// The outputs that a reading gives.
pub(crate) struct Shelf<'r, T, R> {
    reading: &'r R,
    kept: Mutex<Vec<Option<T>>>,
    output: PhantomData<fn() -> T>,
}

impl<'r, T, R: Reading<T>> Shelf<'r, T, R> {
    pub(crate) fn new(reading: &'r R) -> Self {
        Self {
            reading,
            kept: Mutex::default(),
            output: PhantomData,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Option<T>>> {
        // Nothing that runs under the lock can leave it half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The output of a place.
    pub(crate) fn take(&self, place: usize) -> Option<T> {
        self.kept().get_mut(place)?.take()
    }

    fn with<U>(&self, place: usize, look: impl FnOnce(&T) -> U) -> Option<U> {
        self.kept().get(place)?.as_ref().map(look)
    }
}

impl<T: Send, R: Reading<T>> Reading<usize> for Shelf<'_, T, R> {
    fn read(&self, def: &SignatureDef, text: &str) -> Result<(usize, Vec<Repair>), ReadError> {
        let (output, repairs) = self.reading.read(def, text)?;
        let mut kept = self.kept();
        kept.push(Some(output));
        Ok((kept.len() - 1, repairs))
    }

    fn check(&self, def: &SignatureDef, place: &usize) -> Result<Vec<CheckFailed>, ReadError> {
        self.with(*place, |output| self.reading.check(def, output))
            .unwrap_or_else(|| Ok(Vec::new()))
    }

    fn reward(&self, def: &SignatureDef, place: &usize) -> Option<f64> {
        self.with(*place, |output| self.reading.reward(def, output))?
    }
}

impl<T: Serialize + Send, R: Reading<T>> Answers for Shelf<'_, T, R> {
    fn json(&self, place: usize) -> Value {
        // What is generated always serializes.
        self.with(place, |output| serde_json::to_value(output).ok())
            .flatten()
            .unwrap_or_default()
    }
}
