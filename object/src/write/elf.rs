//! The ELF file.

use ebpfkit_isa::opcode::{self, pseudo};
use ebpfkit_isa::{Endian, Insn};
use object::elf::{R_BPF_64_32, R_BPF_64_64, RelocationType};
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};
use rustc_hash::FxHashMap;

/// An address in data.
const R_BPF_64_ABS64: RelocationType = RelocationType(2);

/// What a relocation refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelocTarget {
    /// A function, by its name.
    Function(String),
    /// A map, variable or extern, by its name.
    Symbol(String),
}

/// A relocation of an instruction or of a word of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloc {
    /// For code the slot in its section, for data the byte.
    pub at: usize,
    /// What it refers to.
    pub target: RelocTarget,
}

/// A function in a section of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Name.
    pub name: String,
    /// First slot in the section.
    pub start: usize,
    /// Slots.
    pub len: usize,
    /// Seen by other objects; programs must be.
    pub global: bool,
}

/// A section of code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// Section name.
    pub name: String,
    /// Instructions. Calls and loads with relocations are completed when the file is written.
    pub insns: Vec<Insn>,
    /// Functions, which together cover the instructions.
    pub functions: Vec<Function>,
    /// Relocations.
    pub relocs: Vec<Reloc>,
}

/// A variable or a map definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSymbol {
    /// Name.
    pub name: String,
    /// First byte in the section.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

/// A section of data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// Section name; it decides whether the section is read-only and whether it has contents.
    pub name: String,
    /// Contents; of `.bss` only their length counts.
    pub bytes: Vec<u8>,
    /// Symbols, all global.
    pub symbols: Vec<DataSymbol>,
    /// Relocations.
    pub relocs: Vec<Reloc>,
}

/// Something that a kernel provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extern {
    /// Name.
    pub name: String,
    /// It may be missing.
    pub weak: bool,
}

/// What a relocatable object is made of.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// Byte order.
    pub endian: Endian,
    /// Sections of code.
    pub code: Vec<Code>,
    /// Sections of data: global variables, `.maps` and `license`.
    pub data: Vec<Data>,
    /// Externs.
    pub externs: Vec<Extern>,
    /// `.BTF`; empty when there is none.
    pub btf: Vec<u8>,
    /// `.BTF.ext`; empty when there is none.
    pub btf_ext: Vec<u8>,
}

/// Why a module cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A relocation refers to a name that nothing has.
    #[error("section {section}: `{name}` is not defined")]
    Undefined {
        /// Section of the relocation.
        section: String,
        /// The name.
        name: String,
    },
    /// A relocation of something that is neither a call nor a 64-bit load.
    #[error("section {section}: slot {at} cannot be relocated; expected a call or a 64-bit load")]
    NoReference {
        /// Section.
        section: String,
        /// Slot.
        at: usize,
    },
    /// The file format does not allow it.
    #[error("{0}")]
    Format(String),
}

/// A function's place: section, its own symbol if it is global, first slot.
struct FunctionSymbol {
    section: SectionId,
    symbol: SymbolId,
    start: usize,
    global: bool,
}

struct Writer<'m> {
    module: &'m Module,
    out: Object<'static>,
    functions: FxHashMap<&'m str, FunctionSymbol>,
    symbols: FxHashMap<&'m str, SymbolId>,
}

impl Module {
    /// The file.
    pub fn write(&self) -> Result<Vec<u8>, WriteError> {
        let endian = match self.endian {
            Endian::Little => Endianness::Little,
            Endian::Big => Endianness::Big,
        };
        let out = Object::new(BinaryFormat::Elf, Architecture::Bpf, endian);
        let mut w = Writer { module: self, out, functions: FxHashMap::default(), symbols: FxHashMap::default() };
        let code: Vec<SectionId> = self.code.iter().map(|c| w.code_section(c)).collect();
        let data: Vec<SectionId> = self.data.iter().map(|d| w.data_section(d)).collect();
        for e in &self.externs {
            let symbol = w.symbol(&e.name, 0, 0, SymbolKind::Unknown, SymbolSection::Undefined, true);
            w.out.symbol_mut(symbol).weak = e.weak;
            w.symbols.insert(&e.name, symbol);
        }
        for (code, id) in self.code.iter().zip(code) {
            w.code(code, id)?;
        }
        for (data, id) in self.data.iter().zip(data) {
            w.data_relocs(data, id)?;
        }
        for (name, bytes) in [(".BTF", &self.btf), (".BTF.ext", &self.btf_ext)] {
            if !bytes.is_empty() {
                let id = w.section(name, SectionKind::Debug);
                w.out.set_section_data(id, bytes.clone(), 4);
            }
        }
        w.out.write().map_err(|e| WriteError::Format(e.to_string()))
    }
}

impl<'m> Writer<'m> {
    fn section(&mut self, name: &str, kind: SectionKind) -> SectionId {
        self.out.add_section(Vec::new(), name.as_bytes().to_vec(), kind)
    }

    fn symbol(
        &mut self,
        name: &str,
        value: u64,
        size: u64,
        kind: SymbolKind,
        section: SymbolSection,
        global: bool,
    ) -> SymbolId {
        self.out.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value,
            size,
            kind,
            // The wider scope has default visibility; the narrower one would be hidden.
            scope: if global { SymbolScope::Dynamic } else { SymbolScope::Compilation },
            weak: false,
            section,
            flags: SymbolFlags::None,
        })
    }

    fn code_section(&mut self, code: &'m Code) -> SectionId {
        let id = self.section(&code.name, SectionKind::Text);
        for f in &code.functions {
            let (value, size) = ((f.start * Insn::SIZE) as u64, (f.len * Insn::SIZE) as u64);
            let symbol = self.symbol(&f.name, value, size, SymbolKind::Text, SymbolSection::Section(id), f.global);
            let function = FunctionSymbol { section: id, symbol, start: f.start, global: f.global };
            self.functions.insert(&f.name, function);
        }
        id
    }

    fn data_section(&mut self, data: &'m Data) -> SectionId {
        let family = |name: &str| data.name == name || data.name.strip_prefix(name).is_some_and(|r| r.starts_with('.'));
        let kind = if family(".rodata") {
            SectionKind::ReadOnlyData
        } else if family(".bss") {
            SectionKind::UninitializedData
        } else {
            SectionKind::Data
        };
        let id = self.section(&data.name, kind);
        if kind == SectionKind::UninitializedData {
            self.out.append_section_bss(id, data.bytes.len() as u64, 8);
        } else {
            let align = if data.name == "license" { 1 } else { 8 };
            self.out.set_section_data(id, data.bytes.clone(), align);
        }
        for s in &data.symbols {
            let symbol = self.symbol(&s.name, s.offset, s.size, SymbolKind::Data, SymbolSection::Section(id), true);
            self.symbols.insert(&s.name, symbol);
        }
        id
    }

    fn relocate(
        &mut self,
        id: SectionId,
        offset: u64,
        symbol: SymbolId,
        r_type: RelocationType,
    ) -> Result<(), WriteError> {
        let reloc = Relocation { offset, symbol, addend: 0, flags: RelocationFlags::Elf { r_type } };
        self.out.add_relocation(id, reloc).map_err(|e| WriteError::Format(e.to_string()))
    }

    fn code(&mut self, code: &Code, id: SectionId) -> Result<(), WriteError> {
        let mut insns = code.insns.clone();
        let mut relocs = Vec::new();
        for r in &code.relocs {
            let no_reference = || WriteError::NoReference { section: code.name.clone(), at: r.at };
            let insn = insns.get_mut(r.at).ok_or_else(no_reference)?;
            let is_call = insn.code == opcode::CALL;
            if !is_call && !insn.is_ld_imm64() {
                return Err(no_reference());
            }
            let undefined = |name: &str| WriteError::Undefined { section: code.name.clone(), name: name.to_owned() };
            let symbol = match &r.target {
                RelocTarget::Function(name) => {
                    let f = self.functions.get(name.as_str()).ok_or_else(|| undefined(name))?;
                    // A global function is named by its symbol; a static one by its place in the section.
                    let (symbol, start) =
                        if f.global { (f.symbol, 0) } else { (self.out.section_symbol(f.section), f.start as i32) };
                    if is_call {
                        insn.src = pseudo::CALL;
                        insn.imm = start - 1;
                    } else {
                        insn.src = 0;
                        insn.imm = start * Insn::SIZE as i32;
                    }
                    symbol
                }
                RelocTarget::Symbol(name) => {
                    if is_call {
                        insn.src = pseudo::CALL;
                        insn.imm = -1;
                    }
                    *self.symbols.get(name.as_str()).ok_or_else(|| undefined(name))?
                }
            };
            relocs.push(((r.at * Insn::SIZE) as u64, symbol, if is_call { R_BPF_64_32 } else { R_BPF_64_64 }));
        }
        self.out.set_section_data(id, Insn::write_all(&insns, self.module.endian), 8);
        relocs.into_iter().try_for_each(|(offset, symbol, r_type)| self.relocate(id, offset, symbol, r_type))
    }

    fn data_relocs(&mut self, data: &Data, id: SectionId) -> Result<(), WriteError> {
        for r in &data.relocs {
            let (RelocTarget::Function(name) | RelocTarget::Symbol(name)) = &r.target;
            let symbol =
                self.functions.get(name.as_str()).map(|f| f.symbol).or(self.symbols.get(name.as_str()).copied());
            let undefined = || WriteError::Undefined { section: data.name.clone(), name: name.clone() };
            self.relocate(id, r.at as u64, symbol.ok_or_else(undefined)?, R_BPF_64_ABS64)?;
        }
        Ok(())
    }
}
