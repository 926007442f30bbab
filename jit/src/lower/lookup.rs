//! Helpers that native code does itself: lookups in maps that are known when a program is compiled, the CPU's number.

use super::{Translator, trusted};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{BlockArg, InstBuilder, InstructionData, MemFlagsData, Opcode, Value};
use ebpfkit_abi::helpers::id;
use ebpfkit_vm::maps::{self, ArrayLayout, Lookup};
use ebpfkit_vm::native::offset;
use ebpfkit_vm::{HelperFn, helpers};

/// Whether a call with a number goes to the helper of that number, and not to one that was registered in its place.
fn is(number: u32, id: Option<u32>, function: HelperFn) -> bool {
    id == Some(number) && helpers::find(number).is_some_and(|f| std::ptr::fn_addr_eq(f, function))
}

impl Translator<'_, '_> {
    /// A lookup without checks in a map that is known here: the address of the value, or null. It cannot fail and leaves
    /// nothing to reset. `None` for any other call.
    pub(crate) fn short_lookup(&mut self, id: Option<u32>, function: HelperFn) -> Option<Value> {
        let map = self.looked_up(id, function)?;
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
    pub(crate) fn cpu(&mut self, id: Option<u32>, function: HelperFn) -> Option<Value> {
        let asked = is(id::GET_SMP_PROCESSOR_ID, id, function);
        asked.then(|| self.b.ins().uload32(trusted(), self.run, offset::CPU))
    }

    /// The address of the map that a lookup goes to, if the call is a lookup and the map is known here.
    fn looked_up(&mut self, id: Option<u32>, function: HelperFn) -> Option<u64> {
        if !is(id::MAP_LOOKUP_ELEM, id, function) {
            return None;
        }
        let map = self.get(1);
        self.constant(map)
    }

    /// A lookup with checks in an array that is known here, with a key in the frame: it cannot fail. The element
    /// gets the run's generation, and is what the program will most likely use next. `None` for any other call.
    pub(crate) fn checked_lookup(&mut self, id: Option<u32>, function: HelperFn) -> Option<Value> {
        let map = self.looked_up(id, function)?;
        let array = *self.env.program.array_generations().iter().find(|a| a.map == map)?;
        let address = self.block.known.frame_address(2).filter(|p| p.index.is_none())?;
        self.inside_frame(address, 0, 4)?;
        let index = self.index_at_key();
        let address = self.number(array.layout.base as i64);
        let generation = self.b.ins().load(I64, trusted(), self.run, offset::GENERATIONS);
        let generation = self.b.ins().iadd_imm_s(generation, array.first as i64 * 4);
        let (address, generation, is_there) = self.element_of(&array.layout, index, (address, generation));
        let (there, done) = (self.new_block(), self.new_block());
        self.b.append_block_param(done, I64);
        let null = self.number(0);
        self.b.ins().brif(is_there, there, &[], done, &[BlockArg::Value(null)]);
        self.begin(there);
        let this_run = self.b.ins().load(I32, trusted(), self.run, offset::GENERATION);
        self.b.ins().store(MemFlagsData::new().with_notrap(), this_run, generation, 0);
        let size = self.number(array.size as i64);
        self.b.ins().store(trusted(), address, self.run, offset::RECENT_BASE);
        self.b.ins().store(trusted(), size, self.run, offset::RECENT_LEN);
        self.b.ins().jump(done, &[BlockArg::Value(address)]);
        self.begin(done);
        Some(self.b.block_params(done)[0])
    }

    /// The number at the address in `r2`, which is there.
    fn index_at_key(&mut self) -> Value {
        let key = self.get(2);
        let key = self.b.ins().load(I32, MemFlagsData::new().with_notrap(), key, 0);
        self.b.ins().uextend(I64, key)
    }

    /// From the first value of an array, and its generation mark, to those of an element; and whether there is such an
    /// element.
    fn element_of(
        &mut self,
        array: &ArrayLayout,
        index: Value,
        (value, generation): (Value, Value),
    ) -> (Value, Value, Value) {
        let offset = self.b.ins().imul_imm_s(index, array.stride as i64);
        let mut value = self.b.ins().iadd(value, offset);
        let mut number = index;
        let mut is_there = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, index, i64::from(array.max_entries));
        if array.cpus != 0 {
            let cpu = self.b.ins().uload32(trusted(), self.run, offset::CPU);
            let part = self.b.ins().imul_imm_s(cpu, array.cpu_stride as i64);
            value = self.b.ins().iadd(value, part);
            let part = self.b.ins().imul_imm_s(cpu, i64::from(array.max_entries));
            number = self.b.ins().iadd(number, part);
            let is_one = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, cpu, i64::from(array.cpus));
            is_there = self.b.ins().band(is_there, is_one);
        }
        let offset = self.b.ins().imul_imm_s(number, 4);
        (value, self.b.ins().iadd(generation, offset), is_there)
    }

    /// The address of an element of an array, or null.
    fn element(&mut self, array: &ArrayLayout) -> Value {
        let index = self.index_at_key();
        let (first, null) = (self.number(array.base as i64), self.number(0));
        let (address, _, is_there) = self.element_of(array, index, (first, null));
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
