//! The contract of global functions: what each argument is, from BTF and the `__arg_*` tags.
//!
//! A global function is verified on its own against this contract, and its callers against the same.

use crate::reason::FrontReason;
use crate::{Env, Step, Stop, reason::reject};
use ebpfkit_abi::{ArgBase, ArgType, ProgType, TypeFlags};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, Type, TypeId};

/// One argument of a global function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalArg {
    /// Kind.
    pub ty: ArgType,
    /// Bytes, for memory.
    pub mem_size: u32,
    /// Kernel type, for BTF-typed pointers.
    pub btf_id: TypeId,
}

impl GlobalArg {
    const fn of(base: ArgBase, flags: TypeFlags) -> Self {
        Self { ty: ArgType { base, flags, size: 0, btf: "" }, mem_size: 0, btf_id: 0 }
    }
}

/// Tags of one argument.
#[derive(Clone, Copy, Default)]
struct Tags {
    ctx: bool,
    nonnull: bool,
    other: bool,
}

/// Name of the struct that C programs use as a context of this type.
fn ctx_struct(kind: ProgType) -> &'static [&'static str] {
    match kind {
        ProgType::Xdp => &["xdp_md"],
        ProgType::SocketFilter
        | ProgType::SchedCls
        | ProgType::SchedAct
        | ProgType::CgroupSkb
        | ProgType::LwtIn
        | ProgType::LwtOut
        | ProgType::LwtXmit
        | ProgType::LwtSeg6local
        | ProgType::SkSkb
        | ProgType::FlowDissector => &["__sk_buff"],
        ProgType::CgroupSock => &["bpf_sock"],
        ProgType::CgroupSockAddr => &["bpf_sock_addr"],
        ProgType::SockOps => &["bpf_sock_ops"],
        ProgType::SkMsg => &["sk_msg_md"],
        ProgType::CgroupDevice => &["bpf_cgroup_dev_ctx"],
        ProgType::CgroupSysctl => &["bpf_sysctl"],
        ProgType::CgroupSockopt => &["bpf_sockopt"],
        ProgType::SkReuseport => &["sk_reuseport_md"],
        ProgType::SkLookup => &["bpf_sk_lookup"],
        ProgType::PerfEvent => &["bpf_perf_event_data", "bpf_user_pt_regs_t"],
        ProgType::Kprobe => &["pt_regs", "bpf_user_pt_regs_t"],
        ProgType::Netfilter => &["bpf_nf_ctx"],
        ProgType::RawTracepoint => &["bpf_raw_tracepoint_args"],
        _ => &[],
    }
}

impl Env<'_> {
    /// Fills the arguments of a global function, once.
    pub fn prepare_func_args(&mut self, subprog: usize) -> Step {
        if self.subprogs[subprog].args_cached {
            return Ok(());
        }
        let Some(btf) = self.btf.clone() else {
            return Err(Stop::unsupported("global functions without BTF"));
        };
        let func = self.subprogs[subprog].func_id;
        let name = self.subprogs[subprog].name.clone();
        let Some(Type::Func { proto, .. }) = btf.get(func) else {
            return Err(Stop::unsupported("a function record that names no function"));
        };
        let count = btf.params(proto).len();
        if count > 5 {
            return reject(FrontReason::GlobalTooManyArgs { func: name, count });
        }
        let ret = match btf.get(proto) {
            Some(Type::FuncProto { ret, .. }) => btf.resolve(ret),
            _ => 0,
        };
        if !matches!(btf.kind(ret), Some(Kind::Int | Kind::Enum | Kind::Enum64)) {
            return reject(FrontReason::GlobalReturn { func: name });
        }
        let mut args = Vec::with_capacity(count);
        for index in 0..count {
            args.push(self.global_arg(&btf, func, proto, index, &name)?);
        }
        let s = &mut self.subprogs[subprog];
        (s.args, s.args_cached) = (args, true);
        Ok(())
    }

    fn global_arg(&self, btf: &Btf, func: TypeId, proto: TypeId, index: usize, name: &str) -> Step<GlobalArg> {
        let ty = btf.params(proto).nth(index).map_or(0, |p| p.ty);
        let mut tags = Tags::default();
        for tag in btf.decl_tags(func, index as i32) {
            match tag {
                "arg:ctx" => tags.ctx = true,
                "arg:nonnull" => tags.nonnull = true,
                t if t.starts_with("arg:") => tags.other = true,
                _ => {}
            }
        }
        if tags.other {
            return Err(Stop::unsupported("tagged arguments of global functions"));
        }
        let resolved = btf.resolve(ty);
        match btf.get(resolved) {
            Some(Type::Int { .. } | Type::Enum { .. } | Type::Enum64 { .. }) => {
                Ok(GlobalArg::of(ArgBase::Anything, TypeFlags::empty()))
            }
            Some(Type::Ptr(target)) => {
                if tags.ctx || self.is_ctx_pointer(btf, target) {
                    return Ok(GlobalArg::of(ArgBase::Ctx, TypeFlags::empty()));
                }
                if self.is_dynptr(btf, target) {
                    return Ok(GlobalArg::of(ArgBase::Dynptr, TypeFlags::RDONLY));
                }
                let Some(mem_size) = btf.size_of(target) else {
                    let target = btf.skip_modifiers(target);
                    return reject(FrontReason::GlobalArgSize {
                        index,
                        ty: kind_name(btf.kind(target)).to_owned(),
                        name: btf.name(target).to_owned(),
                        error: "-22".to_owned(),
                    });
                };
                let flags = if tags.nonnull { TypeFlags::empty() } else { TypeFlags::MAYBE_NULL };
                Ok(GlobalArg { mem_size, ..GlobalArg::of(ArgBase::Mem, flags) })
            }
            _ => reject(FrontReason::GlobalArgKind {
                index,
                kind: kind_name(btf.kind(resolved)).to_owned(),
                func: name.to_owned(),
            }),
        }
    }

    fn is_ctx_pointer(&self, btf: &Btf, target: TypeId) -> bool {
        let wanted = ctx_struct(self.prog.prog_type);
        let named = btf.skip_modifiers(target);
        // `bpf_user_pt_regs_t` is a typedef; the others are structs behind any number of typedefs.
        wanted.contains(&btf.name(named))
            || btf.kind(btf.resolve(target)) == Some(Kind::Struct) && wanted.contains(&btf.name(btf.resolve(target)))
    }

    fn is_dynptr(&self, btf: &Btf, target: TypeId) -> bool {
        let target = btf.resolve(target);
        btf.kind(target) == Some(Kind::Struct) && btf.name(target) == "bpf_dynptr"
    }
}

/// Name of a kind as the kernel prints it.
fn kind_name(kind: Option<Kind>) -> &'static str {
    match kind {
        None => "UNKNOWN",
        Some(Kind::Void) => "UNKNOWN",
        Some(Kind::Int) => "INT",
        Some(Kind::Ptr) => "PTR",
        Some(Kind::Array) => "ARRAY",
        Some(Kind::Struct) => "STRUCT",
        Some(Kind::Union) => "UNION",
        Some(Kind::Enum) => "ENUM",
        Some(Kind::Fwd) => "FWD",
        Some(Kind::Typedef) => "TYPEDEF",
        Some(Kind::Volatile) => "VOLATILE",
        Some(Kind::Const) => "CONST",
        Some(Kind::Restrict) => "RESTRICT",
        Some(Kind::Func) => "FUNC",
        Some(Kind::FuncProto) => "FUNC_PROTO",
        Some(Kind::Var) => "VAR",
        Some(Kind::Datasec) => "DATASEC",
        Some(Kind::Float) => "FLOAT",
        Some(Kind::DeclTag) => "DECL_TAG",
        Some(Kind::TypeTag) => "TYPE_TAG",
        Some(Kind::Enum64) => "ENUM64",
    }
}
