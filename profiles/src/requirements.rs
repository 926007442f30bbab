//! What an object needs of a kernel.

use crate::matrix::Column;
use crate::touched;
use ebpfkit_abi::kernel::KernelVersion;
use ebpfkit_abi::{AttachType, Feature, helpers, kfuncs};
use ebpfkit_explain::judge::Status;
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, class};
use ebpfkit_object::{ExternKind, Object, PendingKind, Program};
use ebpfkit_verifier::Options;
use std::collections::BTreeMap;

/// What sort of thing is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// A program type.
    ProgType,
    /// An attach type.
    AttachType,
    /// A function or hook that a program attaches to.
    AttachPoint,
    /// A map type.
    MapType,
    /// A helper.
    Helper,
    /// A kernel function.
    Kfunc,
    /// A field of a context, or of a socket that programs read.
    ContextField,
    /// A kind of instruction.
    Instruction,
    /// An option of the configuration.
    Config,
}

impl Sort {
    /// The sort in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProgType => "program type",
            Self::AttachType => "attach type",
            Self::AttachPoint => "attach point",
            Self::MapType => "map type",
            Self::Helper => "helper",
            Self::Kfunc => "kernel function",
            Self::ContextField => "context field",
            Self::Instruction => "instruction",
            Self::Config => "configuration",
        }
    }
}

/// Something that an object needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// What sort of thing.
    pub sort: Sort,
    /// Its name.
    pub name: String,
    /// First version that has it, where that is known.
    pub since: Option<KernelVersion>,
    /// Whether the object can do without.
    pub is_weak: bool,
    /// Names of the programs that need it; empty where the object as a whole does.
    pub programs: Vec<String>,
}

/// What a relocation of the object finds in the kernels' types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What is looked for.
    pub name: String,
    /// For each kernel that was asked: the number that it finds, such as an offset; `None` where it finds nothing.
    pub found: Vec<Option<i64>>,
}

/// All that an object needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Things that kernels have or lack.
    pub needed: Vec<Requirement>,
    /// Parts of the kernels' types.
    pub fields: Vec<Field>,
    /// Number, among the kernels that were asked, of the oldest one on which all programs load and from which on they
    /// load on all.
    pub oldest: Option<usize>,
}

type Gathered = BTreeMap<(Sort, String), Requirement>;

fn add(to: &mut Gathered, sort: Sort, name: &str, since: Option<KernelVersion>, program: Option<&Program>) {
    let new = || Requirement { sort, name: name.to_owned(), since, is_weak: false, programs: Vec::new() };
    let entry = to.entry((sort, name.to_owned())).or_insert_with(new);
    if let Some(program) = program.filter(|p| !entry.programs.contains(&p.name)) {
        entry.programs.push(program.name.clone());
    }
}

/// The row of the features that brought an instruction, if it was not always there.
fn instruction(insn: Insn) -> Option<(&'static str, Feature)> {
    let class_of = insn.class();
    let is_alu = matches!(class_of, class::ALU | class::ALU64);
    let kind = insn.code & 0xf0;
    match kind {
        opcode::alu::DIV | opcode::alu::MOD if is_alu && insn.off != 0 => {
            Some(("signed division", Feature::SignedDivision))
        }
        opcode::alu::MOV if is_alu && insn.is_src_reg() && insn.off == 1 => {
            Some(("cast of address spaces", Feature::AddressSpaceCasts))
        }
        opcode::alu::MOV if is_alu && insn.is_src_reg() && insn.off != 0 => {
            Some(("sign-extending move", Feature::SignExtendingMoves))
        }
        opcode::alu::END if class_of == class::ALU64 => Some(("byte swap", Feature::ByteSwapInstruction)),
        opcode::jmp::JA if class_of == class::JMP32 => Some(("32-bit jump", Feature::LongJumps)),
        opcode::jmp::JCOND if class_of == class::JMP => Some(("may_goto", Feature::MayGoto)),
        _ if class_of == class::LDX && insn.code & 0xe0 == opcode::mode::MEMSX => {
            Some(("sign-extending load", Feature::SignExtendingLoads))
        }
        _ if class_of == class::STX && insn.code & 0xe0 == opcode::mode::ATOMIC => match insn.imm {
            opcode::atomic::LOAD_ACQ | opcode::atomic::STORE_REL => {
                Some(("load-acquire or store-release", Feature::LoadAcquire))
            }
            opcode::atomic::ADD => None,
            _ => Some(("atomic operation other than addition", Feature::Atomics)),
        },
        _ => None,
    }
}

/// What one program's instructions need.
fn instructions(program: &Program, to: &mut Gathered) {
    let mut at = 0;
    while let Some(&insn) = program.insns.get(at) {
        if let Some((name, feature)) = instruction(insn) {
            add(to, Sort::Instruction, name, Some(feature.since()), Some(program));
        }
        let is_helper = insn.is_call() && insn.src == 0 && !program.pending.iter().any(|p| p.insn == at);
        if is_helper && let Some(row) = u32::try_from(insn.imm).ok().and_then(helpers::find) {
            add(to, Sort::Helper, row.name, Some(row.since), Some(program));
        }
        at += if insn.is_ld_imm64() { 2 } else { 1 };
    }
}

/// The number that a relocation has put into an instruction.
fn patched(insn: Insn) -> i64 {
    match insn.class() {
        class::LDX | class::ST | class::STX => i64::from(insn.off),
        _ => i64::from(insn.imm),
    }
}

/// What an object needs, and what the kernels that judged it with these options have of that. Fields of contexts are what
/// the newest of these kernels sees programs touch.
pub fn of(object: &Object, columns: &[Column], options: Options) -> Requirements {
    let mut needed = Gathered::new();
    for (index, program) in object.programs.iter().enumerate() {
        for (name, since) in touched::fields(columns, index, options) {
            add(&mut needed, Sort::ContextField, &name, Some(since), Some(program));
        }
        let kind = program.prog_type;
        add(&mut needed, Sort::ProgType, &kind.to_string(), kind.since(), Some(program));
        if program.attach_type != AttachType::default() {
            let (name, since) = (program.attach_type.to_string(), program.attach_type.since());
            add(&mut needed, Sort::AttachType, &name, since, Some(program));
        }
        if !program.attach_target.is_empty() {
            add(&mut needed, Sort::AttachPoint, &program.attach_target, None, Some(program));
        }
        instructions(program, &mut needed);
        for pending in &program.pending {
            let PendingKind::Extern(number) = pending.what else { continue };
            let Some(e) = object.externs.get(number) else { continue };
            let (sort, since) = match e.kind {
                ExternKind::Function { .. } => (Sort::Kfunc, kfuncs::since(&e.name)),
                ExternKind::Config { .. } if e.name.starts_with("CONFIG_") => (Sort::Config, None),
                _ => continue,
            };
            add(&mut needed, sort, &e.name, since, Some(program));
            if let Some(entry) = needed.get_mut(&(sort, e.name.clone())) {
                entry.is_weak = e.is_weak;
            }
        }
    }
    for map in object.maps.iter().flat_map(|m| std::iter::once(m).chain(m.inner.as_deref())) {
        let kind = map.map_type;
        add(&mut needed, Sort::MapType, &kind.to_string(), kind.since(), None);
    }
    Requirements { needed: needed.into_values().collect(), fields: fields(object, columns), oldest: oldest(columns) }
}

/// libbpf's words for a relocation without the numbers of types and what the object itself finds.
fn shortened(text: &str) -> String {
    let text = text.split_once(" (").map_or(text, |(head, _)| head);
    text.split(' ').filter(|word| !word.starts_with('[')).collect::<Vec<_>>().join(" ")
}

/// What each relocation finds in each kernel.
fn fields(object: &Object, columns: &[Column]) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let Some(btf) = object.btf.as_deref() else { return fields };
    for (index, program) in object.programs.iter().enumerate() {
        for pending in &program.pending {
            let PendingKind::Core(number) = pending.what else { continue };
            let Some(relocation) = object.core.get(number).filter(|r| r.needs_target()) else { continue };
            let Some(name) = relocation.description(btf).map(|text| shortened(&text)) else { continue };
            let found = |column: &Column| -> Option<i64> {
                let prepared = column.prepared.as_ref().ok()?;
                let program = prepared.object.programs.get(index)?;
                if program.poison.iter().any(|(at, _)| *at == pending.insn) {
                    return None;
                }
                program.insns.get(pending.insn).copied().map(patched)
            };
            let field = Field { name, found: columns.iter().map(found).collect() };
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    fields
}

/// The oldest kernel from which on all programs are accepted.
fn oldest(columns: &[Column]) -> Option<usize> {
    let loads = |c: &Column| {
        c.answers.iter().flatten().count() > 0 && c.answers.iter().flatten().all(|a| a.status() == Status::Accepted)
    };
    let newest_refusal = columns.iter().rposition(|c| !loads(c)).map_or(0, |at| at + 1);
    (newest_refusal < columns.len()).then_some(newest_refusal)
}
