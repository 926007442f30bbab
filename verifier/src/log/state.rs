//! Text of registers and states as the kernel's log has it: `R0=scalar(smin=0,smax=255) R10=fp0 fp-8=mmmmmmmm`.

use crate::Env;
use crate::domain::reg_type_str;
use crate::domain::{BtfRef, DynptrKind, IterState, RegBase, RegExtra, RegState, RegType};
use crate::state::VerifierState;
use crate::state::{SLOT_SIZE, SlotKind};
use ebpfkit_abi::TypeFlags;
use ebpfkit_object::btf::TypeId;
use std::fmt::Write;

/// Which registers and slots of a frame to print.
#[derive(Clone, Copy, Debug)]
pub enum Scratched {
    /// All of them.
    All,
    /// Those that the last instruction touched: bit n for rn, bit n for slot n.
    Some {
        /// Registers.
        regs: u32,
        /// Stack slots.
        slots: u64,
    },
}

impl Scratched {
    fn reg(self, i: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some { regs, .. } => regs >> i & 1 != 0,
        }
    }

    fn slot(self, i: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some { slots, .. } => i < 64 && slots >> i & 1 != 0,
        }
    }
}

/// Small numbers are decimal.
fn unum(v: u64) -> String {
    if v <= u64::from(u16::MAX) { v.to_string() } else { format!("{v:#x}") }
}

fn is_small(v: i64) -> bool {
    (i64::from(i16::MIN)..=i64::from(i16::MAX)).contains(&v)
}

fn snum(v: i64) -> String {
    if is_small(v) { v.to_string() } else { format!("{v:#x}") }
}

/// A 32-bit signed bound as printed: sign-extended where it is decimal, so that it can match its 64-bit fellow.
fn widened(v: i32) -> u64 {
    if is_small(v.into()) { i64::from(v) as u64 } else { u64::from(v as u32) }
}

/// All bounds that say something, equal ones together: `smin=smin32=0,smax=umax=255`.
fn ranges(reg: &RegState, items: &mut Vec<String>) {
    let all = [
        ("smin", reg.smin as u64, reg.smin == i64::MIN),
        ("smax", reg.smax as u64, reg.smax == i64::MAX),
        ("umin", reg.umin, reg.umin == 0),
        ("umax", reg.umax, reg.umax == u64::MAX),
        ("smin32", widened(reg.s32_min), reg.s32_min == i32::MIN),
        ("smax32", widened(reg.s32_max), reg.s32_max == i32::MAX),
        ("umin32", reg.u32_min.into(), reg.u32_min == 0),
        ("umax32", reg.u32_max.into(), reg.u32_max == u32::MAX),
    ];
    let signed = |i: usize| all[i].0.starts_with('s');
    let negative = |i: usize| signed(i) && (all[i].1 as i64) < 0;
    let mut done = all.map(|b| b.2);
    for i in 0..all.len() {
        if done[i] {
            continue;
        }
        let mut text = format!("{}=", all[i].0);
        // Lower bounds group with lower bounds, upper with upper.
        for j in (i + 2..all.len()).step_by(2) {
            if !done[j] && all[j].1 == all[i].1 && negative(i) == negative(j) {
                done[j] = true;
                let _ = write!(text, "{}=", all[j].0);
            }
        }
        text += &if signed(i) { snum(all[i].1 as i64) } else { unum(all[i].1) };
        items.push(text);
    }
}

fn dynptr_str(kind: DynptrKind) -> &'static str {
    match kind {
        DynptrKind::Invalid => "<invalid>",
        DynptrKind::Local => "local",
        DynptrKind::Ringbuf => "ringbuf",
        DynptrKind::Skb => "skb",
        DynptrKind::Xdp => "xdp",
        DynptrKind::SkbMeta => "skb_meta",
        DynptrKind::File => "file",
    }
}

fn slot_char(kind: SlotKind) -> char {
    match kind {
        SlotKind::Invalid => '?',
        SlotKind::Spill => 'r',
        SlotKind::Misc => 'm',
        SlotKind::Zero => '0',
        SlotKind::Dynptr => 'd',
        SlotKind::Iter => 'i',
        SlotKind::IrqFlag => 'f',
    }
}

impl Env<'_> {
    /// Name of a type that a pointer has.
    pub fn btf_type_name(&self, btf: BtfRef, id: TypeId) -> String {
        let btf = match btf {
            BtfRef::Vmlinux => self.kernel().btf().map(|types| &**types),
            BtfRef::Program => self.btf(),
        };
        btf.map(|b| b.name(id).to_owned()).unwrap_or_default()
    }

    /// Text of what a register holds, seen from frame `frame` (`print_reg_state`).
    pub fn fmt_reg(&self, frame: u32, reg: &RegState) -> String {
        let mut out = String::new();
        let ty = reg.ty;
        if ty == RegType::SCALAR {
            if reg.precise {
                out.push('P');
            }
            if reg.var_off.is_const() {
                return out + &snum(reg.var_off.value as i64);
            }
        }
        out += &reg_type_str(ty);
        if ty == RegType::of(RegBase::Arena) {
            return out;
        }
        if ty == RegType::of(RegBase::Stack) {
            if frame != reg.frameno {
                let _ = write!(out, "[{}]", reg.frameno);
            }
            if reg.var_off.is_const() {
                return out + &snum((reg.var_off.value as i64).wrapping_add(reg.off.into()));
            }
        }
        if let (RegBase::BtfId, Some((btf, id))) = (ty.base, reg.btf()) {
            out += &self.btf_type_name(btf, id);
        }
        let mut items = Vec::new();
        if reg.id != 0 {
            let delta = if reg.id & RegState::ADD_CONST != 0 { format!("{:+}", reg.off) } else { String::new() };
            items.push(format!("id={}{delta}", reg.id & !RegState::ADD_CONST));
        }
        if reg.ref_obj_id != 0 {
            items.push(format!("ref_obj_id={}", reg.ref_obj_id));
        }
        if ty.has(TypeFlags::NON_OWN_REF) {
            items.push("non_own_ref".into());
        }
        let of_map = matches!(ty.base, RegBase::ConstMap | RegBase::MapValue | RegBase::MapKey);
        if let Some(index) = reg.map().filter(|_| of_map)
            && let Some(map) = self.maps.get(index as usize)
        {
            // Inner maps are created without a name.
            let is_inner = self.maps.iter().any(|m| m.inner == Some(index));
            if !map.def.name.is_empty() && !is_inner {
                items.push(format!("map={}", map.def.name.chars().take(15).collect::<String>()));
            }
            items.push(format!("ks={},vs={}", map.def.key_size, map.def.value_size));
        }
        if ty != RegType::SCALAR && reg.off != 0 {
            items.push(format!("off={}", snum(reg.off.into())));
        }
        if reg.is_pkt() {
            items.push(format!("r={}", unum(i64::from(reg.range()) as u64)));
        }
        if let (RegBase::Mem, RegExtra::Mem { size, .. }) = (ty.base, reg.extra) {
            items.push(format!("sz={}", unum(size.into())));
        }
        if let (RegBase::ConstDynptr, RegExtra::Dynptr { kind, .. }) = (ty.base, reg.extra) {
            items.push(format!("type={}", dynptr_str(kind)));
        }
        if reg.var_off.is_const() {
            if reg.var_off.value != 0 {
                items.push(format!("imm={}", snum(reg.var_off.value as i64)));
            }
        } else {
            ranges(reg, &mut items);
            if !reg.var_off.is_unknown() {
                items.push(format!("var_off={}", reg.var_off));
            }
        }
        out + "(" + &items.join(",") + ")"
    }

    /// Text of one frame of a state, each entry after a space, without a line end (`print_verifier_state`).
    pub fn fmt_state(&self, state: &VerifierState, frame: usize, which: Scratched) -> String {
        let mut out = String::new();
        let Some(f) = state.frames.get(frame) else { return out };
        if f.frameno != 0 {
            let _ = write!(out, " frame{}:", f.frameno);
        }
        for (i, r) in f.regs.iter().enumerate() {
            if r.ty != RegType::NOT_INIT && which.reg(i) {
                let _ = write!(out, " R{i}={}", self.fmt_reg(f.frameno, r));
            }
        }
        let mut i = 0;
        while let Some(slot) = f.stack.slots.get(i) {
            let at = i;
            i += 1;
            if !which.slot(at) || slot.kinds.iter().all(|k| *k == SlotKind::Invalid) {
                continue;
            }
            let mut stack_off = -((at as i64 + 1) * SLOT_SIZE as i64);
            let kinds: String = slot.kinds.iter().map(|k| slot_char(*k)).collect();
            let text = match slot.kinds[SLOT_SIZE - 1] {
                SlotKind::Spill => {
                    let above: String =
                        slot.kinds.iter().take_while(|k| **k != SlotKind::Spill).map(|k| slot_char(*k)).collect();
                    above + &self.fmt_reg(f.frameno, &slot.spilled)
                }
                SlotKind::Dynptr => {
                    // Two slots; the second one holds the details.
                    let main = f.stack.slots.get(at + 1).unwrap_or(slot);
                    i += 1;
                    stack_off -= SLOT_SIZE as i64;
                    let kind = match main.spilled.extra {
                        RegExtra::Dynptr { kind, .. } => dynptr_str(kind),
                        _ => "<invalid>",
                    };
                    let mut items = Vec::new();
                    if main.spilled.id != 0 {
                        items.push(format!("id={}", main.spilled.id));
                    }
                    if main.spilled.ref_obj_id != 0 {
                        items.push(format!("ref_id={}", main.spilled.ref_obj_id));
                    }
                    // The kernel shows the mark of the first slot under this name.
                    items.push("dynptr_id=1".to_owned());
                    format!("dynptr_{kind}({})", items.join(","))
                }
                SlotKind::Iter => {
                    if slot.spilled.ref_obj_id == 0 {
                        continue;
                    }
                    self.fmt_iter(&slot.spilled)
                }
                _ => kinds,
            };
            let _ = write!(out, " fp{stack_off}={text}");
        }
        let refs: Vec<String> = state.res.refs.iter().filter(|r| r.id != 0).map(|r| r.id.to_string()).collect();
        if !refs.is_empty() {
            let _ = write!(out, " refs={}", refs.join(","));
        }
        if f.in_callback {
            out += " cb";
        }
        if f.in_async_callback {
            out += " async_cb";
        }
        out
    }

    fn fmt_iter(&self, reg: &RegState) -> String {
        let RegExtra::Iter { btf, id, state, depth } = reg.extra else { return "iter_<invalid>()".into() };
        let name = self.btf_type_name(btf, id);
        let name = name.strip_prefix("bpf_iter_").unwrap_or(&name);
        let state = match state {
            IterState::Invalid => "<invalid>",
            IterState::Active => "active",
            IterState::Drained => "drained",
        };
        format!("iter_{name}(ref_id={},state={state},depth={depth})", reg.ref_obj_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(r: &RegState) -> String {
        let mut items = Vec::new();
        ranges(r, &mut items);
        items.join(",")
    }

    #[test]
    fn equal_bounds_stand_together() {
        let mut r = RegState::UNKNOWN;
        (r.umin, r.umax) = (0, 255);
        r.sync_bounds();
        assert_eq!(text(&r), "smin=smin32=0,smax=umax=smax32=umax32=255");
        let mut r = RegState::UNKNOWN;
        r.zext_32_to_64();
        r.sync_bounds();
        assert_eq!(text(&r), "smin=0,smax=umax=0xffffffff");
        let mut r = RegState::UNKNOWN;
        (r.smin, r.smax) = (-2, 5);
        r.sync_bounds();
        assert_eq!(text(&r), "smin=smin32=-2,smax=smax32=5");
    }

    /// What the log of Linux 6.18 shows after each of these operations.
    #[test]
    fn results_are_those_that_a_kernel_logged() {
        let known = |v: i64| RegState::known(v as u64);
        let full = |r: &RegState| {
            let bits = if r.var_off.is_unknown() { String::new() } else { format!(",var_off={}", r.var_off) };
            text(r) + &bits
        };
        let run = |r: &mut RegState, f: &dyn Fn(&mut RegState), alu32: bool| {
            f(r);
            if alu32 {
                r.zext_32_to_64();
            }
            r.sync_bounds();
            full(r)
        };
        let masked = |m: i64| {
            let mut r = RegState::UNKNOWN;
            r.scalar_and(&known(m));
            r.sync_bounds();
            r
        };
        let mut r = masked(0x15);
        assert_eq!(
            run(&mut r, &|r| r.scalar_mul(&masked(0x2a)), false),
            "smin=smin32=0,smax=umax=smax32=umax32=882,var_off=(0x0; 0x3fa)"
        );
        let mut r = masked(7);
        assert_eq!(
            run(&mut r, &|r| r.scalar_or(&known(256)), false),
            "smin=umin=smin32=umin32=256,smax=umax=smax32=umax32=263,var_off=(0x100; 0x7)"
        );
        assert_eq!(
            run(&mut r, &|r| r.scalar_mul(&masked(0x31)), false),
            "smin=smin32=0,smax=umax=smax32=umax32=12887,var_off=(0x0; 0x33f7)"
        );
        let mut r = RegState::UNKNOWN;
        assert_eq!(
            run(&mut r, &|r| r.scalar_lsh64(32), false),
            "smax=0x7fffffff00000000,umax=0xffffffff00000000,smin32=0,smax32=umax32=0,var_off=(0x0; 0xffffffff00000000)"
        );
        assert_eq!(run(&mut r, &|r| r.scalar_arsh64(32), false), "smin=0xffffffff80000000,smax=0x7fffffff");
        let mut r = RegState::UNKNOWN;
        r.coerce_to_size_sx(1);
        assert_eq!(full(&r), "smin=smin32=-128,smax=smax32=127");
        assert_eq!(
            run(&mut r, &|r| r.scalar_lsh64(32), false),
            "smin=0xffffff8000000000,smax=0x7f00000000,umax=0xffffffff00000000,smin32=0,smax32=umax32=0,var_off=(0x0; 0xffffffff00000000)"
        );
        assert_eq!(run(&mut r, &|r| r.scalar_arsh64(32), false), "smin=smin32=-128,smax=smax32=127");
        let mut r = masked(0xff);
        assert_eq!(run(&mut r, &RegState::scalar_neg, false), "smin=smin32=-255,smax=smax32=0");
        assert_eq!(
            run(&mut r, &RegState::scalar_neg, true),
            "smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff)"
        );
        let mut r = masked(0xff);
        assert_eq!(
            run(&mut r, &|r| r.scalar_sub(&known(300)), false),
            "smin=smin32=-300,smax=smax32=-45,umin=0xfffffffffffffed4,umax=0xffffffffffffffd3,umin32=0xfffffed4,umax32=0xffffffd3,var_off=(0xfffffffffffffe00; 0x1ff)"
        );
        let b = r;
        assert_eq!(
            run(&mut r, &|r| r.scalar_add(&b), false),
            "smin=smin32=-600,smax=smax32=-90,umin=0xfffffffffffffda8,umax=0xffffffffffffffa6,umin32=0xfffffda8,umax32=0xffffffa6,var_off=(0xfffffffffffffc00; 0x3ff)"
        );
        let mut r = masked(0xff);
        assert_eq!(
            run(&mut r, &|r| r.scalar_xor(&known(-1)), false),
            "smin=smin32=-256,smax=smax32=-1,umin=0xffffffffffffff00,umin32=0xffffff00,var_off=(0xffffffffffffff00; 0xff)"
        );
        assert_eq!(
            run(&mut r, &|r| r.scalar_sub(&known(5)), true),
            "smin=umin=umin32=0xfffffefb,smax=umax=umax32=0xfffffffa,smin32=-261,smax32=-6,var_off=(0xfffffe00; 0x1ff)"
        );
        assert_eq!(
            run(&mut r, &|r| r.scalar_rsh32(3), true),
            "smin=umin=smin32=umin32=0x1fffffdf,smax=umax=smax32=umax32=0x1fffffff,var_off=(0x1fffffc0; 0x3f)"
        );
    }
}
