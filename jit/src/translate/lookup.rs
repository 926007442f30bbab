//! Helpers that native code does itself: lookups in maps that are known when a program is compiled, the CPU's number.

use super::{Translator, trusted};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, InstructionData, MemFlagsData, Opcode, Value};
use ebpfkit_vm::maps::{self, ArrayLayout, Lookup};
use ebpfkit_vm::native::offset;
use ebpfkit_vm::{HelperFn, helpers};

/// Number of `bpf_map_lookup_elem`.
const MAP_LOOKUP: u32 = 1;
/// Number of `bpf_get_smp_processor_id`.
const PROCESSOR_ID: u32 = 8;

/// Whether a call with a number goes to the helper of that number, and not to one that was registered in its place.
fn is(wanted: u32, id: Option<u32>, function: HelperFn) -> bool {
    id == Some(wanted) && helpers::find(wanted).is_some_and(|f| std::ptr::fn_addr_eq(f, function))
}

impl Translator<'_, '_> {
    /// A lookup without checks in a map that is known here: the address of the value, or null. It cannot fail and leaves
    /// nothing to reset. `None` for any other call.
    pub(super) fn short_lookup(&mut self, id: Option<u32>, function: HelperFn) -> Option<Value> {
        if !is(MAP_LOOKUP, id, function) {
            return None;
        }
        let map = self.get(1);
        let map = self.constant(map)?;
        let map = self.env.program.maps().iter().find(|m| maps::address(m) == map)?;
        match map.short_lookup()? {
            Lookup::Array(array) => Some(self.element(&array)),
            Lookup::Hash(find, map) => {
                let (map, key) = (self.number(map as i64), self.get(2));
                Some(self.runtime(find as *const () as usize, &[map, key]))
            }
        }
    }

    /// The number of the CPU, for a call that asks for it.
    pub(super) fn cpu(&mut self, id: Option<u32>, function: HelperFn) -> Option<Value> {
        let asked = is(PROCESSOR_ID, id, function);
        asked.then(|| self.b.ins().uload32(trusted(), self.run, offset::CPU as i32))
    }

    /// The address of an element of an array.
    fn element(&mut self, array: &ArrayLayout) -> Value {
        let key = self.get(2);
        let key = self.b.ins().load(I32, MemFlagsData::new().with_notrap(), key, 0);
        let index = self.b.ins().uextend(I64, key);
        let offset = self.b.ins().imul_imm_s(index, array.stride as i64);
        let mut address = self.b.ins().iadd_imm_s(offset, array.base as i64);
        let mut is_there = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, index, i64::from(array.max_entries));
        if array.cpus != 0 {
            let cpu = self.b.ins().uload32(trusted(), self.run, offset::CPU as i32);
            let part = self.b.ins().imul_imm_s(cpu, array.cpu_stride as i64);
            address = self.b.ins().iadd(address, part);
            let is_one = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, cpu, i64::from(array.cpus));
            is_there = self.b.ins().band(is_there, is_one);
        }
        let null = self.number(0);
        self.b.ins().select(is_there, address, null)
    }

    /// The number that a value is, when that is known here.
    fn constant(&self, value: Value) -> Option<u64> {
        let dfg = &self.b.func.dfg;
        match dfg.insts[dfg.value_def(dfg.resolve_aliases(value)).inst()?] {
            InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => Some(imm.bits() as u64),
            _ => None,
        }
    }
}
