//! Helpers that programs of many types share, as rows.
//!
//! Only the rows that are complete are here; a helper without one is not judged at all.

use crate::ProgType;
use crate::proto::{ArgBase, ArgType, Helper, HelperFlags, RetBase, RetType, TypeFlags};

/// Which program types have a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// All of them.
    All,
    /// These.
    Types(&'static [ProgType]),
}

/// A helper and who has it.
#[derive(Clone, Copy, Debug)]
pub struct BaseHelper {
    /// Prototype.
    pub helper: Helper,
    /// Program types that are known to have it. Others are not judged.
    pub offer: Offer,
}

const fn arg(base: ArgBase) -> ArgType {
    ArgType { base, flags: TypeFlags::empty(), size: 0, btf: "" }
}

const fn with(base: ArgBase, flags: TypeFlags) -> ArgType {
    ArgType { base, flags, size: 0, btf: "" }
}

const NONE: ArgType = arg(ArgBase::DontCare);
const ANY: ArgType = arg(ArgBase::Anything);
const CTX: ArgType = arg(ArgBase::Ctx);
const MAP: ArgType = arg(ArgBase::ConstMapPtr);
const KEY: ArgType = arg(ArgBase::MapKey);
const VALUE: ArgType = arg(ArgBase::MapValue);
const SIZE: ArgType = arg(ArgBase::ConstSize);
const SIZE0: ArgType = arg(ArgBase::ConstSizeOrZero);
const IN: ArgType = with(ArgBase::Mem, TypeFlags::RDONLY);
const IN0: ArgType = with(ArgBase::Mem, TypeFlags::RDONLY.union(TypeFlags::MAYBE_NULL));
const OUT: ArgType = with(ArgBase::Mem, TypeFlags::UNINIT.union(TypeFlags::WRITE));

const INT: RetType = RetType { base: RetBase::Integer, flags: TypeFlags::empty(), btf: "" };
const VOID: RetType = RetType { base: RetBase::Void, flags: TypeFlags::empty(), btf: "" };
const VALUE_OR_NULL: RetType = RetType { base: RetBase::MapValue, flags: TypeFlags::MAYBE_NULL, btf: "" };

const PLAIN: HelperFlags = HelperFlags::empty();
const PKT: HelperFlags = HelperFlags::PKT_ACCESS;
const CHANGES: HelperFlags = HelperFlags::CHANGES_PKT_DATA;
const GPL: HelperFlags = HelperFlags::GPL_ONLY;

const fn row(
    id: u32,
    name: &'static str,
    args: [ArgType; 5],
    ret: RetType,
    flags: HelperFlags,
    offer: Offer,
) -> BaseHelper {
    BaseHelper { helper: Helper { id, name, args, ret, flags }, offer }
}

const XDP: Offer = Offer::Types(&[ProgType::Xdp]);
const TC: Offer = Offer::Types(&[ProgType::SchedCls, ProgType::SchedAct]);
const XDP_TC: Offer = Offer::Types(&[ProgType::Xdp, ProgType::SchedCls, ProgType::SchedAct]);
const SKB: Offer = Offer::Types(&[ProgType::SchedCls, ProgType::SchedAct, ProgType::SocketFilter, ProgType::CgroupSkb]);
const TRACING: Offer =
    Offer::Types(&[ProgType::Kprobe, ProgType::Tracepoint, ProgType::RawTracepoint, ProgType::PerfEvent]);

/// The rows, by number.
#[rustfmt::skip]
pub static ROWS: &[BaseHelper] = &[
    row(1, "bpf_map_lookup_elem", [MAP, KEY, NONE, NONE, NONE], VALUE_OR_NULL, PKT, Offer::All),
    row(2, "bpf_map_update_elem", [MAP, KEY, VALUE, ANY, NONE], INT, PKT, Offer::All),
    row(3, "bpf_map_delete_elem", [MAP, KEY, NONE, NONE, NONE], INT, PKT, Offer::All),
    row(4, "bpf_probe_read", [OUT, SIZE0, ANY, NONE, NONE], INT, GPL, TRACING),
    row(5, "bpf_ktime_get_ns", [NONE; 5], INT, PLAIN, Offer::All),
    row(6, "bpf_trace_printk", [IN, SIZE, NONE, NONE, NONE], INT, GPL, Offer::All),
    row(7, "bpf_get_prandom_u32", [NONE; 5], INT, PLAIN, Offer::All),
    row(8, "bpf_get_smp_processor_id", [NONE; 5], INT, PLAIN, Offer::All),
    row(9, "bpf_skb_store_bytes", [CTX, ANY, IN, SIZE, ANY], INT, CHANGES, TC),
    row(10, "bpf_l3_csum_replace", [CTX, ANY, ANY, ANY, ANY], INT, CHANGES, TC),
    row(11, "bpf_l4_csum_replace", [CTX, ANY, ANY, ANY, ANY], INT, CHANGES, TC),
    row(12, "bpf_tail_call", [CTX, MAP, ANY, NONE, NONE], VOID, CHANGES, Offer::All),
    row(13, "bpf_clone_redirect", [CTX, ANY, ANY, NONE, NONE], INT, CHANGES, TC),
    row(14, "bpf_get_current_pid_tgid", [NONE; 5], INT, PLAIN, TRACING),
    row(15, "bpf_get_current_uid_gid", [NONE; 5], INT, PLAIN, TRACING),
    row(16, "bpf_get_current_comm", [OUT, SIZE, NONE, NONE, NONE], INT, PLAIN, TRACING),
    row(23, "bpf_redirect", [ANY, ANY, NONE, NONE, NONE], INT, PLAIN, XDP_TC),
    row(26, "bpf_skb_load_bytes", [CTX, ANY, OUT, SIZE, NONE], INT, PLAIN, SKB),
    row(28, "bpf_csum_diff", [IN0, SIZE0, IN0, SIZE0, ANY], INT, PKT, XDP_TC),
    row(34, "bpf_get_hash_recalc", [CTX, NONE, NONE, NONE, NONE], INT, PLAIN, TC),
    row(39, "bpf_skb_pull_data", [CTX, ANY, NONE, NONE, NONE], INT, CHANGES, TC),
    row(42, "bpf_get_numa_node_id", [NONE; 5], INT, PLAIN, Offer::All),
    row(44, "bpf_xdp_adjust_head", [CTX, ANY, NONE, NONE, NONE], INT, CHANGES, XDP),
    row(51, "bpf_redirect_map", [MAP, ANY, ANY, NONE, NONE], INT, PLAIN, XDP),
    row(54, "bpf_xdp_adjust_meta", [CTX, ANY, NONE, NONE, NONE], INT, CHANGES, XDP),
    row(65, "bpf_xdp_adjust_tail", [CTX, ANY, NONE, NONE, NONE], INT, CHANGES, XDP),
    row(112, "bpf_probe_read_user", [OUT, SIZE0, ANY, NONE, NONE], INT, GPL, TRACING),
    row(113, "bpf_probe_read_kernel", [OUT, SIZE0, ANY, NONE, NONE], INT, GPL, TRACING),
    row(118, "bpf_jiffies64", [NONE; 5], INT, PLAIN, Offer::All),
    row(125, "bpf_ktime_get_boot_ns", [NONE; 5], INT, PLAIN, Offer::All),
];

/// The row of a helper, when it is complete.
pub fn find(id: u32) -> Option<&'static BaseHelper> {
    ROWS.iter().find(|r| r.helper.id == id)
}

/// Whether a program type is known to have a helper.
pub fn offered(row: &BaseHelper, kind: ProgType) -> bool {
    match row.offer {
        Offer::All => true,
        Offer::Types(types) => types.contains(&kind),
    }
}
