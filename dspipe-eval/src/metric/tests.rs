//! What metrics give.

#![expect(clippy::float_cmp, reason = "scores that are exact")]
#![expect(clippy::needless_pass_by_value, reason = "`json!` gives values")]

use std::sync::Arc;

use dspipe_runtime::lm::{Finish, Lm, LmError, LmName, Reply, Request};
use dspipe_runtime::{Lms, LocalRunner};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::unit::Unit;

fn parse(declaration: &Value) -> Declared {
    Declared::parse(declaration, &Registry::default()).unwrap()
}

fn run(metric: &dyn Metric, sample: &Sample<'_>) -> Result<Score, MetricError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(metric.score(sample))
}

#[track_caller]
fn score(declaration: Value, expected: Value, actual: Value) -> f64 {
    run(&parse(&declaration), &Sample::new(&expected, &actual))
        .unwrap()
        .value
        .get()
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[test]
fn equality_looks_at_the_value_not_its_form() {
    assert_eq!(
        score(
            json!("exact"),
            json!({"a": 1, "b": 2}),
            json!({"b": 2, "a": 1.0})
        ),
        1.0
    );
    assert_eq!(score(json!("exact"), json!("a"), json!("A")), 0.0);
    assert_eq!(score(json!("exact"), json!(null), json!({})), 0.0);
}

#[test]
fn squad_normal_form_drops_case_punctuation_and_articles() {
    let equal = |a: &str, b: &str| score(json!("normalized"), json!(a), json!(b));
    assert_eq!(equal("The  Eiffel Tower!", "eiffel tower"), 1.0);
    assert_eq!(equal("theatre", "atre"), 0.0);
    // NFD keeps combining marks.
    assert_eq!(equal("café", "cafe"), 0.0);
    assert_eq!(equal("caf\u{e9}", "cafe\u{301}"), 1.0);
    assert_eq!(equal("", "the"), 1.0);
}

#[test]
fn token_f1_is_that_of_squad() {
    let f1 = |a: &str, b: &str| score(json!("token_f1"), json!(a), json!(b));
    // Two of three words are common: precision and recall are 2/3.
    near(f1("red green blue", "red green grey"), 2.0 / 3.0);
    near(f1("red", "red red red"), 0.5);
    assert_eq!(f1("", ""), 1.0);
    assert_eq!(f1("", "word"), 0.0);
}

#[test]
fn rouge_l_follows_the_order_of_words() {
    // Lin 2004, section 3.1: LCS 3 and 2 of 4 words.
    let rouge = |a: &str, b: &str| score(json!("rouge_l"), json!(a), json!(b));
    near(
        rouge("police killed the gunman", "police kill the gunman"),
        0.75,
    );
    near(
        rouge("police killed the gunman", "the gunman kill police"),
        0.5,
    );
}

#[test]
fn edit_similarity_is_a_share_of_the_longer_text() {
    near(
        score(json!("edit"), json!("kitten"), json!("sitting")),
        1.0 - 3.0 / 7.0,
    );
    assert_eq!(score(json!("edit"), json!(""), json!("")), 1.0);
}

#[test]
fn numbers_may_differ_within_a_tolerance() {
    let numeric = |options: Value, a: Value, b: Value| score(json!({"numeric": options}), a, b);
    assert_eq!(numeric(json!({"abs": 0.5}), json!(10), json!(10.5)), 1.0);
    assert_eq!(numeric(json!({"abs": 0.5}), json!(10), json!(10.6)), 0.0);
    assert_eq!(numeric(json!({"rel": 0.1}), json!(-100), json!(-91)), 1.0);
    assert_eq!(numeric(json!({}), json!(1), json!("1")), 0.0);
    let (expected, actual) = (json!("ten"), json!(10));
    let error = run(&parse(&json!("numeric")), &Sample::new(&expected, &actual)).unwrap_err();
    insta::assert_snapshot!(error, @"`numeric` needs a number as the expected value, but it is `ten`");
}

#[test]
fn texts_can_be_looked_for() {
    let actual = || json!("Ask the Supervisor first");
    let contains = |options: Value| score(json!({"contains": options}), json!("the"), actual());
    assert_eq!(contains(json!({})), 1.0);
    assert_eq!(contains(json!({"any": ["x", "first"]})), 1.0);
    assert_eq!(contains(json!({"all": ["supervisor", "first"]})), 0.5);
    assert_eq!(contains(json!({"all": ["supervisor"], "case": false})), 1.0);
    assert_eq!(
        score(json!("contains"), json!(["Ask", "nobody"]), actual()),
        0.5
    );
    assert_eq!(
        score(json!({"regex": r"\bfirst$"}), json!(null), actual()),
        1.0
    );
    assert_eq!(
        score(json!({"regex": "^first"}), json!(null), actual()),
        0.0
    );
}

#[test]
fn the_best_of_several_references_counts() {
    let references = || json!(["New York City", "NYC"]);
    assert_eq!(score(json!("one_of"), references(), json!("nyc")), 0.0);
    assert_eq!(
        score(
            json!({"one_of": {"metric": "normalized"}}),
            references(),
            json!("nyc")
        ),
        1.0
    );
    assert_eq!(
        score(json!({"one_of": {"values": [1, 2]}}), json!(null), json!(2)),
        1.0
    );
}

#[test]
fn sets_and_lists_are_compared_by_f1() {
    near(
        score(
            json!("set_f1"),
            json!(["a", "b", "c"]),
            json!(["c", "a", "a", "d"]),
        ),
        2.0 / 3.0,
    );
    near(
        score(json!("list_f1"), json!(["a", "a"]), json!(["a"])),
        2.0 / 3.0,
    );
    assert_eq!(score(json!("list_f1"), json!([1, 2]), json!([2, 1])), 1.0);
    near(
        score(
            json!({"list_f1": {"ordered": true}}),
            json!([1, 2]),
            json!([2, 1]),
        ),
        0.5,
    );
    let objects = json!({"set_f1": {"key": "id"}});
    assert_eq!(
        score(
            objects,
            json!([{"id": 1, "n": "x"}]),
            json!([{"id": 1.0, "n": "y"}])
        ),
        1.0
    );
    assert_eq!(
        score(
            json!({"set_f1": {"normalize": true}}),
            json!(["The Actor"]),
            json!(["actor"])
        ),
        1.0
    );
    assert_eq!(score(json!("set_f1"), json!([]), json!(null)), 1.0);
    assert_eq!(score(json!("set_f1"), json!([]), json!(["a"])), 0.0);
}

#[test]
fn the_structure_of_values_is_compared_part_by_part() {
    let diff = |a: Value, b: Value| score(json!("json_diff"), a, b);
    near(
        diff(json!({"a": 1, "b": "x"}), json!({"a": 1, "b": "y"})),
        0.5,
    );
    near(diff(json!({"a": 1}), json!({"a": 1, "b": 1})), 0.5);
    near(diff(json!([1, 2]), json!([1])), 0.5);
    near(diff(json!(1), json!(3)), 0.5);
    assert_eq!(diff(json!({}), json!({})), 1.0);
}

#[test]
fn schemas_and_lengths_need_no_expected_output() {
    let schema = json!({"schema": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}});
    let metric = parse(&schema);
    assert!(!metric.needs_expected());
    let actual = json!({"a": 1});
    let sample = Sample {
        expected: None,
        ..Sample::new(&actual, &actual)
    };
    let found = run(&metric, &sample).unwrap();
    assert_eq!(found.value, Unit::ZERO);
    insta::assert_snapshot!(found.feedback.unwrap(), @r#"/a: 1 is not of type "string""#);

    let length =
        |options: Value, actual: Value| score(json!({"length": options}), json!(null), actual);
    assert_eq!(length(json!({"max": 5}), json!("Grüße")), 1.0);
    near(length(json!({"max": 2}), json!("Grüße")), 0.4);
    near(
        length(json!({"min": 4, "unit": "words"}), json!("a b c")),
        0.75,
    );
    assert_eq!(
        length(
            json!({"min": 2, "max": 2, "unit": "sentences"}),
            json!("Yes! No?...")
        ),
        1.0
    );
    assert_eq!(length(json!({"min": 1, "unit": "items"}), json!([])), 0.0);
}

#[test]
fn slow_and_dear_outputs_lose_points() {
    let value = json!(null);
    let sample = Sample {
        latency: Duration::from_secs(3),
        ..Sample::new(&value, &value)
    };
    let latency = parse(&json!({"latency": {"good": 1, "max": 5}}));
    near(run(&latency, &sample).unwrap().value.get(), 0.5);
    let cost = parse(&json!({"cost": {"max": 0.01}}));
    assert_eq!(run(&cost, &sample), Err(MetricError::NoCost));
    let sample = Sample {
        cost: Some(0.02),
        ..sample
    };
    assert_eq!(run(&cost, &sample).unwrap().value, Unit::ZERO);
}

#[test]
fn composites_join_scores_and_feedback() {
    let metric = json!({"fields": {
        "complexity": {"metric": "exact", "weight": 3},
        "patterns": "set_f1",
        "author.name": "exact",
    }});
    let expected = json!({"complexity": "high", "patterns": ["a", "b"], "author": {"name": "Ann"}});
    let actual = json!({"complexity": "low", "patterns": ["a", "c"]});
    let found = run(&parse(&metric), &Sample::new(&expected, &actual)).unwrap();
    near(found.value.get(), 0.5 / 5.0);
    insta::assert_snapshot!(found.feedback.unwrap(), @"complexity: expected `high`, got `low`; patterns: missing: `b`, not expected: `c`; author.name: expected `Ann`, got nothing");
    let parts: Vec<(&str, f64)> = found
        .parts
        .iter()
        .map(|part| (part.name.as_str(), part.value.get()))
        .collect();
    assert_eq!(
        parts,
        [("complexity", 0.0), ("patterns", 0.5), ("author.name", 0.0)]
    );

    let both = |how: &str| score(json!({how: ["exact", "edit"]}), json!("ab"), json!("ac"));
    assert_eq!(both("all"), 0.0);
    assert_eq!(both("any"), 0.5);
    near(
        score(
            json!({"weighted": ["exact", {"metric": "edit", "weight": 3}]}),
            json!("ab"),
            json!("ac"),
        ),
        0.375,
    );
    assert_eq!(
        score(
            json!({"threshold": {"metric": "edit", "at_least": 0.5}}),
            json!("ab"),
            json!("ac")
        ),
        1.0
    );
    assert_eq!(
        score(
            json!({"threshold": {"metric": "edit", "at_least": 0.51}}),
            json!("ab"),
            json!("ac")
        ),
        0.0
    );
    assert_eq!(
        score(
            json!({"at": {"path": "a[1]", "metric": "exact"}}),
            json!({"a": [1, 2]}),
            json!({"a": [3, 2]})
        ),
        1.0
    );
}

#[test]
fn a_case_without_an_expected_output_has_no_score() {
    let actual = json!("x");
    let sample = Sample {
        expected: None,
        ..Sample::new(&actual, &actual)
    };
    let metric = parse(&json!({"all": [{"length": {"max": 3}}, "exact"]}));
    assert!(metric.needs_expected());
    assert_eq!(
        run(&metric, &sample),
        Err(MetricError::NoExpected { metric: "exact" })
    );
}

#[test]
fn rust_functions_take_typed_arguments() {
    #[derive(serde::Deserialize)]
    struct Answer {
        size: u32,
    }
    let registry = Registry::default()
        .with(
            "size",
            from_fn(|_: Value, expected: Answer, actual: Answer| expected.size == actual.size),
        )
        .with("wild", from_fn(|_: Value, _: Value, _: Value| 7.0));
    let (expected, actual) = (json!({"size": 1}), json!({"size": 1}));
    let metric = |name: &str| Declared::parse(&json!({"rust": name}), &registry);
    let sample = Sample::new(&expected, &actual);
    assert_eq!(
        run(&metric("size").unwrap(), &sample).unwrap().value,
        Unit::ONE
    );
    let error = run(&metric("wild").unwrap(), &sample).unwrap_err();
    insta::assert_snapshot!(error, @"the metric's function gave a score that is none: 7 is not from 0 to 1");
    let bad = json!({"size": "big"});
    let error = run(
        &metric("size").unwrap(),
        &Sample {
            actual: &bad,
            ..sample
        },
    )
    .unwrap_err();
    insta::assert_snapshot!(error, @r#"the metric's function cannot take the output: invalid type: string "big", expected u32"#);
    insta::assert_snapshot!(metric("sise").unwrap_err(), @"metric.rust: no Rust function is known as `sise`; did you mean `size`?");
}

#[test]
fn everything_wrong_with_a_declaration_is_reported() {
    let declaration = json!({"weighted": [
        "exat",
        {"metric": {"numeric": {"abs": -1}}, "weight": 0},
        {"numeric": {"abs": -1}},
        {"contains": {"any": ["a"], "all": ["b"]}},
        {"regex": "("},
        {"length": {"min": 3, "max": 2}},
        {"latency": {"good": 2, "max": 1}},
        {"judge": {"rubric": " "}},
        {"schema": {"type": "strin"}},
        {"fields": {"a..b": "exact"}},
        {"exact": {"case": false}},
        {"set_f1": {"keys": "id"}},
        {"all": []},
        7,
    ]});
    let errors = Declared::parse(&declaration, &Registry::default()).unwrap_err();
    insta::assert_snapshot!(errors);
}

#[derive(Debug)]
struct Scripted(LmName, &'static str);

impl Lm for Scripted {
    fn name(&self) -> &LmName {
        &self.0
    }

    fn complete<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
        let brief = &request.messages[1].content;
        assert!(
            brief.contains("Is it polite?") && brief.contains("You fool"),
            "{brief}"
        );
        let reply = Reply {
            text: self.1.to_owned(),
            finish: Finish::Stop,
            ..Reply::default()
        };
        Box::pin(std::future::ready(Ok(reply)))
    }
}

fn judged(reply: &'static str) -> Result<Score, MetricError> {
    let name: LmName = "scripted/judge".parse().unwrap();
    let lms = Lms::new().with(Arc::new(Scripted(name, reply)));
    let registry = Registry::new(LocalRunner::new().with_lms(lms));
    let metric = json!({"judge": {"rubric": "Is it polite?", "lm": "scripted/judge"}});
    let metric = Declared::parse(&metric, &registry).unwrap();
    let (input, actual) = (json!({}), json!("You fool"));
    let sample = Sample {
        expected: None,
        input: &input,
        ..Sample::new(&actual, &actual)
    };
    run(&metric, &sample)
}

#[test]
fn a_judge_scores_with_a_reason() {
    let found = judged(r#"{"reason": "It insults.", "score": 0.25}"#).unwrap();
    assert_eq!(
        found,
        Score::with_feedback(Unit::clamped(0.25), "It insults.")
    );
}

#[test]
fn a_judge_without_a_usable_verdict_is_an_error_of_the_case() {
    let error = judged(r#"{"reason": "x", "score": 25}"#).unwrap_err();
    assert!(
        matches!(&error, MetricError::Judge(text) if text.contains("score")),
        "{error}"
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(Value::from),
        (-10.0_f64..10.0).prop_map(Value::from),
        "[a-c é.!]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn comparing() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!("exact"),
        json!("normalized"),
        json!("set_f1"),
        json!("list_f1"),
        json!({"list_f1": {"ordered": true}}),
        json!({"set_f1": {"key": "a", "normalize": true}}),
        json!("token_f1"),
        json!("rouge_l"),
        json!("edit"),
        json!("json_diff"),
        json!({"fields": {"a": "exact", "b": {"metric": "edit", "weight": 0.1}, "c": "json_diff"}}),
        json!({"all": ["edit", "set_f1"]}),
        json!({"any": ["edit", "set_f1"]}),
    ])
}

proptest! {
    #[test]
    fn a_value_compared_with_itself_scores_1(metric in comparing(), value in any_json()) {
        prop_assert_eq!(score(metric, value.clone(), value), 1.0);
    }

    #[test]
    fn comparisons_are_symmetric_and_explain_what_they_cost(
        metric in comparing(), a in any_json(), b in any_json(),
    ) {
        let metric = parse(&metric);
        let there = run(&metric, &Sample::new(&a, &b)).unwrap();
        let back = run(&metric, &Sample::new(&b, &a)).unwrap();
        prop_assert!((there.value.get() - back.value.get()).abs() < 1e-12);
        prop_assert_eq!(there.feedback.is_none(), there.value == Unit::ONE);
    }

    #[test]
    fn equal_values_have_equal_canonical_texts(a in any_json(), b in any_json()) {
        use super::json::{canonical, same};
        prop_assert_eq!(same(&a, &b), canonical(&a) == canonical(&b));
        prop_assert!(same(&a, &serde_json::from_str(&canonical(&a)).unwrap()));
    }

    #[test]
    fn any_declaration_is_read_or_refused(name in "[a-z_0-9]{1,9}", options in any_json()) {
        let _ = Declared::parse(&json!({name: options}), &Registry::default());
    }
}
