//! The one place where a request is sent again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Lm, LmError, Reply, Request};

/// When and how often a request is sent again.
///
/// Only [transient](LmError::is_transient) errors are. The pause before try *n* is a random time up to
/// `base · 2ⁿ⁻¹` and `cap` (exponential backoff with full jitter), or what the server asks for in
/// `Retry-After`, if that is longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The largest number of tries, the first one included.
    pub attempts: u32,
    /// The longest first pause.
    pub base: Duration,
    /// The longest pause.
    pub cap: Duration,
    /// From the first try to the end of the last pause. A pause that would go beyond it is not begun.
    pub deadline: Duration,
}

impl Default for Retry {
    /// Four tries within two minutes, the first pause up to half a second.
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(20),
            deadline: Duration::from_secs(120),
        }
    }
}

impl Retry {
    /// Never again.
    pub const fn never() -> Self {
        Self {
            attempts: 1,
            base: Duration::ZERO,
            cap: Duration::ZERO,
            deadline: Duration::ZERO,
        }
    }

    /// Asks until there is a reply, an error that will not go away, or no try left.
    ///
    /// # Errors
    /// The last error.
    pub async fn complete(&self, lm: &dyn Lm, request: &Request) -> Result<Reply, LmError> {
        let started = Instant::now();
        let mut attempt = 1;
        loop {
            let error = match lm.complete(request).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if attempt >= self.attempts || !error.is_transient() {
                return Err(error);
            }
            let pause = self
                .pause(attempt, fastrand::f64())
                .max(error.retry_after().unwrap_or_default());
            if started.elapsed().saturating_add(pause) > self.deadline {
                return Err(error);
            }
            tracing::debug!(lm = %lm.name(), attempt, ?pause, %error, "trying again");
            sleep(pause).await;
            attempt += 1;
        }
    }

    /// The pause after a try, for a random number from 0 to 1.
    fn pause(&self, attempt: u32, random: f64) -> Duration {
        let longest = self
            .base
            .saturating_mul(2u32.saturating_pow(attempt - 1))
            .min(self.cap);
        longest.mul_f64(random)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::{BoxFuture, Finish, LmName, Params, Usage};
    use super::*;

    #[derive(Debug)]
    struct Scripted {
        name: LmName,
        errors: Mutex<Vec<LmError>>,
    }

    impl Lm for Scripted {
        fn name(&self) -> &LmName {
            &self.name
        }

        fn complete<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
            Box::pin(async {
                match self.errors.lock().unwrap().pop() {
                    Some(error) => Err(error),
                    None => Ok(Reply {
                        text: "fine".into(),
                        finish: Finish::Stop,
                        usage: Usage::default(),
                        model: String::new(),
                    }),
                }
            })
        }
    }

    fn limited(retry_after: Option<u64>) -> LmError {
        LmError::RateLimited {
            endpoint: "http://x".into(),
            message: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    /// The result, the errors that were not used up, and the (virtual) time it took.
    async fn run(mut errors: Vec<LmError>) -> (Result<Reply, LmError>, usize, Duration) {
        errors.reverse();
        let lm = Scripted {
            name: LmName::embedded(),
            errors: Mutex::new(errors),
        };
        let request = Request {
            messages: Vec::new(),
            schema: None,
            params: Params::default(),
        };
        let started = Instant::now();
        let result = Retry::default().complete(&lm, &request).await;
        let left = lm.errors.lock().unwrap().len();
        (result, left, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn transient_errors_are_tried_again_a_few_times() {
        let (result, _, _) = run(vec![limited(None); 3]).await;
        assert_eq!(result.unwrap().text, "fine");
        let (result, left, _) = run(vec![limited(None); 6]).await;
        assert!(matches!(result, Err(LmError::RateLimited { .. })));
        assert_eq!(left, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn other_errors_are_final() {
        let refused = LmError::Refused {
            endpoint: String::new(),
            message: String::new(),
        };
        let (result, left, took) = run(vec![refused, limited(None)]).await;
        assert!(matches!(result, Err(LmError::Refused { .. })));
        assert_eq!((left, took), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_wish_is_heard_up_to_the_deadline() {
        let (result, _, took) = run(vec![limited(Some(30))]).await;
        assert!(result.is_ok() && took >= Duration::from_secs(30));
        let (result, left, took) = run(vec![limited(Some(121)), limited(None)]).await;
        assert!(result.is_err());
        assert_eq!((left, took), (1, Duration::ZERO));
    }

    #[test]
    fn pauses_double_up_to_the_cap() {
        let pause = |attempt| Retry::default().pause(attempt, 1.0).as_millis();
        assert_eq!(
            [pause(1), pause(2), pause(3), pause(9), pause(99)],
            [500, 1000, 2000, 20_000, 20_000]
        );
        assert_eq!(Retry::default().pause(3, 0.0), Duration::ZERO);
    }
}
