//! An LM that is several: the next one is asked where one fails.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::{BoxFuture, BoxStream, Chunk, Lm, LmError, LmName, Reply, Request};

/// An LM, or why it is not there.
type Member = Result<Arc<dyn Lm>, Box<(LmName, LmError)>>;

/// Asks LMs in turn until one replies.
///
/// Every failure leads to the next one, except an exhausted budget. A stream that has begun is not begun
/// again. If none replies, the error has all of theirs ([`LmError::AllFailed`]).
#[derive(Debug)]
pub struct Fallback {
    name: LmName,
    lms: Vec<Member>,
}

impl Fallback {
    /// An LM of this name that is these, in this order.
    pub fn new(name: LmName, lms: impl IntoIterator<Item = Arc<dyn Lm>>) -> Self {
        Self {
            name,
            lms: lms.into_iter().map(Ok).collect(),
        }
    }

    /// LMs that may be there or not: one that is not fails.
    pub(super) fn of(name: LmName, lms: Vec<Member>) -> Self {
        Self { name, lms }
    }

    /// The name of an LM that is not the first one.
    fn other(&self, lm: &Member) -> Option<LmName> {
        let name = lm.as_ref().ok()?.name();
        (*name != self.name).then(|| name.clone())
    }

    async fn ask(&self, request: &Request) -> Result<Reply, LmError> {
        let mut tried = Vec::new();
        for lm in &self.lms {
            let result = match lm {
                Ok(lm) => lm.complete(request).await,
                Err(missing) => Err(missing.1.clone()),
            };
            match result {
                Ok(mut reply) => {
                    reply.lm = reply.lm.or(self.other(lm));
                    return Ok(reply);
                }
                Err(error) => failed(&mut tried, lm, error)?,
            }
        }
        Err(all_failed(tried))
    }
}

/// Notes a failure, if the next LM may be asked.
fn failed(tried: &mut Vec<(LmName, LmError)>, lm: &Member, error: LmError) -> Result<(), LmError> {
    if matches!(error, LmError::Budget { .. }) {
        return Err(error);
    }
    let name = match lm {
        Ok(lm) => lm.name(),
        Err(missing) => &missing.0,
    };
    tracing::info!(lm = %name, error = error.class(), "no reply; the next LM is asked");
    tried.push((name.clone(), error));
    Ok(())
}

fn all_failed(mut tried: Vec<(LmName, LmError)>) -> LmError {
    match tried.pop() {
        Some((_, error)) if tried.is_empty() => error,
        Some(last) => {
            tried.push(last);
            LmError::AllFailed { tried }
        }
        None => LmError::AllFailed { tried },
    }
}

/// A stream on its way from LM to LM.
struct Asking<'a> {
    fallback: &'a Fallback,
    request: &'a Request,
    /// The LM that is asked now.
    index: usize,
    chunks: Option<BoxStream<'a, Result<Chunk, LmError>>>,
    begun: bool,
    ended: bool,
    tried: Vec<(LmName, LmError)>,
}

impl Asking<'_> {
    async fn next(&mut self) -> Option<Result<Chunk, LmError>> {
        while !self.ended {
            let Some(lm) = self.fallback.lms.get(self.index) else {
                self.ended = true;
                return Some(Err(all_failed(std::mem::take(&mut self.tried))));
            };
            let chunk = match (lm, &mut self.chunks) {
                (Err(missing), _) => Some(Err(missing.1.clone())),
                (Ok(_), Some(chunks)) => chunks.next().await,
                (Ok(lm), chunks) => chunks.insert(lm.stream(self.request)).next().await,
            };
            match chunk {
                Some(Err(error)) if !self.begun => {
                    if let Err(error) = failed(&mut self.tried, lm, error) {
                        self.ended = true;
                        return Some(Err(error));
                    }
                    self.chunks = None;
                    self.index += 1;
                }
                mut chunk => {
                    if let Some(Ok(Chunk { end: Some(end), .. })) = &mut chunk {
                        end.lm = end.lm.take().or(self.fallback.other(lm));
                    }
                    self.begun = true;
                    self.ended = !matches!(&chunk, Some(Ok(Chunk { end: None, .. })));
                    return chunk;
                }
            }
        }
        None
    }
}

impl Lm for Fallback {
    fn name(&self) -> &LmName {
        &self.name
    }

    fn complete<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
        Box::pin(self.ask(request))
    }

    fn stream<'a>(&'a self, request: &'a Request) -> BoxStream<'a, Result<Chunk, LmError>> {
        let asking = Asking {
            fallback: self,
            request,
            index: 0,
            chunks: None,
            begun: false,
            ended: false,
            tried: Vec::new(),
        };
        Box::pin(stream::unfold(asking, |mut asking| async move {
            let chunk = asking.next().await?;
            Some((chunk, asking))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::BudgetKind;
    use super::super::testing::{Scripted, reply, request};
    use super::*;

    fn name(text: &str) -> LmName {
        text.parse().unwrap()
    }

    fn busy() -> LmError {
        LmError::Overloaded {
            endpoint: "http://x".to_owned(),
            status: 503,
            message: "busy".to_owned(),
            retry_after: None,
            request_id: None,
        }
    }

    fn lm(
        name: &str,
        result: impl Fn() -> Result<Reply, LmError> + Send + Sync + 'static,
    ) -> Arc<Scripted> {
        Scripted::named(name, move |_| {
            let result = result();
            Box::pin(async move { result })
        })
    }

    #[tokio::test]
    async fn the_next_one_is_asked_where_one_fails() {
        let (first, second) = (
            lm("a/1", || Err(busy())),
            lm("b/2", || Ok(reply("two", 1, 1))),
        );
        let third = lm("c/3", || Ok(reply("three", 1, 1)));
        let lms: [Arc<dyn Lm>; 3] = [first.clone(), second, third.clone()];
        let fallback = Fallback::new(name("any/one"), lms);
        let request = request("x", None);
        assert_eq!(fallback.complete(&request).await.unwrap().text, "two");
        let streamed = Reply::collect(fallback.stream(&request)).await;
        let streamed = streamed.unwrap();
        assert_eq!((&*streamed.text, streamed.lm), ("two", Some(name("b/2"))));
        assert_eq!((first.asked(), third.asked()), (2, 0));
        assert_eq!(fallback.name().to_string(), "any/one");
    }

    #[tokio::test]
    async fn if_none_replies_the_error_has_all_of_theirs() {
        let missing = || LmError::MissingKey {
            provider: "a".to_owned(),
            variable: "A_API_KEY".to_owned(),
        };
        let lms = vec![
            Err(Box::new((name("a/1"), missing()))),
            Ok(lm("b/2", || Err(busy())) as Arc<dyn Lm>),
        ];
        let fallback = Fallback::of(name("any/one"), lms);
        let request = request("x", None);
        for error in [
            fallback.complete(&request).await.unwrap_err(),
            Reply::collect(fallback.stream(&request)).await.unwrap_err(),
        ] {
            assert!(error.is_transient());
            assert_eq!(
                error.to_string(),
                "no LM replied: a/1: A_API_KEY is not set; set it to a key of a, or set \
                 DSPIPE_LM=local/smollm2-135m-instruct to run on the embedded model; b/2: http://x is \
                 overloaded (503): busy; try again later, or use another LM"
            );
        }
    }

    #[tokio::test]
    async fn an_exhausted_budget_ends_it() {
        let spent = || {
            Err(LmError::Budget {
                kind: BudgetKind::Calls,
                limit: String::new(),
                spent: String::new(),
                reserved: String::new(),
                need: String::new(),
            })
        };
        let second = lm("b/2", || Ok(reply("two", 1, 1)));
        let lms: [Arc<dyn Lm>; 2] = [lm("a/1", spent), second.clone()];
        let fallback = Fallback::new(name("any/one"), lms);
        let request = request("x", None);
        let error = fallback.complete(&request).await.unwrap_err();
        assert!(matches!(error, LmError::Budget { .. }));
        let error = Reply::collect(fallback.stream(&request)).await.unwrap_err();
        assert!(matches!(error, LmError::Budget { .. }));
        assert_eq!(second.asked(), 0);
    }
}
