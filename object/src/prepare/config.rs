//! The kernel's configuration (`CONFIG_X=value` lines) as values of the `.kconfig` map.

use crate::model::{ConfigForm, Extern, ExternKind};
use rustc_hash::FxHashMap;

/// Start of the names that stand in the configuration.
pub(super) const PREFIX: &str = "CONFIG_";

/// Fills in every extern that a configuration sets; which ones were set.
pub(super) fn read(externs: &[Extern], text: &str, data: &mut [u8]) -> Result<Vec<bool>, String> {
    let mut set = vec![false; externs.len()];
    let by_name: FxHashMap<&str, usize> = externs.iter().enumerate().rev().map(|(i, e)| (e.name.as_str(), i)).collect();
    for line in text.lines().filter(|l| l.starts_with(PREFIX)) {
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("failed to parse '{line}': no separator"));
        };
        if value.is_empty() {
            return Err(format!("failed to parse '{line}': no value"));
        }
        let Some(number) = by_name.get(name).copied().filter(|&n| !set[n]) else { continue };
        let e = &externs[number];
        let named = |why: String| format!("extern (kcfg) '{name}': {why}");
        let Some((target, form)) = bytes_of(e, data) else { continue };
        match value.as_bytes()[0] {
            letter @ (b'y' | b'n' | b'm') => letter_value(target, form, letter).map_err(named)?,
            b'"' => text_value(target, form, value).map_err(named)?,
            _ => {
                let Some(number) = integer(value) else {
                    return Err(format!("failed to parse '{value}' as integer completely"));
                };
                if !matches!(form, ConfigForm::Int { .. } | ConfigForm::Char { .. }) {
                    return Err(named(format!("value '{value}' implies integer type")));
                }
                number_value(target, form, number).map_err(named)?;
            }
        }
        set[number] = true;
    }
    Ok(set)
}

/// The bytes of an extern of the configuration.
pub(super) fn bytes_of<'a>(e: &Extern, data: &'a mut [u8]) -> Option<(&'a mut [u8], ConfigForm)> {
    let ExternKind::Config { offset, size, form } = e.kind else { return None };
    let start = offset as usize;
    data.get_mut(start..start.checked_add(size as usize)?).map(|target| (target, form))
}

fn letter_value(target: &mut [u8], form: ConfigForm, letter: u8) -> Result<(), String> {
    let shown = letter as char;
    match form {
        ConfigForm::Bool if letter == b'm' => return Err(format!("value '{shown}' implies tristate or char type")),
        ConfigForm::Bool => target[0] = u8::from(letter == b'y'),
        ConfigForm::Tristate => {
            let value = match letter {
                b'y' => 1u64,
                b'm' => 2,
                _ => 0,
            };
            write_number(target, value);
        }
        ConfigForm::Char { .. } => target[0] = letter,
        _ => return Err(format!("value '{shown}' implies bool, tristate, or char type")),
    }
    Ok(())
}

fn text_value(target: &mut [u8], form: ConfigForm, value: &str) -> Result<(), String> {
    if form != ConfigForm::Text {
        return Err(format!("value '{value}' implies char array type"));
    }
    let Some(text) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
        return Err(format!("invalid string config '{value}'"));
    };
    // What is too long is cut.
    let len = text.len().min(target.len().saturating_sub(1));
    target[..len].copy_from_slice(&text.as_bytes()[..len]);
    target[len..].first_mut().into_iter().for_each(|zero| *zero = 0);
    Ok(())
}

/// Writes a number where its form and size allow it.
pub(super) fn number_value(target: &mut [u8], form: ConfigForm, value: u64) -> Result<(), String> {
    let signed = match form {
        ConfigForm::Int { signed } | ConfigForm::Char { signed } => signed,
        ConfigForm::Bool if value > 1 => return Err(format!("value '{value}' isn't boolean compatible")),
        ConfigForm::Bool => false,
        _ => return Err(format!("value '{value}' implies integer, char, or boolean type")),
    };
    let bits = target.len() as u32 * 8;
    let fits = match bits {
        64.. => true,
        _ if signed => value.wrapping_add(1 << (bits - 1)) < 1 << bits,
        _ => value >> bits == 0,
    };
    if !fits {
        return Err(format!("value '{value}' doesn't fit in {} bytes", target.len()));
    }
    write_number(target, value);
    Ok(())
}

/// Externs are resolved for a kernel of the object's own byte order, which is the little one so far.
fn write_number(target: &mut [u8], value: u64) {
    let len = target.len().min(8);
    target[..len].copy_from_slice(&value.to_le_bytes()[..len]);
}

/// A number as C reads it: decimal, octal with `0`, hexadecimal with `0x`, maybe negative.
fn integer(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        u64::from_str_radix(hex, 16).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(if negative { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str, offset: u32, size: u32, form: ConfigForm) -> Extern {
        Extern { name: name.into(), btf_id: 1, is_weak: false, kind: ExternKind::Config { offset, size, form } }
    }

    #[test]
    fn values_of_every_form() {
        let externs = [
            config("CONFIG_B", 0, 1, ConfigForm::Bool),
            config("CONFIG_T", 4, 4, ConfigForm::Tristate),
            config("CONFIG_C", 8, 1, ConfigForm::Char { signed: true }),
            config("CONFIG_N", 12, 2, ConfigForm::Int { signed: true }),
            config("CONFIG_S", 16, 4, ConfigForm::Text),
            config("CONFIG_GONE", 20, 4, ConfigForm::Int { signed: false }),
        ];
        let text =
            "# comment\nCONFIG_B=y\nCONFIG_T=m\nCONFIG_C=m\nCONFIG_N=-0x10\nCONFIG_S=\"abcdef\"\nCONFIG_OTHER=1\n";
        let mut data = [0; 24];
        let set = read(&externs, text, &mut data).expect("valid");
        assert_eq!(set, [true, true, true, true, true, false]);
        assert_eq!(data[..4], [1, 0, 0, 0]);
        assert_eq!(data[4..8], [2, 0, 0, 0]);
        assert_eq!(data[8], b'm');
        assert_eq!(data[12..14], [0xf0, 0xff]);
        assert_eq!(&data[16..20], b"abc\0");
    }

    #[test]
    fn values_that_do_not_fit_their_form() {
        let short = config("CONFIG_X", 0, 2, ConfigForm::Int { signed: false });
        let flag = config("CONFIG_X", 0, 1, ConfigForm::Bool);
        for (e, value, expected) in [
            (&short, "65536", "extern (kcfg) 'CONFIG_X': value '65536' doesn't fit in 2 bytes"),
            (&short, "y", "extern (kcfg) 'CONFIG_X': value 'y' implies bool, tristate, or char type"),
            (&short, "\"a\"", "extern (kcfg) 'CONFIG_X': value '\"a\"' implies char array type"),
            (&flag, "m", "extern (kcfg) 'CONFIG_X': value 'm' implies tristate or char type"),
            (&flag, "1", "extern (kcfg) 'CONFIG_X': value '1' implies integer type"),
            (&short, "12x", "failed to parse '12x' as integer completely"),
        ] {
            let text = format!("CONFIG_X={value}");
            assert_eq!(read(std::slice::from_ref(e), &text, &mut [0; 8]), Err(expected.into()));
        }
    }
}
