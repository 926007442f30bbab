//! What is known of a value, in words.

use crate::case::Case;
use crate::names::Names;
use ebpfkit_abi::TypeFlags;
use ebpfkit_verifier::{RegBase, RegState, RegType};

/// A number in the form in which people write it.
pub(crate) fn number(value: i64) -> String {
    match value {
        _ if value.unsigned_abs() < 1 << 20 => value.to_string(),
        i64::MIN..0 => format!("-{:#x}", value.unsigned_abs()),
        _ => format!("{value:#x}"),
    }
}

/// `1 byte`, `2 bytes`.
pub(crate) fn bytes(count: i64) -> String {
    if count == 1 { "1 byte".into() } else { format!("{count} bytes") }
}

/// `1 byte is`, `2 bytes are`.
pub(crate) fn are(count: i64) -> String {
    if count == 1 { "1 byte is".into() } else { format!("{count} bytes are") }
}

/// `1 is`, `2 are`.
pub(crate) fn are_short(count: i64) -> String {
    if count == 1 { "1 is".into() } else { format!("{count} are") }
}

/// The last byte of an access in words.
pub(crate) fn range_of(from: i64, size: i64) -> String {
    if size == 1 { format!("byte {from}") } else { format!("bytes {from} to {}", from.saturating_add(size - 1)) }
}

/// `a` or `an` before a word.
pub(crate) fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// `1st`, `2nd`, ...
pub(crate) fn ordinal(n: usize) -> String {
    let names = ["zeroth", "first", "second", "third", "fourth", "fifth"];
    names.get(n).map_or_else(|| format!("{n}th"), |&n| n.to_owned())
}

/// What is known of a number.
pub(crate) fn scalar(r: &RegState) -> String {
    if r.var_off.is_const() {
        return format!("the number {}", number(r.var_off.value as i64));
    }
    let known_top = r.smin > i64::MIN || r.smax < i64::MAX;
    if r.smin >= 0 {
        return match r.umax as i64 {
            i64::MAX => format!("a number from {} on, without upper bound", number(r.smin)),
            max => format!("a number from {} to {}", number(r.umin as i64), number(max)),
        };
    }
    if r.umax < u64::MAX && r.umax <= u64::from(u32::MAX) {
        return format!("a number from {} to {}", r.umin, number(r.umax as i64));
    }
    if !known_top {
        return "a number of which nothing is known".into();
    }
    match (r.smin, r.smax) {
        (i64::MIN, max) => format!("a number of at most {}, and perhaps far below zero", number(max)),
        (min, i64::MAX) => format!("a number from {} on, without upper bound", number(min)),
        (min, max) => format!("a number from {} to {}", number(min), number(max)),
    }
}

fn offset(r: &RegState) -> String {
    let mut text = match i64::from(r.off) + if r.var_off.is_const() { r.var_off.value as i64 } else { 0 } {
        0 => String::new(),
        off => format!("{off:+}"),
    };
    if !r.var_off.is_const() {
        text += " plus ";
        let as_number = RegState { ty: RegType::SCALAR, ..*r };
        text += &scalar(&as_number);
    }
    text
}

/// The memory that a pointer leads to.
pub(crate) fn memory(case: &Case<'_>, r: &RegState) -> String {
    let whole = RegState { ty: RegType::with(r.ty.base, r.ty.flags.difference(TypeFlags::MAYBE_NULL)), ..*r };
    let text = value(case, &whole);
    match text.strip_prefix("a pointer to ").or_else(|| text.strip_prefix("the address of ")) {
        Some(what) => what.to_owned(),
        None => text,
    }
}

/// What a register holds where a rejection is explained.
pub(crate) fn value(case: &Case<'_>, r: &RegState) -> String {
    value_of(&case.names(), r)
}

/// What a register holds.
pub(crate) fn value_of(names: &Names<'_>, r: &RegState) -> String {
    let or_null = if r.ty.may_be_null() { ", or NULL" } else { "" };
    let at = offset(r);
    match r.ty.base {
        RegBase::NotInit => "nothing that was ever set".into(),
        RegBase::Scalar => scalar(r),
        RegBase::Ctx => format!("the context{at}"),
        RegBase::ConstMap => match names.map(r) {
            Some(map) => format!("the map '{}'", map.name),
            None => "a map".into(),
        },
        RegBase::MapValue | RegBase::MapKey => {
            let what = if r.ty.base == RegBase::MapKey { "key" } else { "value" };
            match names.map(r) {
                Some(map) => format!("a pointer to a {what} of map '{}'{at}{or_null}", map.name),
                None => format!("a pointer to a {what} of an inner map{at}{or_null}"),
            }
        }
        RegBase::Stack => match r.var_off.is_const() {
            true => format!("the address of the stack at fp{:+}", i64::from(r.off) + r.var_off.value as i64),
            false => format!("an address in the stack, fp{at}"),
        },
        RegBase::Packet => format!("a pointer into the packet, data{at}"),
        RegBase::PacketMeta => format!("a pointer to the packet's metadata{at}"),
        RegBase::PacketEnd => "data_end, the end of the packet".into(),
        RegBase::BtfId => {
            let name = names.struct_name(r).unwrap_or_else(|| "a kernel object".into());
            let trust = match () {
                _ if r.ty.has(TypeFlags::UNTRUSTED) => "an untrusted pointer",
                _ if r.ty.has(TypeFlags::RCU) => "an RCU-protected pointer",
                _ if r.ty.has(TypeFlags::TRUSTED) || r.ref_obj_id != 0 => "a trusted pointer",
                _ => "a pointer",
            };
            let which = if r.ty.has(TypeFlags::USER) { " of user space" } else { "" };
            format!("{trust} to struct {name}{which}{at}{or_null}")
        }
        RegBase::Mem if r.ty.has(TypeFlags::UNTRUSTED) => {
            format!("an address of the kernel's memory that is not vouched for{at}{or_null}")
        }
        RegBase::Mem => match r.extra {
            ebpfkit_verifier::RegExtra::Mem { size, .. } => {
                format!("a pointer to {} of memory{at}{or_null}", bytes(size.into()))
            }
            _ => format!("a pointer to memory{at}{or_null}"),
        },
        RegBase::Socket | RegBase::SockCommon | RegBase::TcpSock | RegBase::XdpSock => {
            format!("a pointer to a socket{at}{or_null}")
        }
        RegBase::FlowKeys => "a pointer to the flow keys".into(),
        RegBase::Arena => "an address in the arena".into(),
        RegBase::Insn => "the address of an instruction".into(),
        RegBase::Func => "the address of a function".into(),
        RegBase::ConstDynptr => "a dynptr".into(),
        RegBase::Buf | RegBase::TpBuffer => format!("a pointer to a buffer{at}{or_null}"),
    }
}
