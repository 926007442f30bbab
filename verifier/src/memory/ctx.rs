//! The context: which fields a program type has, and what loading them gives.

use super::Access;
use crate::reason::{MemoryReason, reject};
use crate::reg::{RegBase, RegState, RegType};
use crate::scalar::reg_type_str;
use crate::{Env, RegExtra, Step, Stop};
use ebpfkit_abi::{AttachType, ProgType};
use std::ops::Range;

/// `struct __sk_buff`: byte offsets of the fields that have rules of their own.
mod skb {
    use std::ops::Range;
    pub const MARK: Range<i32> = 8..12;
    pub const QUEUE_MAPPING: Range<i32> = 12..16;
    pub const PRIORITY: Range<i32> = 32..36;
    pub const TC_INDEX: Range<i32> = 44..48;
    pub const CB: Range<i32> = 48..68;
    pub const TC_CLASSID: Range<i32> = 72..76;
    pub const DATA: Range<i32> = 76..80;
    pub const DATA_END: Range<i32> = 80..84;
    pub const ADDRESSES: Range<i32> = 88..140;
    pub const WHOLE_ADDRESSES: Range<i32> = 92..132;
    pub const DATA_META: Range<i32> = 140..144;
    pub const FLOW_KEYS: Range<i32> = 144..152;
    pub const TSTAMP: Range<i32> = 152..160;
    pub const WIRE_LEN: Range<i32> = 160..164;
    pub const SK: Range<i32> = 168..176;
    pub const TSTAMP_TYPE: i32 = 180;
    pub const TSTAMP_GAP: Range<i32> = 181..184;
    pub const HWTSTAMP: Range<i32> = 184..192;
    pub const SIZE: i32 = 192;
}

/// What an allowed access gives.
enum Field {
    Number,
    Pointer(RegBase),
    /// Allowed, but what it gives is not modelled.
    Unmodelled(&'static str),
}

/// One access.
#[derive(Clone, Copy)]
struct Want {
    off: i32,
    size: i32,
    access: Access,
}

impl Want {
    fn touches(self, field: &Range<i32>) -> bool {
        field.contains(&self.off)
    }

    fn any(self, fields: &[Range<i32>]) -> bool {
        fields.iter().any(|f| self.touches(f))
    }

    fn writes(self) -> bool {
        self.access == Access::Write
    }
}

/// Packet pointers among the fields of an skb.
fn skb_pointer(w: Want) -> Field {
    if w.touches(&skb::DATA) {
        Field::Pointer(RegBase::Packet)
    } else if w.touches(&skb::DATA_END) {
        Field::Pointer(RegBase::PacketEnd)
    } else if w.touches(&skb::DATA_META) {
        Field::Pointer(RegBase::PacketMeta)
    } else if w.touches(&skb::SK) {
        Field::Unmodelled("sockets in the context")
    } else {
        Field::Number
    }
}

/// Rules that hold for an skb in every program type.
fn skb_common(w: Want) -> Option<Field> {
    if w.off < 0 || w.off >= skb::SIZE || w.off % w.size != 0 {
        return None;
    }
    let ok = if w.touches(&skb::CB) {
        w.off + w.size <= skb::CB.end
    } else if w.any(&[skb::DATA, skb::DATA_META, skb::DATA_END, skb::WHOLE_ADDRESSES]) {
        w.size == 4
    } else if w.touches(&skb::FLOW_KEYS) || w.off == skb::TSTAMP_TYPE || w.touches(&skb::TSTAMP_GAP) {
        false
    } else if w.touches(&skb::TSTAMP) {
        w.size == 8
    } else if w.touches(&skb::SK) || w.touches(&skb::HWTSTAMP) {
        !w.writes() && w.size == 8
    } else if w.writes() {
        w.size == 4
    } else {
        w.size <= 4
    };
    ok.then(|| skb_pointer(w))
}

/// An skb whose program type hides some fields and may write others.
fn skb_with(w: Want, hidden: &[Range<i32>], writable: &[Range<i32>]) -> Option<Field> {
    if w.any(hidden) || w.writes() && !w.any(writable) {
        return None;
    }
    skb_common(w)
}

/// Read-only bytes without structure.
fn raw_bytes(w: Want, bytes: Range<i32>) -> Option<Field> {
    let ok = bytes.contains(&w.off) && !w.writes() && w.off % w.size == 0 && w.off + w.size <= bytes.end;
    ok.then_some(Field::Number)
}

fn xdp(w: Want, attach: AttachType) -> Option<Field> {
    if w.writes() || w.size != 4 || w.off < 0 || w.off >= 24 || w.off % 4 != 0 {
        return None;
    }
    match w.off {
        0 => Some(Field::Pointer(RegBase::Packet)),
        4 => Some(Field::Pointer(RegBase::PacketEnd)),
        8 => Some(Field::Pointer(RegBase::PacketMeta)),
        20 if attach != AttachType::XdpDevmap => None,
        _ => Some(Field::Number),
    }
}

/// The field of an access; `None` when there is none. `Err` when the context is not modelled.
fn field(kind: ProgType, attach: AttachType, w: Want) -> Result<Option<Field>, String> {
    use skb::*;
    Ok(match kind {
        ProgType::Xdp => xdp(w, attach),
        ProgType::SchedCls | ProgType::SchedAct => {
            if w.off == TSTAMP_TYPE {
                return Ok((w.size == 1 && !w.writes()).then_some(Field::Number));
            }
            skb_with(w, &[ADDRESSES], &[MARK, TC_INDEX, PRIORITY, TC_CLASSID, CB, TSTAMP, QUEUE_MAPPING])
        }
        ProgType::SocketFilter => {
            skb_with(w, &[TC_CLASSID, DATA, DATA_META, DATA_END, TSTAMP, WIRE_LEN, HWTSTAMP], &[CB])
        }
        ProgType::CgroupSkb => skb_with(w, &[TC_CLASSID, DATA_META, WIRE_LEN], &[MARK, PRIORITY, CB, TSTAMP]),
        ProgType::LwtIn | ProgType::LwtOut | ProgType::LwtXmit | ProgType::LwtSeg6local => {
            skb_with(w, &[TC_CLASSID, ADDRESSES, DATA_META, TSTAMP, WIRE_LEN, HWTSTAMP], &[MARK, PRIORITY, CB])
        }
        ProgType::SkSkb => {
            let hidden = [TC_CLASSID, DATA_META, TSTAMP, WIRE_LEN, HWTSTAMP, MARK];
            skb_with(w, &hidden, &[TC_INDEX, PRIORITY])
        }
        ProgType::Kprobe => raw_bytes(w, 0..168),
        ProgType::Tracepoint => raw_bytes(w, 8..8192),
        ProgType::RawTracepoint => raw_bytes(w, 0..96),
        other => return Err(format!("the context of {other} programs")),
    })
}

impl Env<'_> {
    /// A pointer that must stand at its start.
    pub(crate) fn check_unmoved(&self, reg: u8) -> Step {
        let r = self.reg(reg);
        let ty = || reg_type_str(r.ty).into_owned();
        if r.off < 0 {
            return reject(MemoryReason::NegativeOffset { ty: ty(), reg, off: r.off });
        }
        if r.off != 0 {
            return reject(MemoryReason::ModifiedPointer { ty: ty(), reg, off: r.off });
        }
        if !r.var_off.is_const() || r.var_off.value != 0 {
            return reject(MemoryReason::VariableOffset { ty: ty(), var_off: r.var_off.to_string() });
        }
        Ok(())
    }

    /// An access to the context; a read sets `value_reg`.
    pub(super) fn check_ctx(
        &mut self,
        reg: u8,
        off: i32,
        size: u32,
        access: Access,
        value_reg: Option<u8>,
        sign_extend: bool,
    ) -> Step {
        self.check_unmoved(reg)?;
        let want = Want { off, size: size as i32, access };
        let found = field(self.prog.prog_type, self.prog.attach_type, want).map_err(Stop::Unsupported)?;
        let Some(found) = found else { return reject(MemoryReason::ContextAccess { off, size }) };
        self.max_ctx_offset = self.max_ctx_offset.max(off as u32 + size);
        match found {
            Field::Pointer(_) if sign_extend => return reject(MemoryReason::ContextAccess { off, size }),
            Field::Pointer(base) => {
                if let Some(r) = value_reg.filter(|_| access == Access::Read) {
                    let extra = if base == RegBase::PacketEnd { RegExtra::None } else { RegExtra::Range(0) };
                    *self.reg_mut(r) = RegState::pointer(RegType::of(base), extra);
                }
            }
            Field::Number => {
                if let Some(r) = value_reg.filter(|_| access == Access::Read) {
                    self.mark_reg_unknown(r);
                }
            }
            Field::Unmodelled(what) => return Err(Stop::unsupported(what)),
        }
        Ok(())
    }
}
