//! Numbers that are checked where they come in.

use serde::{Deserialize, Serialize};

/// A number from 0 to 1: a score, a rate, a probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Unit(f64);

impl Unit {
    /// The worst score.
    pub const ZERO: Self = Self(0.0);
    /// The best score.
    pub const ONE: Self = Self(1.0);

    /// The number, if it is from 0 to 1.
    ///
    /// # Errors
    /// [`OutOfRange`] otherwise, and for what is not a number.
    pub fn new(value: f64) -> Result<Self, OutOfRange> {
        if (0.0..=1.0).contains(&value) {
            // Minus zero is zero.
            Ok(Self(value + 0.0))
        } else {
            Err(OutOfRange(value))
        }
    }

    /// The nearest number from 0 to 1; 0 for what is not a number.
    pub fn clamped(value: f64) -> Self {
        if value.is_nan() {
            Self::ZERO
        } else {
            Self(value.clamp(0.0, 1.0) + 0.0)
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// What is left to 1.
    #[must_use]
    pub fn complement(self) -> Self {
        Self::clamped(1.0 - self.0)
    }
}

impl From<bool> for Unit {
    fn from(yes: bool) -> Self {
        if yes { Self::ONE } else { Self::ZERO }
    }
}

impl From<Unit> for f64 {
    fn from(unit: Unit) -> Self {
        unit.0
    }
}

impl TryFrom<f64> for Unit {
    type Error = OutOfRange;

    fn try_from(value: f64) -> Result<Self, OutOfRange> {
        Self::new(value)
    }
}

/// A number that is not from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not from 0 to 1")]
pub struct OutOfRange(pub f64);

/// How much a part counts: more than 0, and finite.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Weight(f64);

impl Weight {
    /// The weight of a part for which nothing is said.
    pub const ONE: Self = Self(1.0);

    /// The weight.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl From<Weight> for f64 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl TryFrom<f64> for Weight {
    type Error = NoWeight;

    fn try_from(value: f64) -> Result<Self, NoWeight> {
        if value > 0.0 && value.is_finite() {
            Ok(Self(value))
        } else {
            Err(NoWeight(value))
        }
    }
}

/// A number that cannot be a weight.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is no weight; a weight is more than 0")]
pub struct NoWeight(pub f64);

/// A size that is 0 or more, and finite: seconds, dollars, a tolerance.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Amount(f64);

impl Amount {
    /// The size.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl From<Amount> for f64 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

impl TryFrom<f64> for Amount {
    type Error = Negative;

    fn try_from(value: f64) -> Result<Self, Negative> {
        if value >= 0.0 && value.is_finite() {
            Ok(Self(value))
        } else {
            Err(Negative(value))
        }
    }
}

/// A number that is no size.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not a number from 0 up")]
pub struct Negative(pub f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_from_0_to_1_are_units() {
        assert!(Unit::new(0.5).is_ok());
        for bad in [-0.01, 1.01, f64::NAN, f64::INFINITY] {
            assert!(Unit::new(bad).is_err(), "{bad}");
        }
        assert_eq!(Unit::clamped(f64::NAN), Unit::ZERO);
        assert_eq!(Unit::clamped(7.0), Unit::ONE);
        assert!(serde_json::from_str::<Unit>("1.5").is_err());
    }

    #[test]
    fn weights_are_more_than_nothing() {
        assert!(Weight::try_from(0.0).is_err());
        assert!(Weight::try_from(f64::INFINITY).is_err());
        assert!(Amount::try_from(-1.0).is_err());
        assert!(Amount::try_from(0.0).is_ok());
    }
}
