//! What the expansion of `#[dspy_signature]` on a struct uses. Not for use by hand: it changes with the
//! macro.

mod schema;

use std::marker::PhantomData;

pub use schemars;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::read::{self, ObjectReader, Read, Reader};
use crate::signature::{FieldDef, SignatureDef};

/// Completes what the macro knows about a signature by what its types say. To be called once for each: the
/// texts stay for as long as the program runs.
pub fn define<I, O>(known: &SignatureDef) -> SignatureDef
where
    I: schemars::JsonSchema,
    O: schemars::JsonSchema,
{
    let inputs = schema::of::<I>();
    let outputs = schema::of::<O>();
    SignatureDef {
        inputs: with_types(known.inputs, &inputs),
        outputs: with_types(known.outputs, &outputs),
        input_schema: inputs.to_string().leak(),
        output_schema: outputs.to_string().leak(),
        ..*known
    }
}

/// The schema of a type, as LMs are told it.
pub(crate) fn schema_of<T: schemars::JsonSchema>() -> Value {
    schema::of::<T>()
}

fn with_types(fields: &[FieldDef], schema: &Value) -> &'static [FieldDef] {
    let fields: Vec<FieldDef> = fields
        .iter()
        .map(|field| FieldDef {
            ty: schema::words(&schema["properties"][field.name]).leak(),
            ..*field
        })
        .collect();
    fields.leak()
}

/// The schema of a generated type. What it refers to goes where the references look for it: to the
/// definitions of the whole.
pub fn parsed(text: &str, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut schema: Value = serde_json::from_str(text).unwrap_or_default();
    let definitions = schema
        .as_object_mut()
        .and_then(|schema| schema.shift_remove("$defs"));
    if let Some(Value::Object(definitions)) = definitions {
        generator.definitions_mut().extend(definitions);
    }
    schema.try_into().unwrap_or_default()
}

/// The object that the fields are read from.
pub fn object(from: Reader<'_>) -> Option<ObjectReader<'_>> {
    from.object_of_value()
}

/// The type of a field that is to be read: by its reader, if it has one (which finds all errors), and
/// else by its `Deserialize`.
///
/// With both traits in scope, `(&Field::<T>::NEW).read_field(…)` takes the first of the two that there is.
#[derive(Debug)]
pub struct Field<T>(PhantomData<T>);

impl<T> Field<T> {
    /// One of these.
    pub const NEW: Self = Self(PhantomData);
}

/// Types that have a reader.
pub trait ByReader<T> {
    /// Reads the field. `None` means that an error was recorded.
    fn read_field(&self, object: &mut ObjectReader<'_>, key: &'static str) -> Option<T>;
}

impl<T: Read> ByReader<T> for Field<T> {
    fn read_field(&self, object: &mut ObjectReader<'_>, key: &'static str) -> Option<T> {
        object.or_null(key, T::read)
    }
}

/// All other types. That serde must be able to read them is asked of the method, so that rustc says just
/// that where it cannot.
pub trait BySerde<T> {
    /// Reads the field. `None` means that an error was recorded.
    fn read_field(&self, object: &mut ObjectReader<'_>, key: &'static str) -> Option<T>
    where
        T: DeserializeOwned;
}

impl<T> BySerde<T> for &Field<T> {
    fn read_field(&self, object: &mut ObjectReader<'_>, key: &'static str) -> Option<T>
    where
        T: DeserializeOwned,
    {
        object.or_null(key, read::deserialize)
    }
}
