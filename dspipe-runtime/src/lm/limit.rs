//! How much is asked of a provider at a time and per minute.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use super::gate::{Gate, Gated, Pass, most_input_tokens};
use super::{Lm, LmError, LmName, Request, Usage};

/// Limits of a provider. `None` is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Calls at the same time.
    pub concurrency: Option<u32>,
    /// Calls per minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens per minute, those in and those out.
    pub tokens_per_minute: Option<u32>,
}

/// Holds calls back until limits allow them, in the order in which they came.
///
/// The limits per minute are token buckets: what was not used saves up for ten seconds, so that a burst is
/// possible, but no two of them in a minute. Before a call its tokens are estimated (four bytes of the
/// messages to a token, and `max_tokens`); afterwards the true number is put in the place of the estimate.
///
/// Clones share everything: what all clones do together keeps to the limits.
#[derive(Clone, Debug)]
pub struct Limiter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    is_unlimited: bool,
    slots: Option<Arc<Semaphore>>,
    /// Held by the call that waits for the buckets; the others wait for it.
    turn: tokio::sync::Mutex<()>,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

impl Limiter {
    /// A limiter of its own.
    pub fn new(limits: Limits) -> Self {
        let slots = limits.concurrency.map(|slots| {
            let slots = usize::try_from(slots).unwrap_or(usize::MAX);
            Arc::new(Semaphore::new(slots.clamp(1, Semaphore::MAX_PERMITS)))
        });
        Self(Arc::new(Shared {
            is_unlimited: limits == Limits::default(),
            slots,
            turn: tokio::sync::Mutex::default(),
            buckets: Mutex::new(Buckets {
                requests: limits.requests_per_minute.map(Bucket::new),
                tokens: limits.tokens_per_minute.map(Bucket::new),
            }),
        }))
    }

    /// The LM, held to the limits; as it is, if there are none.
    pub fn around(&self, lm: Arc<dyn Lm>) -> Arc<dyn Lm> {
        if self.0.is_unlimited {
            return lm;
        }
        Arc::new(Gated {
            lm,
            gate: self.clone(),
        })
    }
}

impl Shared {
    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request and so many tokens, or says how long to wait for them.
    fn take(&self, tokens: f64) -> Result<(), Duration> {
        let mut buckets = self.buckets();
        let Buckets {
            requests,
            tokens: bucket,
        } = &mut *buckets;
        let now = Instant::now();
        let waits = [
            requests.as_mut().map(|bucket| bucket.wait(now, 1.0)),
            bucket.as_mut().map(|bucket| bucket.wait(now, tokens)),
        ];
        let wait = waits.into_iter().flatten().max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        if let Some(bucket) = requests {
            bucket.level -= 1.0;
        }
        if let Some(bucket) = bucket {
            bucket.level -= tokens;
        }
        Ok(())
    }
}

impl Gate for Limiter {
    type Pass = Held;

    async fn enter<'a>(&'a self, _: &'a LmName, request: &'a Request) -> Result<Held, LmError> {
        let slot = match &self.0.slots {
            // It is never closed.
            Some(slots) => Arc::clone(slots).acquire_owned().await.ok(),
            None => None,
        };
        let tokens = estimate(request);
        let turn = self.0.turn.lock().await;
        while let Err(wait) = self.0.take(tokens) {
            sleep(wait).await;
        }
        drop(turn);
        Ok(Held {
            shared: Arc::clone(&self.0),
            tokens,
            _slot: slot,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn estimate(request: &Request) -> f64 {
    let input = most_input_tokens(request) as f64 / 4.0;
    input + f64::from(request.params.max_tokens.unwrap_or_default())
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Held {
    shared: Arc<Shared>,
    tokens: f64,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Pass for Held {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn settle(self, outcome: Result<&Usage, &LmError>) {
        let taken = match outcome {
            // Then the estimate stays.
            Ok(usage) if usage.is_unknown() => return,
            Ok(usage) => (usage.input_tokens.saturating_add(usage.output_tokens)) as f64,
            Err(error) if error.is_free() => 0.0,
            Err(_) => return,
        };
        if let Some(bucket) = &mut self.shared.buckets().tokens {
            bucket.level += self.tokens - taken;
        }
    }
}

/// Fills at a steady rate. What is taken may be more than it holds; then the next one waits longer.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    most: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// Seconds for which it saves up.
    const BURST: f64 = 10.0;

    fn new(per_minute: u32) -> Self {
        let per_second = f64::from(per_minute.max(1)) / 60.0;
        let most = (per_second * Self::BURST).max(1.0);
        Self {
            per_second,
            most,
            level: most,
            at: Instant::now(),
        }
    }

    /// How long until so much is there, or all that it can hold.
    fn wait(&mut self, now: Instant, amount: f64) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.most);
        self.at = now;
        let missing = amount.min(self.most) - self.level;
        // Rounded up to what a timer can tell, so that it is there after the wait.
        if missing <= 1e-6 {
            Duration::ZERO
        } else {
            Duration::try_from_secs_f64(missing / self.per_second)
                .unwrap_or(Duration::MAX)
                .saturating_add(Duration::from_millis(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::testing::{Scripted, reply, request};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_calls_run_at_once_than_allowed() {
        let limiter = Limiter::new(Limits {
            concurrency: Some(3),
            ..Limits::default()
        });
        let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (inside, seen) = (Arc::clone(&running), Arc::clone(&most));
        let lm = Scripted::new(move |_| {
            let (running, most) = (Arc::clone(&inside), Arc::clone(&seen));
            Box::pin(async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                sleep(Duration::from_secs(1)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(reply("fine", 1, 1))
            })
        });
        let started = Instant::now();
        // Two LMs of one provider.
        let lms = [limiter.around(lm.clone()), limiter.around(lm)];
        let request = request("x", None);
        let calls = (0..10).map(|index| lms[index % 2].complete(&request));
        for result in futures_util::future::join_all(calls).await {
            result.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert_eq!(started.elapsed(), Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_leaves_its_place() {
        let limiter = Limiter::new(Limits {
            concurrency: Some(1),
            ..Limits::default()
        });
        let lm = limiter.around(Scripted::new(|index| {
            Box::pin(async move {
                if index == 0 {
                    std::future::pending::<()>().await;
                }
                Ok(reply("fine", 1, 1))
            })
        }));
        let request = request("x", None);
        let first = tokio::time::timeout(Duration::from_secs(1), lm.complete(&request)).await;
        assert!(first.is_err());
        assert_eq!(lm.complete(&request).await.unwrap().text, "fine");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_keep_to_their_rate() {
        let limiter = Limiter::new(Limits {
            requests_per_minute: Some(60),
            ..Limits::default()
        });
        let lm = limiter.around(Scripted::always(|| Ok(reply("fine", 1, 1))));
        let request = request("x", None);
        let started = Instant::now();
        for _ in 0..10 {
            lm.complete(&request).await.unwrap();
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
        for _ in 0..20 {
            lm.complete(&request).await.unwrap();
        }
        let took = started.elapsed().as_secs_f64();
        assert!((19.9..20.2).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_taken_as_they_were_used() {
        // 100 a second, 1000 saved up.
        let limits = Limits {
            tokens_per_minute: Some(6000),
            ..Limits::default()
        };
        let time = async |output: u64, calls: usize| {
            let lm =
                Limiter::new(limits).around(Scripted::always(move || Ok(reply("fine", 0, output))));
            let request = request("x", Some(500));
            let started = Instant::now();
            for _ in 0..calls {
                lm.complete(&request).await.unwrap();
            }
            started.elapsed().as_secs_f64()
        };
        // The estimate of 500 is replaced by nearly nothing.
        assert!(time(1, 100).await < 1.0);
        // 1000 are there, the others take their time: 9 of 500 each come before the last.
        let took = time(500, 10).await;
        assert!((39.0..41.0).contains(&took), "{took}");
        // More than the bucket can hold is waited for once it was taken.
        let took = time(5000, 2).await;
        assert!((44.0..46.0).contains(&took), "{took}");
    }
}
