//! The expression parser: any text gives an expression or an error that lies in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    dspipe_build::fuzz::expression(text);
});
