//! JSON objects that describe themselves: the same words make a type, its JSON, and its schema in the OpenAPI document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The schemas of a document, by name.
pub(super) type Schemas = Map<String, Value>;

/// A type whose JSON has a schema.
pub(super) trait Described {
    /// Its schema, or a reference to it: then it is in `schemas`.
    fn schema(schemas: &mut Schemas) -> Value;
}

/// Defines structs that are serialized and [`Described`]. Their doc comments become descriptions. A field with a `serde`
/// attribute may be left out of the JSON; all others are always there.
macro_rules! described {
    ($(
        $(#[doc = $about:literal])*
        $(#[derive($($derived:ident),+)])?
        $seen:vis struct $name:ident {
            $(
                $(#[doc = $text:literal])*
                $(#[serde($($serde:tt)+)])?
                $shown:vis $field:ident: $type:ty,
            )+
        }
    )+) => {$(
        $(#[doc = $about])*
        #[derive(Debug, serde::Serialize $(, $($derived),+)?)]
        $seen struct $name {
            $(
                $(#[doc = $text])*
                $(#[serde($($serde)+)])?
                $shown $field: $type,
            )+
        }

        impl $crate::http::described::Described for $name {
            fn schema(schemas: &mut $crate::http::described::Schemas) -> serde_json::Value {
                let name = stringify!($name);
                if !schemas.contains_key(name) {
                    // A type may name itself.
                    schemas.insert(name.to_owned(), serde_json::Value::Null);
                    let fields = vec![$($crate::http::described::Field {
                        name: stringify!($field).trim_start_matches("r#"),
                        about: concat!($($text),*),
                        is_always_there: concat!($(stringify!($($serde)+)),*).is_empty(),
                        schema: <$type as $crate::http::described::Described>::schema(schemas),
                    }),+];
                    let schema = $crate::http::described::object(concat!($($about),*), fields);
                    schemas.insert(name.to_owned(), schema);
                }
                serde_json::json!({ "$ref": format!("#/components/schemas/{name}") })
            }
        }
    )+};
}

pub(super) use described;

/// A field of an object.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) is_always_there: bool,
    pub(super) schema: Value,
}

/// The schema of an object with these fields and no others.
pub(super) fn object(about: &str, fields: Vec<Field>) -> Value {
    let required = fields.iter().filter(|field| field.is_always_there).map(|field| field.name);
    let required: Vec<&str> = required.collect();
    let property = |Field { name, about, mut schema, .. }: Field| {
        if let (Some(object), false) = (schema.as_object_mut(), about.is_empty()) {
            object.insert("description".to_owned(), about.trim().into());
        }
        (name.to_owned(), schema)
    };
    json!({
        "type": "object",
        "description": about.trim(),
        "required": required,
        "properties": fields.into_iter().map(property).collect::<Map<String, Value>>(),
        "additionalProperties": false,
    })
}

macro_rules! plain {
    ($schema:expr => $($type:ty),+) => {$(
        impl Described for $type {
            fn schema(_: &mut Schemas) -> Value {
                $schema
            }
        }
    )+};
}

plain!(json!({ "type": "string" }) => String, &'static str);
plain!(json!({ "type": "boolean" }) => bool);
plain!(json!({ "type": "integer", "minimum": 0 }) => u16, u32, u64, usize);
plain!(json!({ "type": "number", "minimum": 0 }) => f64);
plain!(json!({}) => Value);

impl<T: Described> Described for Vec<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({ "type": "array", "items": T::schema(schemas) })
    }
}

impl<T: Described> Described for Option<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({ "anyOf": [T::schema(schemas), { "type": "null" }] })
    }
}

impl<T: Described> Described for BTreeMap<&'static str, T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({ "type": "object", "additionalProperties": T::schema(schemas) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    described! {
        /// Two things.
        struct Pair {
            /// The first.
            first: u32,
            second: Option<String>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            others: Vec<Pair>,
        }
    }

    #[test]
    fn types_describe_their_json() {
        let mut schemas = Schemas::new();
        let pair = Pair { first: 1, second: None, others: Vec::new() };
        assert_eq!(serde_json::to_value(&pair).unwrap(), json!({ "first": 1, "second": null }));
        assert_eq!(Pair::schema(&mut schemas), json!({ "$ref": "#/components/schemas/Pair" }));
        let expected = json!({
            "type": "object",
            "description": "Two things.",
            "required": ["first", "second"],
            "properties": {
                "first": { "type": "integer", "minimum": 0, "description": "The first." },
                "second": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
                "others": { "type": "array", "items": { "$ref": "#/components/schemas/Pair" } },
            },
            "additionalProperties": false,
        });
        assert_eq!(schemas["Pair"], expected);
        drop((pair.first, pair.second, pair.others));
    }
}
