//! Fields that are not marked, or marked twice.

use dspipe_runtime::dspy_signature;

#[dspy_signature]
pub struct Marks {
    /// Not marked.
    pub neither: String,
    #[input]
    #[output]
    pub both: String,
    #[input(optional)]
    pub text: String,
    #[output]
    pub answer: String,
}

#[dspy_signature]
pub struct NoOutput {
    #[input]
    pub text: String,
}

fn main() {
    // The rest is there.
    let _ = MarksInput { text: String::new() };
    let _ = NoOutput::run(NoOutputInput { text: String::new() });
}
