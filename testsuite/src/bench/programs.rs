//! The programs: those of `bench/`, and those of Debian's packages where they are installed.

use anyhow::{Context, Result};
use ebpfkit_isa::{Endian, Insn};
use ebpfkit_kernel::machine;
use ebpfkit_object::{MapInit, Object, Prepared};
use ebpfkit_verifier::KernelModel;
use std::path::{Path, PathBuf};

/// Programs whose mean is the engine's figure.
pub const SEVEN: [&str; 7] = ["alu", "muldiv", "sieve", "csum", "fnv", "siphash", "parse"];
/// Programs that need nothing but plain memory: all engines run them.
pub const PLAIN: [&str; 9] = ["empty", "alu", "muldiv", "sieve", "csum", "fnv", "siphash", "parse", "calls"];
/// Programs with maps.
pub const REAL: [&str; 5] = ["maps", "balancer", "tracer", "xdp-filter", "dispatcher"];

/// The same program for engines that know plain memory only.
pub struct Plain {
    /// Instructions in the form that they have in files.
    pub code: Vec<u8>,
    /// The same without 32-bit operations.
    pub code_v2: Vec<u8>,
    /// The C.
    pub source: PathBuf,
}

impl Plain {
    /// What it takes: the packet's length, then the packet. Not every engine passes a length in a register.
    pub fn memory(&self, packet: &[u8]) -> Vec<u8> {
        [&(packet.len() as u64).to_le_bytes()[..], packet].concat()
    }
}

/// A program with its input.
pub struct Case {
    /// Name.
    pub name: &'static str,
    /// The object; its first program runs.
    pub prepared: Prepared,
    /// The packet; empty for a program that takes none.
    pub packet: Vec<u8>,
    /// The context; empty for the usual one.
    pub context: Vec<u8>,
    /// `None` when the program needs a kernel's maps or helpers.
    pub plain: Option<Plain>,
}

impl Case {
    /// The kernel that it is verified for.
    pub(super) fn model(&self) -> KernelModel {
        super::model()
    }
}

/// An Ethernet frame of 1500 bytes with a TCP segment for port 443.
pub fn packet() -> Vec<u8> {
    let mut p: Vec<u8> = (0..1500u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    p[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
    p[20..24].copy_from_slice(&[0, 0, 64, 6]);
    p[34..38].copy_from_slice(&[0x30, 0x39, 1, 187]);
    p[46..48].copy_from_slice(&[0x50, 0x10]);
    p
}

fn folder() -> PathBuf {
    crate::root().join("testsuite/bench")
}

fn prepare(path: &Path) -> Result<Prepared> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let object = Object::open(&name, &bytes).with_context(|| path.display().to_string())?;
    let target = machine::target(object.needs(), crate::running::version().code(), machine::btf);
    Ok(object.prepare(&target)?)
}

/// A program of `bench/` for plain memory, as bytes.
fn code(name: &str) -> Result<Vec<u8>> {
    let prepared = prepare(&folder().join(name))?;
    let program = prepared.object.programs.first().context("no program")?;
    Ok(Insn::write_all(&program.insns, Endian::Little))
}

/// A program by its name; `None` for one that is not installed here.
pub fn open(name: &'static str) -> Result<Option<Case>> {
    let case = |prepared, plain| Case { name, prepared, packet: packet(), context: Vec::new(), plain };
    if PLAIN.contains(&name) {
        let plain = Plain {
            code: code(&format!("{name}.raw.o"))?,
            code_v2: code(&format!("{name}.v2.raw.o"))?,
            source: folder().join(format!("{name}.c")),
        };
        return Ok(Some(case(prepare(&folder().join(format!("{name}.o")))?, Some(plain))));
    }
    Ok(match name {
        "xdp-filter" => installed("xdpfilt_alw_all.o")?.map(|prepared| case(prepared, None)),
        "dispatcher" => installed("xdp-dispatcher.o")?.map(|mut prepared| {
            configure(&mut prepared);
            case(prepared, None)
        }),
        // System call number 1, behind the pointer to the registers.
        "tracer" => {
            let prepared = prepare(&folder().join("tracer.o"))?;
            let context = [0u64, 1].map(u64::to_le_bytes).concat();
            Some(Case { packet: Vec::new(), context, ..case(prepared, None) })
        }
        _ => Some(case(prepare(&folder().join(format!("{name}.o")))?, None)),
    })
}

/// An object of Debian's `libxdp1`.
fn installed(name: &str) -> Result<Option<Prepared>> {
    let lib = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = lib.map(|dir| dir.path().join("bpf").join(name)).find(|p| p.exists());
    found.map(|path| prepare(&path)).transpose()
}

/// Makes the dispatcher call all ten programs in turn, each of which hands on to the next.
fn configure(prepared: &mut Prepared) {
    const PROGRAMS: u8 = 10;
    /// What a slot returns that no program has taken.
    const UNUSED: u32 = 31;
    for map in &mut prepared.object.maps {
        if let (true, MapInit::Data(data)) = (map.frozen, &mut map.init)
            && data.len() >= 44
        {
            // Magic, version, number of programs, whether they take fragments; then for each the actions that go on.
            data[2] = PROGRAMS;
            for slot in data[4..44].chunks_exact_mut(4) {
                slot.copy_from_slice(&(1u32 << UNUSED).to_le_bytes());
            }
        }
    }
}
