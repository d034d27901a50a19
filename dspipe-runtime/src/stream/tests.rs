use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::scan::Scanner;
use super::sections::Sections;
use super::{Part, Partial};

#[derive(Clone, Debug, Default, PartialEq)]
struct Ticket {
    title: Option<String>,
    score: Option<i64>,
    urgent: Option<bool>,
    tags: Option<Vec<String>>,
    numbers: Option<Vec<f64>>,
    values: Option<Vec<Value>>,
    words: Option<Vec<Vec<bool>>>,
    notes: Option<Vec<Option<String>>>,
    people: Option<Vec<Person>>,
    by_name: Option<BTreeMap<String, Person>>,
    next: Option<Box<Ticket>>,
    rest: Option<Value>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Person {
    name: Option<String>,
    age: Option<i64>,
}

impl Partial for Ticket {
    fn field(&mut self, key: &str, part: Part<'_>) -> bool {
        match key {
            "title" => part.text(&mut self.title),
            "score" => part.whole(&mut self.score),
            "urgent" => part.whole(&mut self.urgent),
            "tags" => part.list(&mut self.tags, Part::text),
            "numbers" => part.list(&mut self.numbers, Part::whole),
            "values" => part.list(&mut self.values, Part::whole),
            "words" => part.list(&mut self.words, |part, to| part.list(to, Part::whole)),
            "notes" => part.list(&mut self.notes, |part, to| part.optional(to, Part::text)),
            "people" => part.list(&mut self.people, Part::object),
            "by_name" => part.map(&mut self.by_name, Part::object),
            "next" => part.boxed(&mut self.next, Part::object),
            "rest" => part.whole(&mut self.rest),
            _ => false,
        }
    }
}

impl Partial for Person {
    fn field(&mut self, key: &str, part: Part<'_>) -> bool {
        match key {
            "name" => part.text(&mut self.name),
            "age" => part.whole(&mut self.age),
            _ => false,
        }
    }
}

/// What there is after each of these parts of a reply.
fn after(parts: &[&str]) -> Vec<Ticket> {
    let (mut scanner, mut ticket) = (Scanner::new(), Ticket::default());
    let mut seen = Vec::new();
    for part in parts {
        let before = ticket.clone();
        let changed = scanner.push(part, &mut |key, part| ticket.field(key, part));
        assert!(
            changed || ticket == before,
            "a change that nobody is told of"
        );
        seen.push(ticket.clone());
    }
    seen
}

fn last(reply: &str) -> Ticket {
    after(&[reply]).remove(0)
}

#[test]
fn texts_grow_and_numbers_come_when_they_are_whole() {
    let seen = after(&[
        "{\"title\": \"",
        "Bro",
        "ken\"",
        ", \"score\": 1",
        "2",
        ", \"urgent\": tr",
        "ue}",
    ]);
    let shown: Vec<_> = seen
        .iter()
        .map(|ticket| (ticket.title.as_deref(), ticket.score, ticket.urgent))
        .collect();
    assert_eq!(
        shown,
        [
            (Some(""), None, None),
            (Some("Bro"), None, None),
            (Some("Broken"), None, None),
            (Some("Broken"), None, None),
            (Some("Broken"), None, None),
            (Some("Broken"), Some(12), None),
            (Some("Broken"), Some(12), Some(true)),
        ]
    );
}

#[test]
fn lists_and_objects_grow_by_whole_and_partial_items() {
    let ticket = last(r#"{"tags": ["a", "b", "c"#);
    assert_eq!(ticket.tags.unwrap(), ["a", "b", "c"]);
    let ticket = last(r#"{"numbers": [1, 2.5, 3"#);
    assert_eq!(ticket.numbers.unwrap(), [1.0, 2.5]);
    let ticket = last(r#"{"notes": ["a", null, "b"#);
    let texts = |text: &str| Some(text.to_owned());
    assert_eq!(ticket.notes.unwrap(), [texts("a"), None, texts("b")]);
    let ticket = last(r#"{"people": [{"name": "Ann", "age": 4}, {"age": 5, "name": "B"#);
    let person = |name: &str, age| Person {
        name: Some(name.to_owned()),
        age: Some(age),
    };
    assert_eq!(ticket.people.unwrap(), [person("Ann", 4), person("B", 5)]);
    let ticket = last(r#"{"by_name": {"a": {"name": "Ann", "age": 4}, "b": {"age": 5, "name": "B"#);
    let expected = [("a", person("Ann", 4)), ("b", person("B", 5))];
    let expected = expected.map(|(name, person)| (name.to_owned(), person));
    assert_eq!(ticket.by_name.unwrap(), BTreeMap::from(expected));
    let ticket = last(r#"{"next": {"next": {"title": "in"#);
    let inner = ticket.next.unwrap().next.unwrap();
    assert_eq!(inner.title.unwrap(), "in");
    let ticket = last(r#"{"values": [{"a": 1}, "b", [2], null, 3.5, {"c": "#);
    let expected = [
        json!({"a": 1}),
        json!("b"),
        json!([2]),
        json!(null),
        json!(3.5),
    ];
    assert_eq!(ticket.values.unwrap(), expected);
    let ticket = last(r#"{"words": [[true, false], [], [true, "#);
    assert_eq!(
        ticket.words.unwrap(),
        [vec![true, false], vec![], vec![true]]
    );
    let ticket = last(r#"{"words": [[true], 1, [true]], "numbers": [1, "2", 3]}"#);
    assert_eq!(
        (ticket.words.unwrap(), ticket.numbers.unwrap()),
        (vec![vec![true]], vec![1.0])
    );
    assert_eq!(last(r#"{"rest": {"a": [1"#).rest, None);
    assert_eq!(last(r#"{"rest": {"a": [1]}"#).rest, Some(json!({"a": [1]})));
}

#[test]
fn what_is_before_the_answer_is_passed_over() {
    for before in [
        "Here you are:\n```json\n",
        "<think>maybe {\"title\": \"no\"}?</think>\n",
        "<thinking>{</thinking>",
        "The set {a, b} and {\"x\": 1} mean nothing. ",
        "a < b, then <",
    ] {
        let reply = format!("{before}{{\"title\": \"yes");
        assert_eq!(last(&reply).title.as_deref(), Some("yes"), "{before}");
    }
}

#[test]
fn what_is_not_json_ends_the_pieces_and_nothing_wrong_is_shown() {
    let ticket = last(r#"{"title": "a", "score": twelve, "urgent": true}"#);
    assert_eq!((ticket.score, ticket.urgent), (None, Some(true)));
    let ticket = last(r#"{"title": "said "hello" to", "score": 1}"#);
    assert_eq!(
        (ticket.title.as_deref(), ticket.score),
        (Some("said "), None)
    );
    let ticket = last(r#"{"title": 7, "tags": "no list", "people": [1], "score": 1.5, "next": 3}"#);
    let expected = Ticket {
        people: Some(Vec::new()),
        ..Ticket::default()
    };
    assert_eq!(ticket, expected.clone());
    let escapes = last(r#"{"title": "bad \x escape", "score": 1}"#);
    assert_eq!(escapes.score, None);
    // Deeper than anything that is read.
    assert_eq!(
        last(&format!("{{\"rest\": {}", "[".repeat(100_000))),
        Ticket::default()
    );
}

fn ticket() -> impl Strategy<Value = Value> {
    let text = || "[a-z\"\\\\\n\té😀{}\\[\\],:/ ]{0,9}";
    let person = (text(), any::<i64>()).prop_map(|(name, age)| json!({"name": name, "age": age}));
    (
        text(),
        any::<i32>(),
        any::<bool>(),
        prop::collection::vec(text(), 0..3),
        prop::collection::vec(person.clone(), 0..3),
        prop::collection::btree_map(text(), person, 0..3),
        prop::option::of(text()),
    )
        .prop_map(|(title, score, urgent, tags, people, by_name, note)| {
            json!({
                "title": title, "score": score, "urgent": urgent, "tags": tags, "people": people,
                "by_name": by_name, "notes": [note], "next": {"title": title}, "rest": {"a": tags},
                "values": [tags, title, score, {"a": people}, null], "words": [[urgent], [], [urgent]],
            })
        })
}

/// A partial output as JSON, for comparison with the reply.
fn shown(ticket: &Ticket) -> Value {
    let person = |person: &Person| json!({"name": person.name, "age": person.age});
    let people = |people: &Vec<Person>| people.iter().map(person).collect::<Vec<_>>();
    let by_name = ticket.by_name.as_ref().map(|all| {
        let all = all.iter().map(|(name, one)| (name.clone(), person(one)));
        all.collect::<serde_json::Map<_, _>>()
    });
    json!({
        "title": ticket.title, "score": ticket.score, "urgent": ticket.urgent, "tags": ticket.tags,
        "people": ticket.people.as_ref().map(people), "by_name": by_name, "notes": ticket.notes,
        "next": ticket.next.as_ref().map(|next| json!({"title": next.title})), "rest": ticket.rest,
        "values": ticket.values, "words": ticket.words,
    })
}

/// Whether what there is can become the whole.
fn is_beginning(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Null, _) => true,
        (Value::String(part), Value::String(whole)) => whole.starts_with(part.as_str()),
        (Value::Array(part), Value::Array(whole)) => {
            part.len() <= whole.len() && part.iter().zip(whole).all(|(a, b)| is_beginning(a, b))
        }
        (Value::Object(part), Value::Object(whole)) => part
            .iter()
            .all(|(key, value)| is_beginning(value, whole.get(key).unwrap_or(&Value::Null))),
        _ => part == whole,
    }
}

/// Every character above ASCII, and some others, as an escape.
fn escaped(json: &str) -> String {
    let mut text = String::new();
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(text, "\\u{unit:04x}").unwrap();
            }
        }
    }
    text
}

proptest! {
    #[test]
    fn where_a_reply_is_split_does_not_matter(
        value in ticket(),
        escapes: bool,
        pretty: bool,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let text = if pretty { format!("```json\n{value:#}\n```") } else { value.to_string() };
        let text = if escapes { escaped(&text) } else { text };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.retain(|cut| text.is_char_boundary(*cut));
        cuts.sort_unstable();
        let mut parts = Vec::new();
        let mut from = 0;
        for cut in cuts {
            parts.push(&text[from..cut]);
            from = cut;
        }
        parts.push(&text[from..]);
        let seen = after(&parts);
        for partial in &seen {
            prop_assert!(is_beginning(&shown(partial), &value), "{partial:?}");
        }
        prop_assert_eq!(seen.last().unwrap(), &last(&text));
        prop_assert_eq!(shown(seen.last().unwrap()), value);
    }

    #[test]
    fn no_reply_makes_it_panic(text in "[{}\\[\\]\":,\\\\u0-9a-f<>/thinkéd😀 ]{0,60}") {
        let mut ends = text.char_indices().map(|(at, _)| at);
        let cut = ends.nth(text.len() / 2).unwrap_or_default();
        prop_assert_eq!(after(&[&text[..cut], &text[cut..]]).remove(1), last(&text));
    }
}

#[test]
fn each_character_is_looked_at_once_however_a_long_reply_is_split() {
    let person = r#"{"name": "Ann \u00e9 \"x\"", "age": 12},"#;
    let long = [
        format!("{{\"title\": \"{}\"}}", "word ".repeat(200_000)),
        format!("{{\"title\": \"{}\"}}", "\\n".repeat(500_000)),
        format!("{{\"people\": [{}", person.repeat(25_000)),
        format!("{{\"rest\": {}", "[{\"a\":".repeat(200_000)),
        format!("{{\"rest\": \"{}", "\\u00e9\\\\".repeat(125_000)),
        format!("{{\"score\": {}", "1".repeat(1_000_000)),
        format!("{{\"{}", "k".repeat(1_000_000)),
        "<think".repeat(170_000),
        "{\"x\": 1} ".repeat(110_000),
        "{{{\"\"".repeat(200_000),
    ];
    for reply in &long {
        for size in [1, 4_096] {
            let (mut scanner, mut ticket) = (Scanner::new(), Ticket::default());
            let mut parts = 0;
            for part in reply.as_bytes().chunks(size) {
                let part = str::from_utf8(part).unwrap();
                scanner.push(part, &mut |key, part| ticket.field(key, part));
                parts += 1;
            }
            let steps = scanner.steps;
            assert!(
                steps <= 3 * reply.len() + 3 * parts,
                "{steps} steps for {} bytes in {parts} parts: {reply:.20}",
                reply.len()
            );
        }
    }
}

/// What there is after each of these parts of a reply with DSPy's marks.
fn after_sections(parts: &[&str]) -> Vec<Ticket> {
    let (mut sections, mut ticket) = (Sections::default(), Ticket::default());
    let mut seen = Vec::new();
    for part in parts {
        let before = ticket.clone();
        let changed = sections.push(part, &mut |key, part| ticket.field(key, part));
        assert!(
            changed || ticket == before,
            "a change that nobody is told of"
        );
        seen.push(ticket.clone());
    }
    assert_eq!(sections.into_text(), parts.concat());
    seen
}

const MARKED: &str = "Well.\n[[ ## title ## ]]\n  It is [[ \u{201c}broken\u{201d}\n\n[[ # \nagain\n\n\
    [[ ## score ## ]] 12\n[[ ## urgent ## ]]\ntrue\n\n[[ ## tags ## ]]\n[\"a\", \"b\"]\n\
    [[ ## score ## ]]\n13\n[[ ## people ## ]]\n[{\"name\": \"Ann\",\n \"age\": 4}]\n\
    [[ ## rest ## ]]\nfree words\n[[ ## completed ## ]]\n";

#[test]
fn sections_of_dspy_are_read() {
    let ticket = after_sections(&[MARKED]).remove(0);
    let expected = Ticket {
        title: Some("It is [[ \u{201c}broken\u{201d}\n\n[[ # \nagain".to_owned()),
        score: Some(12),
        urgent: Some(true),
        tags: Some(vec!["a".to_owned(), "b".to_owned()]),
        people: Some(vec![Person {
            name: Some("Ann".to_owned()),
            age: Some(4),
        }]),
        rest: Some(json!("free words")),
        ..Ticket::default()
    };
    assert_eq!(ticket, expected);

    let seen = after_sections(&[
        "[[ ## ti",
        "tle ## ]]\nBro",
        "ken ",
        "\n[[ #",
        "# score ## ]]\n1",
        "2",
        "\n[[ ## completed ## ]]",
    ]);
    let shown: Vec<_> = seen
        .iter()
        .map(|ticket| (ticket.title.as_deref(), ticket.score))
        .collect();
    let broken = Some("Broken");
    assert_eq!(
        shown,
        [
            (None, None),
            (Some("Bro"), None),
            (broken, None),
            (broken, None),
            (broken, None),
            (broken, None),
            (broken, None),
        ]
    );
    let tags = after_sections(&["[[ ## tags ## ]]\n[\"a\", \"b"])
        .remove(0)
        .tags;
    assert_eq!(tags.unwrap(), ["a", "b"]);
}

proptest! {
    #[test]
    fn where_sections_are_split_does_not_matter(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(MARKED.len() + 1)).collect();
        cuts.retain(|cut| MARKED.is_char_boundary(*cut));
        cuts.sort_unstable();
        let mut parts = Vec::new();
        let mut from = 0;
        for cut in cuts {
            parts.push(&MARKED[from..cut]);
            from = cut;
        }
        parts.push(&MARKED[from..]);
        let last = after_sections(&parts).pop().unwrap();
        prop_assert_eq!(last, after_sections(&[MARKED]).remove(0));
    }
}
