//! The whole front end: any text is reported or compiles to items that parse.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(items) = dspipe_build::fuzz::compile(text) {
        syn::parse_file(&items).expect("generated code parses");
    }
});
