//! Amounts of money.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// An amount of US dollars, to the billionth.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(into = "f64", from = "f64")]
pub struct Money {
    nano_dollars: u64,
}

const NANO: f64 = 1e9;

impl Money {
    /// So many dollars. Less than nothing, and what is no number, is nothing.
    pub fn from_dollars(dollars: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        let nano_dollars = (dollars * NANO).round() as u64;
        Self { nano_dollars }
    }

    /// In dollars.
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact up to nine million dollars"
    )]
    pub fn dollars(self) -> f64 {
        self.nano_dollars as f64 / NANO
    }

    pub(super) const fn saturating_add(self, other: Self) -> Self {
        Self {
            nano_dollars: self.nano_dollars.saturating_add(other.nano_dollars),
        }
    }

    pub(super) const fn saturating_sub(self, other: Self) -> Self {
        Self {
            nano_dollars: self.nano_dollars.saturating_sub(other.nano_dollars),
        }
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = self.saturating_add(other);
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Self::saturating_add)
    }
}

impl From<Money> for f64 {
    fn from(money: Money) -> Self {
        money.dollars()
    }
}

impl From<f64> for Money {
    fn from(dollars: f64) -> Self {
        Self::from_dollars(dollars)
    }
}

impl fmt::Display for Money {
    /// As in `$0.0123`: cents, and as many more digits as an amount below a dollar needs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dollars = self.dollars();
        let digits = match dollars {
            1.0.. | 0.0 => 2,
            0.01.. => 4,
            _ => 6,
        };
        write!(f, "${dollars:.digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_with_the_digits_that_count() {
        for (dollars, shown) in [
            (0.0, "$0.00"),
            (0.000_012, "$0.000012"),
            (0.012_34, "$0.0123"),
            (3.0, "$3.00"),
            (-1.0, "$0.00"),
            (f64::NAN, "$0.00"),
        ] {
            assert_eq!(Money::from_dollars(dollars).to_string(), shown);
        }
    }
}
