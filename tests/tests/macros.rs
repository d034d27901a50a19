//! `#[dspy_signature]` gives what the build script gives.

use dspipe_runtime::dspy_signature;
use dspipe_tests::workflows;

/// The workflow that the build script compiles, too.
#[dspy_signature(workflow = "workflows/everything.yaml")]
pub mod everything {
    /// An item of the user's own stays.
    pub const MINE: u8 = 1;
}

#[test]
fn both_ways_know_the_same_of_a_workflow() {
    assert_eq!(everything::WORKFLOW, workflows::every_thing::WORKFLOW);
    assert_eq!(everything::MINE, 1);
}

#[test]
fn both_ways_make_the_same_types() {
    let text = r#"{"self":"a","Type":"3d","ratio":0.5,"hint":null}"#;
    let inputs: everything::Inputs = serde_json::from_str(text).unwrap();
    assert_eq!(inputs.r#type, everything::r#match::Type::N3d);
    assert_eq!(serde_json::to_string(&inputs).unwrap(), text);
    let error = serde_json::from_str::<everything::Inputs>(r#"{"ratio":2,"Type":"4d"}"#);
    assert_eq!(
        error.unwrap_err().to_string(),
        "`self` is missing; `Type` must be one of \"a b\", \"A-C!\", \"3d\", \"self\", but is \"4d\"; \
         `ratio` must be at most 1, but is 2"
    );
}
