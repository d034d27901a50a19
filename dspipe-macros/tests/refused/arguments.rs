//! Arguments that a struct does not take.

use dspipe_runtime::dspy_signature;

#[dspy_signature(temperatur = 0.5)]
struct Misspelt {
    #[output]
    answer: String,
}

#[dspy_signature(model = "openai/gpt-5-mini")]
struct Unknown {
    #[output]
    answer: String,
}

#[dspy_signature(workflow = "workflows/triage.yaml")]
struct Workflow {
    #[output]
    answer: String,
}

#[dspy_signature(lm = "gpt-5-mini")]
struct Lm {
    #[output]
    answer: String,
}

#[dspy_signature(temperature = -1)]
struct Temperature {
    #[output]
    answer: String,
}

#[dspy_signature(max_tokens = 0.5)]
struct Tokens {
    #[output]
    answer: String,
}

#[dspy_signature(name = " ")]
struct Name {
    #[output]
    answer: String,
}

#[dspy_signature(runtime = "not a path")]
struct Runtime {
    #[output]
    answer: String,
}

fn main() {}
