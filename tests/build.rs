//! Compiles the workflows of the tests.

fn main() -> Result<(), dspipe_build::Error> {
    dspipe_build::compile("workflows")
}
