//! The contract of global functions: what each argument is, from BTF and the `__arg_*` tags.
//!
//! A global function is verified on its own against this contract, and its callers against the same.

use crate::domain::BtfRef;
use crate::memory::types::{is_scalar, is_struct, kind_name};
use crate::program::GlobalArg;
use crate::reason::ProgramReason;
use crate::{Env, Step, Stop, reason::reject};
use ebpfkit_abi::limits::MAX_CALL_ARGS;
use ebpfkit_abi::{ArgBase, AttachType, Feature, ProgType, TypeFlags, ctx_types};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, Type, TypeId};

/// Tags of one argument.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Tags {
    ctx: bool,
    nonnull: bool,
    trusted: bool,
    nullable: bool,
    arena: bool,
    untrusted: bool,
}

impl Tags {
    fn read(btf: &Btf, func: TypeId, index: usize) -> Step<Self> {
        let mut tags = Self::default();
        for tag in btf.decl_tags(func, index as i32).filter_map(|t| t.strip_prefix("arg:")) {
            match tag {
                "ctx" => tags.ctx = true,
                "nonnull" => tags.nonnull = true,
                "trusted" => tags.trusted = true,
                "nullable" => tags.nullable = true,
                "arena" => tags.arena = true,
                "untrusted" => tags.untrusted = true,
                _ => return reject(ProgramReason::ArgTagUnknown { index }),
            }
        }
        Ok(tags)
    }

    fn any(self) -> bool {
        self != Self::default()
    }
}

/// Whether a pointer to this type is a context by its name alone.
fn is_ctx_type(btf: &Btf, target: TypeId, kind: ProgType) -> bool {
    let named = btf.skip_modifiers(target);
    if kind == ProgType::Kprobe && btf.kind(named) == Some(Kind::Typedef) && btf.name(named) == "bpf_user_pt_regs_t" {
        return true;
    }
    let target = btf.resolve(target);
    let name = btf.name(target);
    let Some(ctx) = ctx_types::find(kind).filter(|_| is_struct(btf, target) && !name.is_empty()) else { return false };
    let typedef = kind == ProgType::Kprobe && name == "bpf_user_pt_regs_t";
    name == ctx.user || typedef || ctx_types::is_projection(ctx.user, name)
}

impl Env<'_> {
    /// Whether a pointer to this type is the context of the program's type.
    pub(crate) fn is_ctx_pointee(&self, btf: &Btf, target: TypeId) -> bool {
        is_ctx_type(btf, target, self.effective_prog_type())
    }

    /// Fills the arguments of a global function, once.
    pub fn prepare_func_args(&mut self, subprog: usize) -> Step {
        if self.subprogs[subprog].args_cached {
            return Ok(());
        }
        let Some(btf) = self.btf() else {
            return Err(Stop::unsupported("global functions without BTF"));
        };
        let func = self.subprogs[subprog].func_id;
        let name = self.subprogs[subprog].name.clone();
        let Some(Type::Func { proto, .. }) = btf.get(func) else {
            return Err(Stop::unsupported("a function record that names no function"));
        };
        let count = btf.params(proto).len();
        if count > MAX_CALL_ARGS {
            return reject(ProgramReason::GlobalTooManyArgs { func: name, count });
        }
        let ret = match btf.get(proto) {
            Some(Type::FuncProto { ret, .. }) => btf.resolve(ret),
            _ => 0,
        };
        let arena = matches!(btf.get(ret), Some(Type::Ptr(to)) if self.is_arena_pointee(btf, to));
        let void = ret == 0 && self.has(Feature::VoidGlobals);
        if !is_scalar(btf, ret) && !arena && !void {
            return reject(ProgramReason::GlobalReturn { func: name });
        }
        let mut args = Vec::with_capacity(count);
        for index in 0..count {
            args.push(self.global_arg(btf, func, proto, index, &name)?);
        }
        let s = &mut self.subprogs[subprog];
        (s.args, s.args_cached) = (args, true);
        Ok(())
    }

    fn global_arg(&self, btf: &Btf, func: TypeId, proto: TypeId, index: usize, name: &str) -> Step<GlobalArg> {
        let ty = btf.params(proto).nth(index).map_or(0, |p| p.ty);
        let known = self.has(Feature::ArgumentTags);
        let tags = if known { Tags::read(btf, func, index)? } else { Tags::default() };
        if !known && self.loader_names_context(btf, func, index) {
            return Ok(GlobalArg::of(ArgBase::Ctx, TypeFlags::empty()));
        }
        let resolved = btf.resolve(ty);
        if let Some(Type::Ptr(target)) = btf.get(resolved) {
            if !self.has(Feature::GlobalMemoryArguments) && !self.is_ctx_pointee(btf, target) {
                return reject(ProgramReason::GlobalArgKind { index, kind: "PTR".to_owned(), func: name.to_owned() });
            }
            return self.pointer_arg(btf, target, tags, index);
        }
        if tags.any() {
            return reject(ProgramReason::ArgTagNoPointer { index });
        }
        if is_scalar(btf, resolved) {
            return Ok(GlobalArg::of(ArgBase::Anything, TypeFlags::empty()));
        }
        let kind = kind_name(btf.kind(resolved)).to_owned();
        reject(ProgramReason::GlobalArgKind { index, kind, func: name.to_owned() })
    }

    /// Loaders give arguments that are tagged as contexts the type that says so to kernels that know no tags, where the
    /// program's type has one.
    fn loader_names_context(&self, btf: &Btf, func: TypeId, index: usize) -> bool {
        use ProgType as P;
        let kind = self.prog().prog_type;
        let nameless = matches!(kind, P::Tracing | P::Lsm | P::StructOps | P::Ext | P::Tracepoint | P::Syscall);
        !nameless && ctx_types::find(kind).is_some() && btf.decl_tags(func, index as i32).any(|t| t == "arg:ctx")
    }

    /// Whether a pointer to this type is one into an arena, in kernels that tell by the type.
    pub(crate) fn is_arena_pointee(&self, btf: &Btf, target: TypeId) -> bool {
        self.has(Feature::ArenaTypes)
            && matches!(btf.get(target), Some(Type::TypeTag { kind_flag: false, .. }))
            && btf.name(target) == "arena"
    }

    fn pointer_arg(&self, btf: &Btf, target: TypeId, mut tags: Tags, index: usize) -> Step<GlobalArg> {
        tags.arena |= self.is_arena_pointee(btf, target);
        let none = TypeFlags::empty();
        let bad_tags = || reject(ProgramReason::ArgTagCombination { index });
        if tags.ctx || self.is_ctx_pointee(btf, target) {
            if (Tags { ctx: false, ..tags }).any() {
                return bad_tags();
            }
            if tags.ctx {
                self.check_ctx_tag(btf, target, index)?;
            }
            return Ok(GlobalArg::of(ArgBase::Ctx, none));
        }
        let pointee = btf.resolve(target);
        let is_dynptr = btf.name(pointee) == "bpf_dynptr"
            && (is_struct(btf, pointee) || matches!(btf.get(pointee), Some(Type::Fwd { union: false })));
        if is_dynptr {
            return if tags.any() { bad_tags() } else { Ok(GlobalArg::of(ArgBase::Dynptr, TypeFlags::RDONLY)) };
        }
        if tags.trusted {
            if tags.nonnull {
                return bad_tags();
            }
            let btf_id = self.kernel_type_of_arg(btf, pointee, index)?;
            let null = if tags.nullable { TypeFlags::MAYBE_NULL } else { none };
            return Ok(GlobalArg { btf_id, ..GlobalArg::of(ArgBase::BtfId, TypeFlags::TRUSTED | null) });
        }
        if tags.untrusted {
            if (Tags { untrusted: false, ..tags }).any() {
                return reject(ProgramReason::ArgTagAlone { index, tag: "untrusted" });
            }
            let is_primitive = matches!(btf.kind(pointee), Some(Kind::Void | Kind::Int | Kind::Enum | Kind::Enum64))
                || btf.get(pointee).is_none();
            if is_primitive {
                return Ok(GlobalArg::of(ArgBase::Mem, TypeFlags::RDONLY | TypeFlags::UNTRUSTED));
            }
            let btf_id = self.kernel_type_of_arg(btf, pointee, index)?;
            let types = self.types_of(BtfRef::Vmlinux)?;
            if !is_struct(&types, btf_id) {
                let (kind, name) = (kind_name(types.kind(btf_id)).to_owned(), types.name(btf_id).to_owned());
                return reject(ProgramReason::ArgUntrustedType { index, kind, name });
            }
            return Ok(GlobalArg { btf_id, ..GlobalArg::of(ArgBase::BtfId, TypeFlags::UNTRUSTED) });
        }
        if tags.arena {
            if (Tags { arena: false, ..tags }).any() {
                return reject(ProgramReason::ArgTagAlone { index, tag: "arena" });
            }
            return Ok(GlobalArg::of(ArgBase::Arena, none));
        }
        if tags.nullable {
            return bad_tags();
        }
        let Some(mem_size) = btf.size_of(pointee) else {
            let (ty, name) = (kind_name(btf.kind(pointee)).to_owned(), btf.name(pointee).to_owned());
            return reject(ProgramReason::GlobalArgSize { index, ty, name, error: "-22".to_owned() });
        };
        let flags = if tags.nonnull { none } else { TypeFlags::MAYBE_NULL };
        Ok(GlobalArg { mem_size, ..GlobalArg::of(ArgBase::Mem, flags) })
    }

    /// The kernel's type that an argument's type stands for: the one of the same name, flavours aside.
    fn kernel_type_of_arg(&self, btf: &Btf, pointee: TypeId, index: usize) -> Step<TypeId> {
        let (kind, full) = (btf.kind(pointee), btf.name(pointee));
        let name = full.split("___").next().unwrap_or(full);
        let types = self.types_of(BtfRef::Vmlinux)?;
        let found = match kind {
            Some(k) if !name.is_empty() => types.find(name, k),
            _ => None,
        };
        let Some(id) = found else {
            let (ty, name) = (kind_name(kind).to_owned(), full.to_owned());
            return reject(ProgramReason::ArgTypeMatch { index, ty, name, problem: "has no matches" });
        };
        Ok(id)
    }

    /// Whether an argument that is tagged as a context has a type that fits.
    fn check_ctx_tag(&self, btf: &Btf, target: TypeId, index: usize) -> Step {
        let kind = self.effective_prog_type();
        let named = btf.skip_modifiers(target);
        let regs_typedef = btf.kind(named) == Some(Kind::Typedef) && btf.name(named) == "bpf_user_pt_regs_t";
        if matches!(kind, ProgType::Kprobe | ProgType::PerfEvent) && regs_typedef {
            return Ok(());
        }
        let target = btf.resolve(target);
        if target == 0 {
            return Ok(());
        }
        let name = btf.name(target);
        if name.is_empty() {
            return reject(ProgramReason::ArgTypeNameless { index });
        }
        let (composite, word) = (is_struct(btf, target), matches!(btf.get(target), Some(Type::Int { size: 8, .. })));
        let attach = self.prog().attach_type;
        let fits = match kind {
            ProgType::Kprobe | ProgType::PerfEvent => composite && name == "pt_regs",
            ProgType::RawTracepoint | ProgType::RawTracepointWritable => word,
            ProgType::Tracing if attach == AttachType::TraceRawTp => {
                word || composite && name == "bpf_raw_tracepoint_args"
            }
            ProgType::Tracing if attach == AttachType::TraceIter => composite && name.starts_with("bpf_iter__"),
            ProgType::Tracing => word,
            ProgType::Lsm | ProgType::StructOps => word,
            ProgType::Tracepoint | ProgType::Syscall | ProgType::Ext => true,
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let Some(ctx) = ctx_types::find(kind) else { return reject(ProgramReason::ArgCtxVoid { index }) };
        if !composite || name != ctx.user {
            return reject(ProgramReason::ArgCtxStruct { index, name: ctx.user });
        }
        Ok(())
    }
}
