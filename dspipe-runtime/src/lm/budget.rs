//! What calls may take in all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::gate::{Gate, Gated, Pass, most_input_tokens};
use super::{BudgetKind, Lm, LmError, LmName, Money, Price, Prices, Request, Usage};

/// What calls may take in all. `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetLimits {
    /// Calls, each try and each second question counted.
    pub calls: Option<u64>,
    /// Tokens, those in and those out.
    pub tokens: Option<u64>,
    /// Money. Calls to a model without a price are refused.
    pub money: Option<Money>,
    /// How long the replies of steps without `max_tokens` are taken to be at most. Longer ones may overrun
    /// the budget by what they are longer.
    pub reply_tokens: u32,
}

impl Default for BudgetLimits {
    /// No limits; replies of 4096 tokens.
    fn default() -> Self {
        Self {
            calls: None,
            tokens: None,
            money: None,
            reply_tokens: 4096,
        }
    }
}

/// What calls have taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls.
    pub calls: u64,
    /// Tokens, those in and those out.
    pub tokens: u64,
    /// Money, as far as prices are known.
    pub money: Money,
}

/// A budget that is checked before each call.
///
/// A call first reserves all that it can take: as many input tokens as its messages have bytes, as many
/// output tokens as `max_tokens` of the step, or [`BudgetLimits::reply_tokens`] where a step sets none.
/// What is reserved counts as spent until the call ends, so that calls at the same time cannot overrun the
/// budget together; then what it really took is put in its place. A call for which there is not enough left is
/// refused with [`LmError::Budget`], at once.
///
/// A call that failed before the LM did anything takes no tokens; one that was given up is counted in full,
/// because nobody knows what it took, and so is one whose server does not say it.
///
/// Clones share everything.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: BudgetLimits,
    prices: Prices,
    taken: Mutex<Taken>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    spent: Spent,
    reserved: Spent,
}

impl Budget {
    /// A budget with these prices.
    pub fn new(limits: BudgetLimits, prices: Prices) -> Self {
        Self(Arc::new(Shared {
            limits,
            prices,
            taken: Mutex::default(),
        }))
    }

    /// What calls that have ended took.
    pub fn spent(&self) -> Spent {
        self.0.taken().spent
    }

    /// The LM, on this budget.
    pub fn around(&self, lm: Arc<dyn Lm>) -> Arc<dyn Lm> {
        Arc::new(Gated {
            lm,
            gate: self.clone(),
        })
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve(&self, lm: &LmName, request: &Request) -> Result<(Spent, Option<Price>), LmError> {
        let price = self.prices.get(lm).copied();
        if price.is_none() && self.limits.money.is_some() {
            return Err(LmError::NoPrice { lm: lm.clone() });
        }
        let input = most_input_tokens(request);
        let output = request.params.max_tokens;
        let output = u64::from(output.unwrap_or(self.limits.reply_tokens));
        let need = Spent {
            calls: 1,
            tokens: input.saturating_add(output),
            money: price.map_or_else(Money::default, |price| price.most(input, output)),
        };
        let mut taken = self.taken();
        let all = taken.spent.plus(&taken.reserved).plus(&need);
        let is_over = |kind, limit: Option<u64>, amount: u64| {
            limit.filter(|limit| amount > *limit).map(|_| kind)
        };
        let over = is_over(BudgetKind::Calls, self.limits.calls, all.calls)
            .or_else(|| is_over(BudgetKind::Tokens, self.limits.tokens, all.tokens))
            .or_else(|| {
                let over = self.limits.money.filter(|limit| all.money > *limit);
                over.map(|_| BudgetKind::Money)
            });
        if let Some(kind) = over {
            return Err(self.over(kind, &taken, &need));
        }
        taken.reserved = taken.reserved.plus(&need);
        Ok((need, price))
    }

    fn over(&self, kind: BudgetKind, taken: &Taken, need: &Spent) -> LmError {
        let shown = |spent: &Spent| match kind {
            BudgetKind::Calls => format!("{} calls", spent.calls),
            BudgetKind::Tokens => format!("{} tokens", spent.tokens),
            BudgetKind::Money => spent.money.to_string(),
        };
        LmError::Budget {
            kind,
            limit: shown(&Spent {
                calls: self.limits.calls.unwrap_or_default(),
                tokens: self.limits.tokens.unwrap_or_default(),
                money: self.limits.money.unwrap_or_default(),
            }),
            spent: shown(&taken.spent),
            reserved: shown(&taken.reserved),
            need: shown(need),
        }
    }
}

impl Spent {
    fn plus(&self, other: &Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            tokens: self.tokens.saturating_add(other.tokens),
            money: self.money.saturating_add(other.money),
        }
    }

    fn minus(&self, other: &Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(other.calls),
            tokens: self.tokens.saturating_sub(other.tokens),
            money: self.money.saturating_sub(other.money),
        }
    }
}

impl Gate for Budget {
    type Pass = Reserved;

    async fn enter<'a>(
        &'a self,
        lm: &'a LmName,
        request: &'a Request,
    ) -> Result<Reserved, LmError> {
        let (reserved, price) = self.0.reserve(lm, request)?;
        Ok(Reserved {
            shared: Arc::clone(&self.0),
            price,
            reserved,
            took: reserved,
        })
    }
}

/// A call under way.
pub(super) struct Reserved {
    shared: Arc<Shared>,
    price: Option<Price>,
    reserved: Spent,
    /// What it is taken to have taken when it ends.
    took: Spent,
}

impl Pass for Reserved {
    fn settle(mut self, outcome: Result<&Usage, &LmError>) {
        let took = match outcome {
            Ok(usage) if usage.is_unknown() => return,
            Ok(usage) => Spent {
                calls: 1,
                tokens: usage.input_tokens.saturating_add(usage.output_tokens),
                money: self
                    .price
                    .map_or_else(Money::default, |price| price.cost(usage)),
            },
            Err(error) if error.is_free() => Spent {
                calls: 1,
                ..Spent::default()
            },
            Err(_) => return,
        };
        self.took = took;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut taken = self.shared.taken();
        taken.reserved = taken.reserved.minus(&self.reserved);
        taken.spent = taken.spent.plus(&self.took);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::super::Reply;
    use super::super::testing::{Scripted, reply, request};
    use super::*;

    /// 17 input tokens at most, and 100 out.
    fn asks() -> Request {
        request("x", Some(100))
    }

    fn priced() -> Prices {
        let price = Price {
            input: 1.0,
            cached_input: None,
            cache_write: None,
            output: 10.0,
            long: None,
        };
        Prices::none().with(&"scripted/a-model".parse().unwrap(), price)
    }

    fn slow(input: u64, output: u64) -> Arc<Scripted> {
        Scripted::new(move |_| {
            Box::pin(async move {
                sleep(Duration::from_secs(1)).await;
                Ok(reply("fine", input, output))
            })
        })
    }

    async fn run(budget: &Budget, lm: Arc<dyn Lm>, calls: usize) -> Vec<Result<Reply, LmError>> {
        let lm = budget.around(lm);
        let request = asks();
        join_all((0..calls).map(|_| lm.complete(&request))).await
    }

    fn refused(results: &[Result<Reply, LmError>], expected: BudgetKind) -> usize {
        let errors = results.iter().filter_map(|result| result.as_ref().err());
        errors
            .map(|error| {
                assert!(matches!(error, LmError::Budget { kind, .. } if *kind == expected));
                assert!(!error.is_transient());
            })
            .count()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_at_the_same_time_do_not_overrun_it() {
        let calls = BudgetLimits {
            calls: Some(7),
            ..BudgetLimits::default()
        };
        let budget = Budget::new(calls, Prices::none());
        let lm = slow(17, 100);
        let results = run(&budget, lm.clone(), 50).await;
        assert_eq!((refused(&results, BudgetKind::Calls), lm.asked()), (43, 7));
        assert_eq!(budget.spent().calls, 7);

        let tokens = BudgetLimits {
            tokens: Some(1000),
            ..BudgetLimits::default()
        };
        let budget = Budget::new(tokens, Prices::none());
        // Eight reserve 117 each; what they leave is enough for later ones.
        let results = run(&budget, slow(7, 3), 50).await;
        assert_eq!(refused(&results, BudgetKind::Tokens), 42);
        assert_eq!(budget.spent().tokens, 80);
        let results = run(&budget, slow(17, 100), 50).await;
        assert_eq!(refused(&results, BudgetKind::Tokens), 43);
        assert_eq!(budget.spent().tokens, 80 + 7 * 117);

        let money = BudgetLimits {
            money: Some(Money::from_dollars(0.005)),
            ..BudgetLimits::default()
        };
        let budget = Budget::new(money, priced());
        // 17 millionths and 1000 millionths each.
        let results = run(&budget, slow(17, 100), 50).await;
        assert_eq!(refused(&results, BudgetKind::Money), 46);
        assert_eq!(budget.spent().money, Money::from_dollars(4.0 * 0.001_017));
        let Some(Err(error)) = results.last() else {
            panic!("the last one was refused");
        };
        assert_eq!(
            error.to_string(),
            "the budget of $0.005000 does not allow it: $0.00 spent, $0.004068 reserved for calls under way, \
             up to $0.001017 needed; raise the budget, or lower `max_tokens`"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_without_a_price_is_not_asked_on_a_budget_in_money() {
        let money = BudgetLimits {
            money: Some(Money::from_dollars(1.0)),
            ..BudgetLimits::default()
        };
        let lm = slow(1, 1);
        let results = run(&Budget::new(money, Prices::none()), lm.clone(), 1).await;
        assert!(matches!(results[0], Err(LmError::NoPrice { .. })));
        assert_eq!(lm.asked(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_calls_are_free_and_calls_that_are_given_up_are_not() {
        let budget = Budget::new(BudgetLimits::default(), priced());
        let failing = Scripted::always(|| {
            Err(LmError::RateLimited {
                endpoint: String::new(),
                message: String::new(),
                retry_after: None,
                request_id: None,
            })
        });
        run(&budget, failing, 3).await;
        let spent = budget.spent();
        assert_eq!((spent.calls, spent.tokens), (3, 0));

        let lm = budget.around(slow(1, 1));
        let request = asks();
        let given_up = tokio::time::timeout(Duration::from_millis(1), lm.complete(&request));
        assert!(given_up.await.is_err());
        let spent = budget.spent();
        assert_eq!((spent.calls, spent.tokens), (4, 117));

        let stream = Reply::collect(lm.stream(&request)).await;
        assert_eq!(stream.unwrap().text, "fine");
        assert_eq!(budget.spent().tokens, 119);

        let mut stream = lm.stream(&request);
        let next = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx));
        let given_up = tokio::time::timeout(Duration::from_millis(1), next);
        assert!(given_up.await.is_err());
        drop(stream);
        let spent = budget.spent();
        assert_eq!((spent.calls, spent.tokens), (6, 236));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_say_what_it_took_is_taken_to_have_taken_all() {
        let tokens = BudgetLimits {
            tokens: Some(300),
            ..BudgetLimits::default()
        };
        let budget = Budget::new(tokens, Prices::none());
        for expected in [117, 234] {
            let results = run(&budget, slow(0, 0), 1).await;
            assert!(results[0].is_ok());
            assert_eq!(budget.spent().tokens, expected);
        }
        assert_eq!(
            refused(&run(&budget, slow(0, 0), 1).await, BudgetKind::Tokens),
            1
        );
    }

    #[tokio::test(start_paused = true)]
    async fn replies_without_a_limit_have_an_assumed_one() {
        let limits = BudgetLimits {
            tokens: Some(1000),
            ..BudgetLimits::default()
        };
        let shorter = BudgetLimits {
            reply_tokens: 900,
            ..limits
        };
        let request = request("x", None);
        let ask = async |limits| {
            let lm = Budget::new(limits, Prices::none()).around(slow(1, 1));
            lm.complete(&request).await
        };
        assert!(matches!(ask(limits).await, Err(LmError::Budget { .. })));
        assert!(ask(shorter).await.is_ok());
    }
}
