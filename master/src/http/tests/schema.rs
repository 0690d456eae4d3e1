//! Whether JSON is as a schema of the OpenAPI document says; as much of JSON Schema as that document uses.

use serde_json::Value;

/// What does not fit, with its place; nothing where all does.
pub(super) fn misfits(value: &Value, schema: &Value, document: &Value, place: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return misfits(value, &document["components"]["schemas"][name], document, place);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = choices.iter().any(|choice| misfits(value, choice, document, place).is_empty());
        return if fits { Vec::new() } else { vec![format!("{place}: {value} is none of {choices:?}")] };
    }
    match (schema["type"].as_str(), value) {
        (None, _) if schema.as_object().is_some_and(|schema| schema.keys().all(|key| key == "description")) => {
            Vec::new()
        }
        (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) | (Some("null"), Value::Null) => {
            Vec::new()
        }
        (Some("integer"), Value::Number(number)) if number.is_u64() => Vec::new(),
        (Some("number"), Value::Number(_)) => Vec::new(),
        (Some("array"), Value::Array(items)) => {
            let of = |(at, item): (usize, &Value)| misfits(item, &schema["items"], document, &format!("{place}[{at}]"));
            items.iter().enumerate().flat_map(of).collect()
        }
        (Some("object"), Value::Object(_)) => misfits_of_object(value, schema, document, place),
        (expected, found) => vec![format!("{place}: {found} is not of type {expected:?}")],
    }
}

fn misfits_of_object(value: &Value, schema: &Value, document: &Value, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    let Some(fields) = value.as_object() else { return found };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            found.push(format!("{place}: `{name}` is missing"));
        }
    }
    for (name, field) in fields {
        let known = &schema["properties"][name];
        let others = &schema["additionalProperties"];
        if known.is_object() {
            found.extend(misfits(field, known, document, &format!("{place}.{name}")));
        } else if others.is_object() {
            found.extend(misfits(field, others, document, &format!("{place}.{name}")));
        } else if *others == false {
            found.push(format!("{place}: `{name}` is not described"));
        }
    }
    found
}
