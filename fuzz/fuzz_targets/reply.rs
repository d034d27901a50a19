//! Replies: whatever is read of any text is what the schema asks for, strictly.
#![no_main]

use std::sync::LazyLock;

use dspipe_runtime::read::{Schema, Strictness, parse};
use libfuzzer_sys::fuzz_target;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let text = r##"{"$ref": "#/$defs/part", "$defs": {"part": {
        "type": "object",
        "properties": {
            "title": {"type": "string", "minLength": 1},
            "kind": {"enum": ["low", "very", "very high", 3, null]},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
            "done": {"type": "boolean"},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}},
            "other": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}]},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}}
        },
        "required": ["title"],
        "additionalProperties": false
    }}}"##;
    match Schema::parse(text) {
        Ok(schema) => schema,
        Err(error) => panic!("{error}"),
    }
});

fuzz_target!(|reply: &str| {
    if let Ok(parsed) = parse(&SCHEMA, reply, Strictness::Lenient) {
        let again = parse(&SCHEMA, &parsed.value.to_string(), Strictness::Strict);
        assert_eq!(again.map(|again| again.value), Ok(parsed.value));
    }
    let _ = parse(&SCHEMA, reply, Strictness::Strict);
});
