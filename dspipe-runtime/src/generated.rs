//! What generated code uses. Not for use by hand: it changes with the compiler.

pub use core::clone::Clone;
pub use core::cmp::{Eq, PartialEq};
pub use core::convert::From;
pub use core::fmt::{Debug, Display, Formatter, Result as FmtResult};
pub use core::future::Future;
pub use core::hash::Hash;
// Without a name: a type of the workflow may be called so.
pub use core::iter::Iterator as _;
pub use core::marker::{Copy, Send};
pub use core::option::Option::{self, None, Some};
pub use core::result::Result::{self, Err, Ok};
pub use std::boxed::Box;
pub use std::collections::BTreeMap;
pub use std::string::String;
pub use std::vec::Vec;

pub use serde::de::{Deserialize, Deserializer};
pub use serde::ser::{Serialize, SerializeStruct, Serializer};
pub use serde_json::{Map, Value};

#[doc(hidden)]
pub use crate::__json_schema as json_schema;
pub use crate::adapter::Adapter;
pub use crate::error::Error;
pub use crate::expr;
pub use crate::module::ModuleDef;
pub use crate::read::{Read, Reader};
pub use crate::runner::Runner;
pub use crate::signature::{Demo, FieldDef, Prompt, Signature, SignatureDef, WorkflowDef};
pub use crate::slot::Slot;
#[cfg(feature = "structs")]
pub use crate::structs;
pub use crate::telemetry::in_run;

/// A value as prompts and templates show it: texts as they are, everything else as compact JSON.
pub fn text<T: Serialize + ?Sized>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(value) => crate::prompt::value_text(&value),
        // Generated types always serialize.
        Err(error) => error.to_string(),
    }
}

/// `Deserialize` for a type that has a reader: the same errors, all of them.
///
/// # Errors
/// Those of the deserializer, or one that lists all bad fields.
pub fn deserialize<'de, T: Read, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    crate::read::read_value(value).map_err(serde::de::Error::custom)
}

/// `JsonSchema` for a generated type, from the JSON of its schema.
#[cfg(feature = "structs")]
#[doc(hidden)]
#[macro_export]
macro_rules! __json_schema {
    ($name:ident, $schema:literal $(,)?) => {
        impl $crate::structs::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(::core::stringify!($name))
            }

            fn schema_id() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(::core::concat!(
                    ::core::module_path!(),
                    "::",
                    ::core::stringify!($name)
                ))
            }

            fn json_schema(
                generator: &mut $crate::structs::schemars::SchemaGenerator,
            ) -> $crate::structs::schemars::Schema {
                $crate::structs::parsed($schema, generator)
            }
        }
    };
}

/// `JsonSchema` for a generated type, from the JSON of its schema.
#[cfg(not(feature = "structs"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __json_schema {
    ($name:ident, $schema:literal $(,)?) => {
        ::core::compile_error!(
            "to derive `JsonSchema` for generated types, turn on the feature `structs` of dspipe-runtime"
        );
    };
}
