//! Compiles the workflows that are measured.

fn main() -> Result<(), dspipe_build::Error> {
    dspipe_build::compile("workflows")
}
