use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

#[derive(Debug, PartialEq)]
struct Ticket {
    urgency: Urgency,
    title: String,
    tags: Vec<String>,
    score: Option<f64>,
    counts: BTreeMap<String, i64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Urgency {
    Low,
    High,
}

impl Read for Urgency {
    fn read(from: Reader<'_>) -> Option<Self> {
        from.one_of(&[("low", Self::Low), ("high", Self::High)])
    }
}

impl Read for Ticket {
    fn read(from: Reader<'_>) -> Option<Self> {
        let mut object = from.object()?;
        let urgency = object.required("urgency");
        let title = object.required::<String>("title");
        object.check("title", &title, |at, value| {
            at.min_length(value, 2);
            at.max_length(value, 5);
        });
        let tags = object.required::<Vec<String>>("tags");
        object.check("tags", &tags, |at, value| {
            at.each(value, |at, value| {
                static PATTERN: crate::expr::Pattern = crate::expr::Pattern::new("^[a-z]");
                at.pattern(value, &PATTERN);
            });
            at.min_items(value, 1);
            at.max_items(value, 2);
            at.each(value, |at, value| at.max_length(value, 3));
        });
        let score = object.optional::<f64>("score");
        object.check("score", &score, |at, value| {
            at.some(value, |at, value| {
                at.minimum(value, 0.0);
                at.maximum(value, 1.0);
            });
        });
        let counts = object.required::<BTreeMap<String, i64>>("counts");
        object.check("counts", &counts, |at, value| {
            at.each_entry(value, |at, value| at.maximum(value, 9.0));
        });
        Some(Self {
            urgency: urgency?,
            title: title?,
            tags: tags?,
            score: score?,
            counts: counts?,
        })
    }
}

const SCHEMA: &str = r#"{"type":"object","properties":{
    "urgency":{"type":"string","enum":["low","high"]},
    "title":{"type":"string","minLength":2,"maxLength":5},
    "tags":{"type":"array","items":{"type":"string","maxLength":3,"pattern":"^[a-z]"},"minItems":1,"maxItems":2},
    "score":{"type":"number","minimum":0,"maximum":1},
    "counts":{"type":"object","additionalProperties":{"type":"integer","maximum":9}}
},"required":["urgency","title","tags","counts"],"additionalProperties":false}"#;

fn read_ticket(reply: &str) -> Result<(Ticket, Vec<Repair>), ReadError> {
    read_reply(SCHEMA, reply)
}

fn whole() -> Value {
    json!({"urgency": "high", "title": "Düse", "tags": ["a"], "score": 0.5, "counts": {"x": 1}})
}

fn errors(value: Value) -> Vec<String> {
    read_value::<Ticket>(value).unwrap_err().lines()
}

#[test]
fn a_whole_value_is_read() {
    let ticket: Ticket = read_value(whole()).unwrap();
    assert_eq!(
        ticket,
        Ticket {
            urgency: Urgency::High,
            title: "Düse".into(),
            tags: vec!["a".into()],
            score: Some(0.5),
            counts: BTreeMap::from([("x".into(), 1)]),
        }
    );
}

#[test]
fn every_bad_field_is_reported_with_its_path() {
    let value = json!({
        "urgency": "HIGH",
        "title": 3,
        "tags": ["a", 1, {"b": 2}],
        "score": "much",
        "counts": {"x": 1.5, "a b": null},
    });
    assert_eq!(
        errors(value),
        [
            r#"`urgency` must be one of "low", "high", but is "HIGH""#,
            "`title` must be a string, but is 3",
            "`tags[1]` must be a string, but is 1",
            "`tags[2]` must be a string, but is an object",
            r#"`score` must be a number, but is "much""#,
            "`counts.x` must be an integer, but is 1.5",
            r#"`counts["a b"]` must be an integer, but is null"#,
        ]
    );
}

#[test]
fn limits_are_enforced_on_what_could_be_read() {
    let value = json!({
        "urgency": "low", "title": "much too long", "tags": ["a", "bcde", "c"],
        "score": 1.5, "counts": {"x": 10, "y": 9},
    });
    assert_eq!(
        errors(value),
        [
            "`title` must have at most 5 characters, but has 13",
            "`tags` must have at most 2 items, but has 3",
            "`tags[1]` must have at most 3 characters, but has 4",
            "`score` must be at most 1, but is 1.5",
            "`counts.x` must be at most 9, but is 10",
        ]
    );
    let value = json!({"urgency": "low", "title": "é", "tags": [], "score": -1, "counts": {}});
    assert_eq!(
        errors(value),
        [
            "`title` must have at least 2 characters, but has 1",
            "`tags` must have at least 1 items, but has 0",
            "`score` must be at least 0, but is -1",
        ]
    );
}

#[test]
fn patterns_are_enforced() {
    let mut value = whole();
    value["tags"] = json!(["a", "1"]);
    assert_eq!(
        errors(value),
        ["`tags[1]` must match the regular expression `^[a-z]`"]
    );
}

#[test]
fn missing_fields_are_all_named_and_optional_ones_may_be_absent() {
    assert_eq!(
        errors(json!({})),
        [
            "`urgency` is missing",
            "`title` is missing",
            "`tags` is missing",
            "`counts` is missing",
        ]
    );
    for absent in [json!(null), Value::Null] {
        let mut value = whole();
        value["score"] = absent;
        assert_eq!(read_value::<Ticket>(value).unwrap().score, None);
    }
    assert_eq!(
        errors(json!([])),
        ["the answer must be an object, but is a list of 0 items"]
    );
}

#[test]
fn integers_may_be_written_as_floats_but_not_the_reverse() {
    assert_eq!(read_json::<i64>("3.0").unwrap(), 3);
    assert_eq!(read_json::<f64>("3").unwrap().to_bits(), 3f64.to_bits());
    assert_eq!(read_json::<i64>("-9223372036854775808").unwrap(), i64::MIN);
    for text in ["3.5", "1e300", "9223372036854775808", "\"3\"", "null"] {
        assert!(read_json::<i64>(text).is_err(), "{text}");
    }
}

#[test]
fn long_values_are_shortened_in_messages() {
    let message = read_value::<i64>(json!("ü".repeat(1000)))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains(&format!("{:?}…", "ü".repeat(60))),
        "{message}"
    );
}

#[test]
fn a_reply_may_have_a_fence_and_prose_around_the_answer() {
    let json = whole().to_string();
    for reply in [
        json.clone(),
        format!("```json\n{json}\n```"),
        format!("Sure! Here is {{the}} answer:\n{json}\nAnything else? {{}}"),
        format!("{{\"wrong\": 1}} or rather {json}"),
    ] {
        assert!(read_ticket(&reply).is_ok(), "{reply}");
    }
}

#[test]
fn slips_of_the_form_are_repaired_and_told() {
    let reply = "{'urgency': 'low', title: 'abc', tags: ['a',], counts: {x: 1}}";
    let (ticket, repairs) = read_ticket(reply).unwrap();
    assert_eq!(ticket.counts["x"], 1);
    let kinds: std::collections::BTreeSet<RepairKind> =
        repairs.iter().map(|repair| repair.kind).collect();
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        [RepairKind::Quotes, RepairKind::Unquoted, RepairKind::Comma]
    );
    let (_, repairs) = read_ticket(&whole().to_string()).unwrap();
    assert_eq!(repairs, []);
}

#[test]
fn a_reply_without_the_answer_says_what_is_missing() {
    let read = |text| read_ticket(text).unwrap_err();
    assert_eq!(read("I do not know."), ReadError::NoObject);
    assert_eq!(read(""), ReadError::NoObject);
    // Cut off: the inner object is not the answer.
    let cut = r#"{"a": {"urgency": "low", "title": "abc", "tags": ["a"], "counts": {}}, "b"#;
    assert_eq!(
        read(cut).to_string(),
        "`urgency` is missing; `title` is missing; `tags` is missing; `counts` is missing"
    );
    assert_eq!(
        read("{\"urgency\": \"low\"} {}").to_string(),
        "`title` is missing; `tags` is missing; `counts` is missing"
    );
    // The nearest one counts.
    assert_eq!(
        read("{} {'urgency': 'low', title: 'abc', tags: ['a']}").to_string(),
        "`counts` is missing"
    );
    assert!(matches!(read("{:"), ReadError::Syntax { line: 1, .. }));
}

proptest! {
    #[test]
    fn no_reply_makes_the_reader_panic(reply in ".*") {
        let _ = read_ticket(&reply);
    }

    #[test]
    fn the_answer_is_found_behind_any_text_without_braces(
        before in "[^{]*", after in ".*", urgency in "low|high",
    ) {
        let mut value = whole();
        value["urgency"] = json!(urgency);
        let reply = format!("{before}{value}{after}");
        prop_assert!(read_ticket(&reply).is_ok());
    }

    #[test]
    fn maps_keep_every_entry(map in proptest::collection::btree_map(".*", any::<i64>(), 0..8)) {
        let value: Map<String, Value> = map.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
        prop_assert_eq!(read_value::<BTreeMap<String, i64>>(Value::Object(value)).unwrap(), map);
    }
}
