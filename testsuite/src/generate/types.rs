//! The types that generated programs come with, where they need some: functions by role, and a value with a lock.

use super::maps::{LOCK, LOCKED_SIZE};
use super::role::Role;
use ebpfkit_isa::Endian;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{IntEncoding, Kind, TypeId};
use ebpfkit_object::write::{BtfBuilder, NewMember};
use std::sync::{Arc, OnceLock};

/// All that programs use.
#[derive(Debug)]
pub(super) struct Types {
    pub(super) btf: Arc<Btf>,
    /// Of keys.
    pub(super) key: TypeId,
    /// Of values with a lock.
    pub(super) locked: TypeId,
    /// The same by other names; the last one hides its lock in a union.
    pub(super) locked_otherwise: [TypeId; 6],
    main: TypeId,
    local: TypeId,
    global: TypeId,
    iteration: TypeId,
    element: TypeId,
    panic: TypeId,
}

impl Types {
    /// Made once.
    pub(super) fn get() -> &'static Self {
        static TYPES: OnceLock<Types> = OnceLock::new();
        TYPES.get_or_init(Self::make)
    }

    fn make() -> Self {
        let mut b = BtfBuilder::new(Endian::Little);
        let encoding = |signed, bits| IntEncoding { signed, char: false, bool: false, bit_offset: 0, bits };
        let int = b.int("int", 4, encoding(true, 32));
        let long = b.int("long", 8, encoding(true, 64));
        let unsigned = b.int("unsigned int", 4, encoding(false, 32));
        let void = b.ptr(0);
        let member = |name: &str, ty, byte: u32| NewMember { name: name.into(), ty, bit_offset: 8 * byte };
        let lock = b.composite(false, "bpf_spin_lock", 4, &[member("val", unsigned, 0)]);
        let before = b.array(long, unsigned, 2);
        let after = b.array(long, unsigned, 3);
        let members =
            [member("before", before, 0), member("lock", lock, LOCK as u32), member("after", after, LOCK as u32 + 8)];
        let locked = b.composite(false, "locked", LOCKED_SIZE, &members);
        let typedef = b.reference(Kind::Typedef, "locked_t", locked);
        let constant = b.reference(Kind::Const, "", typedef);
        let volatile = b.reference(Kind::Volatile, "", locked);
        let nested = b.composite(false, "nested", LOCKED_SIZE, &[member("it", locked, 0)]);
        let nested = b.reference(Kind::Typedef, "nested_t", nested);
        let either = b.composite(true, "either", LOCKED_SIZE, &[member("it", locked, 0)]);
        let hidden = b.composite(false, "hidden", LOCKED_SIZE, &[member("in", either, 0)]);
        let locked_otherwise = [typedef, constant, volatile, nested, constant, hidden];
        let mut function = |name: &str, ret, params: &[(&str, TypeId)], linkage| {
            let params: Vec<(String, TypeId)> = params.iter().map(|&(n, t)| (n.to_owned(), t)).collect();
            let proto = b.func_proto(ret, &params);
            b.func(name, proto, linkage)
        };
        let numbers = [("a", long), ("b", long), ("c", long)];
        let main = function("generated", int, &[("ctx", void)], 1);
        let local = function("local", long, &numbers, 0);
        let global = function("global", long, &numbers, 1);
        let panic = function("panic", long, &numbers, 0);
        let iteration = function("round", long, &[("index", long), ("ctx", void)], 0);
        let element = function("element", long, &[("map", void), ("key", void), ("value", void), ("ctx", void)], 0);
        let btf = Arc::new(Btf::parse(b.finish()).expect("types that were just made"));
        debug_assert_eq!(btf.kind(locked), Some(Kind::Struct));
        Self { btf, key: unsigned, locked, locked_otherwise, panic, main, local, global, iteration, element }
    }

    /// The type of a function.
    pub(super) fn of(&self, role: Role) -> TypeId {
        match role {
            Role::Main => self.main,
            Role::Static => self.local,
            Role::Global => self.global,
            Role::Panic => self.panic,
            Role::Iteration { .. } => self.iteration,
            Role::Element { .. } => self.element,
        }
    }
}
