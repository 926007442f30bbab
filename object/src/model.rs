//! What an object holds: programs, maps, types and how they refer to each other.

use crate::btf::{Btf, TypeId};
use crate::dwarf::{DebugInfo, Inlined};
use ebpfkit_abi::{AttachType, MapType, MapTypes, ProgType};
use ebpfkit_isa::{Endian, Insn};
use std::sync::Arc;

/// Load flags of a program (`BPF_F_*` of `BPF_PROG_LOAD`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct ProgramFlags(pub u32);

impl ProgramFlags {
    /// `BPF_F_STRICT_ALIGNMENT`
    pub const STRICT_ALIGNMENT: u32 = 1 << 0;
    /// `BPF_F_ANY_ALIGNMENT`
    pub const ANY_ALIGNMENT: u32 = 1 << 1;
    /// `BPF_F_TEST_RND_HI32`
    pub const TEST_RND_HI32: u32 = 1 << 2;
    /// `BPF_F_TEST_STATE_FREQ`
    pub const TEST_STATE_FREQ: u32 = 1 << 3;
    /// `BPF_F_SLEEPABLE`
    pub const SLEEPABLE: u32 = 1 << 4;
    /// `BPF_F_XDP_HAS_FRAGS`
    pub const XDP_HAS_FRAGS: u32 = 1 << 5;
    /// `BPF_F_XDP_DEV_BOUND_ONLY`
    pub const XDP_DEV_BOUND_ONLY: u32 = 1 << 6;
    /// `BPF_F_TEST_REG_INVARIANTS`
    pub const TEST_REG_INVARIANTS: u32 = 1 << 7;

    /// Whether all bits of `flag` are set.
    pub const fn has(self, flag: u32) -> bool {
        self.0 & flag == flag
    }
}

/// One program, as it would be given to `BPF_PROG_LOAD`.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Function name.
    pub name: String,
    /// ELF section, as written in the source but for a leading `?` (see `autoload`).
    pub section: String,
    /// Program type, from the section name.
    pub prog_type: ProgType,
    /// Expected attach type, from the section name.
    pub attach_type: AttachType,
    /// What the section name says after the slash, such as a kernel function; empty when nothing.
    pub attach_target: String,
    /// BTF id in the kernel of the function or struct to attach to; zero when none.
    pub attach_btf_id: TypeId,
    /// Load flags.
    pub flags: ProgramFlags,
    /// Whether libbpf would load it without being asked to (`?` in the section name turns it off).
    pub autoload: bool,
    /// The main program, then the subprograms it reaches, linked. After [`Object::prepare`] nothing is left to
    /// resolve: map immediates hold the map's index in [`Object::maps`] (or, for a descriptor that was written by hand,
    /// its complement, which is negative), kernel functions and variables hold BTF ids.
    pub insns: Vec<Insn>,
    /// Functions by first instruction (`.BTF.ext`), sorted.
    pub func_info: Vec<FuncInfo>,
    /// Source lines by first instruction (`.BTF.ext`), sorted.
    pub line_info: Vec<LineInfo>,
    /// Reasons that libbpf would print instead of the kernel's message, by instruction: failed CO-RE relocations
    /// and missing externs that libbpf poisons instead of refusing.
    pub poison: Vec<(usize, String)>,
    /// Why the program cannot be loaded, if something it refers to cannot be resolved.
    pub refused: Option<String>,
    /// What of the instructions depends on the kernel. Empty after [`Object::prepare`].
    pub pending: Vec<Pending>,
    /// Its subprograms: first slot of each, and number in [`Object::subprograms`].
    pub subprograms: Vec<(usize, usize)>,
    /// Where its functions stood in the file, by their first slots. Empty where the instructions are no file's.
    pub origins: Vec<Origin>,
}

/// Where a function stood in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its first slot in the program.
    pub insn: usize,
    /// Number of its section.
    pub section: usize,
    /// Its first slot in the section.
    pub start: usize,
}

/// A function that programs call, as it stands in its section: calls are not linked.
#[derive(Clone, Debug, Default)]
pub struct Subprogram {
    /// Name; static functions of several objects that were linked may have the same.
    pub name: String,
    /// Seen by other objects.
    pub is_global: bool,
    /// Its instructions; those that name maps are as in [`Program::insns`].
    pub insns: Vec<Insn>,
    /// BTF id of its `FUNC`; zero when it has none.
    pub type_id: TypeId,
    /// Source lines by instruction, sorted.
    pub line_info: Vec<LineInfo>,
    /// What of the instructions depends on the kernel, as it was read.
    pub pending: Vec<Pending>,
    /// Functions that instructions call or take the address of: slot, and number in [`Object::subprograms`].
    pub calls: Vec<(usize, usize)>,
}

/// An instruction that waits for a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its slot in the program.
    pub insn: usize,
    /// What it waits for.
    pub what: PendingKind,
}

/// What an instruction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingKind {
    /// The value or address of [`Object::externs`] of this number.
    Extern(usize),
    /// [`Object::core`] of this number.
    Core(usize),
    /// Map of this number, which libbpf does not create unless it is asked to.
    Map(usize),
}

/// A CO-RE relocation (`.BTF.ext`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreRelocation {
    /// Function that contains the instruction.
    pub function: Arc<str>,
    /// Number among the relocations of the function's section.
    pub number: usize,
    /// Slot of the instruction in the function.
    pub insn: usize,
    /// Root type in the object's BTF.
    pub type_id: TypeId,
    /// The access, such as `0:1:2`; its meaning depends on the kind.
    pub access: Arc<str>,
    /// `enum bpf_core_relo_kind`
    pub kind: u32,
    /// The function is a subprogram: it may be part of several programs.
    pub shared: bool,
}

/// A variable or function that an object expects of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extern {
    /// Name.
    pub name: String,
    /// Its `VAR` or `FUNC` in the object's BTF.
    pub btf_id: TypeId,
    /// Missing, it is zero rather than an error.
    pub is_weak: bool,
    /// Where it comes from.
    pub kind: ExternKind,
}

/// Where an extern comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternKind {
    /// The kernel's configuration: a place in the `.kconfig` map.
    Config {
        /// Byte offset in the map's value.
        offset: u32,
        /// Bytes.
        size: u32,
        /// How the value is written.
        form: ConfigForm,
    },
    /// A kernel variable.
    Variable {
        /// Its type without modifiers in the object's BTF; zero for `void`: then only its address is wanted.
        type_id: TypeId,
    },
    /// A kernel function.
    Function {
        /// Its prototype in the object's BTF.
        proto: TypeId,
    },
}

/// How a configuration value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigForm {
    /// One byte, 0 or 1.
    Bool,
    /// `enum libbpf_tristate`: no, yes, module.
    Tristate,
    /// One byte: `y`, `n` or `m`, or a number.
    Char {
        /// Whether it can be negative.
        signed: bool,
    },
    /// A number.
    Int {
        /// Whether it can be negative.
        signed: bool,
    },
    /// Text with a zero byte.
    Text,
}

/// Type of the function that starts at an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncInfo {
    /// Slot of its first instruction.
    pub insn: u32,
    /// BTF id of the `FUNC`.
    pub type_id: TypeId,
}

/// Source position of the instructions from one slot on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// Slot of the first instruction.
    pub insn: u32,
    /// Offset of the file name in the BTF strings.
    pub file_name: u32,
    /// Offset of the line's text in the BTF strings.
    pub line_text: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; zero when unknown.
    pub column: u32,
}

/// Initial contents of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MapInit {
    /// Nothing.
    #[default]
    Empty,
    /// Bytes of the single value of a global-data map (`.rodata`, `.data`, `.bss`, `.kconfig`).
    Data(Vec<u8>),
    /// Slots of a map-in-map: index and inner map.
    Maps(Vec<(u32, usize)>),
    /// Slots of a prog array: index and program.
    Programs(Vec<(u32, usize)>),
    /// Instructions of the program that a table of jumps leads to, by their numbers.
    Jumps(Vec<u32>),
    /// The struct of a struct_ops map.
    StructOps {
        /// Its bytes: as in the object at first, in the kernel's layout after [`Object::prepare`].
        data: Vec<u8>,
        /// Programs by byte offset of the function pointer in `data`.
        programs: Vec<(u32, usize)>,
    },
}

/// A map definition.
#[derive(Clone, Debug, Default)]
pub struct Map {
    /// Name.
    pub name: String,
    /// Map type.
    pub map_type: MapType,
    /// Key bytes.
    pub key_size: u32,
    /// Value bytes.
    pub value_size: u32,
    /// Entries.
    pub max_entries: u32,
    /// `BPF_F_*` flags of `BPF_MAP_CREATE`.
    pub flags: u32,
    /// `map_extra` of `BPF_MAP_CREATE`.
    pub extra: u64,
    /// BTF type of the key, in the object's BTF; zero when none.
    pub key_type: TypeId,
    /// BTF type of the value, in the object's BTF; zero when none.
    pub value_type: TypeId,
    /// Types of key and value that the source declares although the kernel does not take them for such a map, which
    /// then has none. For reading and printing what it holds.
    pub declared_types: Option<(TypeId, TypeId)>,
    /// For a struct_ops map: the struct's id in the kernel BTF, after [`Object::prepare`].
    pub kernel_value_type: TypeId,
    /// NUMA node.
    pub numa_node: u32,
    /// `LIBBPF_PIN_*`.
    pub pinning: u32,
    /// The template of inner maps.
    pub inner: Option<Box<Map>>,
    /// Initial contents.
    pub init: MapInit,
    /// Frozen after initialisation (`.rodata`, `.kconfig`), so that programs see constants.
    pub frozen: bool,
    /// ELF section of global data and of struct_ops maps; empty for maps declared in `.maps`.
    pub section: String,
    /// libbpf creates it only if it is asked to (`?` in the section name), or only for kernels that have
    /// [`Target::percpu_data`].
    pub on_demand: bool,
}

impl Map {
    /// Types of key and value for reading and printing what the map holds; zero when unknown.
    pub fn printed_types(&self) -> (TypeId, TypeId) {
        self.declared_types.unwrap_or((self.key_type, self.value_type))
    }

    /// A copy that begins empty.
    pub fn without_contents(&self) -> Self {
        Self {
            name: self.name.clone(),
            inner: self.inner.clone(),
            init: MapInit::Empty,
            section: self.section.clone(),
            ..*self
        }
    }
}

/// An opened object. Nothing in it depends on a kernel yet.
#[derive(Clone, Debug, Default)]
pub struct Object {
    /// Name, from the file.
    pub name: String,
    /// License string; empty when the section is missing.
    pub license: String,
    /// `version` section, `LINUX_VERSION_CODE` form; zero when missing.
    pub kern_version: u32,
    /// Byte order of the file.
    pub endian: Endian,
    /// Programs in libbpf's order.
    pub programs: Vec<Program>,
    /// Every function that is no program, in the file's order, also those that nothing calls.
    pub subprograms: Vec<Subprogram>,
    /// Maps in libbpf's order.
    pub maps: Vec<Map>,
    /// The object's types, as libbpf would give them to the kernel.
    pub btf: Option<Arc<Btf>>,
    /// After [`Object::prepare`]: why the kernel does not take `btf`. The programs are then loaded without it, and
    /// it only serves to explain them.
    pub types_refused: Option<String>,
    /// What compilers say of inlined functions.
    pub debug: DebugInfo,
    /// What it expects of the kernel, in libbpf's order.
    pub externs: Vec<Extern>,
    /// CO-RE relocations of all functions.
    pub core: Vec<CoreRelocation>,
    /// Functions that the kernel's verifier shall treat as static although they are global for the linker.
    pub hidden: Vec<String>,
    /// Why libbpf 1.x would not open the object, in its words, where other loaders do: it was read as they read it.
    pub libbpf_refusals: Vec<String>,
}

/// What of a kernel an object needs to be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Needs {
    /// The kernel's types.
    pub types: bool,
    /// Values of configuration externs, libbpf's own ones included.
    pub config: bool,
    /// The text of the kernel's configuration.
    pub config_text: bool,
    /// Addresses of kernel symbols.
    pub symbols: bool,
}

/// Addresses of kernel symbols: for each name asked for, every address it has.
pub type SymbolAddresses = Arc<dyn Fn(&[&str]) -> Vec<Vec<u64>> + Send + Sync>;

/// The kernel that programs are prepared for.
#[derive(Clone, Default)]
pub struct Target {
    /// The kernel's types.
    pub vmlinux: Option<Arc<Btf>>,
    /// `/proc/config.gz` or `/boot/config-*` as text, for kconfig externs.
    pub kconfig: Option<Arc<str>>,
    /// `LINUX_VERSION_CODE`.
    pub version_code: u32,
    /// Addresses of kernel symbols (`/proc/kallsyms`), for untyped ksyms.
    pub kallsyms: Option<SymbolAddresses>,
    /// Whether system calls have wrappers (`__x64_sys_...`), as libbpf's `LINUX_HAS_SYSCALL_WRAPPER` says.
    pub syscall_wrapper: bool,
    /// Whether there are modules with types of their own, which are not read: what is missing may be in them.
    pub unread_modules: bool,
    /// Types of maps that the kernel is too old for.
    pub missing_maps: MapTypes,
    /// Whether programs name values of per-CPU arrays, so that libbpf makes maps of variables that each CPU has of its own.
    pub percpu_data: bool,
    /// Byte order.
    pub endian: Endian,
    /// Possible CPUs, for perf event arrays without a size; zero stands for one.
    pub cpus: u32,
}

/// An object whose programs are final for one kernel.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// The object; its programs' instructions are final.
    pub object: Object,
    /// For each program: why libbpf would refuse to load it at all, if it would.
    pub unloadable: Vec<Option<String>>,
}

/// Why an object cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The bytes are not what they claim to be.
    #[error("{location}: {found}; expected {expected}")]
    Malformed {
        /// Section, symbol or offset.
        location: String,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// libbpf refuses this object, for this reason.
    #[error("{0}")]
    Refused(String),
    /// The file is something else.
    #[error("{found}, not an eBPF object{}{help}", if help.is_empty() { "" } else { ": " })]
    NotAnObject {
        /// What it is.
        found: String,
        /// What can be done about it; empty when nothing is known.
        help: String,
    },
}

impl Btf {
    /// Reads types from a file's bytes: raw ones, as in `/sys/kernel/btf/vmlinux`, or those of an ELF file.
    pub fn open(bytes: &[u8]) -> Result<Self, ObjectError> {
        crate::read::types(bytes)
    }
}

impl Object {
    /// What of a kernel [`Self::prepare`] will look at.
    pub fn needs(&self) -> Needs {
        crate::prepare::needs(self)
    }

    /// Reads an ELF object (or, later, raw instructions) as `bpf_object__open` does.
    pub fn open(name: &str, bytes: &[u8]) -> Result<Self, ObjectError> {
        crate::read::open(name, bytes)
    }

    /// Resolves what depends on the kernel, as `bpf_object__load` does before it loads programs.
    pub fn prepare(self, target: &Target) -> Result<Prepared, ObjectError> {
        crate::prepare::prepare(self, target)
    }
}

impl Object {
    /// The calls that were inlined around an instruction of a program, the innermost first; none where the file says
    /// nothing of that.
    pub fn inlined_at(&self, program: &Program, insn: usize) -> Vec<&Inlined> {
        let after = program.origins.partition_point(|o| o.insn <= insn);
        let Some(origin) = after.checked_sub(1).and_then(|n| program.origins.get(n)) else { return Vec::new() };
        let byte = (origin.start + insn - origin.insn) as u64 * Insn::SIZE as u64;
        self.debug.inlined_at(origin.section, byte)
    }
}
