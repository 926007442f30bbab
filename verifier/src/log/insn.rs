//! Text of instructions as the kernel's log has it: `(b7) r0 = 0`.

use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{CALL, EXIT, JA, JA32, LD_IMM64, MAY_GOTO, X, alu, atomic, class, jmp, mode, pseudo, size};

fn size_str(insn: Insn) -> &'static str {
    match insn.size_bits() {
        size::W => "u32",
        size::H => "u16",
        size::B => "u8",
        _ => "u64",
    }
}

fn sx_size_str(insn: Insn) -> &'static str {
    match insn.size_bits() {
        size::W => "s32",
        size::H => "s16",
        size::B => "s8",
        _ => "(null)",
    }
}

fn alu_text(insn: Insn) -> String {
    let (dst, src, op) = (insn.dst, insn.src, insn.op());
    let alu32 = insn.class() == class::ALU;
    let r = if alu32 { 'w' } else { 'r' };
    if op == alu::END {
        let order = match (alu32, insn.is_src_reg()) {
            (false, _) => "bswap",
            (true, true) => "be",
            (true, false) => "le",
        };
        return format!("r{dst} = {order}{} r{dst}", insn.imm);
    }
    if op == alu::NEG {
        return format!("{r}{dst} = -{r}{dst}");
    }
    if insn.code == class::ALU64 | alu::MOV | X && insn.off == 1 {
        return format!("r{dst} = addr_space_cast(r{src}, {}, {})", insn.imm as u32 >> 16, insn.imm as u16);
    }
    let sign = if matches!(op, alu::DIV | alu::MOD) && insn.off == 1 { "s" } else { "" };
    let op_text = alu_str(op);
    if !insn.is_src_reg() {
        return format!("{r}{dst} {sign}{op_text} {}", insn.imm);
    }
    let cast = match (op, insn.off) {
        (alu::MOV, 8) => "(s8)",
        (alu::MOV, 16) => "(s16)",
        (alu::MOV, 32) => "(s32)",
        _ => "",
    };
    format!("{r}{dst} {sign}{op_text} {cast}{r}{src}")
}

fn atomic_text(insn: Insn) -> Option<String> {
    let (dst, src, off, sz) = (insn.dst, insn.src, insn.off, size_str(insn));
    let wide = if insn.size_bits() == size::DW { "64" } else { "" };
    let (op, fetch) = (insn.imm & !atomic::FETCH, insn.imm & atomic::FETCH != 0);
    let name = match op {
        atomic::ADD => Some(("+=", "add")),
        atomic::AND => Some(("&=", "and")),
        atomic::OR => Some(("|=", "or")),
        atomic::XOR => Some(("^=", "xor")),
        _ => None,
    };
    Some(match (insn.imm, name) {
        (atomic::CMPXCHG, _) => format!("r0 = atomic{wide}_cmpxchg(({sz} *)(r{dst} {off:+}), r0, r{src})"),
        (atomic::XCHG, _) => format!("r{src} = atomic{wide}_xchg(({sz} *)(r{dst} {off:+}), r{src})"),
        (atomic::LOAD_ACQ, _) => format!("r{dst} = load_acquire(({sz} *)(r{src} {off:+}))"),
        (atomic::STORE_REL, _) => format!("store_release(({sz} *)(r{dst} {off:+}), r{src})"),
        (_, Some((sign, _))) if !fetch => format!("lock *({sz} *)(r{dst} {off:+}) {sign} r{src}"),
        (_, Some((_, name))) => format!("r{src} = atomic{wide}_fetch_{name}(({sz} *)(r{dst} {off:+}), r{src})"),
        _ => return None,
    })
}

fn jump_text(insn: Insn, callee: &dyn Fn(Insn) -> Option<String>) -> String {
    let (dst, src, off, imm) = (insn.dst, insn.src, insn.off, insn.imm);
    match insn.code {
        c if c & 0xf0 == CALL & 0xf0 => {
            if src == pseudo::CALL {
                return format!("call pc{}", callee(insn).unwrap_or_else(|| format!("{imm:+}")));
            }
            let unnamed = if src == pseudo::KFUNC_CALL { "kernel-function" } else { "unknown" };
            return format!("call {}#{imm}", callee(insn).unwrap_or_else(|| unnamed.into()));
        }
        JA => return format!("goto pc{off:+}"),
        JA32 => return format!("gotol pc{imm:+}"),
        MAY_GOTO if src == pseudo::MAY_GOTO => return format!("may_goto pc{off:+}"),
        EXIT => return "exit".into(),
        _ => (),
    }
    let r = if insn.class() == class::JMP32 { 'w' } else { 'r' };
    let op = jmp_str(insn.op());
    if insn.is_src_reg() {
        format!("if {r}{dst} {op} {r}{src} goto pc{off:+}")
    } else {
        format!("if {r}{dst} {op} {imm:#x} goto pc{off:+}")
    }
}

/// Text of one instruction without a line end. `second` is the slot after it, for 64-bit immediates; `callee` names
/// the helper, kernel function or (with its sign) distance that a call goes to.
pub fn insn_text(insn: Insn, second: Option<Insn>, callee: &dyn Fn(Insn) -> Option<String>) -> String {
    let code = insn.code;
    match plain_text(insn, second, callee) {
        Ok(text) => format!("({code:02x}) {text}"),
        Err(kind) => format!("BUG_{kind}{code:02x}"),
    }
}

/// The same without the opcode in front.
pub fn plain_insn_text(insn: Insn, second: Option<Insn>, callee: &dyn Fn(Insn) -> Option<String>) -> String {
    plain_text(insn, second, callee).unwrap_or_else(|kind| format!("BUG_{kind}{:02x}", insn.code))
}

/// An instruction's text; what kind of nonsense it is where it is none.
fn plain_text(
    insn: Insn,
    second: Option<Insn>,
    callee: &dyn Fn(Insn) -> Option<String>,
) -> Result<String, &'static str> {
    let (dst, src, off, code) = (insn.dst, insn.src, insn.off, insn.code);
    Ok(match insn.class() {
        class::ALU | class::ALU64 => alu_text(insn),
        class::JMP | class::JMP32 => jump_text(insn, callee),
        class::STX if insn.mode() == mode::MEM => format!("*({} *)(r{dst} {off:+}) = r{src}", size_str(insn)),
        class::STX => match (insn.mode() == mode::ATOMIC).then(|| atomic_text(insn)).flatten() {
            Some(text) => text,
            None => return Err(""),
        },
        class::ST if insn.mode() == mode::MEM => {
            format!("*({} *)(r{dst} {off:+}) = {}", size_str(insn), insn.imm)
        }
        class::ST => return Err("st_"),
        class::LDX => match insn.mode() {
            mode::MEM => format!("r{dst} = *({} *)(r{src} {off:+})", size_str(insn)),
            mode::MEMSX => format!("r{dst} = *({} *)(r{src} {off:+})", sx_size_str(insn)),
            _ => return Err("ldx_"),
        },
        _ => match (code, insn.mode()) {
            (_, mode::ABS) => format!("r0 = *({} *)skb[{}]", size_str(insn), insn.imm),
            (_, mode::IND) => format!("r0 = *({} *)skb[r{src} + {}]", size_str(insn), insn.imm),
            (LD_IMM64, _) => format!("r{dst} = {:#x}", insn.imm64(second.unwrap_or_default())),
            _ => return Err("ld_"),
        },
    })
}

/// The operator in messages about pointers and in instruction text.
pub fn alu_str(op: u8) -> &'static str {
    match op {
        alu::ADD => "+=",
        alu::SUB => "-=",
        alu::MUL => "*=",
        alu::DIV => "/=",
        alu::OR => "|=",
        alu::AND => "&=",
        alu::LSH => "<<=",
        alu::RSH => ">>=",
        alu::NEG => "neg",
        alu::MOD => "%=",
        alu::XOR => "^=",
        alu::MOV => "=",
        alu::ARSH => "s>>=",
        alu::END => "endian",
        _ => "(null)",
    }
}

/// The operator in instruction text.
pub fn jmp_str(op: u8) -> &'static str {
    match op {
        jmp::JA => "jmp",
        jmp::JEQ => "==",
        jmp::JGT => ">",
        jmp::JLT => "<",
        jmp::JGE => ">=",
        jmp::JLE => "<=",
        jmp::JSET => "&",
        jmp::JNE => "!=",
        jmp::JSGT => "s>",
        jmp::JSLT => "s<",
        jmp::JSGE => "s>=",
        jmp::JSLE => "s<=",
        jmp::CALL => "call",
        jmp::EXIT => "exit",
        _ => "(null)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> String {
        insn_text(Insn::new(code, dst, src, off, imm), None, &|_| None)
    }

    #[test]
    fn instruction_text_is_that_of_the_log() {
        assert_eq!(text(0xb7, 0, 0, 0, 0), "(b7) r0 = 0");
        assert_eq!(text(0xbc, 1, 2, 8, 0), "(bc) w1 = (s8)w2");
        assert_eq!(text(0x61, 2, 1, 76, 0), "(61) r2 = *(u32 *)(r1 +76)");
        assert_eq!(text(0x7b, 10, 1, -8, 0), "(7b) *(u64 *)(r10 -8) = r1");
        assert_eq!(text(0x2d, 1, 3, 5, 0), "(2d) if r1 > r3 goto pc+5");
        assert_eq!(text(0x16, 1, 0, -2, -1), "(16) if w1 == 0xffffffff goto pc-2");
        assert_eq!(text(0xdb, 1, 2, 0, 1), "(db) r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)");
        assert_eq!(text(0xc3, 1, 2, 4, 0), "(c3) lock *(u32 *)(r1 +4) += r2");
        assert_eq!(text(0xd7, 3, 0, 0, 16), "(d7) r3 = bswap16 r3");
        assert_eq!(text(0x95, 0, 0, 0, 0), "(95) exit");
        assert_eq!(text(0x3f, 0, 1, 1, 0), "(3f) r0 s/= r1");
    }
}
