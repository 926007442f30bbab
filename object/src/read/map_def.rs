//! Definitions of maps: structs whose members describe a map (`__uint`, `__type`, `__array`).

use super::elf::{malformed, refused};
use crate::btf::{Btf, Kind, Member, Type, TypeId};
use crate::model::{Map, ObjectError};
use ebpfkit_abi::limits::PAGE_SIZE;
use ebpfkit_abi::map_type::Count;
use ebpfkit_abi::{MapTraits, MapType};

/// `LIBBPF_PIN_BY_NAME`
pub(crate) const PIN_BY_NAME: u32 = 1;

/// Members of a definition that are believed: a few times as many as there are attributes.
const MAX_MEMBERS: usize = 64;

/// A definition being read.
struct Reader<'a> {
    btf: &'a Btf,
    map: Map,
    refusals: &'a mut Vec<String>,
}

/// Reads a definition; inner maps are read with `outer` false. What libbpf refuses and others take is added to
/// `refusals`.
pub(crate) fn parse(
    btf: &Btf,
    name: &str,
    definition: TypeId,
    outer: bool,
    refusals: &mut Vec<String>,
) -> Result<Map, ObjectError> {
    let mut reader = Reader { btf, map: Map { name: name.to_owned(), ..Map::default() }, refusals };
    let members = btf.members(definition);
    if members.len() > MAX_MEMBERS {
        let found = format!("a definition of {} members", members.len());
        return Err(malformed(format!("map '{name}'"), found, format!("at most {MAX_MEMBERS}")));
    }
    let last = members.len().wrapping_sub(1);
    for (number, member) in members.enumerate() {
        reader.member(&member, outer, number == last)?;
    }
    let mut map = reader.map;
    if map.map_type == MapType::Unspec {
        return Err(refused(format!("map '{name}': map type isn't specified.")));
    }
    if map.map_type.row().entries == Count::Pages {
        map.max_entries = ring_size(map.max_entries);
    }
    Ok(map)
}

/// The kernel wants a power of two of pages; libbpf rounds up what is something else.
fn ring_size(size: u32) -> u32 {
    let pages = size / PAGE_SIZE;
    if size == 0 || (size.is_multiple_of(PAGE_SIZE) && pages.is_power_of_two()) {
        return size;
    }
    (pages + 1).checked_next_power_of_two().and_then(|p| p.checked_mul(PAGE_SIZE)).unwrap_or(size)
}

impl Reader<'_> {
    fn member(&mut self, member: &Member<'_>, outer: bool, last: bool) -> Result<(), ObjectError> {
        match member.name {
            "type" => self.map.map_type = MapType(self.number(member)?),
            "max_entries" => self.map.max_entries = self.number(member)?,
            "map_flags" => self.map.flags = self.number(member)?,
            "numa_node" => self.map.numa_node = self.number(member)?,
            "key_size" => self.map.key_size = self.size("key", self.map.key_size, self.number(member)?)?,
            "value_size" => self.map.value_size = self.size("value", self.map.value_size, self.number(member)?)?,
            "map_extra" => self.map.extra = self.long(member)?,
            "key" => {
                let (ty, size) = self.typed("key", member)?;
                (self.map.key_type, self.map.key_size) = (ty, self.size("key", self.map.key_size, size)?);
            }
            "value" => {
                let (ty, size) = self.typed("value", member)?;
                (self.map.value_type, self.map.value_size) = (ty, self.size("value", self.map.value_size, size)?);
            }
            "values" => self.values(member, outer, last)?,
            "pinning" if !outer => return self.fail("inner def can't be pinned."),
            "pinning" => {
                let pinning = self.number(member)?;
                if pinning > PIN_BY_NAME {
                    // Loaders with name spaces of pinned maps have values of their own.
                    self.refusals.push(format!("map '{}': invalid pinning value {pinning}.", self.map.name));
                }
                self.map.pinning = pinning.min(PIN_BY_NAME);
            }
            other => return self.fail(format!("unknown field '{other}'.")),
        }
        Ok(())
    }

    fn fail<T>(&self, why: impl std::fmt::Display) -> Result<T, ObjectError> {
        Err(refused(format!("map '{}': {why}", self.map.name)))
    }

    fn kind_name(&self, ty: TypeId) -> &'static str {
        self.btf.kind(ty).map_or("unknown", Kind::name)
    }

    /// `__uint(name, N)` is a pointer to an array of N elements.
    fn number(&self, member: &Member<'_>) -> Result<u32, ObjectError> {
        let ty = self.btf.resolve(member.ty);
        let Some(Type::Ptr(array)) = self.btf.get(ty) else {
            return self.fail(format!("attr '{}': expected PTR, got {}.", member.name, self.kind_name(ty)));
        };
        match self.btf.get(array) {
            Some(Type::Array { len, .. }) => Ok(len),
            Some(_) => self.fail(format!("attr '{}': expected ARRAY, got {}.", member.name, self.kind_name(array))),
            None => self.fail(format!("attr '{}': type [{array}] not found.", member.name)),
        }
    }

    /// `__ulong(name, N)` is an enumeration of one value.
    fn long(&self, member: &Member<'_>) -> Result<u64, ObjectError> {
        let ty = self.btf.resolve(member.ty);
        match self.btf.kind(ty) {
            Some(Kind::Ptr) => self.number(member).map(u64::from),
            Some(Kind::Enum | Kind::Enum64) => {
                let mut values = self.btf.enum_values(ty);
                match (values.next(), values.next()) {
                    (Some(only), None) => Ok(only.value),
                    _ => self.fail(format!("attr '{}': invalid __ulong", member.name)),
                }
            }
            _ => self.fail(format!("attr '{}': expected ENUM or ENUM64, got {}.", member.name, self.kind_name(ty))),
        }
    }

    /// `__type(name, T)` is a pointer to T: the type and its size.
    fn typed(&self, what: &str, member: &Member<'_>) -> Result<(TypeId, u32), ObjectError> {
        let Some(Type::Ptr(target)) = self.btf.get(self.btf.skip_modifiers(member.ty)) else {
            return self.fail(format!("{what} spec is not PTR: {}.", self.kind_name(member.ty)));
        };
        match self.btf.size_of(target) {
            Some(size) => Ok((target, size)),
            None => self.fail(format!("can't determine {what} size for type [{target}]: -22.")),
        }
    }

    /// A size may be given twice if both agree.
    fn size(&self, what: &str, known: u32, value: u32) -> Result<u32, ObjectError> {
        if known != 0 && known != value {
            return self.fail(format!("conflicting {what} size {known} != {value}."));
        }
        Ok(value)
    }

    /// `__array(values, T)`: inner maps or programs.
    fn values(&mut self, member: &Member<'_>, outer: bool, last: bool) -> Result<(), ObjectError> {
        let nested = self.map.map_type.is(MapTraits::MAPS);
        let programs = self.map.map_type == MapType::ProgArray;
        let what = if nested { "map-in-map inner" } else { "prog-array value" };
        if !outer {
            return self.fail("multi-level inner maps not supported.");
        }
        if !last {
            return self.fail("'values' member should be last.");
        }
        if !nested && !programs {
            return self.fail("should be map-in-map or prog-array.");
        }
        self.map.value_size = self.size("value", self.map.value_size, 4)?;
        let Some(Type::Array { elem, len: 0, .. }) = self.btf.get(member.ty) else {
            return self.fail(format!("{what} spec is not a zero-sized array."));
        };
        let pointer = self.btf.resolve(elem);
        let Some(Type::Ptr(target)) = self.btf.get(pointer) else {
            return self.fail(format!("{what} def is of unexpected kind {}.", self.kind_name(pointer)));
        };
        let target = self.btf.resolve(target);
        let expected = if programs { Kind::FuncProto } else { Kind::Struct };
        if self.btf.kind(target) != Some(expected) {
            let what = if programs { what } else { "map-in-map inner" };
            return self.fail(format!("{what} def is of unexpected kind {}.", self.kind_name(target)));
        }
        if nested {
            let name = format!("{}.inner", self.map.name);
            self.map.inner = Some(Box::new(parse(self.btf, &name, target, false, self.refusals)?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ring_size;

    #[test]
    fn ring_buffers_are_powers_of_two_of_pages() {
        let sizes = [0, 1, 4096, 4097, 8192, 12288, u32::MAX].map(ring_size);
        assert_eq!(sizes, [0, 4096, 4096, 8192, 8192, 16384, u32::MAX]);
    }
}
