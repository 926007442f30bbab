//! Contents of maps that events set.

use crate::schema::MapSet;
use ebpfkit_object::{Map as Definition, Object, nearest};
use ebpfkit_vm::maps::Map;
use ebpfkit_vm::show::{Dump, Shape, Value, write, write_untyped};
use ebpfkit_vm::{Errno, Instance};
use serde_json::{Map as Json, Value as JsonValue};
use std::sync::Arc;

/// A map of the object by name.
fn find<'a>(object: &'a Object, instance: &'a Instance, name: &str) -> Result<(&'a Definition, &'a Arc<Map>), String> {
    let names = || object.maps.iter().map(|m| m.name.as_str());
    // Sections of data have the object's name before their own.
    let of_section = || object.maps.iter().position(|m| name.starts_with('.') && m.name.ends_with(name));
    let found = object.maps.iter().position(|m| m.name == name).or_else(of_section);
    let n = found.ok_or_else(|| match nearest(name, names()) {
        Some(like) => format!("map: the object has no map `{name}`; did you mean `{like}`?"),
        None => format!("map: the object has no map `{name}`; it has {}", names().collect::<Vec<_>>().join(", ")),
    })?;
    let map = instance.maps().get(n).ok_or("map: there is no such map here")?;
    map.as_ref().map(|map| (&object.maps[n], map)).map_err(|e| e.to_string())
}

fn value_of(json: &JsonValue) -> Result<Value, String> {
    serde_json::from_value(json.clone()).map_err(|e| e.to_string())
}

/// A key or value as bytes.
fn bytes(object: &Object, ty: u32, size: usize, value: &Value, base: Option<Vec<u8>>) -> Result<Vec<u8>, String> {
    let mut bytes = base.filter(|b| b.len() == size).unwrap_or_else(|| vec![0; size]);
    let written = match object.btf.as_deref().filter(|_| ty != 0) {
        Some(btf) => write(btf, ty, value, &mut bytes),
        None => write_untyped(value, &mut bytes),
    };
    written.map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// A key that stands as a name in an object: a number where it is one.
fn key_of(name: &str) -> Value {
    name.parse::<i128>().map_or_else(|_| Value::Text(name.to_owned()), Value::Int)
}

fn failed(errno: Errno) -> String {
    format!("the map does not take it: {} ({})", errno.text(), errno.name())
}

/// Sets and deletes entries of a map; of a section of data, variables.
pub fn set(object: &Object, instance: &Instance, name: &str, set: &MapSet) -> Result<(), String> {
    let (def, map) = find(object, instance, name)?;
    let (key_type, value_type) = def.printed_types();
    let each = map.user_value_size() / (def.value_size as usize).next_multiple_of(8).max(1);
    let value_bytes = |value: &Value, old: Option<Vec<u8>>| -> Result<Vec<u8>, String> {
        if !def.map_type.is(ebpfkit_abi::MapTraits::PER_CPU) {
            return bytes(object, value_type, def.value_size as usize, value, old);
        }
        // One value for each CPU, or the same for all.
        let stride = (def.value_size as usize).next_multiple_of(8);
        let mut all = Vec::new();
        for cpu in 0..each.max(1) {
            let one = match value {
                Value::List(items) => items.get(cpu).ok_or(format!("a list with a value for each of {each} CPUs"))?,
                one => one,
            };
            let mut one = bytes(object, value_type, def.value_size as usize, one, None)?;
            one.resize(stride, 0);
            all.extend(one);
        }
        Ok(all)
    };
    let put = |key: &Value, value: &Value, target: &str| -> Result<(), String> {
        let inside = |e: String| format!("set{target}: {e}");
        let key = bytes(object, key_type, def.key_size as usize, key, None).map_err(inside)?;
        let value = value_bytes(value, None).map_err(inside)?;
        map.user_update(&key, &value, 0).map_err(|e| inside(failed(e)))
    };
    match &set.set {
        None => {}
        Some(JsonValue::Array(entries)) => {
            for (n, entry) in entries.iter().enumerate() {
                let JsonValue::Object(members) = entry else {
                    return Err(format!("set[{n}]: expected an object with `key` and `value`"));
                };
                if let Some(name) = members.keys().find(|k| !matches!(k.as_str(), "key" | "value")) {
                    return Err(format!("set[{n}].{name}: expected `key` and `value`"));
                }
                let part = |name: &str| members.get(name).map(value_of).transpose();
                let key = part("key")?.unwrap_or(Value::Bytes(Vec::new()));
                let value = part("value")?.ok_or(format!("set[{n}]: expected a `value`"))?;
                put(&key, &value, &format!("[{n}]"))?;
            }
        }
        Some(JsonValue::Object(members)) => {
            let btf = object.btf.as_deref();
            if btf.is_some_and(|b| b.kind(def.value_type) == Some(ebpfkit_object::btf::Kind::Datasec)) {
                return variables(object, def, map, members);
            }
            for (name, value) in members {
                put(&key_of(name), &value_of(value)?, &format!(".{name}"))?;
            }
        }
        Some(_) => return Err("set: expected a list of objects with `key` and `value`, or an object".into()),
    }
    for (n, key) in set.delete.iter().flatten().enumerate() {
        let key =
            bytes(object, key_type, def.key_size as usize, &key.0, None).map_err(|e| format!("delete[{n}]: {e}"))?;
        match map.delete(&key) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(e) => return Err(format!("delete[{n}]: {} ({})", e.text(), e.name())),
        }
    }
    Ok(())
}

/// Sets variables of a section of data.
fn variables(object: &Object, def: &Definition, map: &Map, members: &Json<String, JsonValue>) -> Result<(), String> {
    let Some(btf) = object.btf.as_deref() else { return Err("the object has no types".into()) };
    if def.frozen {
        return Err(format!("{}: constants are set before the first event", def.name));
    }
    let mut all = vec![0; map.user_value_size()];
    map.user_lookup(&0u32.to_ne_bytes(), &mut all, 0).map_err(failed)?;
    for (name, value) in members {
        let names = || btf.sec_vars(def.value_type).map(|v| btf.name(v.ty));
        let Some(var) = btf.sec_vars(def.value_type).find(|v| btf.name(v.ty) == name) else {
            let like = nearest(name, names());
            let meant = like.map_or_else(
                || format!("; it has {}", names().collect::<Vec<_>>().join(", ")),
                |l| format!("; did you mean `{l}`?"),
            );
            return Err(format!("{name}: {} has no such variable{meant}", def.name));
        };
        let Some(ebpfkit_object::btf::Type::Var { ty, .. }) = btf.get(var.ty) else { continue };
        let (start, end) = (var.offset as usize, var.offset as usize + var.size as usize);
        let target = all.get_mut(start..end).ok_or_else(|| format!("{name}: outside of {}", def.name))?;
        write(btf, ty, &value_of(value)?, target).map_err(|e| e.inside(name).to_string())?;
    }
    map.user_update(&0u32.to_ne_bytes(), &all, 0).map_err(failed)
}

/// Sets variables by their names alone.
pub fn set_variables(object: &Object, instance: &Instance, members: &Json<String, JsonValue>) -> Result<(), String> {
    let btf = object.btf.as_deref().ok_or("variables: the object has no types")?;
    for (name, value) in members {
        let holds = |def: &&Definition| {
            let is_section = btf.kind(def.value_type) == Some(ebpfkit_object::btf::Kind::Datasec);
            is_section && btf.sec_vars(def.value_type).any(|v| btf.name(v.ty) == name)
        };
        let def = object.maps.iter().find(holds);
        let def = def.ok_or_else(|| format!("variables.{name}: the object has no such variable"))?;
        let (_, map) = find(object, instance, &def.name)?;
        let one = Json::from_iter([(name.clone(), value.clone())]);
        variables(object, def, map, &one).map_err(|e| format!("variables.{e}"))?;
    }
    Ok(())
}

/// Most entries of a map that are looked at.
const MAX_ENTRIES: usize = 1 << 16;

/// The contents of a map, as `run -j` prints them.
pub fn contents(object: &Object, instance: &Instance, name: &str) -> Result<JsonValue, String> {
    let (def, map) = find(object, instance, name).map_err(|e| e.replacen("map", "expect.maps", 1))?;
    let (key_type, value_type) = def.printed_types();
    let shape = Shape { map_type: def.map_type, key_type, value_type, value_size: def.value_size as usize };
    let dump = Dump::new(&**map, shape, object.btf.as_deref(), MAX_ENTRIES);
    serde_json::to_value(dump).map_err(|e| e.to_string())
}

/// Where libbpf's part of a program finds the arguments of a static probe: as constants.
pub fn set_usdt(object: &Object, instance: &Instance, id: u32, words: &[u64], cookie: u64) -> Result<(), String> {
    const SPECS: &str = "__bpf_usdt_specs";
    const IDS: &str = "__bpf_usdt_ip_to_spec_id";
    if !object.maps.iter().any(|m| m.name == SPECS) {
        return Ok(());
    }
    let (def, specs) = find(object, instance, SPECS)?;
    let arg = |word: &u64| {
        let members = vec![("val_off".to_owned(), Value::Int((*word).into())), ("arg_type".to_owned(), Value::Int(0))];
        Value::Struct(members)
    };
    let btf = object.btf.as_deref().ok_or("usdt: the object has no types")?;
    let ty = def.printed_types().1;
    let slots = ebpfkit_vm::show::member(btf, ty, "args").map(|m| btf.get(btf.resolve(m.ty)));
    let Some(Some(ebpfkit_object::btf::Type::Array { len, .. })) = slots else {
        return Err("usdt: the map of specifications has another type than libbpf's".into());
    };
    if words.len() > len as usize {
        return Err(format!("args: {} arguments; probes have at most {len}", words.len()));
    }
    let mut args: Vec<Value> = words.iter().map(arg).collect();
    args.resize(len as usize, Value::Struct(Vec::new()));
    let spec = Value::Struct(vec![
        ("args".into(), Value::List(args)),
        ("usdt_cookie".into(), Value::Int(cookie.into())),
        ("arg_cnt".into(), Value::Int(words.len() as i128)),
    ]);
    let spec = bytes(object, ty, def.value_size as usize, &spec, None).map_err(|e| format!("usdt: {e}"))?;
    specs.user_update(&id.to_ne_bytes(), &spec, 0).map_err(|e| format!("usdt: {}", failed(e)))?;
    if object.maps.iter().any(|m| m.name == IDS) {
        let (_, ids) = find(object, instance, IDS)?;
        // The address where registers say that the probe is.
        let ip = crate::calls::USER_TEXT.to_ne_bytes();
        ids.user_update(&ip, &id.to_ne_bytes(), 0).map_err(|e| format!("usdt: {}", failed(e)))?;
    }
    Ok(())
}
