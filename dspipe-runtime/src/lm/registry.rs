//! From the name of an LM to the LM.

use std::collections::HashMap;
#[cfg(feature = "http")]
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::def::WithParams;
#[cfg(feature = "http")]
use super::wire::http;
#[cfg(feature = "http")]
use super::{Breaker, BreakerSettings, Limits, Timeouts};
use super::{Budget, Fallback, Limiter, Lm, LmDef, LmError, LmName, ServerDef, provider};

/// The LMs of a process, made when they are first asked for.
///
/// A provider's URL and key come from `<PROVIDER>_BASE_URL` and `<PROVIDER>_API_KEY` in the environment
/// at that time. Cloning is cheap and shares everything, connections included.
///
/// What the process asks of a provider keeps to `<PROVIDER>_MAX_CONCURRENCY`,
/// `<PROVIDER>_REQUESTS_PER_MINUTE` and `<PROVIDER>_TOKENS_PER_MINUTE`, whoever asks; and an endpoint that
/// fails again and again is left alone for a while ([`Breaker`]), for the whole process too.
#[derive(Clone, Debug, Default)]
pub struct Lms {
    shared: Arc<Shared>,
    budget: Option<Budget>,
}

#[derive(Debug, Default)]
struct Shared {
    given: Mutex<HashMap<LmName, Arc<dyn Lm>>>,
    made: Mutex<HashMap<(LmName, ServerDef), Arc<dyn Lm>>>,
    fallbacks: Mutex<HashMap<LmName, Vec<LmName>>>,
    limiters: Mutex<HashMap<String, Limiter>>,
    /// How often one of the above was changed by the program.
    changed: AtomicUsize,
    #[cfg(feature = "http")]
    client: Mutex<Option<reqwest::Client>>,
}

/// What everything in the process shares: limiters by the prefix of the provider's variables, breakers by
/// endpoint. What a workflow file describes has limits of its own.
#[cfg(feature = "http")]
#[derive(Default)]
struct Process {
    limiters: Mutex<HashMap<String, Limiter>>,
    described: Mutex<HashMap<(LmName, ServerDef), Limiter>>,
    breakers: Mutex<HashMap<String, Breaker>>,
}

#[cfg(feature = "http")]
static PROCESS: LazyLock<Process> = LazyLock::new(Process::default);

impl Lms {
    /// No LM is made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an LM of the caller's in, in place of any other of its name. It is asked as it is: limits and
    /// breakers are for those that are made here.
    #[must_use]
    pub fn with(self, lm: Arc<dyn Lm>) -> Self {
        lock(&self.shared.given).insert(lm.name().clone(), lm);
        self.shared.changed.fetch_add(1, Ordering::Release);
        self
    }

    /// Holds the LMs of a provider to these limits, in place of those of the process. To be said before the
    /// first of them is asked for.
    #[must_use]
    pub fn with_limits(self, provider: &str, limiter: Limiter) -> Self {
        lock(&self.shared.limiters).insert(provider::prefix(provider), limiter);
        self.shared.changed.fetch_add(1, Ordering::Release);
        self
    }

    /// Asks the others in turn where an LM fails.
    #[must_use]
    pub fn with_fallbacks(self, name: LmName, others: impl IntoIterator<Item = LmName>) -> Self {
        let others = others.into_iter().collect();
        lock(&self.shared.fallbacks).insert(name, others);
        self.shared.changed.fetch_add(1, Ordering::Release);
        self
    }

    /// How often the program has changed what is found here: what was found before may no longer be what a
    /// name stands for.
    pub(crate) fn changed(&self) -> usize {
        self.shared.changed.load(Ordering::Acquire)
    }

    /// The same LMs, on this budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The LM of a name.
    ///
    /// # Errors
    /// [`LmError`] if the provider is unknown, its key is missing, or its part of the runtime is not
    /// built in.
    pub fn get(&self, name: &LmName) -> Result<Arc<dyn Lm>, LmError> {
        self.with_others(name, &ServerDef::NONE, &[])
    }

    /// The LM that a workflow file describes: the first of `defs`, the others in turn where it fails, each
    /// with its own parameters; the first one is asked with those of the request.
    ///
    /// What the program has put in counts more: an LM of the same name, other fallbacks, other limits. So do
    /// the variables of the environment for the provider.
    ///
    /// # Errors
    /// As [`get`](Self::get); [`LmError::Name`] if there are no `defs`.
    pub fn described(&self, defs: &[LmDef]) -> Result<Arc<dyn Lm>, LmError> {
        match defs {
            [first, others @ ..] => self.with_others(&first.lm.parse()?, &first.server, others),
            [] => self.get(&"".parse()?),
        }
    }

    /// An LM with its fallbacks: those of the program, or else `others`.
    fn with_others(
        &self,
        name: &LmName,
        server: &ServerDef,
        others: &[LmDef],
    ) -> Result<Arc<dyn Lm>, LmError> {
        let first = self.one(name, server);
        let ours = lock(&self.shared.fallbacks).get(name).cloned();
        if ours.is_none() && others.is_empty() {
            return first;
        }
        let missing = |name: LmName| move |error| Box::new((name, error));
        let mut lms = vec![first.map_err(missing(name.clone()))];
        match ours {
            Some(names) => {
                for name in names {
                    let lm = self.one(&name, &ServerDef::NONE);
                    lms.push(lm.map_err(missing(name)));
                }
            }
            None => {
                for def in others {
                    let name: LmName = def.lm.parse()?;
                    let params = def.params();
                    let lm = self.one(&name, &def.server);
                    let lm = lm.map(|lm| Arc::new(WithParams { lm, params }) as Arc<dyn Lm>);
                    lms.push(lm.map_err(missing(name)));
                }
            }
        }
        Ok(Arc::new(Fallback::of(name.clone(), lms)))
    }

    /// An LM without its fallbacks.
    fn one(&self, name: &LmName, server: &ServerDef) -> Result<Arc<dyn Lm>, LmError> {
        let given = lock(&self.shared.given).get(name).cloned();
        let key = (name.clone(), *server);
        let lm = match given.or_else(|| lock(&self.shared.made).get(&key).cloned()) {
            Some(lm) => lm,
            None => {
                let lm = self.make(name, server)?;
                // Of two that were made at the same time the first one stays.
                Arc::clone(lock(&self.shared.made).entry(key).or_insert(lm))
            }
        };
        Ok(match &self.budget {
            Some(budget) => budget.around(lm),
            None => lm,
        })
    }

    #[cfg_attr(not(feature = "http"), expect(clippy::unused_self))]
    fn make(&self, name: &LmName, server: &ServerDef) -> Result<Arc<dyn Lm>, LmError> {
        if name.provider() == "local" {
            #[cfg(feature = "local")]
            return Ok(Arc::new(super::LocalLm::new(name.clone())?));
            #[cfg(not(feature = "local"))]
            return Err(LmError::NotBuilt {
                lm: name.clone(),
                feature: "local",
            });
        }
        let variable = |variable: &str| std::env::var(variable).ok();
        let provider = provider::Provider::of(name, server, variable)?;
        #[cfg(feature = "http")]
        {
            let (limiter, own) = (self.limiter(name)?, self.own_limiter(name, server)?);
            let lm = super::HttpLm::of(name.clone(), provider, self.client()?)?;
            let lm = lm.with_timeouts(timeouts(server))?;
            let breaker = breaker(lm.endpoint());
            let lm = breaker.around(Arc::new(lm));
            let lm = own.map_or(Arc::clone(&lm), |own| own.around(lm));
            Ok(limiter.around(lm))
        }
        #[cfg(not(feature = "http"))]
        {
            drop(provider);
            Err(LmError::NotBuilt {
                lm: name.clone(),
                feature: "http",
            })
        }
    }

    #[cfg(feature = "http")]
    fn limiter(&self, name: &LmName) -> Result<Limiter, LmError> {
        let prefix = provider::prefix(name.provider());
        if let Some(limiter) = lock(&self.shared.limiters).get(&prefix) {
            return Ok(limiter.clone());
        }
        let mut limiters = lock(&PROCESS.limiters);
        if let Some(limiter) = limiters.get(&prefix) {
            return Ok(limiter.clone());
        }
        let limits = provider::limits(&prefix, |variable| std::env::var(variable).ok())?;
        Ok(limiters
            .entry(prefix)
            .or_insert(Limiter::new(limits))
            .clone())
    }

    /// The limiter of one LM that a workflow file describes: for what neither the program nor the
    /// environment limits.
    #[cfg(feature = "http")]
    fn own_limiter(&self, name: &LmName, server: &ServerDef) -> Result<Option<Limiter>, LmError> {
        let prefix = provider::prefix(name.provider());
        if lock(&self.shared.limiters).contains_key(&prefix) {
            return Ok(None);
        }
        let outer = provider::limits(&prefix, |variable| std::env::var(variable).ok())?;
        let said = server.limits;
        let own = Limits {
            concurrency: said.concurrency.filter(|_| outer.concurrency.is_none()),
            requests_per_minute: (said.requests_per_minute)
                .filter(|_| outer.requests_per_minute.is_none()),
            tokens_per_minute: (said.tokens_per_minute)
                .filter(|_| outer.tokens_per_minute.is_none()),
        };
        if own == Limits::default() {
            return Ok(None);
        }
        let mut limiters = lock(&PROCESS.described);
        let limiter = limiters.entry((name.clone(), *server));
        Ok(Some(limiter.or_insert_with(|| Limiter::new(own)).clone()))
    }

    #[cfg(feature = "http")]
    fn client(&self) -> Result<reqwest::Client, LmError> {
        let mut client = lock(&self.shared.client);
        match &*client {
            Some(client) => Ok(client.clone()),
            None => Ok(client.insert(http::client(http::CONNECT_TIMEOUT)?).clone()),
        }
    }
}

#[cfg(feature = "http")]
fn timeouts(server: &ServerDef) -> Timeouts {
    let usual = Timeouts::default();
    let total = server.timeout.unwrap_or(usual.total);
    Timeouts {
        connect: server.connect_timeout.unwrap_or(usual.connect),
        // Nothing is said of pauses: then the whole time may be one.
        read: server.read_timeout.unwrap_or(total),
        total,
    }
}

#[cfg(feature = "http")]
fn breaker(endpoint: &str) -> Breaker {
    let new = || Breaker::new(endpoint, BreakerSettings::default());
    lock(&PROCESS.breakers)
        .entry(endpoint.to_owned())
        .or_insert_with(new)
        .clone()
}

/// Nothing that runs under one of these locks can leave the map half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scripted, reply, request};
    use super::super::{BudgetLimits, Prices, Reply};
    use super::*;

    fn name(text: &str) -> LmName {
        text.parse().unwrap()
    }

    fn lm(name: &str, result: fn() -> Result<Reply, LmError>) -> Arc<Scripted> {
        Scripted::named(name, move |_| Box::pin(async move { result() }))
    }

    #[tokio::test]
    async fn an_lm_that_fails_or_is_not_there_is_replaced_by_its_fallbacks() {
        let failing = lm("a/1", || {
            Err(LmError::NoPrice {
                lm: LmName::embedded(),
            })
        });
        let lms = Lms::new()
            .with(failing)
            .with(lm("b/2", || Ok(reply("two", 1, 1))))
            .with_fallbacks(name("a/1"), [name("nobody/knows"), name("b/2")])
            .with_fallbacks(name("nobody/knows"), [name("b/2")]);
        for asked in ["a/1", "nobody/knows"] {
            let lm = lms.get(&name(asked)).unwrap();
            assert_eq!(lm.complete(&request("x", None)).await.unwrap().text, "two");
        }
    }

    #[tokio::test]
    async fn a_budget_holds_for_all_lms_together_but_not_for_other_clones() {
        let limits = BudgetLimits {
            calls: Some(2),
            ..BudgetLimits::default()
        };
        let lms = Lms::new()
            .with(lm("a/1", || Ok(reply("one", 1, 1))))
            .with(lm("b/2", || Ok(reply("two", 1, 1))));
        let on_budget = lms.clone().with_budget(Budget::new(limits, Prices::none()));
        let request = request("x", None);
        let ask = async |lms: &Lms, asked| lms.get(&name(asked)).unwrap().complete(&request).await;
        assert!(ask(&on_budget, "a/1").await.is_ok());
        assert!(ask(&on_budget, "b/2").await.is_ok());
        let error = ask(&on_budget.clone(), "a/1").await.unwrap_err();
        assert!(matches!(error, LmError::Budget { .. }));
        assert!(ask(&lms, "a/1").await.is_ok());
    }
}
