//! Program types that are generated: what each sees of its packet and its context.

use super::construct::{Construct, Constructs};
use ebpfkit_abi::{AttachType, ProgType};

/// A field of the context: offset and bytes.
pub(super) type Field = (i16, u8);

/// A program type.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) prog_type: ProgType,
    pub(super) attach_type: AttachType,
    pub(super) section: &'static str,
    /// Offsets of `data` and `data_end` in the context, where packets can be reached directly.
    pub(super) data: Option<(i16, i16)>,
    /// The packet may be written.
    pub(super) writes: bool,
    /// Fields that are the same wherever a program is test-run.
    pub(super) fields: &'static [Field],
    /// Fields that may be written.
    pub(super) writable: &'static [Field],
    /// The result has to be 0 or 1.
    pub(super) narrow_result: bool,
    /// What it cannot do.
    pub(super) without: Constructs,
}

const LACKS_LEGACY: Constructs = Constructs::NONE.with(Construct::Legacy);
/// Lengths, marks and control words of `struct __sk_buff`.
const SKB: &[Field] = &[(0, 4), (8, 4), (32, 4), (48, 4), (52, 4), (56, 4), (60, 4), (64, 4)];
const CB: &[Field] = &[(48, 4), (52, 4), (56, 4), (60, 4), (64, 4)];

/// What most programs are.
pub(super) static XDP: Kind = Kind {
    prog_type: ProgType::Xdp,
    attach_type: AttachType::Xdp,
    section: "xdp",
    data: Some((0, 4)),
    writes: true,
    fields: &[(12, 4), (16, 4)],
    writable: &[],
    narrow_result: false,
    without: LACKS_LEGACY,
};

/// The kinds besides [`XDP`].
pub(super) static OTHERS: [Kind; 4] = [
    Kind {
        prog_type: ProgType::SchedCls,
        attach_type: AttachType(0),
        section: "tc",
        data: Some((76, 80)),
        writes: true,
        fields: SKB,
        writable: &[(8, 4), (32, 4), (44, 4), (48, 4), (52, 4), (56, 4), (60, 4), (64, 4)],
        narrow_result: false,
        without: Constructs::NONE,
    },
    Kind {
        prog_type: ProgType::SocketFilter,
        attach_type: AttachType(0),
        section: "socket",
        data: None,
        writes: false,
        fields: SKB,
        writable: CB,
        narrow_result: false,
        without: Constructs::NONE.with(Construct::Lock).with(Construct::Typedefs),
    },
    Kind {
        prog_type: ProgType::CgroupSkb,
        attach_type: AttachType::CgroupInetIngress,
        section: "cgroup_skb/ingress",
        data: Some((76, 80)),
        writes: false,
        fields: SKB,
        writable: &[(8, 4), (32, 4), (48, 4), (64, 4)],
        narrow_result: true,
        without: LACKS_LEGACY,
    },
    Kind {
        prog_type: ProgType::RawTracepoint,
        attach_type: AttachType(0),
        section: "raw_tp",
        data: None,
        writes: false,
        fields: &[(0, 8), (8, 8), (16, 8), (24, 8), (32, 4), (44, 4), (80, 8)],
        writable: &[],
        narrow_result: false,
        without: LACKS_LEGACY.with(Construct::Lock).with(Construct::Typedefs),
    },
];
