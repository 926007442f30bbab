//! Configurations of many kernels: each different line once, with the kernels that have it.

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};

/// Most bytes that are believed.
const MAX_SIZE: u64 = 16 << 20;

/// Packs configurations as `/boot/config-*` has them. What is not set is left out.
pub fn pack(configs: &[&str]) -> Vec<u8> {
    let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
    for (number, config) in configs.iter().enumerate().take(64) {
        for line in config.lines().filter(|l| l.starts_with("CONFIG_") && l.contains('=')) {
            *lines.entry(line).or_default() |= 1 << number;
        }
    }
    let mut text = String::new();
    for (line, kernels) in lines {
        let _ = writeln!(text, "{kernels:x} {line}");
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let _ = encoder.write_all(text.as_bytes());
    encoder.finish().unwrap_or_default()
}

/// The configuration of a kernel of a pack; empty where none is known.
pub fn unpack(packed: &[u8], kernel: u32) -> String {
    let mut text = String::new();
    if DeflateDecoder::new(packed).take(MAX_SIZE).read_to_string(&mut text).is_err() {
        return String::new();
    }
    let mut out = String::new();
    for line in text.lines() {
        let Some((kernels, line)) = line.split_once(' ') else { continue };
        if u64::from_str_radix(kernels, 16).is_ok_and(|k| k.checked_shr(kernel).unwrap_or(0) & 1 != 0) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_come_back() {
        let packed = pack(&["CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\n", "CONFIG_A=y\nCONFIG_B=\"x y\"\n"]);
        assert_eq!(unpack(&packed, 0), "CONFIG_A=y\nCONFIG_C=m\n");
        assert_eq!(unpack(&packed, 1), "CONFIG_A=y\nCONFIG_B=\"x y\"\n");
        assert_eq!(unpack(&packed, 2), "");
        assert_eq!(unpack(b"?", 0), "");
    }
}
