//! Items that have no named fields.

use dspipe_runtime::dspy_signature;

#[dspy_signature]
struct Tuple(#[input] String, #[output] String);

#[dspy_signature]
struct Unit;

#[dspy_signature]
enum Choice {
    Yes,
    No { #[output] reason: String },
}

#[dspy_signature]
union Either {
    #[input]
    a: u8,
    #[output]
    b: i8,
}

#[dspy_signature]
fn function() {}

fn main() {}
