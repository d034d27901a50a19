//! The suites of `evals/` as tests.

use dspipe_eval::Unit;
use dspipe_eval::metric::{Score, from_fn};
use support_triage::workflows::triage::classify::Topic;
use support_triage::workflows::triage::{Inputs, Outputs};

/// Payment and login are one team: a ticket that goes to the wrong one of the two is where it can be solved.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a metric owns what it is given"
)]
fn team(_: Inputs, expected: Outputs, output: Outputs) -> Score {
    let office = |topic| matches!(topic, Topic::Payment | Topic::Login);
    let (wanted, found) = (expected.classify.topic, output.classify.topic);
    if wanted == found {
        Score::perfect()
    } else if office(wanted) && office(found) {
        Score::with_feedback(
            Unit::clamped(0.5),
            "the right team, but not the right topic",
        )
    } else {
        Score::with_feedback(
            Unit::ZERO,
            format!("{found} is not for the team of {wanted}"),
        )
    }
}

dspipe_eval::main!(support_triage::workflows, team = from_fn(team));
