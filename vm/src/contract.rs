//! What verified code takes for granted: made from the verification when a program is loaded, and kept by every run.
//!
//! A program without checks is only as safe as what surrounds it. The parts, and where each is kept:
//!
//! - **maps** with their sizes, special fields and inner templates, and the contents of frozen ones: compared here, once;
//!   [`Maps::set`](crate::maps::Maps::set) keeps inner maps like their template;
//! - **pointers in maps** were put there by programs that were verified with the same types (`maps::users`);
//! - **programs** that tail calls reach are of one type: [`Slots::set_program`](crate::maps::Slots::set_program);
//! - **bytes of the context**: [`CtxMemory`](crate::CtxMemory) holds as many as any program of the type can reach;
//! - **pointers in the context** lead to the packet or to memory that the run has laid out ([`crate::objects`]); nobody
//!   else can set them;
//! - **types and kernel functions** are those of the verification: the loader takes them from there.
//!
//! What a run cannot give, such as the kernel's own structs behind arguments, makes the program run with checks.

use crate::maps::{Kind, Map};
use ebpfkit_abi::{ProgType, TypeFlags};
use ebpfkit_verifier::{AssumedMap, RegBase, RegType, Verified};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a program that was verified cannot be loaded: what it is given is not what was verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("map {name}: {what} differs from the map that the program was verified with")]
pub struct Broken {
    /// Name of the map, in the verified object.
    pub name: String,
    /// What differs.
    pub what: &'static str,
}

/// What a verified program takes for granted.
#[derive(Clone, Debug)]
pub struct Contract {
    ctx_bytes: usize,
    /// Pointers in the context that lead to structs of the kernel, or to a buffer: offset, and bytes behind the pointer.
    arguments: Vec<(usize, usize)>,
    sandboxed: Option<&'static str>,
}

impl Contract {
    /// The contract of a program; an error when the maps are not those that it was verified with.
    pub(crate) fn of(verified: &Verified, maps: &[Option<Arc<Map>>]) -> Result<Self, Broken> {
        let taken = verified.assumptions();
        for assumed in &taken.maps {
            // A map that is missing is said of the instruction that names it.
            if let Some(Some(map)) = maps.get(assumed.number) {
                compare(assumed, map)?;
            }
        }
        let size = |id| taken.kernel_types.as_ref().and_then(|t| t.size_of(id)).unwrap_or(8);
        // One argument may be seen as several structs, one of which begins with another.
        let mut arguments = BTreeMap::new();
        for &(at, id) in &taken.arguments {
            let bytes = if id == 0 { taken.buffer_bytes } else { size(id) };
            let most = arguments.entry(at as usize).or_insert(0);
            *most = (bytes as usize).max(*most);
        }
        Ok(Self {
            ctx_bytes: taken.ctx_bytes as usize,
            arguments: arguments.into_iter().collect(),
            sandboxed: sandboxed(verified),
        })
    }

    /// Bytes of the context that the program accesses, from its start.
    pub fn ctx_bytes(&self) -> usize {
        self.ctx_bytes
    }

    /// Why the program runs with checks although it was verified; `None` when it can do without.
    pub fn sandboxed(&self) -> Option<&'static str> {
        self.sandboxed
    }

    /// Pointers of the context that lead to memory of the kernel's: offset, and bytes behind the pointer.
    pub(crate) fn arguments(&self) -> &[(usize, usize)] {
        &self.arguments
    }
}

/// Why a program cannot run without checks: its pointers may lead where no run has memory.
fn sandboxed(verified: &Verified) -> Option<&'static str> {
    use ProgType as P;
    if !verified.assumptions().sound {
        return Some("it was verified with the kernel's own errors");
    }
    match verified.program().prog_type {
        P::Tracing | P::Lsm | P::StructOps | P::Ext => return Some("its arguments are pointers into the kernel"),
        P::Netfilter => return Some("its context holds pointers into the kernel"),
        P::RawTracepointWritable => return Some("its context holds a buffer of the kernel"),
        _ => {}
    }
    verified.facts().pointers.iter().flatten().find_map(|ty| match ty.base {
        RegBase::Mem if ty.has(TypeFlags::UNTRUSTED) => Some("it reads memory at any address"),
        RegBase::TpBuffer | RegBase::Buf => Some("it uses a buffer of the kernel"),
        _ => None,
    })
}

/// Whether a load through such a pointer may go where no memory is, so that it gives zero there.
pub(crate) fn is_probed(ty: RegType) -> bool {
    match ty.base {
        // What a program has allocated itself lives as long as the verifier lets it be used.
        RegBase::BtfId => !ty.has(TypeFlags::ALLOC) || ty.has(TypeFlags::UNTRUSTED),
        RegBase::Mem => ty.has(TypeFlags::UNTRUSTED),
        RegBase::Arena => true,
        _ => false,
    }
}

/// Whether a map is the one that was assumed.
fn compare(assumed: &AssumedMap, map: &Map) -> Result<(), Broken> {
    let (def, info) = (&assumed.def, map.info());
    let broken = |what| Err(Broken { name: def.name.clone(), what });
    let numbers = [
        ("its key size", def.key_size, info.key_size),
        ("its value size", def.value_size, info.value_size),
        ("the number of its entries", def.max_entries, info.max_entries),
        ("its flags", def.flags, info.flags),
    ];
    if def.map_type != info.map_type {
        return broken("its type");
    }
    if let Some((what, ..)) = numbers.into_iter().find(|(_, assumed, actual)| assumed != actual) {
        return broken(what);
    }
    if assumed.fields != *map.fields() {
        return broken("what its values hold");
    }
    if let (Some(inner), Kind::Maps(outer)) = (&def.inner, map.kind())
        && !outer.has_template(inner, &assumed.inner_fields)
    {
        return broken("its template of inner maps");
    }
    if let ebpfkit_object::MapInit::Data(data) = &def.init {
        let mut value = vec![0; map.user_value_size()];
        let same = map.is_frozen()
            && map.user_lookup(&0u32.to_ne_bytes(), &mut value, 0).is_ok()
            && value.get(..data.len()) == Some(&data[..]);
        if !same {
            return broken("its constant contents");
        }
    }
    Ok(())
}
