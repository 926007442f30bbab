//! An object's maps and programs, ready to run.

use crate::UserHelper;
use crate::World;
use crate::maps::{self, Kind, Map, MapError, Surroundings};
use crate::program::{KfuncName, LoadError, Loader, Program};
use ebpfkit_object::record::of_map;
use ebpfkit_object::{MapInit, Object};
use ebpfkit_verifier::{KernelModel, Verified};
use std::sync::Arc;

/// Maps made from an object's definitions, and the programs that have been loaded with them.
#[derive(Debug)]
pub struct Instance {
    maps: Vec<Result<Arc<Map>, MapError>>,
    programs: Vec<Option<Arc<Program>>>,
    /// Slots of prog arrays: map, index, program.
    links: Vec<(usize, u32, usize)>,
    /// Where programs get the kernel's types from.
    kernel: KernelModel,
    /// The user's helpers, by number, and kernel functions, by name.
    helpers: Vec<(u32, UserHelper)>,
    kfuncs: Vec<(String, UserHelper)>,
}

/// A program with those that its object's prog arrays hold.
#[derive(Debug)]
pub struct LoadedWithTargets<E> {
    /// The program.
    pub program: Arc<Program>,
    /// Programs of prog arrays that are not there, by number in the object.
    pub missing: Vec<(usize, TargetError<E>)>,
}

/// Why a program cannot be loaded.
#[derive(Debug)]
pub enum TargetError<E> {
    /// Whoever judged it refuses it.
    Refused(E),
    /// It needs what is not there.
    Load(LoadError),
}

impl Instance {
    /// Makes the maps and fills in their initial contents. A map that cannot be made is an error only for programs
    /// that use it. `kernel` knows the special fields of values; `cpus` is how many values per-CPU maps have.
    pub fn new(object: &Object, kernel: &KernelModel, cpus: u32) -> Self {
        Self::in_world(object, kernel, &World { cpus, ..World::default() })
    }

    /// As [`Instance::new`], with what a world says of its maps: CPUs, limits and the key of hash functions.
    pub fn in_world(object: &Object, kernel: &KernelModel, world: &World) -> Self {
        let around = Surroundings::of(world);
        let types = || kernel.btf().cloned();
        let fields = |def: &ebpfkit_object::Map| of_map(def, object.btf.as_deref(), &types);
        let make = |def: &ebpfkit_object::Map| {
            let inner = def.inner.as_deref().map(fields).unwrap_or_default();
            maps::create_outer(def, &fields(def), &inner, &around).map(Arc::new)
        };
        let mut this = Self {
            maps: object.maps.iter().map(make).collect(),
            programs: vec![None; object.programs.len()],
            links: Vec::new(),
            kernel: kernel.clone(),
            helpers: Vec::new(),
            kfuncs: Vec::new(),
        };
        for (number, def) in object.maps.iter().enumerate() {
            if let Err(e) = this.fill(number, def) {
                this.maps[number] = Err(e);
            }
        }
        this
    }

    fn fill(&mut self, number: usize, def: &ebpfkit_object::Map) -> Result<(), MapError> {
        let Ok(map) = self.maps[number].clone() else { return Ok(()) };
        let fail = |errno| MapError {
            name: def.name.clone(),
            map_type: def.map_type,
            errno,
            what: "its initial contents do not fit".into(),
            unsupported: false,
        };
        match &def.init {
            // Nothing calls the functions of a struct_ops map here.
            MapInit::Empty | MapInit::StructOps { .. } | MapInit::Jumps(_) => {}
            MapInit::Data(data) => {
                if let Kind::Arena(arena) = map.kind() {
                    return arena.load(data).map_err(fail);
                }
                let mut value = data.clone();
                value.resize(map.value_size(), 0);
                // Global data is written by its owner, whatever programs may do with it.
                map.write(&0u32.to_ne_bytes(), &value, 0, 0).map_err(fail)?;
            }
            MapInit::Maps(slots) => {
                for (index, inner) in slots {
                    if let (Kind::Maps(outer), Some(Ok(inner))) = (map.kind(), self.maps.get(*inner)) {
                        outer.set(&index.to_ne_bytes(), inner, 0).map_err(fail)?;
                    }
                }
            }
            MapInit::Programs(slots) => self.links.extend(slots.iter().map(|(index, p)| (number, *index, *p))),
        }
        if def.frozen {
            map.freeze().map_err(fail)?;
        }
        Ok(())
    }

    /// Registers a helper for programs that are loaded from now on; see [`Loader::helper`].
    pub fn set_helper(&mut self, id: u32, function: UserHelper) {
        self.helpers.retain(|(n, _)| *n != id);
        self.helpers.push((id, function));
    }

    /// Registers a kernel function for programs that are loaded from now on; see [`Loader::kfunc`].
    pub fn set_kfunc(&mut self, name: &str, function: UserHelper) {
        self.kfuncs.retain(|(n, _)| n != name);
        self.kfuncs.push((name.to_owned(), function));
    }

    /// Whether any program has been loaded.
    pub fn has_loaded(&self) -> bool {
        self.programs.iter().any(Option::is_some)
    }

    /// Loads a program of the object, once. With `verified` it can run without checks. `kfunc` names kernel functions.
    /// Prog arrays of the object that have a slot for the program now hold it.
    pub fn load(
        &mut self,
        object: &Object,
        program: usize,
        verified: Option<&Verified>,
        kfunc: KfuncName<'_>,
    ) -> Result<Arc<Program>, LoadError> {
        let Some(source) = object.programs.get(program) else { return Err(LoadError::Empty) };
        if let Some(Some(loaded)) = self.programs.get(program) {
            return Ok(loaded.clone());
        }
        let loader = match verified {
            Some(v) => Loader::verified(v),
            None => Loader::program(source),
        };
        let maps = self.maps.iter().map(|m| m.as_ref().ok().cloned());
        let loader = self.helpers.iter().fold(loader, |loader, (id, function)| loader.helper(*id, *function));
        let loader = self.kfuncs.iter().fold(loader, |loader, (name, function)| loader.kfunc(name, *function));
        let kernel = self.kernel.clone();
        let loader = loader.btf(object.btf.clone()).kernel_types(move || kernel.btf().cloned()).maps(maps);
        let loaded = loader.load_with(kfunc);
        let loaded = loaded.map_err(|e| match e {
            LoadError::NoMap { at, map } => match self.maps.get(map as usize) {
                Some(Err(error)) => LoadError::Map { at, error: error.clone() },
                _ => LoadError::NoMap { at, map },
            },
            other => other,
        })?;
        for (map, index, _) in self.links.iter().filter(|l| l.2 == program) {
            if let Some(Ok(map)) = self.maps.get(*map)
                && let Kind::Slots(slots) = map.kind()
            {
                // A slot outside of the array was refused when the object was read.
                let _ = slots.set_program(*index, loaded.id().into(), loaded.clone());
            }
        }
        self.programs[program] = Some(loaded.clone());
        Ok(loaded)
    }

    /// Loads a program and those that the object's prog arrays hold. `verify` judges one by its number in the object:
    /// with `None` it runs with checks. A target that is refused leaves its slots empty, so that calls of it fail.
    pub fn load_with_targets<E>(
        &mut self,
        object: &Object,
        program: usize,
        mut verify: impl FnMut(usize) -> Result<Option<Verified>, E>,
        kfunc: KfuncName<'_>,
    ) -> Result<LoadedWithTargets<E>, TargetError<E>> {
        let mut load = |this: &mut Self, n: usize| {
            let verified = verify(n).map_err(TargetError::Refused)?;
            this.load(object, n, verified.as_ref(), kfunc).map_err(TargetError::Load)
        };
        let loaded = load(self, program)?;
        let mut targets: Vec<usize> = self.tail_call_targets().filter(|t| *t != program).collect();
        targets.sort_unstable();
        targets.dedup();
        let mut missing = Vec::new();
        for target in targets {
            missing.extend(load(self, target).err().map(|why| (target, why)));
        }
        Ok(LoadedWithTargets { program: loaded, missing })
    }

    /// Programs that prog arrays of the object hold, by number in the object.
    pub fn tail_call_targets(&self) -> impl Iterator<Item = usize> + '_ {
        self.links.iter().map(|l| l.2)
    }

    /// The maps by number in the object; the error says why one could not be made.
    pub fn maps(&self) -> &[Result<Arc<Map>, MapError>] {
        &self.maps
    }

    /// A map by name.
    pub fn map(&self, name: &str) -> Option<&Arc<Map>> {
        self.maps.iter().flatten().find(|m| *m.info().name == *name)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Programs and prog arrays hold each other.
        for map in self.maps.iter().flatten() {
            if let Kind::Slots(slots) = map.kind() {
                slots.clear_programs();
            }
        }
    }
}
