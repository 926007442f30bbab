//! Bytes as hexadecimal text.

use std::fmt::Write;

/// Text that does not stand for bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// Half a byte is left over.
    #[error("an odd number of hexadecimal digits")]
    Odd,
    /// Something else than a digit.
    #[error("`{0}` is no hexadecimal digit")]
    Digit(char),
}

/// Bytes written as pairs of digits; blanks may stand anywhere between digits, and `0x` before the first.
pub fn decode(text: &str) -> Result<Vec<u8>, HexError> {
    let text = text.trim_start();
    let digits = text.strip_prefix("0x").unwrap_or(text).chars().filter(|c| !c.is_whitespace());
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for c in digits {
        let digit = c.to_digit(16).ok_or(HexError::Digit(c))? as u8;
        match high.take() {
            Some(high) => bytes.push(high << 4 | digit),
            None => high = Some(digit),
        }
    }
    if high.is_none() { Ok(bytes) } else { Err(HexError::Odd) }
}

/// The digits of bytes, without blanks.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A hardware address: six bytes with colons between them, such as 02:00:00:00:00:01.
pub fn hardware_address(text: &str) -> Option<[u8; 6]> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|p| matches!(p.len(), 1 | 2) && !p.starts_with('+'))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_people_write_them() {
        for text in ["00ff10", "00 ff 10", "0x00ff10", " 0x00FF10\n", "0 0f f10"] {
            assert_eq!(decode(text), Ok(vec![0, 0xff, 0x10]), "{text:?}");
        }
        assert_eq!(decode(""), Ok(vec![]));
        assert_eq!(decode("123"), Err(HexError::Odd));
        assert_eq!(decode("12é4"), Err(HexError::Digit('é')));
        assert_eq!(decode("0x0x"), Err(HexError::Digit('x')));
        assert_eq!(decode(&encode(&[1, 0x80, 0xff])), Ok(vec![1, 0x80, 0xff]));
    }

    #[test]
    fn hardware_addresses_have_six_bytes() {
        assert_eq!(hardware_address("02:0:00:00:aB:01"), Some([2, 0, 0, 0, 0xab, 1]));
        for text in
            ["", "02:00:00:00:00", "02:00:00:00:00:01:00", "002:00:00:00:00:01", "+2:00:00:00:00:01", "g:0:0:0:0:0"]
        {
            assert_eq!(hardware_address(text), None, "{text:?}");
        }
    }
}
