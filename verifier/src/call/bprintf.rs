//! Format strings of the kernel's printing helpers (`bpf_bprintf_prepare`).

/// Whether a format is well formed and uses no more than `values` values.
pub(super) fn is_valid(format: &[u8], values: u64) -> bool {
    let at = |i: usize| format.get(i).copied().unwrap_or(0);
    let ends = |i: usize| at(i) == 0 || is_space(at(i)) || at(i).is_ascii_punctuation();
    let mut used = 0;
    let mut i = 0;
    while i < format.len() {
        let c = at(i);
        if !(c == b' ' || c.is_ascii_graphic() || is_space(c)) {
            return false;
        }
        if c != b'%' {
            i += 1;
            continue;
        }
        if at(i + 1) == b'%' {
            i += 2;
            continue;
        }
        if used >= values {
            return false;
        }
        used += 1;
        i += 1;
        while matches!(at(i), b'0' | b'+' | b'-' | b' ') {
            i += 1;
        }
        if matches!(at(i), b'1'..=b'9') {
            while at(i).is_ascii_digit() {
                i += 1;
            }
        }
        i = match at(i) {
            b'p' if ends(i + 1) => i,
            b'p' if matches!(at(i + 1), b'k' | b'u') && at(i + 2) == b's' => {
                if !ends(i + 3) {
                    return false;
                }
                i + 2
            }
            b'p' if matches!(at(i + 1), b'K' | b'x' | b's' | b'S' | b'B') => i + 1,
            b'p' if matches!(at(i + 1), b'i' | b'I') && matches!(at(i + 2), b'4' | b'6') => i + 2,
            b'p' => return false,
            b's' if ends(i + 1) => i,
            b's' => return false,
            b'c' => i,
            _ => {
                let long = (0..2).take_while(|&l| at(i + l) == b'l').count();
                if !matches!(at(i + long), b'i' | b'd' | b'u' | b'x' | b'X') {
                    return false;
                }
                i + long
            }
        };
        i += 1;
    }
    true
}

fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn formats() {
        for (format, values, valid) in [
            ("plain", 0, true),
            ("%d %s", 2, true),
            ("%d %s", 1, false),
            ("%%", 0, true),
            ("%-08lld.%p", 2, true),
            ("%pi4 %pI6", 2, true),
            ("%pX", 1, false),
            ("%sx", 1, false),
            ("%", 1, false),
            ("%80", 1, false),
            ("\u{7f}", 0, false),
            ("%pks, %pus", 2, true),
        ] {
            assert_eq!(is_valid(format.as_bytes(), values), valid, "{format}");
        }
    }
}
