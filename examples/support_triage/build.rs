//! Compiles the workflow.

fn main() -> Result<(), dspipe_build::Error> {
    dspipe_build::compile("workflows")
}
