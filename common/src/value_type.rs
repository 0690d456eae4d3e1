//! Column types as users declare them, with SQL's names as aliases.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Type of a column in a declared schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// UTF-8 text.
    String,
    /// `true` or `false`.
    Bool,
    /// Signed integer, 8 bits.
    Int8,
    /// Signed integer, 16 bits.
    Int16,
    /// Signed integer, 32 bits.
    Int32,
    /// Signed integer, 64 bits.
    Int64,
    /// Unsigned integer, 8 bits.
    UInt8,
    /// Unsigned integer, 16 bits.
    UInt16,
    /// Unsigned integer, 32 bits.
    UInt32,
    /// Unsigned integer, 64 bits.
    UInt64,
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
    /// Exact decimal: `precision` digits (1 to 38), `scale` of them after the point.
    Decimal {
        /// Number of digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// Calendar day.
    Date,
    /// Point in time with microseconds, without a time zone.
    Timestamp,
    /// Time of day with microseconds.
    Time,
    /// Bytes.
    Binary,
}

/// Why a text is not a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a type; use string, bool, int8 to int64, uint8 to uint64, float32, float64, decimal(p,s), date, timestamp, time or binary"
)]
pub struct ValueTypeError(String);

/// One column of a declared schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSpec {
    /// Name, as in the header.
    pub name: String,
    /// Type.
    pub value_type: ValueType,
}

const NAMES: [(&str, ValueType); 16] = [
    ("string", ValueType::String),
    ("bool", ValueType::Bool),
    ("int8", ValueType::Int8),
    ("int16", ValueType::Int16),
    ("int32", ValueType::Int32),
    ("int64", ValueType::Int64),
    ("uint8", ValueType::UInt8),
    ("uint16", ValueType::UInt16),
    ("uint32", ValueType::UInt32),
    ("uint64", ValueType::UInt64),
    ("float32", ValueType::Float32),
    ("float64", ValueType::Float64),
    ("date", ValueType::Date),
    ("timestamp", ValueType::Timestamp),
    ("time", ValueType::Time),
    ("binary", ValueType::Binary),
];

const ALIASES: [(&str, ValueType); 17] = [
    ("text", ValueType::String),
    ("varchar", ValueType::String),
    ("char", ValueType::String),
    ("boolean", ValueType::Bool),
    ("tinyint", ValueType::Int8),
    ("smallint", ValueType::Int16),
    ("int", ValueType::Int32),
    ("integer", ValueType::Int32),
    ("bigint", ValueType::Int64),
    ("long", ValueType::Int64),
    ("float", ValueType::Float32),
    ("real", ValueType::Float32),
    ("double", ValueType::Float64),
    ("double precision", ValueType::Float64),
    ("datetime", ValueType::Timestamp),
    ("bytes", ValueType::Binary),
    ("bytea", ValueType::Binary),
];

impl ValueType {
    /// Every type that is its name alone: all but decimals.
    pub fn without_arguments() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(_, value_type)| value_type)
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Decimal { precision, scale } = self {
            return write!(f, "decimal({precision},{scale})");
        }
        let name = NAMES.iter().find(|(_, value_type)| value_type == self).map_or("?", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for ValueType {
    type Err = ValueTypeError;

    fn from_str(text: &str) -> Result<Self, ValueTypeError> {
        let name = text.trim().to_ascii_lowercase();
        NAMES
            .iter()
            .chain(&ALIASES)
            .find(|(known, _)| *known == name)
            .map(|(_, value_type)| *value_type)
            .or_else(|| parse_decimal(&name))
            .ok_or_else(|| ValueTypeError(text.to_owned()))
    }
}

fn parse_decimal(name: &str) -> Option<ValueType> {
    let arguments = name.strip_prefix("decimal").or_else(|| name.strip_prefix("numeric"))?.trim();
    let (precision, scale) = arguments.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    ((1..=38).contains(&precision) && scale <= precision).then_some(ValueType::Decimal { precision, scale })
}

impl Serialize for ValueType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ValueType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for (name, value_type) in NAMES {
            assert_eq!(value_type.to_string(), name);
            assert_eq!(name.parse(), Ok(value_type));
        }
        assert_eq!("NUMERIC( 12 , 2 )".parse(), Ok(ValueType::Decimal { precision: 12, scale: 2 }));
        assert_eq!("BigInt".parse(), Ok(ValueType::Int64));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for text in ["", "strin", "decimal", "decimal(0,0)", "decimal(39,2)", "decimal(4,5)", "int128"] {
            assert!(text.parse::<ValueType>().is_err(), "{text}");
        }
    }
}
