//! Programs that set the argument registers of a call to values of every kind.

use crate::against_kernel::insn;
use ebpfkit_abi::ProgType as P;
use ebpfkit_abi::helpers::id;
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, pseudo};

/// What an argument is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Unset,
    /// A number.
    Number(i32),
    /// A number of which nothing is known.
    Unknown,
    /// A number from 0 to 15.
    Bounded,
    /// The program's context.
    Context,
    /// An address in the frame, by its offset.
    Frame(i32),
    /// A map, by its number.
    Map(usize),
    /// The value of a map's only element, by the map's number.
    MapValue(usize),
    /// An element of the first map.
    Element,
    /// What a lookup in the first map gave.
    ElementOrNull,
    /// The start of the packet, which has 32 bytes at least; an unknown number where there is no packet.
    Packet,
    /// The end of the packet; a bounded number where there is no packet.
    End,
    /// The current task.
    Task,
    /// The iterator at [`ITERATOR`], which the caller of [`prepare`] has made.
    Iterator,
}

/// Where the frame keeps an iterator over numbers.
pub const ITERATOR: i32 = -16;

/// Loads the address of a map, or of its first value.
pub fn load_map(dst: u8, map: usize, value: bool) -> [Insn; 2] {
    let src = if value { pseudo::MAP_VALUE } else { pseudo::MAP_FD };
    [insn(0x18, dst, src, 0, map as i32), insn(0, 0, 0, 0, 0)]
}

/// The offsets of the start and end of the packet in a context, and the load that reads them, where there are any.
fn packet_fields(kind: P) -> Option<(i16, i16, u8)> {
    match kind {
        P::Xdp => Some((0, 4, 0x61)),
        P::SchedCls | P::SchedAct | P::CgroupSkb | P::LwtXmit | P::LwtIn | P::SkSkb => Some((76, 80, 0x61)),
        P::SkMsg => Some((0, 8, 0x79)),
        _ => None,
    }
}

/// The start of a program of a kind: keeps in r6 to r9 what `args` need, and fills the frame with zeros.
pub fn prepare(kind: P, args: &[Value]) -> Vec<Insn> {
    let mut code = vec![insn(0xbf, 6, 1, 0, 0)];
    let wants = |v| args.contains(&v);
    for slot in 1..=16i16 {
        code.push(insn(0x7a, 10, 0, -8 * slot, 0));
    }
    if wants(Value::Element) || wants(Value::ElementOrNull) {
        // A variable key, so that the lookup may fail.
        code.extend([helper(id::GET_PRANDOM_U32), insn(0x63, 10, 0, -8, 0), insn(0xbf, 2, 10, 0, 0)]);
        code.push(insn(0x07, 2, 0, 0, -8));
        code.extend(load_map(1, 0, false));
        code.extend([helper(id::MAP_LOOKUP_ELEM), insn(0xbf, 9, 0, 0, 0)]);
        if wants(Value::Element) {
            code.extend([insn(0x55, 9, 0, 2, 0), insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)]);
        }
    }
    if let Some((data, end, load)) = packet_fields(kind)
        && (wants(Value::Packet) || wants(Value::End))
    {
        code.extend([insn(load, 7, 6, data, 0), insn(load, 8, 6, end, 0), insn(0xbf, 0, 7, 0, 0)]);
        code.extend([insn(0x07, 0, 0, 0, 32), insn(0xbd, 0, 8, 2, 0)]);
        code.extend([insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)]);
    } else if wants(Value::Unknown) || wants(Value::Bounded) {
        code.extend([helper(id::GET_PRANDOM_U32), insn(0xbf, 7, 0, 0, 0), insn(0xbf, 8, 0, 0, 0)]);
        code.push(insn(0x57, 8, 0, 0, 15));
    }
    if wants(Value::Task) {
        code.extend([helper(id::GET_CURRENT_TASK_BTF), insn(0xbf, 9, 0, 0, 0)]);
    }
    code
}

/// Forgets r1 to r5 and sets those that `args` speak of.
pub fn set(code: &mut Vec<Insn>, args: &[Value]) {
    code.push(helper(id::GET_PRANDOM_U32));
    for (i, value) in args.iter().enumerate() {
        let dst = i as u8 + 1;
        let frame = |off| [insn(0xbf, dst, 10, 0, 0), insn(0x07, dst, 0, 0, off)];
        match *value {
            Value::Unset => {}
            Value::Number(n) => code.push(insn(0xb7, dst, 0, 0, n)),
            Value::Unknown | Value::Packet => code.push(insn(0xbf, dst, 7, 0, 0)),
            Value::Bounded | Value::End => code.push(insn(0xbf, dst, 8, 0, 0)),
            Value::Context => code.push(insn(0xbf, dst, 6, 0, 0)),
            Value::Frame(off) => code.extend(frame(off)),
            Value::Iterator => code.extend(frame(ITERATOR)),
            Value::Map(map) => code.extend(load_map(dst, map, false)),
            Value::MapValue(map) => code.extend(load_map(dst, map, true)),
            Value::Element | Value::ElementOrNull | Value::Task => code.push(insn(0xbf, dst, 9, 0, 0)),
        }
    }
}

/// Values that every argument is tried with, whatever is called.
pub const TRIED: &[Value] = &[
    Value::Unset,
    Value::Number(0),
    Value::Number(8),
    Value::Number(-1),
    Value::Unknown,
    Value::Bounded,
    Value::Context,
    Value::Frame(-64),
    Value::Frame(-4),
    Value::Frame(8),
    Value::Map(0),
    Value::Element,
    Value::ElementOrNull,
    Value::Task,
];

/// The call of a helper.
fn helper(id: u32) -> Insn {
    insn(opcode::CALL, 0, 0, 0, id as i32)
}

/// The lists that come from putting each of [`TRIED`] and of `more` in the place of each argument.
pub fn varied(base: &[Value], more: &[Value]) -> Vec<Vec<Value>> {
    let one = |at: usize, value: Value| {
        let mut list = base.to_vec();
        list[at] = value;
        list
    };
    (0..base.len()).flat_map(|at| TRIED.iter().chain(more).map(move |&value| one(at, value))).collect()
}
