//! Values as JSON, and back.

use super::Value;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt::{self, Formatter};

/// Numbers beyond 64 bits, and floating-point numbers that are none, are text; untyped bytes are hexadecimal text.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(n) => match (i64::try_from(*n), u64::try_from(*n)) {
                (Ok(n), _) => to.serialize_i64(n),
                (_, Ok(n)) => to.serialize_u64(n),
                _ => to.collect_str(n),
            },
            Self::Bool(b) => to.serialize_bool(*b),
            Self::Float(x) if x.is_finite() => to.serialize_f64(*x),
            Self::Float(x) => to.collect_str(x),
            Self::List(items) => to.collect_seq(items),
            Self::Struct(members) => to.collect_map(members.iter().map(|(name, value)| (name, value))),
            Self::Text(text) | Self::Enum(text) => to.serialize_str(text),
            other => to.collect_str(other),
        }
    }
}

/// As far as its type is not needed: all text is [`Value::Text`].
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
        Ok(Value::Int(n.into()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Value, E> {
        Ok(Value::Int(n.into()))
    }

    fn visit_f64<E>(self, x: f64) -> Result<Value, E> {
        Ok(Value::Float(x))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    /// The null pointer.
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Pointer(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = from.next_entry()? {
            members.push(member);
        }
        Ok(Value::Struct(members))
    }
}
