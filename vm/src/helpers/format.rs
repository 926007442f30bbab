//! Formatted text: `bpf_trace_printk` and its kin.

use super::Row;
use super::cx::{self, Ret};
use super::{events, probe};
use crate::{Errno, Event, Fault, Run};

pub(super) const ROWS: &[Row] =
    &[("trace_printk", trace_printk), ("trace_vprintk", trace_vprintk), ("snprintf", snprintf)];

/// Arguments that a format may have (`MAX_BPRINTF_VARARGS`).
const MAX_ARGS: u64 = 12;
/// Bytes of arguments after conversion (`MAX_BPRINTF_BIN_ARGS`).
const MAX_BIN_ARGS: usize = 512;
/// Bytes of a line, its zero included (`MAX_BPRINTF_BUF`).
const MAX_LINE: usize = 1024;

/// Width and flags before a conversion.
#[derive(Clone, Copy, Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    width: usize,
}

impl Spec {
    fn pad(self, out: &mut Vec<u8>, text: &[u8]) {
        let fill = self.width.saturating_sub(text.len());
        if !self.left {
            out.extend(std::iter::repeat_n(b' ', fill));
        }
        out.extend_from_slice(text);
        if self.left {
            out.extend(std::iter::repeat_n(b' ', fill));
        }
    }

    fn number(self, out: &mut Vec<u8>, negative: bool, signed: bool, digits: &str) {
        let sign = match (negative, signed && self.plus, signed && self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        if self.zero && !self.left {
            let width = self.width.saturating_sub(sign.len());
            out.extend_from_slice(sign.as_bytes());
            out.extend(std::iter::repeat_n(b'0', width.saturating_sub(digits.len())));
            out.extend_from_slice(digits.as_bytes());
        } else {
            self.pad(out, format!("{sign}{digits}").as_bytes());
        }
    }
}

/// Bytes that converted arguments take in the kernel's buffer.
struct BufferUse(usize);

impl BufferUse {
    fn text(&mut self, bytes: usize) -> Result<(), Errno> {
        self.0 += bytes;
        if self.0 > MAX_BIN_ARGS { Err(Errno::ENOSPC) } else { Ok(()) }
    }

    fn number(&mut self, bytes: usize) -> Result<(), Errno> {
        self.0 = self.0.next_multiple_of(4);
        self.text(bytes)
    }
}

fn ends_word(c: u8) -> bool {
    c == 0 || c.is_ascii_whitespace() || c == 0x0b || c.is_ascii_punctuation()
}

/// Formats as the kernel does, with its checks of the format. `fmt` is without its zero byte; `read` gives the bytes at
/// an address, as many as there are up to the length asked for, or nothing.
pub fn format(fmt: &[u8], args: &[u64], read: &mut dyn FnMut(u64, usize) -> Option<Vec<u8>>) -> Result<Vec<u8>, Errno> {
    let at = |i: usize| fmt.get(i).copied().unwrap_or(0);
    let mut out = Vec::new();
    let mut used = 0;
    let mut buffer = BufferUse(0);
    let mut i = 0;
    while i < fmt.len() {
        let c = fmt[i];
        let plain = c >= 0x80 || c.is_ascii_graphic() || c.is_ascii_whitespace() || c == 0x0b || c == b' ';
        if !plain {
            return Err(Errno::EINVAL);
        }
        if c != b'%' {
            out.push(c);
            i += 1;
            continue;
        }
        if at(i + 1) == b'%' {
            out.push(b'%');
            i += 2;
            continue;
        }
        let arg = *args.get(used).ok_or(Errno::EINVAL)?;
        used += 1;
        i += 1;
        let mut spec = Spec::default();
        loop {
            match at(i) {
                b'0' => spec.zero = true,
                b'+' => spec.plus = true,
                b'-' => spec.left = true,
                b' ' => spec.space = true,
                _ => break,
            }
            i += 1;
        }
        while at(i).is_ascii_digit() {
            spec.width = (spec.width * 10 + usize::from(at(i) - b'0')).min(MAX_LINE);
            i += 1;
        }
        match at(i) {
            b'p' => i = pointer(fmt, i, arg, spec, &mut buffer, &mut out, read)?,
            b's' => {
                if !ends_word(at(i + 1)) {
                    return Err(Errno::EINVAL);
                }
                string(arg, spec, &mut buffer, &mut out, read)?;
                i += 1;
            }
            b'c' => {
                buffer.text(1)?;
                spec.pad(&mut out, &[arg as u8]);
                i += 1;
            }
            _ => {
                let mut long = false;
                let mut bytes = 4;
                for _ in 0..2 {
                    if at(i) == b'l' {
                        (long, bytes) = (true, 8);
                        i += 1;
                    }
                }
                let value = if long { arg } else { u64::from(arg as u32) };
                let signed = if long { arg as i64 } else { i64::from(arg as i32) };
                let kind = at(i);
                if !matches!(kind, b'i' | b'd' | b'u' | b'x' | b'X') {
                    return Err(Errno::EINVAL);
                }
                buffer.number(bytes)?;
                match kind {
                    b'u' => spec.number(&mut out, false, false, &value.to_string()),
                    b'x' => spec.number(&mut out, false, false, &format!("{value:x}")),
                    b'X' => spec.number(&mut out, false, false, &format!("{value:X}")),
                    _ => spec.number(&mut out, signed < 0, true, &signed.unsigned_abs().to_string()),
                }
                i += 1;
            }
        }
    }
    Ok(out)
}

type Read<'a> = &'a mut dyn FnMut(u64, usize) -> Option<Vec<u8>>;

fn string(arg: u64, spec: Spec, buffer: &mut BufferUse, out: &mut Vec<u8>, read: Read<'_>) -> Result<(), Errno> {
    let left = MAX_BIN_ARGS - buffer.0.min(MAX_BIN_ARGS);
    if left == 0 {
        return Err(Errno::ENOSPC);
    }
    let mut text = read(arg, left).unwrap_or_default();
    let end = text.iter().position(|b| *b == 0).unwrap_or(text.len()).min(left - 1);
    text.truncate(end);
    buffer.text(end + 1)?;
    spec.pad(out, &text);
    Ok(())
}

/// The conversions that start with `p`; the position after them.
fn pointer(
    fmt: &[u8],
    at_p: usize,
    arg: u64,
    spec: Spec,
    buffer: &mut BufferUse,
    out: &mut Vec<u8>,
    read: Read<'_>,
) -> Result<usize, Errno> {
    let at = |n: usize| fmt.get(at_p + n).copied().unwrap_or(0);
    let hex = Spec { zero: true, width: 16, ..Spec::default() };
    if ends_word(at(1)) {
        buffer.number(8)?;
        hex.number(out, false, false, &format!("{arg:x}"));
        return Ok(at_p + 1);
    }
    match (at(1), at(2)) {
        (b'k' | b'u', b's') => {
            if !ends_word(at(3)) {
                return Err(Errno::EINVAL);
            }
            string(arg, spec, buffer, out, read)?;
            Ok(at_p + 3)
        }
        (b'K' | b'x', _) => {
            buffer.number(8)?;
            hex.number(out, false, false, &format!("{arg:x}"));
            Ok(at_p + 2)
        }
        // Symbols: no address has a name here.
        (b's' | b'S' | b'B', _) => {
            buffer.number(8)?;
            out.extend_from_slice(format!("{arg:#x}").as_bytes());
            Ok(at_p + 2)
        }
        (kind @ (b'i' | b'I'), version @ (b'4' | b'6')) => {
            let len = if version == b'4' { 4 } else { 16 };
            let bytes = read(arg, len).filter(|b| b.len() == len).unwrap_or_else(|| vec![0; len]);
            let text = match (version, kind) {
                (b'4', b'I') => format!("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]),
                (b'4', _) => format!("{:03}.{:03}.{:03}.{:03}", bytes[0], bytes[1], bytes[2], bytes[3]),
                (_, kind) => {
                    let words: Vec<_> = bytes.chunks(2).map(|g| format!("{:02x}{:02x}", g[0], g[1])).collect();
                    words.join(if kind == b'I' { ":" } else { "" })
                }
            };
            buffer.text(text.len() + 1)?;
            spec.pad(out, text.as_bytes());
            Ok(at_p + 3)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Formats with strings from this run's memory. The format ends at its first zero byte.
pub(super) fn run_format(run: &mut Run, fmt: &[u8], args: &[u64]) -> Result<Vec<u8>, Errno> {
    let end = fmt.iter().position(|b| *b == 0).ok_or(Errno::EINVAL)?;
    format(&fmt[..end], args, &mut |address, len| {
        probe::bytes_at(run, address, len).or_else(|| match probe::string_at(run, address, len) {
            (text, true) => Some(text),
            _ => None,
        })
    })
}

/// A formatted line, cut to what the kernel keeps of one.
pub(super) fn line(run: &mut Run, fmt: &[u8], args: &[u64]) -> Result<Vec<u8>, Errno> {
    let mut text = run_format(run, fmt, args)?;
    text.truncate(MAX_LINE - 1);
    Ok(text)
}

fn print(run: &mut Run, fmt: &[u8], args: &[u64]) -> Ret {
    match run_format(run, fmt, args) {
        Ok(mut text) => {
            let len = text.len() as u64;
            text.truncate(MAX_LINE - 1);
            events::emit(run, Event::Printk(String::from_utf8_lossy(&text).into_owned()));
            Ok(len)
        }
        Err(errno) => cx::fail(errno),
    }
}

fn trace_printk(run: &mut Run, [fmt, size, a, b, c]: [u64; 5]) -> Ret {
    let fmt = cx::copy(run, fmt, size as u32 as usize)?;
    print(run, &fmt, &[a, b, c])
}

/// The arguments as an array in the program's memory.
pub(super) fn array(run: &mut Run, args: u64, len: u64) -> Result<Result<Vec<u64>, Errno>, Fault> {
    let len = u64::from(len as u32);
    if !len.is_multiple_of(8) || len > MAX_ARGS * 8 || len != 0 && args == 0 {
        return Ok(Err(Errno::EINVAL));
    }
    let bytes = cx::copy(run, args, len as usize)?;
    Ok(Ok(bytes.chunks_exact(8).map(|c| u64::from_ne_bytes(c.try_into().unwrap_or_default())).collect()))
}

fn trace_vprintk(run: &mut Run, [fmt, size, args, len, _]: [u64; 5]) -> Ret {
    let args = match array(run, args, len)? {
        Ok(args) => args,
        Err(errno) => return cx::fail(errno),
    };
    let fmt = cx::copy(run, fmt, size as u32 as usize)?;
    print(run, &fmt, &args)
}

/// A zero-terminated string of the program's memory, its zero included.
pub(super) fn terminated(run: &mut Run, address: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    loop {
        run.spend(1)?;
        let mut byte = [0];
        run.read(address.wrapping_add(bytes.len() as u64), &mut byte)?;
        bytes.push(byte[0]);
        if byte[0] == 0 || bytes.len() > 1 << 20 {
            return Ok(bytes);
        }
    }
}

fn snprintf(run: &mut Run, [to, size, fmt, args, len]: [u64; 5]) -> Ret {
    let args = match array(run, args, len)? {
        Ok(args) => args,
        Err(errno) => return cx::fail(errno),
    };
    let fmt = terminated(run, fmt)?;
    match run_format(run, &fmt, &args) {
        Ok(mut text) => {
            let whole = text.len() as u64 + 1;
            let size = size as u32 as usize;
            if size != 0 {
                text.truncate(size - 1);
                text.push(0);
                cx::write(run, to, &text)?;
            }
            Ok(whole)
        }
        Err(errno) => cx::fail(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f(fmt: &str, args: &[u64]) -> Result<String, Errno> {
        let mut read = |address: u64, len: usize| match address {
            1 => Some(b"hello\0"[..len.min(6)].to_vec()),
            2 => Some((1..=16).take(len).collect()),
            _ => None,
        };
        format(fmt.as_bytes(), args, &mut read).map(|b| String::from_utf8(b).unwrap())
    }

    #[test]
    fn conversions() {
        assert_eq!(f("%d %u %x %X", &[-5i64 as u64, u64::MAX, 255, 255]).unwrap(), "-5 4294967295 ff FF");
        assert_eq!(
            f("%ld %lu %llx", &[-5i64 as u64, u64::MAX, u64::MAX]).unwrap(),
            "-5 18446744073709551615 ffffffffffffffff"
        );
        assert_eq!(f("[%5d|%-5d|%05d|%+d|% d]", &[42, 42, 42, 42, 42]).unwrap(), "[   42|42   |00042|+42| 42]");
        assert_eq!(f("%s|%10s|%c|%%", &[1, 1, 65]).unwrap(), "hello|     hello|A|%");
        assert_eq!(f("%s", &[99]).unwrap(), "");
        assert_eq!(f("%pI4 %pi4", &[2, 2]).unwrap(), "1.2.3.4 001.002.003.004");
        assert_eq!(f("%pI6", &[2]).unwrap(), "0102:0304:0506:0708:090a:0b0c:0d0e:0f10");
        assert_eq!(f("%px", &[0x1234]).unwrap(), "0000000000001234");
    }

    #[test]
    fn refusals() {
        for bad in ["%d", "%q", "%sx", "%p9", "%lld%", "a\u{1}b", "%hd"] {
            let args: &[u64] = if bad == "%d" { &[] } else { &[1, 1] };
            assert_eq!(f(bad, args), Err(Errno::EINVAL), "{bad:?}");
        }
    }
}
