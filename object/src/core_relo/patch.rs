//! Writing a relocation's outcome into its instruction.

use super::resolve::Outcome;
use crate::model::CoreRelocation;
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, class, size};

/// Number of the helper that poisoned instructions call; no kernel has it.
pub(crate) const POISON: i32 = 195_896_080;

/// Turns slots into calls that the verifier rejects where they can be reached.
pub(crate) fn poison(insns: &mut [Insn], imm: i32) {
    insns.fill(Insn::new(opcode::CALL, 0, 0, 0, imm));
}

fn size_of(bytes: u32) -> Option<u8> {
    match bytes {
        8 => Some(size::DW),
        4 => Some(size::W),
        2 => Some(size::H),
        1 => Some(size::B),
        _ => None,
    }
}

/// Changes the instruction at `at`. True when it was poisoned; libbpf's complaint when it refuses.
pub(crate) fn patch(
    insns: &mut [Insn],
    at: usize,
    relocation: &CoreRelocation,
    outcome: &Outcome,
) -> Result<bool, String> {
    let Some(&insn) = insns.get(at) else { return Err("CO-RE relocation of no instruction".into()) };
    let (number, here) = (relocation.number, relocation.insn);
    let fail = |why: String| Err(format!("prog '{}': relo #{number}: {why}", relocation.function));
    let wide = insn.is_ld_imm64();
    let Some(slots) = insns.get_mut(at..at + if wide { 2 } else { 1 }) else {
        return fail(format!("insn #{here} (LDIMM64) is truncated"));
    };
    let known = match insn.class() {
        class::ALU | class::ALU64 => !insn.is_src_reg(),
        class::LDX | class::ST | class::STX => true,
        class::LD => {
            if !wide || insn.src != 0 || insn.off != 0 || slots[1] != (Insn { imm: slots[1].imm, ..Insn::default() }) {
                return fail(format!("insn #{here} (LDIMM64) has unexpected form"));
            }
            true
        }
        _ => false,
    };
    if !known {
        return fail(format!(
            "trying to relocate unrecognized insn #{here}, code:{:#x}, src:{:#x}, dst:{:#x}, off:{:#x}, imm:{:#x}",
            insn.code, insn.src, insn.dst, insn.off, insn.imm
        ));
    }
    let Outcome::Replace { old, new, sizes, bad_size } = *outcome else {
        poison(slots, POISON);
        return Ok(true);
    };
    match insn.class() {
        class::ALU | class::ALU64 => {
            // The compiler's immediate is signed, libbpf's value is not.
            if old.is_some_and(|old| i64::from(insn.imm) as u64 != old) {
                return fail(unexpected("ALU/ALU64", here, u64::from(insn.imm as u32), old, new));
            }
            slots[0].imm = new as i32;
        }
        class::LD => {
            let value = insn.imm64(slots[1]);
            if old.is_some_and(|old| value != old) {
                return fail(unexpected("LDIMM64", here, value, old, new));
            }
            (slots[0].imm, slots[1].imm) = (new as i32, (new >> 32) as i32);
        }
        _ => {
            if old.is_some_and(|old| i64::from(insn.off) as u64 != old) {
                return fail(unexpected("LDX/ST/STX", here, i64::from(insn.off) as u32 as u64, old, new));
            }
            let Ok(off) = i16::try_from(new) else {
                return fail(format!("insn #{here} (LDX/ST/STX) value too big: {new}"));
            };
            if bad_size {
                poison(slots, POISON);
                return Ok(true);
            }
            slots[0].off = off;
            if sizes.0 != sizes.1 {
                let bytes = insn.access_size();
                if bytes != sizes.0 {
                    let expected = sizes.0;
                    return fail(format!("insn #{here} (LDX/ST/STX) unexpected mem size: got {bytes}, exp {expected}"));
                }
                let Some(size) = size_of(sizes.1) else {
                    return fail(format!("insn #{here} (LDX/ST/STX) invalid new mem size: {}", sizes.1));
                };
                slots[0].code = insn.mode() | size | insn.class();
            }
        }
    }
    Ok(false)
}

fn unexpected(class: &str, insn: usize, found: u64, old: Option<u64>, new: u64) -> String {
    let old = old.unwrap_or_default();
    format!("unexpected insn #{insn} ({class}) value: got {found}, exp {old} -> {new}")
}
