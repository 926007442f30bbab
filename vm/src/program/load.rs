//! Making a program from instructions, from an object's program, or from what the verifier accepted.

use super::decode;
use super::{LoadError, Program};
use crate::context::{CtxLayout, NO_QUEUE};
use crate::contract::Contract;
use crate::helpers;
use crate::maps::{Arena, Kind, Map, User};
use crate::native::NativeSlots;
use crate::regions::{Region, RegionKind};
use crate::run::HelperFn;
use crate::user::UserHelper;
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::{AttachType, MapType, ProgType};
use ebpfkit_isa::opcode::{class, jmp};
use ebpfkit_isa::{CallKind, ImmKind, Insn, Op, Operand, R10, STACK_SIZE, decode as decode_insn};
use ebpfkit_object::btf::{EXCEPTION_CALLBACK_TAG, Kind as BtfKind};
use ebpfkit_object::{Btf, FuncInfo, ProgramFlags};
use ebpfkit_verifier::{RegBase, RegType, Verified};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// Number of the next program.
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// Finds the name of a kernel function by BTF id and descriptor index.
pub type KfuncName<'a> = &'a dyn Fn(u32, i16) -> Option<String>;

/// What a program is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    pub name: String,
    pub prog_type: ProgType,
    pub attach_type: AttachType,
    pub insns: Vec<Insn>,
    /// Slots of functions, sorted; the first is zero.
    pub functions: Vec<usize>,
    /// By number; what could not be made is missing.
    pub supplied: Vec<Option<Arc<Map>>>,
    /// Those that instructions name, each once.
    pub maps: Vec<Arc<Map>>,
    /// The arena, if instructions name one or its addresses are cast.
    pub arena: Option<Arc<Map>>,
    pub verified: Option<Verified>,
    /// It may call helpers of the user's in the place of those that were verified: what was proved says where its pointers
    /// lead, but nothing can be left unchecked.
    pub replaced: bool,
    /// Functions that calls name by index.
    pub helpers: Vec<HelperFn>,
    /// By slot of a call: index into `helpers`.
    calls: Vec<(usize, usize)>,
    /// By slot of a call: why there is nothing to call; and of other instructions that nothing can do. What is never
    /// reached stops no program.
    unavailable: Vec<(usize, String)>,
    /// Registered by the user, by number, and kernel functions by name.
    own: Vec<(u32, UserHelper)>,
    own_kfuncs: Vec<(String, UserHelper)>,
    ctx: Option<Arc<CtxLayout>>,
    pub btf: Option<Arc<Btf>>,
    /// The kernel's.
    kernel_types: LazyTypes,
    /// Variables of the kernel that instructions name, by type: all of them zero.
    variables: Vec<(u32, Arc<[u64]>)>,
    /// Types of functions, by slot; the first is the main function's.
    func_info: Vec<FuncInfo>,
    /// Slot of the function that handles exceptions.
    exception_callback: Option<usize>,
    /// See [`Program::is_unbounded`].
    is_unbounded: bool,
    /// Type that was asked for after a verified program was given.
    other_type: Option<ProgType>,
    pub flags: ProgramFlags,
    /// The kernel's type that it is attached to; of a method the struct of operations.
    pub attach_btf_id: u32,
}

/// Types that are read when they are needed first.
#[derive(Clone, Default)]
struct LazyTypes {
    source: Option<Arc<dyn Fn() -> Option<Arc<Btf>> + Send + Sync>>,
    read: OnceLock<Option<Arc<Btf>>>,
}

impl LazyTypes {
    fn get(&self) -> Option<&Arc<Btf>> {
        self.read.get_or_init(|| self.source.as_ref().and_then(|source| source())).as_ref()
    }
}

impl std::fmt::Debug for LazyTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.read.fmt(f)
    }
}

impl Pieces {
    pub(super) fn map(&self, map: u32, at: usize) -> Result<&Arc<Map>, LoadError> {
        self.supplied.get(map as usize).and_then(Option::as_ref).ok_or(LoadError::NoMap { at, map })
    }

    pub(super) fn value_address(&self, map: u32, off: u32, at: usize) -> Result<u64, LoadError> {
        let m = self.map(map, at)?;
        let value = m.lookup(&0u32.to_ne_bytes(), 0).map(|p| p.as_ptr() as u64);
        let value = value.ok_or_else(|| LoadError::Unsupported {
            at,
            what: format!("an address inside map {}, which is no array", m.info().name),
        })?;
        Ok(value.wrapping_add(off.into()))
    }

    /// The kernel's types.
    pub(crate) fn kernel_types(&self) -> Option<&Arc<Btf>> {
        let verified = self.verified.as_ref().and_then(|v| v.assumptions().kernel_types.as_ref());
        verified.or_else(|| self.kernel_types.get())
    }

    /// Gives a variable of the kernel memory, if its type is known; a function only has an address.
    fn add_variable(&mut self, id: u32) {
        let size = self.kernel_types().and_then(|types| match types.kind(id) {
            Some(BtfKind::Var) => types.size_of(id),
            Some(BtfKind::Func) => Some(0),
            _ => None,
        });
        if let (Some(size), None) = (size, self.variable(id)) {
            self.variables.push((id, vec![0; (size as usize).div_ceil(8).max(1)].into()));
        }
    }

    /// The memory of a variable of the kernel.
    pub(super) fn variable(&self, id: u32) -> Option<&[u64]> {
        self.variables.iter().find(|v| v.0 == id).map(|v| &*v.1)
    }

    pub(super) fn function_at(&self, slot: i64, at: usize) -> Result<usize, LoadError> {
        let found = usize::try_from(slot).ok().and_then(|s| self.functions.binary_search(&s).ok());
        found.ok_or(LoadError::BadTarget { at, target: slot })
    }

    pub(super) fn call_at(&self, at: usize) -> Option<usize> {
        self.calls.binary_search_by_key(&at, |c| c.0).ok().map(|n| self.calls[n].1)
    }

    pub(super) fn find_helper(&self, id: u32) -> Option<HelperFn> {
        let own = self.own.iter().find(|(n, _)| *n == id);
        own.map(|(_, f)| crate::user::as_helper(*f)).or_else(|| helpers::find(id))
    }

    fn find_kfunc(&self, name: &str) -> Option<HelperFn> {
        let own = self.own_kfuncs.iter().find(|(n, _)| n == name);
        own.map(|(_, f)| crate::user::as_helper(*f)).or_else(|| helpers::kfunc(name))
    }

    /// Whether a call goes to a function that the user has registered.
    fn is_own(&self, call: CallKind, kfunc: KfuncName<'_>) -> bool {
        match call {
            CallKind::Helper(id) => self.own.iter().any(|(n, _)| *n == id),
            CallKind::Kfunc { id, btf_index } if !self.own_kfuncs.is_empty() => {
                kfunc(id, btf_index).is_some_and(|name| self.own_kfuncs.iter().any(|(n, _)| *n == name))
            }
            _ => false,
        }
    }

    /// Notes what the call at a slot goes to.
    fn add_call(&mut self, at: usize, found: Result<HelperFn, String>) {
        match found {
            Ok(function) => {
                self.calls.push((at, self.helpers.len()));
                self.helpers.push(function);
            }
            Err(what) => self.add_fault(at, format!("not supported yet: {what}")),
        }
    }

    /// Notes that the instruction at a slot ends the run, and why, unless that is known.
    fn add_fault(&mut self, at: usize, why: String) {
        if let Err(index) = self.unavailable.binary_search_by_key(&at, |u| u.0) {
            self.unavailable.insert(index, (at, why));
        }
        self.calls.push((at, self.helpers.len()));
        self.helpers.push(helpers::unavailable);
    }

    /// Why the call at a slot has nothing to call.
    pub(crate) fn unavailable_at(&self, at: usize) -> Option<&str> {
        let found = self.unavailable.binary_search_by_key(&at, |u| u.0).ok()?;
        Some(&self.unavailable[found].1)
    }

    fn pointer_at(&self, at: usize) -> Option<RegType> {
        self.verified.as_ref()?.facts().pointers.get(at).copied().flatten()
    }

    /// The translated struct that the access at a slot goes to, as the verifier has seen it.
    pub(super) fn object_layout(&self, at: usize) -> Option<&CtxLayout> {
        // Sockets are kept as programs see them, so only contexts are translated.
        match self.pointer_at(at)?.base {
            RegBase::Ctx => self.ctx.as_deref(),
            _ => None,
        }
    }

    /// Whether the load at a slot may go to memory that is gone or into an arena, so that the kernel probes it. Objects
    /// that programs allocate are read as they are: their memory stays memory of objects
    /// ([`heap`](crate::helpers::heap)).
    pub(super) fn probed(&self, at: usize) -> bool {
        self.pointer_at(at).is_some_and(crate::contract::is_probed)
    }

    /// Whether the load at a slot reads a map as the kernel's struct.
    pub(super) fn reads_map(&self, at: usize) -> bool {
        self.pointer_at(at).is_some_and(|t| t.base == RegBase::ConstMap)
    }

    /// Whether the access at a slot goes into an arena.
    pub(super) fn is_arena(&self, at: usize) -> bool {
        self.pointer_at(at).is_some_and(|t| t.base == RegBase::Arena)
    }

    /// Whether a store goes through the run: into an arena, or to a number of the context that takes not every value.
    pub(super) fn is_indirect(&self, at: usize, off: i16, src: Operand) -> bool {
        // The kernel compares a constant as it stands, and a register as 64 bits without sign.
        let kept = matches!(src, Operand::Imm(value) if i64::from(value) < NO_QUEUE as i64);
        let selective = |layout: &CtxLayout| u64::try_from(off).is_ok_and(|off| layout.is_selective(off));
        self.is_arena(at) || !kept && self.object_layout(at).is_some_and(selective)
    }

    pub(super) fn arena(&self) -> Option<&Arena> {
        match self.arena.as_ref()?.kind() {
            Kind::Arena(arena) => Some(arena),
            _ => None,
        }
    }
}

/// Collects what a program needs and loads it.
#[derive(Clone, Debug, Default)]
pub struct Loader {
    pieces: Pieces,
}

impl Loader {
    /// A program from its slots, without anything else: no context type, no maps.
    pub fn new(insns: &[Insn]) -> Self {
        Self { pieces: Pieces { insns: insns.to_vec(), ..Pieces::default() } }
    }

    /// An object's program; it runs with checks.
    pub fn program(program: &ebpfkit_object::Program) -> Self {
        let mut this = Self::new(&program.insns).prog_type(program.prog_type).attach_type(program.attach_type);
        this.pieces.name.clone_from(&program.name);
        this.pieces.unavailable.clone_from(&program.poison);
        this.pieces.unavailable.sort_by_key(|p| p.0);
        this.pieces.func_info.clone_from(&program.func_info);
        this.pieces.flags = program.flags;
        this.pieces.attach_btf_id = program.attach_btf_id;
        this
    }

    /// A verified program; it can run without checks.
    pub fn verified(verified: &Verified) -> Self {
        let mut this = Self::program(verified.program());
        this.pieces.verified = Some(verified.clone());
        this.pieces.btf = verified.assumptions().object_types.clone();
        this
    }

    /// The program type, which decides the context. A verified program has its own.
    pub fn prog_type(mut self, kind: ProgType) -> Self {
        match &self.pieces.verified {
            Some(verified) if verified.program().prog_type != kind => self.pieces.other_type = Some(kind),
            _ => self.pieces.prog_type = kind,
        }
        self
    }

    /// The attach type. A verified program keeps its own.
    pub fn attach_type(mut self, kind: AttachType) -> Self {
        if self.pieces.verified.is_none() {
            self.pieces.attach_type = kind;
        }
        self
    }

    /// The maps that instructions name by number. Missing ones matter only to programs that name them.
    pub fn maps(mut self, maps: impl IntoIterator<Item = Option<Arc<Map>>>) -> Self {
        self.pieces.supplied = maps.into_iter().collect();
        self
    }

    /// Adds one map; its number is how many there were before.
    pub fn map(mut self, map: Arc<Map>) -> Self {
        self.pieces.supplied.push(Some(map));
        self
    }

    /// The object's types, which functions that allocate objects need. A verified program keeps those that it was
    /// verified with.
    pub fn btf(mut self, btf: Option<Arc<Btf>>) -> Self {
        if self.pieces.verified.is_none() {
            self.pieces.btf = btf;
        }
        self
    }

    /// Where the kernel's types come from: helpers need them that show objects as text, contexts that are structs of the
    /// kernel, variables of the kernel, maps that are read as structs. They are asked for when something does.
    pub fn kernel_types(mut self, source: impl Fn() -> Option<Arc<Btf>> + Send + Sync + 'static) -> Self {
        self.pieces.kernel_types = LazyTypes { source: Some(Arc::new(source)), read: OnceLock::new() };
        self
    }

    /// Registers a helper under a number; it takes the place of a built-in one. A program that calls it runs with checks,
    /// whatever was proved: what the verifier knows of the number is the built-in helper.
    pub fn helper(mut self, id: u32, function: UserHelper) -> Self {
        self.pieces.own.insert(0, (id, function));
        self
    }

    /// Registers a kernel function under a name, as [`Loader::helper`] does a helper.
    pub fn kfunc(mut self, name: &str, function: UserHelper) -> Self {
        self.pieces.own_kfuncs.insert(0, (name.to_owned(), function));
        self
    }

    /// Loads a program that calls no kernel functions.
    pub fn load(self) -> Result<Arc<Program>, LoadError> {
        self.load_with(&|_, _| None)
    }

    /// Loads the program; `kfunc` names kernel functions. Those of a verified program have the names that they had then.
    pub fn load_with(self, kfunc: KfuncName<'_>) -> Result<Arc<Program>, LoadError> {
        let mut pieces = self.pieces;
        if pieces.insns.is_empty() {
            return Err(LoadError::Empty);
        }
        if let Some(requested) = pieces.other_type {
            return Err(LoadError::OtherType { verified: pieces.prog_type, requested });
        }
        pieces.exception_callback = exception_callback(&pieces);
        let types = pieces.verified.as_ref().and_then(|v| v.assumptions().kernel_types.clone());
        let known = |id: u32, index: i16| match &types {
            Some(types) if index == 0 => Some(types.name(id).to_owned()),
            _ => kfunc(id, index),
        };
        let is_verified = pieces.verified.is_some();
        scan(&mut pieces, if is_verified { &known } else { kfunc })?;
        let contract = pieces.verified.as_ref().map(|v| Contract::of(v, &pieces.supplied)).transpose()?;
        let arena = |m: &&Arc<Map>| m.info().map_type == MapType::Arena;
        pieces.arena = pieces.maps.iter().find(arena).cloned();
        let ctx = Arc::new(CtxLayout::of(pieces.prog_type));
        pieces.ctx = Some(ctx.clone());
        let checked = decode::code(&pieces, false)?;
        let unchecked = OnceLock::new();
        if pieces.verified.is_some() && !pieces.replaced {
            // What cannot be translated is said now.
            let _ = unchecked.set(decode::code(&pieces, true)?);
        }
        let fixed = fixed_regions(&pieces);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let frame = frame_bytes(&pieces.insns);
        let has_rings = pieces.maps.iter().any(|m| matches!(m.kind(), Kind::Ringbuf(_)));
        let native = NativeSlots::default();
        let array_generations = crate::generations::arrays(&pieces.maps);
        let exception_callback =
            pieces.exception_callback.and_then(|slot| pieces.functions.iter().position(|f| *f == slot));
        let is_unbounded = pieces.is_unbounded;
        let program = Program {
            frame,
            id,
            pieces,
            ctx,
            fixed,
            checked,
            unchecked,
            native,
            contract,
            has_rings,
            exception_callback,
            is_unbounded,
            array_generations,
        };
        let types = program.verified().and_then(|v| v.assumptions().object_types.clone());
        let user = User { verified: program.verified().is_some(), types };
        for map in program.maps() {
            if !map.admit(&user) {
                return Err(LoadError::Users { map: map.info().name.to_string() });
            }
            if let Kind::Slots(slots) = map.kind()
                && !slots.claim(&program.owner())
            {
                return Err(LoadError::Owner { map: map.info().name.to_string() });
            }
        }
        Ok(Arc::new(program))
    }
}

/// Bytes below `r10` that the program can touch in the frame of its main function: all, once it takes the address of
/// one, or hands the frame to another program.
fn frame_bytes(insns: &[Insn]) -> usize {
    let mut least = 0;
    let mut at = 0;
    while let Some(insn) = insns.get(at) {
        let direct = match insn.class() {
            class::LDX => insn.src == R10 && insn.dst != R10,
            class::ST | class::STX => insn.dst == R10 && insn.src != R10,
            _ => false,
        };
        let tail_call = insn.code == (class::JMP | jmp::CALL) && insn.imm == id::TAIL_CALL as i32;
        if direct {
            least = least.min(i64::from(insn.off));
        } else if insn.dst == R10 || insn.src == R10 || tail_call {
            return STACK_SIZE;
        }
        at += insn.slots();
    }
    usize::try_from(-least).unwrap_or(STACK_SIZE).min(STACK_SIZE)
}

/// Slot of the function that a tag on the main function names as the one that handles exceptions.
fn exception_callback(pieces: &Pieces) -> Option<usize> {
    let (btf, main) = (pieces.btf.as_deref()?, pieces.func_info.first()?);
    let name = btf.decl_tags(main.type_id, -1).find_map(|t| t.strip_prefix(EXCEPTION_CALLBACK_TAG))?;
    let ty = btf.find(name, BtfKind::Func)?;
    let function = pieces.func_info.iter().find(|f| f.type_id == ty)?;
    Some(function.insn as usize).filter(|slot| (1..pieces.insns.len()).contains(slot))
}

/// Whether a kernel function steps an iterator, so that the loop around it runs for as long as there are elements.
fn steps_iterator(name: &str) -> bool {
    name.starts_with("bpf_iter_") && name.ends_with("_next")
}

/// Finds functions and resolves calls.
fn scan(pieces: &mut Pieces, kfunc: KfuncName<'_>) -> Result<(), LoadError> {
    let mut functions = vec![0];
    functions.extend(pieces.exception_callback);
    let mut at = 0;
    while at < pieces.insns.len() {
        let (op, slots) = decode_insn(&pieces.insns, at)?;
        // The verifier takes it where nothing comes.
        if pieces.insns[at].writes_frame_pointer() {
            pieces.add_fault(at, "frame pointer is read only".into());
        }
        if let Op::Call(call) = op {
            pieces.replaced |= pieces.is_own(call, kfunc);
        }
        let function = match op {
            Op::Call(CallKind::Helper(id)) if id != id::TAIL_CALL => {
                let found = pieces.find_helper(id).ok_or_else(|| helper_name(id));
                pieces.add_call(at, found);
                None
            }
            Op::Call(CallKind::Kfunc { id, btf_index }) => {
                let unknown = || format!("the kernel function of BTF id {id}, whose name is unknown");
                let name = kfunc(id, btf_index).ok_or_else(unknown);
                pieces.is_unbounded |= name.as_ref().is_ok_and(|n| steps_iterator(n));
                let found = name.and_then(|n| pieces.find_kfunc(&n).ok_or_else(|| format!("kernel function {n}")));
                pieces.add_call(at, found);
                None
            }
            Op::MayGoto { .. } => {
                pieces.is_unbounded = true;
                None
            }
            Op::LoadImm64 { imm, .. } if map_number(imm).is_some() => {
                let map = pieces.map(map_number(imm).unwrap_or_default(), at)?.clone();
                if !pieces.maps.iter().any(|m| Arc::ptr_eq(m, &map)) {
                    pieces.maps.push(map);
                }
                None
            }
            Op::LoadImm64 { imm: ImmKind::BtfVar { id, btf_fd: 0 }, .. } => {
                pieces.add_variable(id);
                None
            }
            Op::LoadImm64 { imm: ImmKind::Func(_), .. } => {
                pieces.is_unbounded = true;
                pieces.insns[at].function(at)
            }
            _ => pieces.insns[at].function(at),
        };
        if let Some(target) = function {
            let fits = usize::try_from(target).ok().filter(|t| *t < pieces.insns.len());
            functions.push(fits.ok_or(LoadError::BadTarget { at, target })?);
        }
        at += slots;
    }
    functions.sort_unstable();
    functions.dedup();
    pieces.functions = functions;
    Ok(())
}

/// The map that a 64-bit immediate names.
fn map_number(imm: ImmKind) -> Option<u32> {
    match imm {
        ImmKind::Map(n) | ImmKind::MapIdx(n) => Some(n),
        ImmKind::MapValue { map, .. } | ImmKind::MapIdxValue { index: map, .. } => Some(map),
        _ => None,
    }
}

fn helper_name(id: u32) -> String {
    match ebpfkit_abi::helper_name(id) {
        Some(name) => match helpers::missing(name.trim_start_matches("bpf_")) {
            Some(what) => format!("helper {name}, which needs {what}"),
            None => format!("helper {name}"),
        },
        None => format!("helper {id}, which does not exist"),
    }
}

/// Memory whose addresses instructions hold: global data, which is the single values of maps, and variables of the kernel.
fn fixed_regions(pieces: &Pieces) -> Arc<[Region]> {
    let mut regions = Vec::new();
    let mut at = 0;
    while let Ok((op, slots)) = decode_insn(&pieces.insns, at) {
        if let Op::LoadImm64 { imm: ImmKind::MapValue { map, .. } | ImmKind::MapIdxValue { index: map, .. }, .. } = op
            && let (Ok(base), Ok(m)) = (pieces.value_address(map, 0, at), pieces.map(map, at))
        {
            regions.push(Region {
                base,
                len: m.value_size() as u64,
                kind: RegionKind::MapValue(m.info().name.clone()),
                writable: m.info().flags & crate::maps::check::flag::RDONLY_PROG == 0,
            });
        }
        at += slots;
    }
    regions.extend(pieces.variables.iter().map(|(_, memory)| Region {
        base: memory.as_ptr() as u64,
        len: size_of_val(&**memory) as u64,
        kind: RegionKind::Other("a variable of the kernel"),
        writable: false,
    }));
    regions.sort_by_key(|r| r.base);
    regions.dedup_by_key(|r| r.base);
    regions.into()
}
