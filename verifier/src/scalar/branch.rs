//! Conditional jumps and what they prove.

use super::linked::{LinkedRegs, most_linked};
use crate::domain::compare::{Pair, const_at, negated, swapped};
use crate::domain::{Numbers, RegBase, RegExtra, RegState, RegType, reg_type_str};
use crate::program::{JUMP_SIZE, UsedMap};
use crate::reason::{ScalarReason, reject};
use crate::scalar::operands::SrcOp;
use crate::state::{RefKind, StackUse, VerifierState};
use crate::{Env, Step, Stop};
use ebpfkit_abi::limits::MAX_VAR_OFF;
use ebpfkit_abi::{Feature, MapType, TypeFlags};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{MAY_GOTO, class, jmp, pseudo};
use ebpfkit_object::record::FieldKind;

/// Offsets of packet pointers stay below this, or no check proves anything of them (`MAX_PACKET_OFF`).
const MAX_PACKET_OFF: u64 = 0xffff;
/// [`RegExtra::Range`] of a packet pointer known to be at or beyond the end (`AT_PKT_END`).
const AT_PKT_END: i32 = -1;
/// The same, known to be beyond the end (`BEYOND_PKT_END`).
const BEYOND_PKT_END: i32 = -2;

const PACKET: RegType = RegType::of(RegBase::Packet);
const PACKET_META: RegType = RegType::of(RegBase::PacketMeta);
const PACKET_END: RegType = RegType::of(RegBase::PacketEnd);

/// A packet pointer against the packet's end, when earlier checks settled it.
fn packet_outcome(a: &RegState, b: &RegState, op: u8) -> Option<bool> {
    let (range, op) = if b.ty == PACKET_END {
        (a.range(), op)
    } else if a.ty == PACKET_END {
        (b.range(), swapped(op))
    } else {
        return None;
    };
    match op {
        jmp::JLE | jmp::JGT => (range == BEYOND_PKT_END).then_some(op == jmp::JGT),
        jmp::JLT | jmp::JGE => (range == BEYOND_PKT_END || range == AT_PKT_END).then_some(op == jmp::JGE),
        _ => None,
    }
}

/// How the modelled kernel compares.
#[derive(Clone, Copy)]
struct Compared {
    numbers: Numbers,
    /// A pointer that equals one that is not null is none either.
    equal_is_not_null: bool,
    /// A pointer is not null only by all of its bits, and only where its offset cannot make it so.
    strict_pointers: bool,
    /// Null in a register is as good as null in the instruction.
    null_registers: bool,
    /// The offset of a pointer is one, and packets are accessible up to the greatest that was checked.
    whole_offsets: bool,
}

impl Compared {
    fn not_null(&self, ptr: &RegState) -> bool {
        if !self.strict_pointers {
            return ptr.not_null();
        }
        let far = ptr.smin <= -MAX_VAR_OFF || ptr.smax >= MAX_VAR_OFF;
        let kind = ptr.not_null() || matches!(ptr.ty.base, RegBase::XdpSock | RegBase::Buf) && !ptr.ty.may_be_null();
        kind && !far
    }

    /// Whether a pointer that another one equals says that neither is null.
    fn other_is_not_null(&self, ptr: &RegState) -> bool {
        !self.strict_pointers || self.not_null(ptr)
    }
}

/// Whether the jump is known to be taken.
fn branch_taken(a: &RegState, b: &RegState, op: u8, w32: bool, by: &Compared) -> Option<bool> {
    if a.is_pkt_any() && b.is_pkt_any() && !w32 {
        return packet_outcome(a, b, op);
    }
    if a.is_scalar() && b.is_scalar() {
        return by.numbers.outcome(a, b, op, w32);
    }
    if by.strict_pointers && w32 {
        return None;
    }
    // The kernel takes the low half of a pointer that is not null as not zero, too.
    let (ptr, number) = if const_at(b, w32).is_some() { (a, b) } else { (b, a) };
    if const_at(number, w32) != Some(0) || !by.not_null(ptr) {
        return None;
    }
    match op {
        jmp::JEQ => Some(false),
        jmp::JNE => Some(true),
        _ => None,
    }
}

impl Env<'_> {
    /// A register is looked at as if it had been compared with null, and was not.
    pub(crate) fn assume_not_null(&mut self, reg: u8) {
        let Env { path, maps, .. } = self;
        let cur = &mut path.state;
        mark_not_null(cur.reg_mut(reg), maps);
    }
}

/// A map value pointer that a lookup returned becomes what the map holds; any other loses its doubt.
fn mark_not_null(r: &mut RegState, maps: &[UsedMap<'_>]) {
    if r.ty.base != RegBase::MapValue {
        r.ty.flags -= TypeFlags::MAYBE_NULL;
        return;
    }
    let map = r.map().and_then(|m| maps.get(m as usize));
    let base = match map {
        Some(UsedMap { inner: Some(inner), .. }) => {
            let owns = |k| maps.get(*inner as usize).is_some_and(|m| m.record.find(k).is_some());
            let timed = owns(FieldKind::Timer) || owns(FieldKind::Workqueue) || owns(FieldKind::TaskWork);
            r.extra = RegExtra::Map { map: *inner, uid: if timed { r.id } else { 0 } };
            RegBase::ConstMap
        }
        Some(m) if m.def.map_type == MapType::Xskmap => RegBase::XdpSock,
        Some(m) if matches!(m.def.map_type, MapType::Sockmap | MapType::Sockhash) => RegBase::Socket,
        _ => RegBase::MapValue,
    };
    r.ty = RegType::of(base);
}

/// Whether a lock may live in what this points to, so that its identity matters.
fn may_hold_lock(r: &RegState, maps: &[UsedMap<'_>]) -> bool {
    let locked = |m: &UsedMap<'_>| {
        m.record.find(FieldKind::SpinLock).is_some() || m.record.find(FieldKind::ResSpinLock).is_some()
    };
    match r.ty.base {
        RegBase::MapValue => r.map().and_then(|m| maps.get(m as usize)).is_some_and(locked),
        // Allocated objects keep their identity: whether they hold a lock is decided where locks are taken.
        RegBase::BtfId => r.ty.has(TypeFlags::ALLOC),
        _ => false,
    }
}

/// All copies of a pointer that was compared with null become that pointer or the number zero.
pub fn mark_ptr_or_null_regs(state: &mut VerifierState, reg: u8, is_null: bool, maps: &[UsedMap<'_>]) {
    let r = state.reg(reg);
    let id = r.id;
    if r.ref_obj_id != 0 && r.ref_obj_id == id && is_null {
        // What was not acquired need not be released.
        let held = state.res.refs.iter().position(|r| r.kind == RefKind::Ptr && r.id == id);
        if let Some(i) = held {
            state.res_mut().refs.remove(i);
        }
    }
    let same_id = move |r: &RegState| r.ty.may_be_null() && r.id == id && (id != 0 || r.ty.has(TypeFlags::RCU));
    state.for_each_reg(same_id, |r| {
        let owned = r.ty.has(TypeFlags::ALLOC) || r.ty.has(TypeFlags::NON_OWN_REF);
        if r.smin != 0 || r.smax != 0 || !r.var_off.equals_const(0) || r.off != 0 && !owned {
            return;
        }
        if is_null {
            r.ty = RegType::SCALAR;
            (r.id, r.ref_obj_id) = (0, 0);
            return;
        }
        mark_not_null(r, maps);
        if !may_hold_lock(r, maps) {
            r.id = 0;
        }
    });
}

/// All packet pointers with the same base as this one may now be accessed up to it.
fn extend_packet_range(state: &mut VerifierState, checked: &RegState, right_open: bool, whole: bool) {
    if whole {
        let most = checked.folded().umax;
        if most > MAX_PACKET_OFF || most == 0 && right_open {
            return;
        }
        let range = most as i32 + i32::from(right_open);
        let (ty, id) = (checked.ty, checked.id);
        state.for_each_reg(
            move |r| r.ty == ty && r.id == id && r.range() < range,
            move |r| r.extra = RegExtra::Range(range),
        );
        return;
    }
    if checked.off < 0 || checked.off == 0 && right_open {
        return;
    }
    let most = checked.umax.saturating_add(checked.off as u64);
    if checked.umax > MAX_PACKET_OFF || most > MAX_PACKET_OFF {
        return;
    }
    let range = checked.off + i32::from(right_open);
    let (ty, id) = (checked.ty, checked.id);
    state.for_each_reg(
        move |r| r.ty == ty && r.id == id && r.range() < range,
        |r| r.extra = RegExtra::Range(r.range().max(range)),
    );
}

/// A pointer to the start of a region, as the context gives it.
fn is_origin(r: &RegState, ty: RegType) -> bool {
    r.ty == ty && r.id == 0 && r.off == 0 && r.var_off.equals_const(0)
}

/// Learns from a comparison of a packet pointer with the end, or of packet metadata with the packet; whether this
/// was such a comparison.
fn learn_packet_range(state: &mut VerifierState, insn: Insn, taken: bool, whole: bool) -> bool {
    if !insn.is_src_reg() || insn.class() == class::JMP32 {
        return false;
    }
    let (dst, src) = (*state.reg(insn.dst), *state.reg(insn.src));
    let bounded = |p: &RegState, end: &RegState| {
        p.ty == PACKET && end.ty == PACKET_END || p.ty == PACKET_META && is_origin(end, PACKET)
    };
    let (op, reg, checked) = if bounded(&dst, &src) {
        (insn.op(), insn.dst, dst)
    } else if bounded(&src, &dst) {
        (swapped(insn.op()), insn.src, src)
    } else {
        return false;
    };
    // On which side the pointer is inside, and whether it is then strictly below the end.
    let (inside_when, strict) = match op {
        jmp::JGT => (false, false),
        jmp::JGE => (false, true),
        jmp::JLT => (true, true),
        jmp::JLE => (true, false),
        _ => return false,
    };
    if taken == inside_when {
        extend_packet_range(state, &checked, strict, whole);
    } else if checked.ty == PACKET {
        state.reg_mut(reg).extra = RegExtra::Range(if strict { AT_PKT_END } else { BEYOND_PKT_END });
    }
    true
}

/// What a side of the jump knows afterwards: log lines about contradictions, and whether the comparison was one that
/// gives away nothing of a pointer.
fn learn(
    state: &mut VerifierState,
    insn: Insn,
    taken: bool,
    linked: &LinkedRegs,
    rules: &Compared,
    maps: &[UsedMap<'_>],
) -> Learned {
    let (op, w32) = (insn.op(), insn.class() == class::JMP32);
    let dst = *state.reg(insn.dst);
    let src = operand(state, insn);
    let mut contradictions = Vec::new();
    if dst.is_scalar() && src.is_scalar() {
        let same = insn.is_src_reg() && insn.src == insn.dst;
        let mut pair = Pair { regs: [dst, src], second: usize::from(!same) };
        rules.numbers.learn(&mut pair, if taken { op } else { negated(op) }, w32);
        let names = if taken { ["true_reg1", "true_reg2"] } else { ["false_reg1", "false_reg2"] };
        for (i, name) in names.into_iter().enumerate() {
            let r = &mut pair.regs[if i == 0 { 0 } else { pair.second }];
            if rules.numbers.heals() && r.bounds_contradiction().is_some() {
                contradictions.push((*r, name));
                r.set_unbounded();
            }
        }
        *state.reg_mut(insn.dst) = pair.regs[0];
        if insn.is_src_reg() {
            *state.reg_mut(insn.src) = pair.regs[pair.second];
        }
    }
    if insn.is_src_reg() && src.is_scalar() && src.id != 0 {
        linked.sync(state, insn.src, rules.numbers);
    }
    if dst.is_scalar() && dst.id != 0 {
        linked.sync(state, insn.dst, rules.numbers);
    }
    let btf = dst.ty.base == RegBase::BtfId || src.ty.base == RegBase::BtfId;
    if rules.equal_is_not_null && !w32 && insn.is_src_reg() && !dst.is_scalar() && !src.is_scalar() && !btf {
        let equal = op == jmp::JEQ && taken || op == jmp::JNE && !taken;
        // Where only one of two equal pointers has been in doubt, neither is null.
        match (dst.ty.may_be_null(), src.ty.may_be_null()) {
            (true, false) if equal && rules.other_is_not_null(&src) => mark_not_null(state.reg_mut(insn.dst), maps),
            (false, true) if equal && rules.other_is_not_null(&dst) => mark_not_null(state.reg_mut(insn.src), maps),
            _ => {}
        }
    }
    let zero = if insn.is_src_reg() { rules.null_registers && src.is_null() } else { insn.imm == 0 };
    let null_check = !w32 && zero && matches!(op, jmp::JEQ | jmp::JNE) && state.reg(insn.dst).ty.may_be_null();
    let harmless = if null_check {
        mark_ptr_or_null_regs(state, insn.dst, taken == (op == jmp::JEQ), maps);
        true
    } else {
        learn_packet_range(state, insn, taken, rules.whole_offsets)
    };
    Learned { contradictions, harmless }
}

struct Learned {
    contradictions: Vec<(RegState, &'static str)>,
    harmless: bool,
}

/// The second operand, a register or the immediate as a number.
fn operand(state: &VerifierState, insn: Insn) -> RegState {
    if insn.is_src_reg() { *state.reg(insn.src) } else { RegState::known(i64::from(insn.imm) as u64) }
}

/// `slot + 1 + off`, which the control-flow check keeps inside the program.
fn target(slot: usize, off: i16) -> usize {
    (slot + 1).wrapping_add_signed(isize::from(off))
}

impl Env<'_> {
    /// Verifies a conditional jump: decides it or pushes the other way with [`Env::push_branch`], refines both
    /// sides, and sets [`Env::insn_idx`] to the slot to go on from.
    pub fn check_cond_jmp_op(&mut self, insn: Insn) -> Step {
        let (here, op) = (self.path.insn_idx, insn.op());
        let last = if self.has(Feature::MayGoto) { jmp::JCOND } else { jmp::JSLE };
        if op == jmp::JA || op > last {
            return reject(ScalarReason::InvalidJumpOpcode { op });
        }
        let (next, jump) = (here + 1, target(here, insn.off));
        if op == jmp::JCOND {
            return self.check_may_goto(insn, next, jump);
        }
        self.check_reg_arg(insn.dst, SrcOp)?;
        let reserved = if insn.is_src_reg() { insn.imm != 0 } else { insn.src != 0 };
        if reserved {
            return reject(ScalarReason::ReservedFields { what: "BPF_JMP/JMP32" });
        }
        if insn.is_src_reg() {
            self.check_reg_arg(insn.src, SrcOp)?;
            let packets = self.reg(insn.dst).is_pkt_any() && self.reg(insn.src).is_pkt_any();
            if !packets && self.is_pointer_value(insn.src) {
                return reject(ScalarReason::PointerComparison { reg: insn.src });
            }
        }
        let w32 = insn.class() == class::JMP32;
        let (dst, src) = (*self.reg(insn.dst), operand(&self.path.state, insn));
        let stack = RegType::of(RegBase::Stack);
        if dst.ty == stack || insn.is_src_reg() && src.ty == stack {
            let src_is_stack = insn.is_src_reg() && src.ty == stack;
            self.push_history(StackUse::compared(dst.ty == stack, src_is_stack), 0)?;
        }
        let by = Compared {
            numbers: self.numbers(),
            equal_is_not_null: self.has(Feature::NullnessByComparison),
            strict_pointers: self.has(Feature::StrictNonNull),
            null_registers: self.has(Feature::NullRegisters),
            whole_offsets: self.has(Feature::WholeOffsets),
        };
        if let Some(taken) = branch_taken(&dst, &src, op, w32, &by) {
            if dst.is_scalar() {
                self.mark_chain_precision(insn.dst)?;
            }
            if insn.is_src_reg() && src.is_scalar() {
                self.mark_chain_precision(insn.src)?;
            }
            let (follow, other) = if taken { (jump, next) } else { (next, jump) };
            if !self.bypass_spec() {
                self.explore_speculatively(insn, other)?;
            }
            self.log_insn_state();
            self.path.insn_idx = follow;
            return Ok(());
        }

        let tells_null = insn.is_src_reg() && !w32 && matches!(op, jmp::JEQ | jmp::JNE) && src.is_null();
        if tells_null && dst.ty.may_be_null() && self.has(Feature::PreciseNulls) {
            self.mark_chain_precision(insn.src)?;
        }
        let live = self.has(Feature::LiveRegisterPass);
        let most = most_linked(self.max_call_frames());
        let mut linked = LinkedRegs::default();
        if insn.is_src_reg() && src.is_scalar() && src.id != 0 {
            linked.collect(&mut self.path.state, src.id, live.then_some(&self.aux), most);
        }
        if dst.is_scalar() && dst.id != 0 {
            linked.collect(&mut self.path.state, dst.id, live.then_some(&self.aux), most);
        }
        if linked.0.len() > 1 {
            self.push_history(StackUse::NONE, linked.pack())?;
        }
        let mut contradictions = Vec::new();
        self.push_branch(jump, here, false, |env, state| {
            contradictions = learn(state, insn, true, &linked, &by, &env.maps).contradictions;
        })?;
        let this = learn(&mut self.path.state, insn, false, &linked, &by, &self.maps);
        contradictions.extend(this.contradictions);
        for (mut r, context) in contradictions {
            self.heal_bounds(&mut r, context)?;
        }
        if !this.harmless && self.is_pointer_value(insn.dst) {
            return reject(ScalarReason::PointerComparison { reg: insn.dst });
        }
        self.log_insn_state();
        self.path.insn_idx = next;
        Ok(())
    }

    /// `gotox`: every instruction that the entries lead to which the register may have been loaded from.
    pub(crate) fn check_indirect_jump(&mut self, reg: u8) -> Step {
        let r = self.reg(reg).folded();
        if r.ty != RegType::of(RegBase::Insn) {
            let ty = reg_type_str(r.ty).into_owned();
            return reject(ScalarReason::NoJumpAddress { reg, ty });
        }
        let Some(map) = r.map() else {
            return Err(Stop::unsupported("the address of an instruction without its table"));
        };
        let (low, high) = if r.var_off.is_const() { (r.var_off.value, r.var_off.value) } else { (r.umin, r.umax) };
        let most = u64::from(u32::MAX) * u64::from(JUMP_SIZE);
        for (which, value) in [("umin", low), ("umax", high)] {
            if value > most {
                return reject(ScalarReason::JumpIndexTooLarge { reg, which, value });
            }
        }
        let (first, last) = (low / u64::from(JUMP_SIZE), high / u64::from(JUMP_SIZE));
        let used = &self.maps[map as usize];
        let entries = used.def.max_entries;
        if last >= entries.into() {
            return reject(ScalarReason::OutsideJumpTable { reg, first, last, entries });
        }
        let jumps = used.jumps(first as usize, last as usize);
        let here = self.path.insn_idx;
        let Some((&last, others)) = jumps.split_last() else {
            return Err(Stop::unsupported("an empty table of jumps"));
        };
        for &to in others {
            self.push_branch(to, here, false, |_, _| {})?;
        }
        self.path.insn_idx = last;
        Ok(())
    }

    /// `may_goto`: falls through for an unknown number of times.
    fn check_may_goto(&mut self, insn: Insn, next: usize, jump: usize) -> Step {
        if insn.code != MAY_GOTO || insn.src != pseudo::MAY_GOTO || insn.dst != 0 || insn.imm != 0 {
            return reject(ScalarReason::InvalidMayGoto { imm: insn.imm });
        }
        let here = self.path.insn_idx;
        self.push_iteration(next, here, |_, state| state.may_goto_depth += 1)?;
        self.path.insn_idx = jump;
        Ok(())
    }
}
