//! The JSON Schema of the document, made from the same types and comments.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

use crate::spec::Spec;

/// JSON Schema (draft 2020-12) of the document, for editors and other tools. It accepts everything
/// that [`crate::from_json`] accepts; a few rules that a schema cannot express (sizes, duplicate
/// tools, the user's own schema being one) are checked there only.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(unwrap_lines));
    settings.into_generator().into_root_schema_for::<Spec>().into()
}

/// Descriptions are doc comments; where those broke their lines means nothing to a reader.
fn unwrap_lines(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}
