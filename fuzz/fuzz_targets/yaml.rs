//! The YAML reader: any text gives a tree or a diagnostic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    dspipe_build::fuzz::yaml(text);
});
