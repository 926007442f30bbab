//! Loading an object as libbpf does: types first, then maps with their contents, then programs.

use crate::arena::Mapping;
use crate::error::KernelError;
use crate::map::{KernelMap, MapParams};
use crate::prog::{LoadParams, LoadResult, LoadedProgram, LogLevel};
use crate::{Kernel, raw};
use ebpfkit_abi::limits::PAGE_SIZE;
use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::pseudo;
use ebpfkit_object::{Map, MapInit, Prepared};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

/// Room for logs; the kernel keeps the end of a longer one.
const LOG_SIZE: u32 = 64 << 20;

/// A prepared object whose types and maps are in the kernel.
#[derive(Debug)]
pub struct Session<'a> {
    kernel: Kernel,
    prepared: &'a Prepared,
    btf: Option<OwnedFd>,
    maps: Vec<Result<KernelMap, KernelError>>,
    /// Templates of inner maps must live while their outer maps are created; they are kept with them.
    _inner: Vec<KernelMap>,
    /// Arenas stay mapped as long as programs may use them.
    arenas: Vec<Mapping>,
}

impl<'a> Session<'a> {
    /// Gives an object's types and maps to the kernel. A map that cannot be created is an error only for programs
    /// that use it.
    pub fn new(kernel: Kernel, prepared: &'a Prepared) -> Result<Self, KernelError> {
        let object = &prepared.object;
        let needs_types = object.maps.iter().any(|m| m.map_type == MapType::StructOps);
        let btf =
            match object.btf.as_ref().filter(|_| object.types_refused.is_none()).map(|b| kernel.load_btf(b.bytes())) {
                // As libbpf: where they are optional, types that the kernel does not take are left out.
                Some(Err(KernelError::Btf { .. })) if !needs_types => None,
                other => other.transpose()?,
            };
        let mut session = Self { kernel, prepared, btf, maps: Vec::new(), _inner: Vec::new(), arenas: Vec::new() };
        for map in &object.maps {
            let created = session.create(map);
            session.maps.push(created);
        }
        for (at, map) in object.maps.iter().enumerate() {
            let filled = session.fill(at, map).and_then(|()| session.map_arena(at, map));
            if let Err(e) = filled {
                session.maps[at] = Err(e);
            }
        }
        Ok(session)
    }

    /// The map of an index in the object.
    pub fn map(&self, index: usize) -> Result<&KernelMap, KernelError> {
        match self.maps.get(index) {
            Some(Ok(map)) => Ok(map),
            Some(Err(e)) => Err(e.clone()),
            None => Err(KernelError::Unloadable(format!("the object has no map number {index}"))),
        }
    }

    fn create(&mut self, map: &Map) -> Result<KernelMap, KernelError> {
        if map.map_type == MapType::StructOps {
            return Err(KernelError::Unloadable(format!(
                "map {}: struct_ops maps are attached when created",
                map.name
            )));
        }
        let inner = map.inner.as_deref().map(|inner| self.create(inner)).transpose()?;
        let params = MapParams { inner: inner.as_ref().map(AsFd::as_fd), ..MapParams::of(map) };
        let typed = map.key_type != 0 || map.value_type != 0;
        let btf = self.btf.as_ref().filter(|_| typed);
        let with_types = MapParams { btf: btf.map(|fd| (fd.as_fd(), map.key_type, map.value_type)), ..params.clone() };
        // As libbpf: a kernel that does not take the types may take the map without them.
        let created = match self.kernel.create_map(&with_types) {
            Err(_) if btf.is_some() => self.kernel.create_map(&params),
            other => other,
        }?;
        self._inner.extend(inner);
        Ok(created)
    }

    /// Initial contents, other than programs.
    fn fill(&self, at: usize, map: &Map) -> Result<(), KernelError> {
        let Ok(created) = &self.maps[at] else { return Ok(()) };
        match &map.init {
            MapInit::Data(bytes) if map.map_type == MapType::Array => {
                let mut value = bytes.clone();
                value.resize(created.value_bytes, 0);
                created.update(&[0; 4], &value, 0)?;
            }
            MapInit::Maps(slots) => {
                for &(slot, inner) in slots {
                    created.set_fd(&slot.to_ne_bytes(), self.map(inner)?.as_fd())?;
                }
            }
            MapInit::Jumps(targets) => {
                // Where the program begins with each; what the kernel makes of that is zero at first.
                for (slot, target) in (0u32..).zip(targets) {
                    let mut value = [0; 16];
                    value[..4].copy_from_slice(&target.to_ne_bytes());
                    created.update(&slot.to_ne_bytes(), &value, 0)?;
                }
            }
            _ => {}
        }
        if map.frozen { created.freeze() } else { Ok(()) }
    }

    /// Maps an arena, which the kernel demands before programs that use it are loaded.
    fn map_arena(&mut self, at: usize, map: &Map) -> Result<(), KernelError> {
        let (Ok(created), MapType::Arena) = (&self.maps[at], map.map_type) else { return Ok(()) };
        let data = match &map.init {
            MapInit::Data(bytes) => bytes.as_slice(),
            _ => &[],
        };
        let len = map.max_entries as usize * PAGE_SIZE as usize;
        let mapping = Mapping::new(created, map.extra, len, data)?;
        self.arenas.push(mapping);
        Ok(())
    }

    /// Loads one program. A rejection by the verifier is a result; an error is a program that cannot be given to it.
    pub fn load(&self, index: usize, log_level: LogLevel) -> Result<LoadResult, KernelError> {
        let object = &self.prepared.object;
        let program = object
            .programs
            .get(index)
            .ok_or_else(|| KernelError::Unloadable(format!("the object has no program number {index}")))?;
        if let Some(Some(why)) = self.prepared.unloadable.get(index) {
            return Err(KernelError::Unloadable(why.clone()));
        }
        if program.prog_type == ProgType::Ext {
            return Err(KernelError::Unloadable(format!(
                "prog '{}': it replaces a function of a program that is not known here",
                program.name
            )));
        }
        let insns = self.with_descriptors(&program.insns)?;
        let params = LoadParams {
            prog_type: program.prog_type,
            attach_type: program.attach_type,
            insns: &insns,
            license: &object.license,
            name: &program.name,
            flags: program.flags.0,
            kern_version: object.kern_version,
            btf: self.btf.as_ref().map(AsFd::as_fd),
            func_info: &program.func_info,
            line_info: &program.line_info,
            attach_btf_id: program.attach_btf_id,
            attach_prog: None,
            log_level,
            log_size: LOG_SIZE,
        };
        let mut result = self.kernel.load_program(&params)?;
        crate::log::explain_poison(&mut result.log, &program.poison);
        Ok(result)
    }

    /// Puts loaded programs into the slots of the object's prog arrays. `loaded` gives them by index in the object.
    pub fn fill_prog_arrays<'p>(&self, loaded: impl Fn(usize) -> Option<&'p LoadedProgram>) -> Result<(), KernelError> {
        for (map, created) in self.prepared.object.maps.iter().zip(&self.maps) {
            let (MapInit::Programs(slots), Ok(created)) = (&map.init, created) else { continue };
            for &(slot, program) in slots {
                if let Some(program) = loaded(program) {
                    created.set_fd(&slot.to_ne_bytes(), program.as_fd())?;
                }
            }
        }
        Ok(())
    }

    /// Loads the programs that the object's prog arrays hold and puts them there; `main` is one that is loaded already.
    /// Those that the kernel refuses are missing, so that calls of them fail.
    pub fn load_prog_arrays(&self, main: usize, loaded: &LoadedProgram) -> Result<(), KernelError> {
        let slots = self.prepared.object.maps.iter().flat_map(|map| match &map.init {
            MapInit::Programs(slots) => slots.as_slice(),
            _ => &[],
        });
        let mut others = BTreeMap::new();
        for &(_, number) in slots.filter(|(_, number)| *number != main) {
            if let Ok(LoadResult { program: Ok(program), .. }) = self.load(number, LogLevel::NONE) {
                others.insert(number, program);
            }
        }
        self.fill_prog_arrays(|n| if n == main { Some(loaded) } else { others.get(&n) })
    }

    /// Instructions whose map indices have become descriptors.
    fn with_descriptors(&self, insns: &[Insn]) -> Result<Vec<Insn>, KernelError> {
        let mut out = insns.to_vec();
        let mut at = 0;
        while at < out.len() {
            let insn = &mut out[at];
            if !insn.is_ld_imm64() {
                at += 1;
                continue;
            }
            if matches!(insn.src, pseudo::MAP_FD | pseudo::MAP_VALUE) {
                insn.imm = match usize::try_from(insn.imm) {
                    Ok(index) => raw(self.map(index)?),
                    // A descriptor that the source wrote as a number.
                    Err(_) => !insn.imm,
                };
            }
            at += 2;
        }
        Ok(out)
    }
}
