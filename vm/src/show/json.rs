//! Values as JSON, and back.

use super::{Contents, Value};
use serde_json::{Map as Object, Number, Value as Json, json};

/// A value as JSON. Numbers beyond 64 bits, and floating-point numbers that are none, are text; untyped bytes are
/// hexadecimal text.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Int(n) => i64::try_from(*n)
            .map(Number::from)
            .or_else(|_| u64::try_from(*n).map(Number::from))
            .map_or_else(|_| Json::String(n.to_string()), Json::Number),
        Value::Bool(b) => Json::Bool(*b),
        Value::Float(x) => Number::from_f64(*x).map_or_else(|| Json::String(x.to_string()), Json::Number),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Struct(all) => members(all),
        Value::Text(text) | Value::Enum(text) => Json::String(text.clone()),
        other => Json::String(other.to_string()),
    }
}

fn members(members: &[(String, Value)]) -> Json {
    Json::Object(members.iter().map(|(name, value)| (name.clone(), to_json(value))).collect())
}

/// A map's contents as JSON: variables as an object, entries as a list of keys and values.
pub fn contents_json(contents: &Contents) -> Json {
    match contents {
        Contents::Variables(variables) => members(variables),
        Contents::Entries(entries) => {
            let entry = |(key, value): &(Value, Value)| json!({"key": to_json(key), "value": to_json(value)});
            Json::Array(entries.iter().map(entry).collect())
        }
    }
}

/// JSON as a value, as far as its type is not needed: all text is [`Value::Text`]. `None` for `null`.
pub fn from_json(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => Value::Int(n.into()),
            (None, Some(n)) => Value::Int(n.into()),
            (None, None) => Value::Float(n.as_f64()?),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect::<Option<_>>()?),
        Json::Object(all) => Value::Struct(object(all)?),
    })
}

fn object(all: &Object<String, Json>) -> Option<Vec<(String, Value)>> {
    all.iter().map(|(name, value)| Some((name.clone(), from_json(value)?))).collect()
}
