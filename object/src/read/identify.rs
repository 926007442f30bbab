//! What a file is that is no eBPF object, for people who gave the wrong one.

use crate::model::ObjectError;
use goblin::elf::header::{
    EM_386, EM_AARCH64, EM_ARM, EM_LOONGARCH, EM_MIPS, EM_PPC64, EM_RISCV, EM_S390, EM_SPARCV9, EM_X86_64, ET_CORE,
    ET_DYN, ET_EXEC, ET_REL,
};

/// How files of other kinds begin, what they are, and what can be done about it.
const BEGINNINGS: &[(&[u8], &str, &str)] = &[
    (b"BC\xc0\xde", "LLVM bitcode", BITCODE),
    (b"\xde\xc0\x17\x0b", "LLVM bitcode", BITCODE),
    (b"\x1f\x8b", "gzip", UNPACK),
    (b"BZh", "bzip2", UNPACK),
    (b"\xfd7zXZ\0", "xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "zstd", UNPACK),
    (b"PK\x03\x04", "a zip archive", UNPACK),
    (b"!<arch>\n", "an archive of objects", "take one out with `ar x`"),
    (b"\x9f\xeb", "types alone (BTF)", "an object has programs too"),
    (b"\xeb\x9f", "types alone (BTF)", "an object has programs too"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O file", COMPILE),
    (b"MZ", "a Windows executable", COMPILE),
    (b"\xd4\xc3\xb2\xa1", "a packet capture", "give it to `run` with --packet"),
    (b"\xa1\xb2\xc3\xd4", "a packet capture", "give it to `run` with --packet"),
    (b"\x4d\x3c\xb2\xa1", "a packet capture", "give it to `run` with --packet"),
    (b"\xa1\xb2\x3c\x4d", "a packet capture", "give it to `run` with --packet"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture", "give it to `run` with --packet"),
    (b"#!/", "a script", ""),
];

const BITCODE: &str = "compile it with `llc -march=bpf -filetype=obj`";
const UNPACK: &str = "unpack it first";
const COMPILE: &str = "compile with `clang -target bpf`";

/// Words that a text in some language has in its beginning, and what can be done about it.
const LANGUAGES: &[(&[&str], &str, &str)] = &[
    (
        &["; ModuleID", "target triple", "target datalayout"],
        "LLVM IR",
        "compile it with `llc -march=bpf -filetype=obj`",
    ),
    (&["#![no_std]", "use aya", "fn main()", "pub fn ", "#[map]"], "Rust source", "build it for a bpfel target"),
    (
        &["#include", "SEC(", "__attribute__", "#define", "typedef ", "int main("],
        "C source",
        "compile it with `clang -target bpf`",
    ),
    (&[".section", ".text", ".globl", ".func", "exit\n", "r0 = "], "assembly text", "name it with `.s`, or see `asm`"),
];

/// Bytes of a text that are looked at.
const SAMPLE: usize = 8192;

/// What bytes without the beginning of ELF are.
pub(crate) fn not_elf(bytes: &[u8]) -> ObjectError {
    let (found, help) = what(bytes);
    ObjectError::NotAnObject { found: found.into(), help: help.into() }
}

fn what(bytes: &[u8]) -> (&'static str, &'static str) {
    if bytes.is_empty() {
        return ("an empty file", "");
    }
    if let Some(&(_, found, help)) = BEGINNINGS.iter().find(|b| bytes.starts_with(b.0)) {
        return (found, help);
    }
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    // A character may be cut at the end of the sample.
    let text = match std::str::from_utf8(sample) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&sample[..e.valid_up_to()]).unwrap_or_default(),
        Err(_) => return ("bytes of no known kind", ""),
    };
    if text.contains(|c: char| c.is_control() && !c.is_whitespace()) {
        return ("bytes of no known kind", "");
    }
    let known = LANGUAGES.iter().find(|l| l.0.iter().any(|word| text.contains(word)));
    known.map_or(("text", COMPILE), |&(_, found, help)| (found, help))
}

/// What an ELF file is that no eBPF loader takes.
pub(crate) fn other_elf(machine: u16, kind: u16, is_64: bool) -> ObjectError {
    let machine = match machine {
        EM_X86_64 => "x86-64",
        EM_386 => "x86",
        EM_AARCH64 => "AArch64",
        EM_ARM => "Arm",
        EM_RISCV => "RISC-V",
        EM_PPC64 => "PowerPC",
        EM_S390 => "s390",
        EM_MIPS => "MIPS",
        EM_SPARCV9 => "SPARC",
        EM_LOONGARCH => "LoongArch",
        goblin::elf::header::EM_BPF => "eBPF",
        _ => "foreign",
    };
    let kind = match kind {
        ET_REL => "object",
        ET_EXEC => "executable",
        ET_DYN => "shared object",
        ET_CORE => "core dump",
        _ => "ELF file",
    };
    let article = if machine.starts_with(['x', 'A', 'e', 's']) { "an" } else { "a" };
    let bits = if is_64 { "" } else { "32-bit " };
    let article = if is_64 { article } else { "a" };
    let help = match machine {
        "eBPF" => "loaders take what the compiler wrote (-c), 64-bit and not linked further",
        _ => COMPILE,
    };
    ObjectError::NotAnObject { found: format!("{article} {bits}{machine} {kind}"), help: help.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds() {
        for (bytes, expected) in [
            (&b""[..], "an empty file"),
            (b"BC\xc0\xde\x35\x14", "LLVM bitcode"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"#include <linux/bpf.h>\nint x;\n", "C source"),
            (b"// prog\nSEC(\"xdp\") int p(void *c) { return 2; }\n", "C source"),
            (b"; ModuleID = 'a.c'\nsource_filename = \"a.c\"\n", "LLVM IR"),
            (b"#![no_std]\nuse aya_ebpf::macros::xdp;\n", "Rust source"),
            (b".section xdp\n  r0 = 2\n  exit\n", "assembly text"),
            (b"hello\n", "text"),
            (b"\0\x01\x02\x03", "bytes of no known kind"),
        ] {
            assert_eq!(what(bytes).0, expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn elf_files_of_other_machines() {
        let shown = |machine, kind, is_64| other_elf(machine, kind, is_64).to_string();
        assert_eq!(
            shown(EM_X86_64, ET_REL, true),
            "an x86-64 object, not an eBPF object: compile with `clang -target bpf`"
        );
        assert!(shown(EM_RISCV, ET_DYN, true).starts_with("a RISC-V shared object, not"));
        assert!(shown(EM_386, ET_EXEC, false).starts_with("a 32-bit x86 executable, not"));
    }
}
