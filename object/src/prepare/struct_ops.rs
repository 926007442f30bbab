//! struct_ops maps: the object's function table in the kernel's layout, and the programs that fill it.

use crate::btf::{Btf, Kind, Member, Type, TypeId, essential};
use crate::model::{Map, MapInit, Object, Program, Target};
use ebpfkit_abi::{AttachType, MapType};
use rustc_hash::FxHashMap;

/// Prefix of the kernel's struct around a table.
const VALUE_PREFIX: &str = "bpf_struct_ops_";
/// Longest table of the kernel that is believed.
const MAX_SIZE: u32 = 1 << 20;

/// A table's types in the kernel.
struct Kernel<'a> {
    btf: &'a Btf,
    /// The table.
    id: TypeId,
    /// The struct around it.
    value: TypeId,
    value_size: u32,
    /// Where the table stands in it, in bytes.
    offset: u32,
}

/// Prepares every map. A fault is that of the programs in the table.
pub(super) fn prepare(object: &mut Object, target: &Target, unloadable: &mut [Option<String>]) {
    let Object { maps, programs, btf, .. } = object;
    let Some(local) = btf.as_deref() else { return };
    for map in maps.iter_mut().filter(|m| m.map_type == MapType::StructOps) {
        let MapInit::StructOps { data, programs: table } = &map.init else { continue };
        let (data, table) = (data.clone(), table.clone());
        if let Err(why) = one(map, &data, &table, local, target, programs) {
            for &(_, program) in &table {
                if let Some(slot) = unloadable.get_mut(program) {
                    slot.get_or_insert_with(|| why.clone());
                }
            }
        }
    }
}

fn kernel_types<'a>(local: &Btf, ty: TypeId, target: &'a Target) -> Result<Kernel<'a>, String> {
    let btf = target.vmlinux.as_deref().ok_or("Error loading vmlinux BTF: -3")?;
    let name = essential(local.name(ty));
    let outer = format!("{VALUE_PREFIX}{name}");
    let missing = |name: &str| format!("struct_ops init_kern: struct {name} is not found in kernel BTF");
    let value = btf.find(&outer, Kind::Struct).ok_or_else(|| missing(&outer))?;
    let id = btf.find(name, Kind::Struct).ok_or_else(|| missing(name))?;
    let Some(data) = btf.members(value).find(|m| m.ty == id) else {
        return Err(format!("struct_ops init_kern: struct {name} data is not found in struct {outer}"));
    };
    let value_size = btf.size_of(value).filter(|&s| s <= MAX_SIZE).ok_or_else(|| missing(&outer))?;
    Ok(Kernel { btf, id, value, value_size, offset: data.bit_offset / 8 })
}

fn one(
    map: &mut Map,
    data: &[u8],
    table: &[(u32, usize)],
    local: &Btf,
    target: &Target,
    programs: &mut [Program],
) -> Result<(), String> {
    let kernel = kernel_types(local, map.value_type, target)?;
    let head = format!("struct_ops init_kern {}:", map.name);
    let head_ptr = |name: &str| format!("struct_ops init_kern {} func ptr {name}:", map.name);
    let mut filled = vec![0; kernel.value_size as usize];
    let mut entries = Vec::new();
    // Of two programs at one place the last counts, of two members of one name the first.
    let programs_at: FxHashMap<u32, usize> = table.iter().copied().collect();
    let mut members: FxHashMap<&str, usize> = FxHashMap::default();
    for (number, m) in kernel.btf.members(kernel.id).enumerate() {
        members.entry(m.name).or_insert(number);
    }
    for member in local.members(map.value_type) {
        let name = member.name;
        let Some(size) = local.size_of(member.ty) else {
            return Err(format!("{head} failed to resolve the size of member {name}"));
        };
        let start = member.bit_offset / 8;
        let bytes = data.get(start as usize..).and_then(|d| d.get(..size as usize)).unwrap_or_default();
        let program = programs_at.get(&start).copied();
        let theirs = members.get(name).and_then(|&n| Some((n, kernel.btf.member(kernel.id, n)?)));
        let Some((number, theirs)) = theirs else {
            if bytes.iter().any(|&b| b != 0) || program.is_some() {
                return Err(format!("{head} Cannot find member {name} in kernel BTF"));
            }
            continue;
        };
        if member.bitfield_size != 0 || theirs.bitfield_size != 0 {
            return Err(format!("{head} bitfield {name} is not supported"));
        }
        let (ours_ty, theirs_ty) = (local.resolve(member.ty), kernel.btf.resolve(theirs.ty));
        let (ours_kind, theirs_kind) = (local.kind(ours_ty), kernel.btf.kind(theirs_ty));
        if ours_kind != theirs_kind {
            let number = |k: Option<Kind>| k.map_or(0, |k| k as u8);
            let (a, b) = (number(ours_kind), number(theirs_kind));
            return Err(format!("{head} Unmatched member type {name} {a} != {b}(kernel)"));
        }
        let offset = kernel.offset + theirs.bit_offset / 8;
        if ours_kind == Some(Kind::Ptr) {
            let Some(index) = program else { continue };
            if !is_function_pointer(kernel.btf, &theirs) {
                return Err(format!("{head} kernel member {name} is not a func ptr"));
            }
            let Some(program) = programs.get_mut(index) else { continue };
            if program.attach_btf_id == 0 {
                (program.attach_btf_id, program.attach_type) = (kernel.id, AttachType(number as u32));
            }
            if program.attach_btf_id != kernel.id {
                return Err(format!(
                    "{} invalid reuse of prog {} in sec {} with type {}: attach_btf_id {} != kern_type_id {}",
                    head_ptr(name),
                    program.name,
                    program.section,
                    program.prog_type.0,
                    program.attach_btf_id,
                    kernel.id
                ));
            }
            if program.attach_type.0 != number as u32 {
                return Err(format!(
                    "{} invalid reuse of prog {} in sec {} with type {}: expected_attach_type {} != kern_member_idx {number}",
                    head_ptr(name),
                    program.name,
                    program.section,
                    program.prog_type.0,
                    program.attach_type.0
                ));
            }
            entries.push((offset, index));
            continue;
        }
        let their_size = kernel.btf.size_of(theirs_ty);
        if their_size != Some(size) {
            let shown = their_size.map_or(-22, i64::from);
            return Err(format!("{head} Error in size of member {name}: {size} != {shown}(kernel)"));
        }
        if let Some(target) = filled.get_mut(offset as usize..).and_then(|f| f.get_mut(..bytes.len())) {
            target.copy_from_slice(bytes);
        }
    }
    map.kernel_value_type = kernel.value;
    map.value_size = kernel.value_size;
    map.value_type = 0;
    map.init = MapInit::StructOps { data: filled, programs: entries };
    Ok(())
}

fn is_function_pointer(btf: &Btf, member: &Member<'_>) -> bool {
    match btf.get(btf.resolve(member.ty)) {
        Some(Type::Ptr(target)) => btf.kind(btf.resolve(target)) == Some(Kind::FuncProto),
        _ => false,
    }
}
