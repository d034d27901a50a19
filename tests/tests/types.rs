//! Named types, alternatives, defaults and limits, as replies meet them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use dspipe_runtime::Value;
use dspipe_runtime::read::{ReadError, read_value};
use dspipe_tests::workflows::types::{
    Currency, Formula, Inputs, Person, Role, Shape, ShapeValue, Tone, WORKFLOW, read,
};
use serde_json::json;

fn reply() -> Value {
    json!({
        "outline": {"title": "a", "parts": [{"title": "b", "parts": []}]},
        "shapes": [{"kind": "circle", "radius": 1}, {"kind": "square", "side": 2}, "point"],
        "price": {"amount": 100, "currency": "EUR"},
        "formula": {"plus": [1, {"plus": [2, "x"], "negated": true}]},
        "level": 3,
        "dice": 6,
        "agreed": true,
        "mood": "good",
        "id": 7,
        "step": 0.5,
        "chain": {"value": 1, "next": {"value": 2, "inner": "y"}},
    })
}

fn changed(change: impl Fn(&mut Value)) -> Result<read::Output, ReadError> {
    let mut reply = reply();
    change(&mut reply);
    read_value(reply)
}

fn problems(change: impl Fn(&mut Value)) -> String {
    changed(change).unwrap_err().to_string()
}

#[test]
fn everything_finds_its_type() {
    let output = changed(|_| ()).unwrap();
    assert_eq!(output.outline.parts[0].title, "b");
    let [
        Shape::Circle(circle),
        Shape::Square(square),
        Shape::Value(ShapeValue::Point),
    ] = output.shapes.as_slice()
    else {
        panic!("{:?}", output.shapes);
    };
    assert_eq!((circle.radius, square.side), (1.0, 2.0));
    assert_eq!(output.price.currency, Currency::Eur);
    let Formula::Sum(sum) = &output.formula else {
        panic!("{:?}", output.formula);
    };
    assert_eq!(sum.plus[0], Formula::Number(1.0));
    assert_eq!(output.mood, read::Mood::Good);
    assert_eq!(output.id, Some(read::Id::Integer(7)));
    let next = output.chain.next.as_deref().unwrap();
    assert_eq!(next.inner, Some(Formula::Text("y".to_owned())));
}

#[test]
fn what_is_written_reads_back() {
    let output = changed(|_| ()).unwrap();
    let written = serde_json::to_value(&output).unwrap();
    assert_eq!(read_value::<read::Output>(written).unwrap(), output);
}

#[test]
fn what_is_absent_or_null_is_the_default() {
    let output = changed(|_| ()).unwrap();
    assert_eq!(output.tags, ["none", "2"]);
    let output = changed(|reply| reply["tags"] = Value::Null).unwrap();
    assert_eq!(output.tags, ["none", "2"]);
    let output = changed(|reply| reply["tags"] = json!(["a"])).unwrap();
    assert_eq!(output.tags, ["a"]);

    let inputs: Inputs = serde_json::from_value(json!({
        "letter": "Dear all",
        "sender": {"name": "Ann"},
    }))
    .unwrap();
    assert_eq!(inputs.tone, Tone::Plain);
    let ann = Person {
        name: "Ann".to_owned(),
        role: Role::Guest,
    };
    assert_eq!(inputs.sender, Some(ann));
}

#[test]
fn limits_hold_in_every_kind_of_type() {
    assert_eq!(
        problems(|reply| {
            reply["level"] = json!(6);
            reply["dice"] = json!(7);
            reply["agreed"] = json!(false);
            reply["step"] = json!(1);
            reply["tags"] = json!(["a", "b", "a"]);
        }),
        "`level` must be at most 5, but is 6; `dice` must be one of 1, 2, 3, 4, 5, 6, but is 7; \
         `agreed` must be true; `step` must be less than 1, but is 1; `tags` must have different \
         items, but 0 and 2 (counted from 0) are the same"
    );
    assert_eq!(
        problems(|reply| reply["step"] = json!(0.3)),
        "`step` must be a multiple of 0.25, but is 0.3"
    );
    assert_eq!(
        problems(|reply| reply["outline"]["parts"][0]["title"] = json!("")),
        "`outline.parts[0].title` must have at least 1 characters, but has 0"
    );
}

#[test]
fn what_fits_no_alternative_is_told_by_the_closest() {
    assert_eq!(
        problems(|reply| reply["shapes"][0]["radius"] = json!(-1)),
        "`shapes[0].radius` must be at least 0, but is -1"
    );
    assert_eq!(
        problems(|reply| reply["shapes"][1] = json!(true)),
        "`shapes[1]` must be one of Circle, Square, Value, but is true"
    );
    assert_eq!(
        problems(|reply| reply["formula"] = json!({"plus": [1]})),
        "`formula.plus` must have at least 2 items, but has 1"
    );
}

#[test]
fn the_schema_of_a_type_that_contains_itself_refers_to_itself() {
    let schema: Value = serde_json::from_str(WORKFLOW.steps[0].output_schema).unwrap();
    assert_eq!(schema["properties"]["chain"]["$ref"], "#/$defs/Chain");
    assert_eq!(
        schema["$defs"]["Chain"]["properties"]["next"]["anyOf"][0]["$ref"],
        "#/$defs/Chain"
    );
    assert!(
        schema["$defs"].get("Money").is_none(),
        "written where it is used"
    );
}
