//! The one place where a request is sent again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};

use tracing::{Instrument, Span};

use super::{BoxFuture, BoxStream, Chunk, Lm, LmError, LmName, Reply, Request};
use crate::telemetry;

/// When and how often a request is sent again.
///
/// Only [transient](LmError::is_transient) errors are, and tries that took longer than `attempt_timeout`.
/// The pause before try *n* is a random time up to `base · 2ⁿ⁻¹` and `cap` (exponential backoff with full
/// jitter), or what the server asks for in `Retry-After`, if that is longer. A stream that has begun is not
/// begun again.
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
    /// How long a try may take; of a stream, how long until its first chunk. `None` leaves it to the LM.
    pub attempt_timeout: Option<Duration>,
    /// How long all of it may take, the last try and the last chunk included. `None` is no limit.
    pub timeout: Option<Duration>,
}

impl Default for Retry {
    /// Four tries within two minutes, the first pause up to half a second.
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(20),
            deadline: Duration::from_secs(120),
            attempt_timeout: None,
            timeout: None,
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
            attempt_timeout: None,
            timeout: None,
        }
    }

    /// Asks until there is a reply, an error that will not go away, or no try left.
    ///
    /// # Errors
    /// The last error; [`LmError::Deadline`] if time runs out.
    pub async fn complete(&self, lm: &dyn Lm, request: &Request) -> Result<Reply, LmError> {
        let mut tries = Tries::new(*self, lm);
        loop {
            let span = telemetry::attempt(tries.lm, tries.attempt);
            let reply = tries
                .within(lm.complete(request))
                .instrument(span.clone())
                .await;
            telemetry::attempt_ended(&span, reply.as_ref().err());
            match reply {
                Ok(reply) => return Ok(reply),
                Err(error) => tries.pause(error).await?,
            }
        }
    }

    /// Asks for a stream until one begins, there is an error that will not go away, or no try left.
    pub fn stream<'a>(
        self,
        lm: &'a dyn Lm,
        request: &'a Request,
    ) -> BoxStream<'a, Result<Chunk, LmError>> {
        let streaming = Streaming {
            lm,
            request,
            tries: Tries::new(self, lm),
            chunks: None,
            span: Span::none(),
            begun: false,
            ended: false,
        };
        Box::pin(stream::unfold(streaming, |mut streaming| async move {
            let chunk = streaming.next().await?;
            Some((chunk, streaming))
        }))
    }

    /// The LM, asked as this says.
    pub fn around(self, lm: Arc<dyn Lm>) -> Arc<dyn Lm> {
        Arc::new(Retrying { lm, retry: self })
    }

    /// The pause after a try. `random` is in 0..1.
    pub(super) fn pause(&self, attempt: u32, random: f64) -> Duration {
        let longest = self
            .base
            .saturating_mul(2u32.saturating_pow(attempt - 1))
            .min(self.cap);
        longest.mul_f64(random)
    }
}

#[derive(Debug)]
struct Retrying {
    lm: Arc<dyn Lm>,
    retry: Retry,
}

impl Lm for Retrying {
    fn name(&self) -> &LmName {
        self.lm.name()
    }

    fn complete<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
        Box::pin(self.retry.complete(&*self.lm, request))
    }

    fn stream<'a>(&'a self, request: &'a Request) -> BoxStream<'a, Result<Chunk, LmError>> {
        self.retry.stream(&*self.lm, request)
    }
}

/// The tries so far. Time runs from the first one.
struct Tries<'a> {
    retry: Retry,
    lm: &'a LmName,
    attempt: u32,
    started: Option<Instant>,
    /// The try took longer than a try may.
    overran: bool,
}

impl<'a> Tries<'a> {
    fn new(retry: Retry, lm: &'a dyn Lm) -> Self {
        Self {
            retry,
            lm: lm.name(),
            attempt: 1,
            started: None,
            overran: false,
        }
    }

    fn elapsed(&mut self) -> Duration {
        match self.started {
            Some(started) => started.elapsed(),
            None => {
                self.started = Some(Instant::now());
                Duration::ZERO
            }
        }
    }

    /// Waits for a try, or the first chunk of one.
    async fn within<T>(
        &mut self,
        part: impl Future<Output = Result<T, LmError>>,
    ) -> Result<T, LmError> {
        let elapsed = self.elapsed();
        let left = self.retry.timeout.map(|all| all.saturating_sub(elapsed));
        let limit = match (self.retry.attempt_timeout, left) {
            (Some(attempt), Some(left)) => attempt.min(left),
            (Some(limit), None) | (None, Some(limit)) => limit,
            (None, None) => return part.await,
        };
        match timeout(limit, part).await {
            Ok(result) => result,
            Err(_) => {
                let is_all = left.is_some_and(|left| left <= limit);
                self.overran = !is_all;
                Err(self.late(if is_all {
                    self.retry.timeout
                } else {
                    Some(limit)
                }))
            }
        }
    }

    /// Waits for a further chunk.
    async fn rest<T>(&mut self, part: impl Future<Output = T>) -> Result<T, LmError> {
        let Some(all) = self.retry.timeout else {
            return Ok(part.await);
        };
        let left = all.saturating_sub(self.elapsed());
        timeout(left, part).await.map_err(|_| self.late(Some(all)))
    }

    fn late(&self, after: Option<Duration>) -> LmError {
        LmError::Deadline {
            lm: self.lm.clone(),
            after: after.unwrap_or_default(),
        }
    }

    /// Waits until it is time for the next try, or gives the error back if there is none.
    async fn pause(&mut self, error: LmError) -> Result<(), LmError> {
        let may_pass = error.is_transient() || std::mem::take(&mut self.overran);
        if self.attempt >= self.retry.attempts || !may_pass {
            return Err(error);
        }
        let pause = self
            .retry
            .pause(self.attempt, fastrand::f64())
            .max(error.retry_after().unwrap_or_default());
        let deadline = match self.retry.timeout {
            Some(all) => all.min(self.retry.deadline),
            None => self.retry.deadline,
        };
        if self.elapsed().saturating_add(pause) > deadline {
            return Err(error);
        }
        tracing::debug!(lm = %self.lm, attempt = self.attempt, ?pause, error = error.class(), "trying again");
        sleep(pause).await;
        self.attempt += 1;
        Ok(())
    }
}

/// A stream on its way from try to try.
struct Streaming<'a> {
    lm: &'a dyn Lm,
    request: &'a Request,
    tries: Tries<'a>,
    chunks: Option<BoxStream<'a, Result<Chunk, LmError>>>,
    /// That of the try.
    span: Span,
    begun: bool,
    ended: bool,
}

impl Streaming<'_> {
    async fn next(&mut self) -> Option<Result<Chunk, LmError>> {
        if self.ended {
            return None;
        }
        let chunk = loop {
            let chunks = self.chunks.get_or_insert_with(|| {
                self.span = telemetry::attempt(self.tries.lm, self.tries.attempt);
                self.lm.stream(self.request)
            });
            let span = self.span.clone();
            if self.begun {
                let next = self.tries.rest(chunks.next()).instrument(span).await;
                break next.unwrap_or_else(|error| Some(Err(error)));
            }
            let first = async { chunks.next().await.transpose() };
            match self.tries.within(first).instrument(span).await {
                Ok(chunk) => break chunk.map(Ok),
                Err(error) => {
                    telemetry::attempt_ended(&self.span, Some(&error));
                    // Closes the connection before the pause.
                    self.chunks = None;
                    if let Err(error) = self.tries.pause(error).await {
                        break Some(Err(error));
                    }
                }
            }
        };
        self.begun = true;
        self.ended = !matches!(&chunk, Some(Ok(Chunk { end: None, .. })));
        if self.ended {
            let error = chunk.as_ref().and_then(|chunk| chunk.as_ref().err());
            telemetry::attempt_ended(&self.span, error);
            self.span = Span::none();
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::testing::{Scripted, reply, request};
    use super::*;

    fn limited(retry_after: Option<u64>) -> LmError {
        LmError::RateLimited {
            endpoint: "http://x".into(),
            message: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
            request_id: None,
        }
    }

    /// The result, the errors that were not used up, and the (virtual) time it took.
    async fn run(errors: Vec<LmError>) -> (Result<Reply, LmError>, usize, Duration) {
        let count = errors.len();
        let lm = Scripted::new(move |index| {
            let result = errors
                .get(index)
                .cloned()
                .map_or(Ok(reply("fine", 1, 1)), Err);
            Box::pin(async move { result })
        });
        let started = Instant::now();
        let result = Retry::default().complete(&*lm, &request("x", None)).await;
        let took = started.elapsed();
        let asked = lm.asked();
        (result, count.saturating_sub(asked), took)
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
            request_id: None,
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

    #[tokio::test(start_paused = true)]
    async fn pauses_are_anything_up_to_their_longest() {
        let mut pauses = Vec::new();
        for _ in 0..200 {
            let (_, _, took) = run(vec![limited(None)]).await;
            pauses.push(took.as_millis());
        }
        let in_range = |from: u128, to: u128| {
            let within = pauses.iter().filter(|pause| (from..to).contains(*pause));
            within.count()
        };
        // A millisecond is what a timer may be late.
        assert_eq!(in_range(0, 502), 200, "{pauses:?}");
        // None of the fifths stays empty, but once in 10¹⁸ runs.
        for fifth in 0..5 {
            assert!(in_range(fifth * 100, (fifth + 1) * 100) > 0, "{pauses:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_takes_too_long_is_given_up_and_another_begun() {
        let retry = Retry {
            attempt_timeout: Some(Duration::from_secs(10)),
            ..Retry::default()
        };
        let lm = Scripted::new(|index| {
            Box::pin(async move {
                if index < 2 {
                    sleep(Duration::from_secs(3600)).await;
                }
                Ok(reply("fine", 1, 1))
            })
        });
        let request = request("x", None);
        assert_eq!(retry.complete(&*lm, &request).await.unwrap().text, "fine");
        assert_eq!(lm.asked(), 3);

        let lm = Scripted::new(|_| Box::pin(std::future::pending()));
        let error = retry.complete(&*lm, &request).await.unwrap_err();
        assert!(matches!(error, LmError::Deadline { after, .. } if after.as_secs() == 10));
        assert_eq!(lm.asked(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn all_tries_together_end_in_time() {
        let retry = Retry {
            attempts: 100,
            timeout: Some(Duration::from_secs(30)),
            ..Retry::default()
        };
        let request = request("x", None);
        let lm = Scripted::new(|_| Box::pin(std::future::pending()));
        let started = Instant::now();
        let error = retry.complete(&*lm, &request).await.unwrap_err();
        assert!(matches!(error, LmError::Deadline { after, .. } if after.as_secs() == 30));
        assert_eq!((lm.asked(), started.elapsed().as_secs()), (1, 30));

        let lm = Scripted::always(|| Err(limited(Some(7))));
        let started = Instant::now();
        let error = retry.complete(&*lm, &request).await.unwrap_err();
        assert!(matches!(error, LmError::RateLimited { .. }));
        assert_eq!(started.elapsed().as_secs(), 28);
    }

    /// Gives these in turn, one list for each try.
    #[derive(Debug)]
    struct Parts(LmName, Vec<Vec<Result<&'static str, LmError>>>, AtomicUsize);

    impl Lm for Parts {
        fn name(&self) -> &LmName {
            &self.0
        }

        fn complete<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
            Box::pin(std::future::pending())
        }

        fn stream<'a>(&'a self, _: &'a Request) -> BoxStream<'a, Result<Chunk, LmError>> {
            let parts = &self.1[self.2.fetch_add(1, Ordering::SeqCst)];
            let chunks = parts.iter().map(|part| match part {
                Ok("end") => Ok(Chunk::from(reply("", 1, 1))),
                Ok(text) => Ok(Chunk {
                    text: (*text).to_owned(),
                    end: None,
                }),
                Err(error) => Err(error.clone()),
            });
            Box::pin(stream::iter(chunks))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_tried_again_until_it_begins() {
        let lm = |tries| Parts(LmName::embedded(), tries, AtomicUsize::new(0));
        let request = request("x", None);
        let good = vec![Ok("a"), Ok("b"), Ok("end")];
        let late = vec![vec![Err(limited(None))], vec![Err(limited(None))], good];
        let (late, begun) = (lm(late), lm(vec![vec![Ok("a"), Err(limited(None))]]));
        let reply = Reply::collect(Retry::default().stream(&late, &request)).await;
        assert_eq!(reply.unwrap().text, "ab");
        let error = Reply::collect(Retry::default().stream(&begun, &request)).await;
        assert!(matches!(error, Err(LmError::RateLimited { .. })));
    }
}
