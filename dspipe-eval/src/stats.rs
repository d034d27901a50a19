//! How sure a result is.
//!
//! Everything is deterministic: what is drawn at random is drawn with a seed.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

use crate::unit::Unit;

/// How often the bootstrap draws.
const RESAMPLES: usize = 2000;

/// From here on the normal approximation stands in for the bootstrap: the two no longer differ, and
/// drawing takes long.
const MANY: usize = 10_000;

/// The seed of everything that is drawn.
const SEED: u64 = 0x0D50_19E5;

/// An estimate and the bounds it is expected in.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// The Wilson score interval of a rate (Wilson 1927), two-sided; `None` of nothing.
///
/// `confidence` is that of both bounds together, as in 0.95.
pub fn wilson(successes: u64, trials: u64, confidence: Unit) -> Option<Interval> {
    if trials == 0 {
        return None;
    }
    let rate = Unit::clamped(real(successes) / real(trials));
    wilson_of_rate(rate, trials, confidence)
}

/// The Wilson interval of a rate over a number of independent trials; `None` of nothing.
///
/// Several runs of one case are not independent: they count as one trial, to which each adds its share.
pub fn wilson_of_rate(rate: Unit, trials: u64, confidence: Unit) -> Option<Interval> {
    if trials == 0 {
        return None;
    }
    let (n, z) = (real(trials), z(confidence));
    let p = rate.get();
    if z.is_infinite() {
        return Some(Interval {
            estimate: p,
            low: 0.0,
            high: 1.0,
        });
    }
    let scale = 1.0 + z * z / n;
    let center = (p + z * z / (2.0 * n)) / scale;
    let half = z / scale * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    Some(Interval {
        estimate: p,
        // Rounding must not leave a bound on the wrong side of the estimate.
        low: (center - half).clamp(0.0, p),
        high: (center + half).clamp(p, 1.0),
    })
}

/// The percentile bootstrap interval of a mean (Efron 1979), two-sided; `None` of nothing.
///
/// The same values in the same order give the same interval. From 10,000 values on it is that of the
/// normal approximation.
pub fn bootstrap_mean(values: &[f64], confidence: Unit) -> Option<Interval> {
    let estimate = mean(values)?;
    if values.len() >= MANY {
        let squares: f64 = values.iter().map(|x| (x - estimate).powi(2)).sum();
        let half = z(confidence)
            * (squares / real(values.len() as u64 - 1) / real(values.len() as u64)).sqrt();
        return Some(Interval {
            estimate,
            low: estimate - half,
            high: estimate + half,
        });
    }
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sum: f64 = values
                .iter()
                .map(|_| values[random.usize(..values.len())])
                .sum();
            sum / real(values.len() as u64)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let tail = confidence.complement().get() / 2.0;
    Some(Interval {
        estimate,
        low: sorted_quantile(&means, tail),
        high: sorted_quantile(&means, 1.0 - tail),
    })
}

/// The bootstrap interval of the mean difference `now - before` over pairs of scores of the same cases;
/// `None` of nothing.
pub fn paired_bootstrap(pairs: &[(f64, f64)], confidence: Unit) -> Option<Interval> {
    let differences: Vec<f64> = pairs.iter().map(|(before, now)| now - before).collect();
    bootstrap_mean(&differences, confidence)
}

/// How often two runs of the same cases differ in passing (`McNemar` 1947). Cases on which they agree say
/// nothing about which is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct McNemar {
    /// Cases that failed before and pass now.
    pub fixed: u64,
    /// Cases that passed before and fail now.
    pub broken: u64,
}

impl McNemar {
    /// The exact two-sided p-value of both runs being equally good.
    pub fn two_sided(self) -> f64 {
        (2.0 * at_least(self.fixed.max(self.broken), self.total())).min(1.0)
    }

    /// The exact one-sided p-value: how probable this many broken cases or more are if the run is no worse
    /// than the one before.
    pub fn worse(self) -> f64 {
        at_least(self.broken, self.total())
    }

    fn total(self) -> u64 {
        self.fixed.saturating_add(self.broken)
    }
}

/// P(X ≥ k) for n throws of a fair coin.
fn at_least(k: u64, n: u64) -> f64 {
    match (k.checked_sub(1), Binomial::new(0.5, n)) {
        (Some(below), Ok(coin)) => coin.sf(below),
        _ => 1.0,
    }
}

/// The probability that at least one of `k` tries passes, from `passes` of `tries`: 1 - C(n-c, k) / C(n, k)
/// (Chen et al. 2021, unbiased). `None` if there are fewer tries than `k`, or `k` is 0.
pub fn pass_at_k(tries: u32, passes: u32, k: u32) -> Option<Unit> {
    let failures = tries.checked_sub(passes)?;
    Some(all_of(tries, failures, k)?.complement())
}

/// The probability that all of `k` tries pass (pass^k, Yao et al. 2024): C(c, k) / C(n, k). `None` as
/// [`pass_at_k`].
pub fn pass_hat_k(tries: u32, passes: u32, k: u32) -> Option<Unit> {
    if passes > tries {
        return None;
    }
    all_of(tries, passes, k)
}

/// C(some, k) / C(all, k): that k drawn without putting back are all of the some.
fn all_of(all: u32, some: u32, k: u32) -> Option<Unit> {
    if k == 0 || k > all {
        return None;
    }
    if k > some {
        return Some(Unit::ZERO);
    }
    let product: f64 = (0..k)
        .map(|drawn| f64::from(some - drawn) / f64::from(all - drawn))
        .product();
    Some(Unit::clamped(product))
}

/// The quantile, interpolated between the nearest two values (type 7 of Hyndman and Fan 1996, the default
/// of R and `NumPy`); `None` of nothing.
pub fn quantile(values: &[f64], q: Unit) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(sorted_quantile(&sorted, q.get()))
}

/// `values` is sorted and not empty, `q` from 0 to 1.
fn sorted_quantile(values: &[f64], q: f64) -> f64 {
    let position = q * real(values.len() as u64 - 1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to the length"
    )]
    let below = position.floor() as usize;
    let above = (below + 1).min(values.len() - 1);
    values[below] + (values[above] - values[below]) * (position - position.floor())
}

/// The p-values adjusted for their number (Holm 1979), in the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut highest: f64 = 0.0;
    for (rank, at) in order.into_iter().enumerate() {
        let factor = real((p_values.len() - rank) as u64);
        highest = highest.max((p_values[at] * factor).min(1.0));
        adjusted[at] = highest;
    }
    adjusted
}

/// The mean; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    Some(values.iter().sum::<f64>() / real(values.len() as u64))
}

/// The standard normal deviate of a two-sided confidence.
fn z(confidence: Unit) -> f64 {
    Normal::standard().inverse_cdf(1.0 - confidence.complement().get() / 2.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const C95: f64 = 0.95;

    fn unit(value: f64) -> Unit {
        Unit::new(value).unwrap()
    }

    #[track_caller]
    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!(
            (found - expected).abs() <= tolerance,
            "{found} is not {expected}"
        );
    }

    /// 81 of 263 is the example of Newcombe 1998; all are `proportion_confint(.., 'wilson')` of
    /// statsmodels 0.14.
    #[test]
    fn wilson_intervals_are_the_published_ones() {
        let table = [
            (
                81,
                263,
                C95,
                0.255_288_519_878_274_2,
                0.366_209_576_982_800_04,
            ),
            (93, 100, C95, 0.862_504_852_609_265, 0.965_680_738_932_727_4),
            (0, 10, C95, 0.0, 0.277_532_799_862_889_26),
            (10, 10, C95, 0.722_467_200_137_110_6, 1.0),
            (1, 3, 0.9, 0.078_265_726_333_728_36, 0.746_466_131_718_776),
        ];
        for (successes, trials, confidence, low, high) in table {
            let found = wilson(successes, trials, unit(confidence)).unwrap();
            near(found.low, low, 1e-9);
            near(found.high, high, 1e-9);
        }
        assert_eq!(wilson(0, 0, unit(C95)), None);
    }

    /// p-values of `statsmodels.stats.contingency_tables.mcnemar(exact=True)`.
    #[test]
    fn mcnemar_is_exact() {
        let table = [
            (1, 9, 0.021_484_375),
            (0, 5, 0.0625),
            (3, 3, 1.0),
            (6, 16, 0.052_478_790_283_203_125),
            (0, 0, 1.0),
            (59, 6, 4.964_650_327_128_616e-12),
        ];
        for (fixed, broken, p) in table {
            near(McNemar { fixed, broken }.two_sided(), p, 1e-12);
        }
        near(
            McNemar {
                fixed: 0,
                broken: 5,
            }
            .worse(),
            1.0 / 32.0,
            1e-12,
        );
        near(
            McNemar {
                fixed: 5,
                broken: 0,
            }
            .worse(),
            1.0,
            1e-12,
        );
    }

    /// Bounds of `scipy.stats.bootstrap(method='percentile', n_resamples=200000)`; with 2,000 resamples
    /// they move by a little.
    #[test]
    fn bootstrap_intervals_agree_with_scipy() {
        let now = [
            0.1, 0.4, 0.35, 0.8, 0.9, 0.2, 0.55, 0.6, 0.7, 0.95, 0.3, 0.5,
        ];
        let before = [0.2, 0.3, 0.3, 0.5, 0.9, 0.1, 0.5, 0.4, 0.8, 0.7, 0.1, 0.45];
        let found = bootstrap_mean(&now, unit(C95)).unwrap();
        near(found.estimate, 0.529_166_666_666_666_7, 1e-12);
        near(found.low, 0.383_33, 0.015);
        near(found.high, 0.675, 0.015);
        let pairs: Vec<(f64, f64)> = before.into_iter().zip(now).collect();
        let found = paired_bootstrap(&pairs, unit(C95)).unwrap();
        near(found.estimate, 0.091_666_666_666_666_67, 1e-12);
        near(found.low, 0.025, 0.01);
        near(found.high, 0.1625, 0.01);
        assert_eq!(paired_bootstrap(&pairs, unit(C95)), Some(found));
        assert_eq!(bootstrap_mean(&[], unit(C95)), None);
    }

    #[test]
    fn many_values_take_the_normal_approximation() {
        let few: Vec<f64> = (0..MANY - 1).map(|n| real(n as u64 % 2)).collect();
        let many: Vec<f64> = (0..=MANY).map(|n| real(n as u64 % 2)).collect();
        let (few, many) = (
            bootstrap_mean(&few, unit(C95)).unwrap(),
            bootstrap_mean(&many, unit(C95)).unwrap(),
        );
        near(many.high - many.low, 2.0 * 1.959_964 * 0.005, 1e-5);
        near(few.high - few.low, many.high - many.low, 0.002);
    }

    /// Computed with `math.comb` of Python.
    #[test]
    fn repeated_tries_are_estimated_without_bias() {
        let at = |n, c, k| pass_at_k(n, c, k).unwrap().get();
        let hat = |n, c, k| pass_hat_k(n, c, k).unwrap().get();
        near(at(10, 3, 1), 0.3, 1e-12);
        near(at(10, 3, 5), 0.916_666_666_666_666_7, 1e-12);
        near(at(10, 0, 5), 0.0, 1e-12);
        near(at(10, 10, 5), 1.0, 1e-12);
        near(hat(10, 3, 1), 0.3, 1e-12);
        near(hat(10, 8, 3), 0.466_666_666_666_666_7, 1e-12);
        near(hat(10, 2, 3), 0.0, 1e-12);
        assert_eq!(pass_at_k(2, 1, 3), None);
        assert_eq!(pass_hat_k(2, 3, 1), None);
        assert_eq!(pass_hat_k(2, 1, 0), None);
    }

    /// `numpy.quantile`.
    #[test]
    fn quantiles_are_interpolated() {
        let values = [10.0, 1.0, 3.0, 2.0, 4.0];
        for (q, expected) in [
            (0.0, 1.0),
            (0.05, 1.2),
            (0.5, 3.0),
            (0.95, 8.8),
            (1.0, 10.0),
        ] {
            near(quantile(&values, unit(q)).unwrap(), expected, 1e-12);
        }
        assert_eq!(quantile(&[], unit(0.5)), None);
    }

    /// `multipletests(.., method='holm')` of statsmodels.
    #[test]
    fn holm_adjusts_p_values() {
        let found = holm(&[0.01, 0.04, 0.03, 0.005, 0.5]);
        for (found, expected) in found.into_iter().zip([0.04, 0.09, 0.09, 0.025, 0.5]) {
            near(found, expected, 1e-12);
        }
    }

    proptest! {
        #[test]
        fn intervals_hold_their_estimate(
            successes in 0_u64..50, failures in 0_u64..50, confidence in 0.0_f64..=1.0,
        ) {
            let found = wilson(successes, successes + failures, unit(confidence));
            prop_assert_eq!(found.is_none(), successes + failures == 0);
            if let Some(found) = found {
                prop_assert!(0.0 <= found.low && found.low <= found.estimate);
                prop_assert!(found.estimate <= found.high && found.high <= 1.0);
            }
        }

        #[test]
        fn more_tries_help_one_and_hurt_all(tries in 1_u32..20, passes in 0_u32..20, k in 1_u32..19) {
            if let (Some(few), Some(more)) = (pass_at_k(tries, passes, k), pass_at_k(tries, passes, k + 1)) {
                prop_assert!(few <= more);
                prop_assert!(pass_hat_k(tries, passes, k) >= pass_hat_k(tries, passes, k + 1));
            }
        }
    }
}
