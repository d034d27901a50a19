//! Both readers against another parser of YAML: what is written by one hand is read by the other.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::node::Node;
use super::parse::{parse, parse_fully};
use crate::diag::Diagnostics;
use crate::source::{FileId, Sources};

/// A text as a value, if nothing about it was reported.
fn read(
    text: &str,
    by: fn(&Sources, FileId, &mut Diagnostics) -> Option<Node>,
) -> Result<Value, String> {
    let mut sources = Sources::default();
    let file = sources.add("t.yaml", text);
    let mut diagnostics = Diagnostics::default();
    let node = by(&sources, file, &mut diagnostics);
    match (node, diagnostics.into_sorted().first()) {
        (Some(node), None) => Ok(node.to_json()),
        (_, Some(problem)) => Err(problem.message.clone()),
        (None, None) => Err("refused without a word".to_owned()),
    }
}

/// Texts that are something else without quotes, or need some. Without the line breaks of YAML 1.1 that are none in
/// YAML 1.2: the other parser keeps to the older version there.
fn texts() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "",
        " ",
        "a",
        "a b",
        " a",
        "a ",
        "1",
        "-1",
        "1.5",
        "0x1f",
        "1e3",
        ".5",
        "true",
        "no",
        "null",
        "~",
        "- a",
        "a: b",
        "a:b",
        "a #b",
        "#a",
        "&a",
        "*a",
        "!a",
        "%a",
        "@a",
        "`a",
        "{a}",
        "[a]",
        "{{ a.b }}",
        "a, b",
        "'",
        "\"",
        "it's",
        "\\n",
        "a\nb",
        "a\n",
        "\n",
        "\ta",
        "a\tb",
        "---",
        "...",
        "? a",
        ": a",
        "=",
        "|",
        ">",
        "é",
        "漢字",
        "\u{a0}",
        "😀",
    ]);
    prop_oneof![3 => odd.prop_map(str::to_owned), 1 => "[ -~é\n]{0,12}"]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6_f64).prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((texts(), inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// In blocks and with quotes as the other parser's writer has them, and in brackets, as JSON has them.
    #[test]
    fn what_is_written_is_read(value in values()) {
        for text in [serde_yaml::to_string(&value).unwrap(), value.to_string(), format!("{value:#}")] {
            for by in [parse, parse_fully] {
                let again = read(&text, by);
                prop_assert_eq!(again.as_ref(), Ok(&value), "{}", &text);
            }
        }
    }
}
