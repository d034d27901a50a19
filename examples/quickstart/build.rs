//! Compiles the workflows; mistakes in them are compile errors of the crate.

fn main() -> Result<(), dspipe_build::Error> {
    dspipe_build::compile("workflows")
}
