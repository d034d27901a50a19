//! Types that are not known, and values that are borrowed.

use dspipe_runtime::dspy_signature;

#[dspy_signature]
struct Generic<T> {
    #[input]
    text: String,
    #[output]
    answer: T,
}

#[dspy_signature]
struct Borrows<'a> {
    #[input]
    text: &'a str,
    #[output]
    answer: String,
}

#[dspy_signature]
struct BorrowsForever {
    #[input]
    text: &'static str,
    #[output]
    answer: String,
}

fn main() {}
