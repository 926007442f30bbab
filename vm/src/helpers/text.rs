//! Strings and numbers in text.

use super::Row;
use super::cx::{self, Ret};
use crate::{Errno, Run};

pub(super) const ROWS: &[Row] = &[("strtol", strtol), ("strtoul", strtoul), ("strncmp", strncmp)];

/// Bits of the flags that hold the base.
const BASE_MASK: u64 = 0x1f;
/// Characters of a number that are looked at.
const MAX_DIGITS: usize = 63;

/// A sign, a number and the bytes they take.
fn parse(text: &[u8], flags: u64) -> Result<(bool, u64, usize), Errno> {
    let mut base = (flags & BASE_MASK) as u32;
    if text.is_empty() || !matches!(base, 0 | 8 | 10 | 16) || flags & !BASE_MASK != 0 {
        return Err(Errno::EINVAL);
    }
    let space = |b: &u8| b.is_ascii_whitespace() || *b == 0x0b || *b == 0xa0;
    let mut at = text.iter().take_while(|b| space(b)).count();
    let negative = text.get(at) == Some(&b'-');
    at += usize::from(negative);
    let rest = &text[at.min(text.len())..];
    if rest.is_empty() {
        return Err(Errno::EINVAL);
    }
    let rest = &rest[..rest.len().min(MAX_DIGITS)];
    let hex_prefix = rest[0] == b'0' && rest.get(1).is_some_and(|c| *c == b'x' || *c == b'X');
    if base == 0 {
        base = match rest[0] {
            b'0' if hex_prefix && rest.get(2).is_some_and(u8::is_ascii_hexdigit) => 16,
            b'0' => 8,
            _ => 10,
        };
    }
    let skip = if base == 16 && hex_prefix { 2 } else { 0 };
    let mut value = 0u64;
    let mut digits = 0;
    let mut overflow = false;
    for c in &rest[skip..] {
        let Some(d) = char::from(*c).to_digit(base) else { break };
        let next = value.checked_mul(base.into()).and_then(|v| v.checked_add(d.into()));
        overflow |= next.is_none();
        value = next.unwrap_or(0);
        digits += 1;
    }
    if overflow {
        return Err(Errno::ERANGE);
    }
    if digits == 0 {
        return Err(Errno::EINVAL);
    }
    Ok((negative, value, at + skip + digits))
}

fn strtol(run: &mut Run, [text, len, flags, to, _]: [u64; 5]) -> Ret {
    let text = cx::copy(run, text, len as usize)?;
    let parsed = parse(&text, flags).and_then(|(negative, value, used)| {
        let value = if negative { (value as i64).wrapping_neg() } else { value as i64 };
        let fits = if negative { value <= 0 } else { value >= 0 };
        if fits { Ok((value, used as u64)) } else { Err(Errno::ERANGE) }
    });
    cx::write(run, to, &parsed.map_or(0, |p| p.0).to_ne_bytes())?;
    cx::number(parsed.map(|p| p.1))
}

fn strtoul(run: &mut Run, [text, len, flags, to, _]: [u64; 5]) -> Ret {
    let text = cx::copy(run, text, len as usize)?;
    let parsed = parse(&text, flags)
        .and_then(|(negative, value, used)| if negative { Err(Errno::EINVAL) } else { Ok((value, used as u64)) });
    cx::write(run, to, &parsed.map_or(0, |p| p.0).to_ne_bytes())?;
    cx::number(parsed.map(|p| p.1))
}

fn strncmp(run: &mut Run, [one, size, two, ..]: [u64; 5]) -> Ret {
    for i in 0..u64::from(size as u32) {
        let (mut a, mut b) = ([0], [0]);
        run.spend(1)?;
        run.read(one.wrapping_add(i), &mut a)?;
        run.read(two.wrapping_add(i), &mut b)?;
        if a != b {
            return Ok(if a < b { -1i64 as u64 } else { 1 });
        }
        if a[0] == 0 {
            break;
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(parse(b" -0x1fz", 0), Ok((true, 31, 6)));
        assert_eq!(parse(b"017", 0), Ok((false, 15, 3)));
        assert_eq!(parse(b"0x", 16), Err(Errno::EINVAL));
        assert_eq!(parse(b"18446744073709551615", 10), Ok((false, u64::MAX, 20)));
        assert_eq!(parse(b"18446744073709551616", 10), Err(Errno::ERANGE));
        assert_eq!(parse(b"  ", 0), Err(Errno::EINVAL));
        assert_eq!(parse(b"9", 7), Err(Errno::EINVAL));
    }
}
