//! The suites of `evals/` as tests.

dspipe_eval::main!(support_triage::workflows::triage::Workflow => "evals/topics.eval.yaml");
