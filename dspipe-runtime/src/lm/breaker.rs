//! Leaves a server alone that fails again and again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::gate::{Gate, Gated, Pass};
use super::{Lm, LmError, LmName, Request, TimeLimit, Usage};

/// When a server is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// So many failures one after the other.
    pub failures: u32,
    /// For this time; then one call may find out whether the server is back.
    pub pause: Duration,
}

impl Default for BreakerSettings {
    /// Ten failures, half a minute.
    fn default() -> Self {
        Self {
            failures: 10,
            pause: Duration::from_secs(30),
        }
    }
}

/// Refuses calls to a server that failed too often ([`LmError::CircuitOpen`]), until one of them gets
/// through again.
///
/// Failures are those of the server and of the way to it; an answer that says what is wrong with the
/// request is none. Clones share everything.
#[derive(Clone, Debug)]
pub struct Breaker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    endpoint: String,
    settings: BreakerSettings,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One call is under way to find out.
    HalfOpen,
}

impl Breaker {
    /// A breaker of its own. `endpoint` is what messages call the server.
    pub fn new(endpoint: impl Into<String>, settings: BreakerSettings) -> Self {
        Self(Arc::new(Shared {
            endpoint: endpoint.into(),
            settings,
            state: Mutex::new(State::Closed { failures: 0 }),
        }))
    }

    /// The LM, with this breaker before it.
    pub fn around(&self, lm: Arc<dyn Lm>) -> Arc<dyn Lm> {
        Arc::new(Gated {
            lm,
            gate: self.clone(),
        })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call through; `true` if it is the one that finds out.
    fn enter(&self) -> Result<bool, LmError> {
        let mut state = self.state();
        let retry_after = match *state {
            State::Closed { .. } => return Ok(false),
            State::Open { until } => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    *state = State::HalfOpen;
                    return Ok(true);
                }
                left
            }
            State::HalfOpen => self.settings.pause,
        };
        Err(LmError::CircuitOpen {
            endpoint: self.endpoint.clone(),
            retry_after,
        })
    }

    fn open(&self) -> State {
        tracing::warn!(endpoint = self.endpoint, pause = ?self.settings.pause, "left alone after failures");
        State::Open {
            until: Instant::now() + self.settings.pause,
        }
    }
}

/// Whether the server, or the way to it, is at fault. `None` tells nothing of it.
fn is_failure(error: &LmError) -> Option<bool> {
    match error {
        LmError::Unreachable { .. }
        | LmError::Server { .. }
        | LmError::Overloaded { .. }
        | LmError::Interrupted { .. }
        | LmError::Protocol { .. }
        | LmError::Timeout {
            limit: TimeLimit::Connect | TimeLimit::Read,
            ..
        } => Some(true),
        // A long reply is none.
        LmError::Timeout { .. } | LmError::Deadline { .. } | LmError::Setting { .. } => None,
        _ => Some(false),
    }
}

impl Gate for Breaker {
    type Pass = Try;

    async fn enter<'a>(&'a self, _: &'a LmName, _: &'a Request) -> Result<Try, LmError> {
        let is_probe = self.0.enter()?;
        Ok(Try {
            shared: Arc::clone(&self.0),
            is_probe,
        })
    }
}

/// A call under way.
pub(super) struct Try {
    shared: Arc<Shared>,
    is_probe: bool,
}

impl Pass for Try {
    fn settle(mut self, outcome: Result<&Usage, &LmError>) {
        let failed = match outcome {
            Ok(_) => Some(false),
            Err(error) => is_failure(error),
        };
        let mut state = self.shared.state();
        match (*state, failed) {
            (State::HalfOpen, Some(true)) if self.is_probe => *state = self.shared.open(),
            (State::HalfOpen, Some(false)) if self.is_probe => {
                *state = State::Closed { failures: 0 };
            }
            (State::Closed { .. }, Some(false)) => *state = State::Closed { failures: 0 },
            (State::Closed { failures }, Some(true)) => {
                let failures = failures + 1;
                *state = if failures >= self.shared.settings.failures {
                    self.shared.open()
                } else {
                    State::Closed { failures }
                };
            }
            // It tells nothing: the next call finds out.
            (State::HalfOpen, None) if self.is_probe => return,
            // A call from before the breaker opened.
            _ => {}
        }
        drop(state);
        self.is_probe = false;
    }
}

impl Drop for Try {
    /// A call that was to find out and did not leaves that to the next one.
    fn drop(&mut self) {
        if self.is_probe {
            let mut state = self.shared.state();
            if matches!(*state, State::HalfOpen) {
                *state = State::Open {
                    until: Instant::now(),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scripted, reply, request};
    use super::super::{BoxFuture, Reply};
    use super::*;

    fn server_error() -> LmError {
        LmError::Server {
            endpoint: String::new(),
            status: 500,
            message: String::new(),
            request_id: None,
        }
    }

    fn breaker() -> Breaker {
        let settings = BreakerSettings {
            failures: 3,
            pause: Duration::from_secs(30),
        };
        Breaker::new("http://x", settings)
    }

    /// An LM behind a breaker that opens after three failures, and how often it was asked.
    fn lm(
        script: impl Fn(usize) -> BoxFuture<'static, Result<Reply, LmError>> + Send + Sync + 'static,
    ) -> (Arc<dyn Lm>, Arc<Scripted>) {
        let scripted = Scripted::new(script);
        (breaker().around(scripted.clone()), scripted)
    }

    fn now(result: Result<Reply, LmError>) -> BoxFuture<'static, Result<Reply, LmError>> {
        Box::pin(async move { result })
    }

    #[tokio::test(start_paused = true)]
    async fn after_failures_it_opens_and_one_call_closes_it() {
        let (lm, scripted) = lm(|index| {
            now(if index < 4 {
                Err(server_error())
            } else {
                Ok(reply("fine", 1, 1))
            })
        });
        let request = request("x", None);
        for _ in 0..3 {
            assert!(matches!(
                lm.complete(&request).await,
                Err(LmError::Server { .. })
            ));
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        let error = lm.complete(&request).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(20)));
        assert!(error.is_transient());
        assert_eq!(scripted.asked(), 3);

        // The first one that finds out fails, the second does not.
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(matches!(
            lm.complete(&request).await,
            Err(LmError::Server { .. })
        ));
        assert!(matches!(
            lm.complete(&request).await,
            Err(LmError::CircuitOpen { .. })
        ));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(lm.complete(&request).await.is_ok());
        assert!(lm.complete(&request).await.is_ok());
        assert_eq!(scripted.asked(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn only_one_call_finds_out_and_one_that_is_given_up_leaves_it_to_the_next() {
        let (lm, scripted) = lm(|index| match index {
            0..3 => now(Err(server_error())),
            3 => Box::pin(std::future::pending()),
            _ => now(Ok(reply("fine", 1, 1))),
        });
        let request = request("x", None);
        for _ in 0..3 {
            lm.complete(&request).await.unwrap_err();
        }
        tokio::time::advance(Duration::from_secs(30)).await;
        {
            let mut probe = lm.complete(&request);
            let is_pending = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(probe.as_mut().poll(cx).is_pending())
            });
            assert!(is_pending.await);
            assert!(matches!(
                lm.complete(&request).await,
                Err(LmError::CircuitOpen { .. })
            ));
        }
        assert!(lm.complete(&request).await.is_ok());
        assert_eq!(scripted.asked(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_find_the_request_wrong_are_no_failures() {
        let (lm, _) = lm(|index| {
            now(Err(if index % 3 == 2 {
                LmError::BadRequest {
                    endpoint: String::new(),
                    status: 400,
                    message: String::new(),
                    request_id: None,
                }
            } else {
                server_error()
            }))
        });
        let request = request("x", None);
        for _ in 0..12 {
            let error = lm.complete(&request).await.unwrap_err();
            assert!(!matches!(error, LmError::CircuitOpen { .. }));
        }
    }
}
