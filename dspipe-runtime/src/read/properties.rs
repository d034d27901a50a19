//! What holds for every reply, however broken.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::damage::{Damage, Random, printed, schema, value};
use super::parse::steps;
use super::{ReadError, Schema, Strictness, parse};

fn schemas() -> Vec<Schema> {
    [
        json!({
            "type": "object",
            "properties": {
                "urgency": {"enum": ["low", "very", "very high", "1"]},
                "title": {"type": "string", "minLength": 1},
                "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
                "score": {"type": "number", "minimum": 0, "maximum": 1},
                "count": {"type": ["integer", "null"]},
                "done": {"type": "boolean"},
                "more": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
            "required": ["urgency", "title", "tags", "count"],
            "additionalProperties": false,
        }),
        json!({
            "$ref": "#/$defs/tree",
            "$defs": {"tree": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "kind": {"anyOf": [{"const": "leaf"}, {"type": "integer"}, {"type": "object", "properties": {"x": {"$ref": "#/$defs/tree"}}}]},
                    "parts": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                },
                "required": ["name"],
            }},
        }),
        json!({"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}),
        json!({"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "string"}}]}}),
        json!({"enum": ["low", "high", 3, null]}),
        json!({"$ref": "#/$defs/l", "$defs": {"l": {"type": "array", "items": {"$ref": "#/$defs/l"}}}}),
        json!({"$ref": "#/$defs/o", "$defs": {"o": {"type": "object", "properties": {"next": {"$ref": "#/$defs/o"}}, "required": ["next"]}}}),
        json!({}),
    ]
    .iter()
    .map(|schema| Schema::from_value(schema).unwrap())
    .collect()
}

/// What was read is what the schema asks for, also strictly, and reads as itself.
fn is_right(schema: &Schema, reply: &str) -> Result<(), TestCaseError> {
    let Ok(parsed) = parse(schema, reply, Strictness::Lenient) else {
        return Ok(());
    };
    let text = parsed.value.to_string();
    let again = parse(schema, &text, Strictness::Strict);
    prop_assert_eq!(
        again.as_ref().map(|parsed| &parsed.value),
        Ok(&parsed.value),
        "{}",
        reply
    );
    for repair in &parsed.repairs {
        prop_assert!(repair.span.start <= repair.span.end, "{:?}", repair);
        prop_assert!(
            repair.span.end <= reply.len(),
            "{:?} of {:?}",
            repair,
            reply
        );
    }
    Ok(())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{1,8}",
        ".{1,12}",
        r#"[{}\[\]:,'"“”\\ \né0-9<>/`#-]{1,12}"#,
    ]
}

fn ticket() -> impl Strategy<Value = Value> {
    (
        prop_oneof![Just("low"), Just("very"), Just("very high"), Just("1")],
        text(),
        proptest::collection::vec(text(), 0..4),
        proptest::option::of(0.0..=1.0),
        proptest::option::of(any::<i64>()),
        proptest::option::of(any::<bool>()),
        proptest::collection::btree_map(text(), any::<i64>(), 0..3),
    )
        .prop_map(|(urgency, title, tags, score, count, done, more)| {
            let mut value = json!({"urgency": urgency, "title": title, "tags": tags});
            if let Some(score) = score {
                value["score"] = json!(score);
            }
            value["count"] = json!(count);
            if let Some(done) = done {
                value["done"] = json!(done);
            }
            value["more"] = json!(more);
            value
        })
}

/// Pieces of replies, in any order.
fn debris() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        r#"[{}\[\]():,;'"“”`=#/*\\<>| \n]"#,
        Just("\"urgency\"".to_owned()),
        Just("urgency: low\n".to_owned()),
        Just("\"title\": \"a".to_owned()),
        Just("tags: [a, 'b',".to_owned()),
        Just("\"count\": 1,234".to_owned()),
        Just("very high".to_owned()),
        Just("```json\n".to_owned()),
        Just("```".to_owned()),
        Just("<think>".to_owned()),
        Just("</think>".to_owned()),
        Just("<title>x</title>".to_owned()),
        Just("[[ ## title ## ]]\n".to_owned()),
        Just("- **Answer:** ".to_owned()),
        Just("\\\"name\\\"".to_owned()),
        Just("\\ud83d".to_owned()),
        Just("True".to_owned()),
        Just("–5 ½ €%".to_owned()),
        Just("\"\"\"".to_owned()),
        Just("// x\n".to_owned()),
        "[0-9.,/ -]{1,6}",
        "é|–|…|ß|.",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_asked_for(reply in prop_oneof![debris(), ".*"]) {
        for schema in &schemas() {
            is_right(schema, &reply)?;
            let _ = parse(schema, &reply, Strictness::Strict);
        }
    }

    #[test]
    fn right_json_is_returned_as_it_is(value in ticket(), pretty: bool) {
        let schema = &schemas()[0];
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        for strictness in [Strictness::Strict, Strictness::Lenient] {
            let parsed = parse(schema, &text, strictness);
            let parsed = parsed.map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
            prop_assert_eq!(&parsed.value, &value);
            prop_assert_eq!(parsed.repairs, []);
        }
    }

    #[test]
    fn right_json_among_prose_is_read_as_it_is(value in ticket(), before in "[a-z .\n]{0,20}", fenced: bool) {
        let schema = &schemas()[0];
        let reply = if fenced { format!("{before}\n```json\n{value:#}\n```\nthat is all") } else { format!("{before} {value} that is all") };
        let parsed = parse(schema, &reply, Strictness::Lenient);
        let parsed = parsed.map_err(|error| TestCaseError::fail(format!("{error}: {reply}")))?;
        prop_assert_eq!(&parsed.value, &value);
    }

    #[test]
    fn a_cut_reply_gives_no_wrong_type(value in ticket(), pretty: bool) {
        let schema = &schemas()[0];
        let text = if pretty { format!("```json\n{value:#}\n```") } else { value.to_string() };
        for (end, _) in text.char_indices() {
            is_right(schema, &text[..end])?;
        }
    }
}

/// Replies that make a careless reader look at the same characters again and again.
fn hard(length: usize) -> Vec<String> {
    let pieces = [
        "{",
        "[",
        "{\"a\":",
        "[[",
        "\"",
        "{\"a\": \"",
        "\",",
        "\\\"",
        "a ",
        "a: ",
        "```",
        "<think>",
        "<title>",
        "</title>",
        "<a>",
        "[[ ## a ## ]]",
        "{a: b, ",
        "/*",
        "{/*",
        "\"\"\"",
        "'",
        "{'a': 'b' ",
        "{\"title\": \"x",
        "- a\n",
        "low ",
        "1,",
        "{}",
        "[]",
        "{\"title\": 1}",
        "\"title\": \"",
        "title: x\n",
        "{\"x\": {\"name\": \"a\", \"kind\": ",
        "\\",
        "{\"a\" ",
        "\n",
        "[\"a\" ",
        "\"a\", \"title\"",
        "“",
        "<!--",
        "{\"kind\": ",
        "urgency\n",
        "[[ ## ",
        "[[ ## title ## ]]\n",
        "{\"title\": ```\nx\n```\n",
        "{\"title\": ```\n",
        "[1 ",
        "[1 2 ",
        "{1, ",
        "[THINK]",
        "<|think|>",
        "</think>",
        "f(title=1",
        "title=",
        "u'",
        "\\d\\n",
        "“",
        "”",
        "<title>&amp;",
        "<answer>",
        "[#a,",
        "{\"title\":\"x\",{",
        "{\"tags\":\"a\",\"b\"",
        "Answer: {}",
        "{\"title\":\"x\\\"}",
        "{\"name\": 1, \"parts\": {",
        "\"title\":1,",
        "{\"title\": \"a, // x\n",
        "{\"title\": f(a, ",
        "{\"title\": 'x\" ",
        "\"{",
        "\"{}\"\n",
        "<items>",
        "<a><b></b></a>",
        "title: x # y\n",
        "// }",
        "{\"title\": \"x\", C \"title\": ",
        "{\"tags\": [a; ",
        "{\\\"title\\\": \\\"",
        "ObjectId(",
        "''a",
        "{\"key\": 1, \"value\": 2},",
        "{\"title\": \"a' , ",
    ];
    pieces
        .iter()
        .map(|piece| piece.repeat(length / piece.len()))
        .collect()
}

#[test]
fn the_time_grows_with_the_length_of_the_reply_only() {
    for schema in &schemas() {
        for (short, long) in hard(1_000).iter().zip(hard(4_000)) {
            let (few, many) = (steps(schema, short), steps(schema, &long));
            assert!(
                many <= 5 * few + 10_000,
                "{few} steps, and {many} for four times {short:.20}"
            );
            assert!(few <= 1_000 * 1_000, "{few} steps for {short:.20}");
        }
    }
}

#[test]
fn values_that_are_too_deep_are_refused() {
    let schema = &schemas()[1];
    let deep = format!("{}1{}", "{\"parts\":[".repeat(5_000), "]}".repeat(5_000));
    let refused = parse(schema, &deep, Strictness::Lenient).unwrap_err();
    let told = "the answer is nested deeper than 128 levels";
    assert_eq!(refused.to_string(), told);
    // Nor is what is inside it taken for the answer.
    let any = Schema::parse("{}").unwrap();
    let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let refused = parse(&any, &deep, Strictness::Lenient).unwrap_err();
    assert_eq!(refused.to_string(), told);
    assert!(matches!(
        parse(schema, &deep, Strictness::Strict),
        Err(ReadError::Syntax { .. })
    ));
}

/// What came of values that were printed with damages.
#[derive(Debug, Default)]
struct Tally {
    right: usize,
    refused: usize,
    wrong: String,
}

impl Tally {
    fn add(&mut self, schema: &Schema, damages: &[Damage], seed: usize) {
        let mut random = Random(seed as u64);
        let value = value(&mut random);
        let reply = printed(&value, damages, &mut random);
        match parse(schema, &reply, Strictness::Lenient) {
            Ok(parsed) if same(&parsed.value, &value) => self.right += 1,
            Ok(parsed) => {
                let found = parsed.value;
                let shown = format!("{damages:?}\n{reply}\nmeant: {value}\nfound: {found}\n\n");
                self.wrong.push_str(&shown);
            }
            Err(error) => {
                self.refused += 1;
                println!("{damages:?}\n{reply}\nmeant: {value}\nerror: {error}\n");
            }
        }
    }

    /// None is wrong, and at least so many of a thousand are right.
    fn check(&self, least: usize) {
        let Self {
            right,
            refused,
            wrong,
        } = self;
        println!("{right} right, {refused} refused");
        assert!(wrong.is_empty(), "{wrong}");
        let all = right + refused;
        assert!(right * 1_000 >= all * least, "only {right} of {all}");
    }
}

/// Whether two values are equal, 3.0 being 3.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        // Where line breaks are not escaped, they are those of the reply.
        (Value::String(one), Value::String(other)) => {
            one == other || one.replace("\r\n", "\n") == *other
        }
        _ => one == other,
    }
}

#[test]
fn each_damage_and_each_pair_is_put_right_or_refused() {
    let schema = schema();
    let mut tally = Tally::default();
    for (at, one) in Damage::ALL.iter().enumerate() {
        for seed in 0..20 {
            tally.add(&schema, &[*one], seed);
        }
        for (other_at, other) in Damage::ALL.iter().enumerate() {
            for seed in 0..if at == other_at { 0 } else { 3 } {
                tally.add(&schema, &[*one, *other], seed * 7_919 + at * 64 + other_at);
            }
        }
    }
    tally.check(997);
}

#[test]
fn three_damages_are_put_right_or_refused() {
    let schema = schema();
    let mut tally = Tally::default();
    let mut random = Random(1);
    for seed in 0..3_000 {
        let three = [(); 3].map(|()| Damage::ALL[random.below(Damage::ALL.len())]);
        tally.add(&schema, &three, seed);
    }
    tally.check(980);
}
