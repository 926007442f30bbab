//! Programs of the kernel.

use crate::attr::{ProgLoad, object_name};
use crate::error::KernelError;
use crate::{Kernel, log, raw, sys};
use ebpfkit_abi::{AttachType, ProgType};
use ebpfkit_isa::{Endian, Insn};
use ebpfkit_object::{FuncInfo, LineInfo};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How much the verifier writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LogLevel(pub u32);

impl LogLevel {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The path that fails.
    pub const FAILING_PATH: Self = Self(1);
    /// Every path.
    pub const ALL_PATHS: Self = Self(2);
    /// The figures alone.
    pub const STATS: Self = Self(4);

    /// Both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a program is loaded with (`BPF_PROG_LOAD`).
#[derive(Clone, Debug, Default)]
pub struct LoadParams<'a> {
    /// Kind.
    pub prog_type: ProgType,
    /// Expected attach type.
    pub attach_type: AttachType,
    /// Instructions; maps are descriptors.
    pub insns: &'a [Insn],
    /// License.
    pub license: &'a str,
    /// Name; cut to 15 bytes.
    pub name: &'a str,
    /// `BPF_F_*`.
    pub flags: u32,
    /// `LINUX_VERSION_CODE`, for old kprobes.
    pub kern_version: u32,
    /// The program's types.
    pub btf: Option<BorrowedFd<'a>>,
    /// Functions, with `btf`.
    pub func_info: &'a [FuncInfo],
    /// Lines, with `btf`.
    pub line_info: &'a [LineInfo],
    /// Kernel type to attach to.
    pub attach_btf_id: u32,
    /// Program to attach to.
    pub attach_prog: Option<BorrowedFd<'a>>,
    /// What to log.
    pub log_level: LogLevel,
    /// Bytes of log wanted; the end is kept when it is longer.
    pub log_size: u32,
}

/// A program that the kernel holds.
#[derive(Debug)]
pub struct LoadedProgram {
    fd: OwnedFd,
}

impl AsFd for LoadedProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What the kernel said of a program.
#[derive(Debug)]
pub struct LoadResult {
    /// The program, or the error number.
    pub program: Result<LoadedProgram, i32>,
    /// The log.
    pub log: String,
}

impl LoadResult {
    /// The end of the log.
    pub fn summary(&self) -> log::Summary {
        log::summary(&self.log)
    }
}

impl Kernel {
    /// Loads a program. A rejection is a result, not an error.
    pub fn load_program(&self, p: &LoadParams<'_>) -> Result<LoadResult, KernelError> {
        let count = |n: usize, what| u32::try_from(n).map_err(|_| KernelError::TooLarge { what });
        let code = Insn::write_all(p.insns, if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little });
        let license = CString::new(p.license.replace('\0', "")).unwrap_or_default();
        let funcs: Vec<[u32; 2]> = p.func_info.iter().map(|f| [f.insn, f.type_id]).collect();
        let lines: Vec<[u32; 4]> = p.line_info.iter().map(line_record).collect();
        let mut buffer = vec![0u8; if p.log_level == LogLevel::NONE { 0 } else { p.log_size.max(1 << 16) as usize }];
        let mut attr = ProgLoad {
            prog_type: p.prog_type.0,
            insn_cnt: count(p.insns.len(), "a program")?,
            insns: code.as_ptr() as u64,
            license: license.as_ptr() as u64,
            log_level: p.log_level.0,
            log_size: buffer.len() as u32,
            log_buf: if buffer.is_empty() { 0 } else { buffer.as_mut_ptr() as u64 },
            kern_version: p.kern_version,
            prog_flags: p.flags,
            prog_name: object_name(p.name),
            expected_attach_type: p.attach_type.0,
            attach_btf_id: p.attach_btf_id,
            attach_prog_fd: p.attach_prog.map_or(0, |fd| raw(fd) as u32),
            ..ProgLoad::default()
        };
        if let Some(btf) = p.btf {
            attr.prog_btf_fd = raw(btf) as u32;
            if !funcs.is_empty() {
                (attr.func_info, attr.func_info_rec_size) = (funcs.as_ptr() as u64, size_of::<[u32; 2]>() as u32);
                attr.func_info_cnt = count(funcs.len(), "function records")?;
            }
            if !lines.is_empty() {
                (attr.line_info, attr.line_info_rec_size) = (lines.as_ptr() as u64, size_of::<[u32; 4]>() as u32);
                attr.line_info_cnt = count(lines.len(), "line records")?;
            }
        }
        let program = sys::call_fd(sys::PROG_LOAD, &mut attr).map(|fd| LoadedProgram { fd });
        Ok(LoadResult { program, log: log::text_of(&buffer) })
    }
}

/// `struct bpf_line_info`: line and column share a word.
fn line_record(l: &LineInfo) -> [u32; 4] {
    [l.insn, l.file_name, l.line_text, l.line << 10 | l.column & 0x3ff]
}
