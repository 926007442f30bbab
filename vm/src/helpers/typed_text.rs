//! Objects as text, by the kernel's types: `bpf_snprintf_btf` and `bpf_seq_printf_btf`.
//!
//! A member whose value is zero is left out, and so is a struct or an array in which every value is: it is gone through
//! once to see how deep the deepest value stands that would be shown, and only then written.

use super::Row;
use super::cx::{self, Ret};
use super::{probe, trace};
use crate::{Errno, Fault, Run};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{IntEncoding, Kind, Type, TypeId};
use std::fmt::Write as _;

pub(super) const ROWS: &[Row] = &[("snprintf_btf", snprintf_btf), ("seq_printf_btf", seq_printf_btf)];

/// No new lines and no indentation (`BTF_F_COMPACT`).
const COMPACT: u64 = 1;
/// No names of members and types (`BTF_F_NONAME`).
const NO_NAMES: u64 = 2;
/// Addresses as they are, which here they always are (`BTF_F_PTR_RAW`).
const RAW_POINTERS: u64 = 4;
/// Zeros too (`BTF_F_ZERO`).
const ZEROS: u64 = 8;

/// Bytes of a name with all that belongs to it, its zero byte included (`BTF_SHOW_NAME_SIZE`).
const NAME_BYTES: usize = 80;
/// Pointers, arrays and names of types that are followed to say what a member is (`BTF_SHOW_MAX_ITER`).
const MAX_NESTING: usize = 10;
/// Spaces that a line begins with, at most.
const MAX_INDENT: usize = 80;
/// Bytes of a base type, at most.
const MAX_BASE: usize = 16;

/// Why nothing is shown.
enum Stop {
    /// The program sees this number.
    Errno(Errno),
    /// The run ends.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The text so far, of which no more is kept than fits.
struct Text {
    kept: Vec<u8>,
    most: usize,
    len: usize,
}

impl Text {
    fn push(&mut self, text: &[u8]) {
        self.len += text.len();
        let rest = self.most.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&text[..text.len().min(rest)]);
    }
}

/// What is shown now, and where it stands.
#[derive(Clone, Copy, Default)]
struct State<'a> {
    depth: usize,
    /// Values are only looked at, on behalf of what stands one less deep.
    looking_from: Option<usize>,
    /// Where the deepest value stands that is to be shown.
    deepest: usize,
    /// The member whose value comes next: its name and type.
    member: Option<(&'a str, TypeId)>,
    /// The type as it was named, before modifiers and typedefs; zero behind its end.
    named: TypeId,
    /// The kind of what was begun and has not ended.
    kind: Option<Kind>,
    in_array: bool,
    /// The elements are characters, and whether their text has ended.
    chars: bool,
    ended: bool,
}

/// Shows one object.
struct Printer<'a, 'r> {
    run: &'r mut Run,
    types: &'a Btf,
    flags: u64,
    /// Address behind the object.
    end: u64,
    text: Text,
    at: State<'a>,
}

impl<'a> Printer<'a, '_> {
    fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }

    fn write(&mut self, text: impl AsRef<[u8]>) {
        if self.at.looking_from.is_none() {
            self.text.push(text.as_ref());
        }
    }

    /// Bytes at an address, of the object as far as it goes.
    fn bytes(&mut self, address: u64, len: usize) -> Result<[u8; MAX_BASE], Stop> {
        self.run.spend(1)?;
        let mut out = [0; MAX_BASE];
        let len = self.end.saturating_sub(address).min(len.min(MAX_BASE) as u64) as usize;
        let read = probe::bytes_at(self.run, address, len).ok_or(Stop::Errno(Errno::EFAULT))?;
        out[..len].copy_from_slice(&read);
        Ok(out)
    }

    fn indent(&mut self) {
        if !self.has(COMPACT) {
            self.write(" ".repeat(self.at.depth.min(MAX_INDENT)));
        }
    }

    fn end_line(&mut self) {
        if self.at.depth > 0 {
            let separates_union = self.has(COMPACT) && self.at.kind == Some(Kind::Union);
            self.write(if separates_union { "|" } else { "," });
        }
        self.new_line();
    }

    fn new_line(&mut self) {
        if !self.has(COMPACT) {
            self.write("\n");
        }
    }

    /// What stands before a value: member, type, and the bracket that a struct or an array opens.
    fn name(&self) -> String {
        if self.at.in_array {
            return String::new();
        }
        let (member, mut ty) = match self.at.member {
            Some((name, ty)) => (name, ty),
            None => ("", self.at.named),
        };
        let (mut name, mut pointers, mut arrays) = (None, 0, 0);
        let mut is_typedef = false;
        let mut bracket = "";
        for nesting in 0.. {
            if nesting == MAX_NESTING {
                return String::new();
            }
            let next = match self.types.get(ty) {
                Some(Type::Typedef(to)) => {
                    name.get_or_insert_with(|| self.types.name(ty));
                    is_typedef = true;
                    to
                }
                Some(Type::Array { elem, .. }) => {
                    bracket = "[";
                    arrays += 1;
                    elem
                }
                Some(Type::Ptr(to)) => {
                    pointers += 1;
                    to
                }
                _ => 0,
            };
            if next == 0 {
                break;
            }
            ty = self.types.skip_modifiers(next);
        }
        let name = name.unwrap_or_else(|| self.types.name(ty));
        let mut prefix = match self.types.kind(ty) {
            Some(kind @ (Kind::Struct | Kind::Union)) => {
                if pointers == 0 && arrays == 0 {
                    bracket = "{";
                }
                if kind == Kind::Struct { "struct" } else { "union" }
            }
            Some(Kind::Enum | Kind::Enum64) => "enum",
            _ => "",
        };
        if pointers > 0 {
            bracket = "";
        }
        if is_typedef {
            prefix = "";
        }
        if self.has(NO_NAMES) {
            return bracket.to_owned();
        }
        let mut out = String::new();
        if !member.is_empty() {
            let _ = write!(out, ".{member} = ");
        }
        let space = if prefix.is_empty() || name.is_empty() { "" } else { " " };
        let stars = if pointers > 0 { format!(" {}", "*".repeat(pointers)) } else { String::new() };
        let _ = write!(out, "({prefix}{space}{name}{stars}{})", "[]".repeat(arrays));
        out.push_str(bracket);
        // Names of types are ASCII, but nothing checks that.
        while out.len() >= NAME_BYTES {
            out.pop();
        }
        out
    }

    /// A value, unless it is zero and zeros are left out.
    fn value(&mut self, text: impl AsRef<[u8]>, is_zero: bool) {
        if is_zero && !self.has(ZEROS) && self.at.depth > 0 {
            return;
        }
        self.indent();
        let name = self.name();
        self.write(name);
        self.write(text);
        self.end_line();
        self.at.deepest = self.at.deepest.max(self.at.depth);
    }

    fn begin(&mut self, ty: TypeId, named: TypeId) {
        (self.at.kind, self.at.named) = (self.types.kind(ty), named);
    }

    fn end(&mut self) {
        (self.at.kind, self.at.named) = (None, 0);
    }

    /// A value of a type, which `named` stands for, at an address and some bits behind it.
    fn show(&mut self, named: TypeId, address: u64, bits: u32) -> Result<(), Stop> {
        let ty = self.types.resolve(named);
        match self.types.get(ty) {
            Some(Type::Struct(_) | Type::Union(_)) => self.aggregate(|t| t.members(ty, named, address)),
            Some(Type::Array { elem, len, .. }) => self.aggregate(|t| t.elements(ty, named, (elem, len), address)),
            Some(Type::Int { size, encoding }) => {
                self.begin(ty, named);
                self.integer(size, encoding, address, bits)?;
                self.end();
                Ok(())
            }
            Some(Type::Ptr(_)) => {
                self.begin(ty, named);
                let value = self.number(address, 8)? as u64;
                self.value(format!("0x{value:016x}"), value == 0);
                self.end();
                Ok(())
            }
            Some(Type::Enum { signed, .. }) => self.constant(ty, named, 4, signed, address),
            Some(Type::Enum64 { signed, .. }) => self.constant(ty, named, 8, signed, address),
            _ => {
                let kind = self.types.kind(ty).map_or(0, |kind| kind as u8);
                self.write(format!("<unsupported kind:{kind}>"));
                Ok(())
            }
        }
    }

    /// A number of so many bytes.
    fn number(&mut self, address: u64, size: usize) -> Result<u128, Stop> {
        let bytes = self.bytes(address, size)?;
        let little = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, b| n << 8 | u128::from(*b));
        let big = |bytes: &[u8]| bytes.iter().fold(0, |n, b| n << 8 | u128::from(*b));
        Ok(if cfg!(target_endian = "big") { big(&bytes[..size]) } else { little(&bytes[..size]) })
    }

    fn integer(&mut self, size: u32, encoding: IntEncoding, address: u64, bits: u32) -> Result<(), Stop> {
        let width = u32::from(encoding.bits);
        if bits != 0 || encoding.bit_offset != 0 || !matches!(width, 8 | 16 | 32 | 64 | 128) {
            return self.bit_field(address, bits + u32::from(encoding.bit_offset), width);
        }
        let value = self.number(address, width as usize / 8)?;
        if width == 128 {
            self.wide(value);
            return Ok(());
        }
        if size == 1 && self.at.chars {
            if self.at.ended || value == 0 {
                self.at.ended = true;
                return Ok(());
            }
            if is_printable(value as u8) {
                // A byte, whatever a character of it would be.
                self.value([b'\'', value as u8, b'\''], false);
                return Ok(());
            }
        }
        let text = if encoding.signed {
            let shift = 128 - width;
            ((value << shift) as i128 >> shift).to_string()
        } else {
            value.to_string()
        };
        self.value(text, value == 0);
        Ok(())
    }

    /// A number of any width, in hexadecimal.
    fn wide(&mut self, value: u128) {
        self.value(format!("{value:#x}"), value == 0);
    }

    fn bit_field(&mut self, address: u64, bits: u32, width: u32) -> Result<(), Stop> {
        let (address, bits) = (address.wrapping_add(u64::from(bits / 8)), bits % 8);
        let size = (bits + width).div_ceil(8).min(MAX_BASE as u32);
        let value = self.number(address, size as usize)?;
        let below = if cfg!(target_endian = "big") { (size * 8).saturating_sub(bits + width) } else { bits };
        let mask = 1u128.checked_shl(width).map_or(u128::MAX, |one| one - 1);
        self.wide(value >> below & mask);
        Ok(())
    }

    /// A constant by its name, which is shown even for zero; a number that has none.
    fn constant(&mut self, ty: TypeId, named: TypeId, size: usize, signed: bool, address: u64) -> Result<(), Stop> {
        self.begin(ty, named);
        let value = self.number(address, size)? as u64;
        let value = if signed && size == 4 { i64::from(value as i32) as u64 } else { value };
        let name = self.types.enum_values(ty).find(|constant| constant.value == value).map(|c| c.name);
        match name {
            Some(name) => self.value(name, false),
            None if signed => self.value((value as i64).to_string(), value == 0),
            None => self.value(value.to_string(), value == 0),
        }
        self.end();
        Ok(())
    }

    /// Shows a struct or an array, if anything in it is to be shown.
    fn aggregate(&mut self, mut show: impl FnMut(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        if self.at.depth == 0 || self.has(ZEROS) {
            return show(self);
        }
        let member = self.at.member;
        if self.at.looking_from.is_some() {
            // Another one outside looks already.
            show(self)?;
            self.at.member = member;
            return Ok(());
        }
        (self.at.looking_from, self.at.deepest) = (Some(self.at.depth), 0);
        show(self)?;
        (self.at.looking_from, self.at.member) = (None, member);
        if self.at.deepest > self.at.depth { show(self) } else { Ok(()) }
    }

    fn open(&mut self, ty: TypeId, named: TypeId) {
        self.begin(ty, named);
        self.indent();
        let name = self.name();
        self.write(name);
        self.new_line();
        self.at.depth += 1;
    }

    fn close(&mut self, bracket: &str) {
        self.at.depth -= 1;
        self.indent();
        self.write(bracket);
        self.end_line();
        self.end();
    }

    fn members(&mut self, ty: TypeId, named: TypeId, address: u64) -> Result<(), Stop> {
        self.open(ty, named);
        let types = self.types;
        for member in types.members(ty) {
            self.at.member = Some((member.name, member.ty));
            let at = address.wrapping_add(u64::from(member.bit_offset / 8));
            let bits = member.bit_offset % 8;
            if member.bitfield_size != 0 {
                self.begin(member.ty, member.ty);
                self.bit_field(at, bits, member.bitfield_size.into())?;
                self.end();
            } else {
                self.show(member.ty, at, bits)?;
            }
            self.at.member = None;
        }
        self.close("}");
        Ok(())
    }

    fn elements(&mut self, ty: TypeId, named: TypeId, of: (TypeId, u32), address: u64) -> Result<(), Stop> {
        let (elem, len) = of;
        let resolved = self.types.resolve(elem);
        // The kernel steps over elements that have a size of their own; pointers and arrays have none.
        let step = match self.types.get(resolved) {
            Some(Type::Ptr(_) | Type::Array { .. }) | None => 0,
            Some(_) => self.types.size_of(resolved).unwrap_or(0),
        };
        (self.at.chars, self.at.ended) = (self.types.kind(resolved) == Some(Kind::Int) && step == 1, false);
        self.open(ty, named);
        for number in 0..len {
            (self.at.in_array, self.at.member) = (true, None);
            self.show(elem, address.wrapping_add(u64::from(number) * u64::from(step)), 0)?;
            (self.at.in_array, self.at.member) = (false, None);
            if self.at.ended {
                break;
            }
        }
        (self.at.chars, self.at.ended) = (false, false);
        self.close("]");
        Ok(())
    }
}

/// Whether the kernel takes a character for printable; it reads text as Latin-1.
fn is_printable(c: u8) -> bool {
    matches!(c, b' '..=b'~' | 0xa0..)
}

/// The object that a `struct btf_ptr` names, as text of which at most so many bytes are kept.
fn shown(run: &mut Run, most: usize, [at, size, flags]: [u64; 3]) -> Result<Text, Stop> {
    if flags & !(COMPACT | NO_NAMES | RAW_POINTERS | ZEROS) != 0 || size as u32 != 16 {
        return Err(Stop::Errno(Errno::EINVAL));
    }
    let (object, ty) = (cx::read_u64(run, at)?, cx::read_u32(run, at.wrapping_add(8))?);
    let program = run.current().clone();
    let types = program.kernel_types().ok_or(Stop::Errno(Errno::EINVAL))?;
    match i32::try_from(ty) {
        Ok(0) | Err(_) => return Err(Stop::Errno(Errno::EINVAL)),
        Ok(_) if types.kind(ty).is_none() => return Err(Stop::Errno(Errno::ENOENT)),
        Ok(_) => {}
    }
    let size = types.size_of(ty).ok_or(Stop::Errno(Errno::EINVAL))?;
    let text = Text { kept: Vec::new(), most, len: 0 };
    let end = object.saturating_add(size.into());
    let mut printer = Printer { run, types, flags, end, text, at: State::default() };
    printer.show(ty, object, 0)?;
    Ok(printer.text)
}

fn snprintf_btf(run: &mut Run, [to, size, at, at_size, flags]: [u64; 5]) -> Ret {
    let size = size as u32 as usize;
    match shown(run, size.saturating_sub(1), [at, at_size, flags]) {
        Ok(mut text) => {
            if size != 0 {
                text.kept.push(0);
                cx::write(run, to, &text.kept)?;
            }
            Ok(text.len as u64)
        }
        Err(Stop::Errno(errno)) => cx::fail(errno),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

fn seq_printf_btf(run: &mut Run, [_, at, at_size, flags, _]: [u64; 5]) -> Ret {
    let most = usize::try_from(run.world.limits.emitted).unwrap_or(usize::MAX);
    match shown(run, most, [at, at_size, flags]) {
        Ok(text) if text.len > text.kept.len() => cx::fail(Errno::EOVERFLOW),
        Ok(text) => trace::output(run, text.kept),
        Err(Stop::Errno(errno)) => cx::fail(errno),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}
