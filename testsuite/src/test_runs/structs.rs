//! What programs need to know of the kernel's types: numbers of functions, and where members of structs stand.

use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, Type};
use ebpfkit_vm::show::member;

/// Offset and bytes of a field.
pub type Span = (i16, u8);

/// Members of `struct sk_buff` that a test-run decides, but for addresses.
const SKB: &[&str] = &[
    "len",
    "data_len",
    "mac_len",
    "hdr_len",
    "queue_mapping",
    "protocol",
    "pkt_type",
    "mac_header",
    "network_header",
    "transport_header",
    "tail",
    "end",
    "truesize",
    "priority",
    "mark",
    "hash",
    "skb_iif",
    "vlan_tci",
    "vlan_proto",
    "inner_protocol",
    "csum",
    "csum_start",
    "csum_offset",
];
/// Members of `struct nf_conn` that are numbers of whoever makes a connection.
const CONNECTION: &[&str] = &["mark", "status", "timeout"];

/// Facts of a kernel.
#[derive(Clone, Debug, Default)]
pub struct Structs {
    types: Option<Btf>,
    /// Numbers of a packet.
    pub skb: Vec<Span>,
    /// Its bytes, and how many.
    pub skb_data: i16,
    /// Numbers of a hook's state.
    pub state: Vec<Span>,
    /// The device in it.
    pub state_device: i16,
    /// Numbers of a device.
    pub device: Vec<Span>,
    /// Mark, status and lifetime of a connection.
    pub connection: Vec<Span>,
    /// Addresses (of IPv6 a part) and ports of both of its directions.
    pub tuples: Vec<Span>,
}

impl Structs {
    /// Reads them.
    pub fn of(types: &Btf) -> Self {
        let span = |of: &str, name: &str| -> Option<Span> {
            let m = member(types, types.find(of, Kind::Struct)?, name)?;
            let bytes = match m.bitfield_size {
                0 => types.size_of(m.ty)?,
                _ => 1,
            };
            Some((i16::try_from(m.bit_offset / 8).ok()?, u8::try_from(bytes).ok()?))
        };
        let spans = |of: &str, names: &[&str]| -> Vec<Span> {
            names.iter().filter_map(|name| span(of, name)).filter(|s| matches!(s.1, 1 | 2 | 4 | 8)).collect()
        };
        let at = |of: &str, name: &str| span(of, name).map_or(0, |s| s.0);
        Self {
            skb: spans("sk_buff", SKB),
            skb_data: at("sk_buff", "data"),
            state: spans("nf_hook_state", &["hook", "pf"]),
            state_device: at("nf_hook_state", "out"),
            device: spans("net_device", &["ifindex", "mtu"]),
            connection: spans("nf_conn", CONNECTION),
            tuples: tuples(types).unwrap_or_default(),
            types: Some(types.clone()),
        }
    }

    /// The number of a function of the kernel's.
    pub fn kfunc(&self, name: &str) -> Option<i32> {
        self.types.as_ref()?.find(name, Kind::Func).map(|id| id as i32)
    }

    /// The number of a struct.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.types.as_ref()?.find(name, Kind::Struct)
    }

    /// Arguments of a method of a struct of operations.
    pub fn arguments(&self, of: &str, method: usize) -> Option<usize> {
        let types = self.types.as_ref()?;
        let m = types.member(types.find(of, Kind::Struct)?, method)?;
        let Some(Type::Ptr(to)) = types.get(types.resolve(m.ty)) else { return None };
        Some(types.params(to).len())
    }
}

fn tuples(types: &Btf) -> Option<Vec<Span>> {
    let hashes = member(types, types.find("nf_conn", Kind::Struct)?, "tuplehash")?;
    let each = types.size_of(hashes.ty)? / 2;
    let tuple = member(types, types.find("nf_conntrack_tuple_hash", Kind::Struct)?, "tuple")?;
    let mut all = Vec::new();
    for direction in 0..2 {
        for side in ["src", "dst"] {
            let side = member(types, tuple.ty, side)?;
            for (name, bytes) in [("u3", 4), ("u", 2)] {
                let bits =
                    hashes.bit_offset + tuple.bit_offset + side.bit_offset + member(types, side.ty, name)?.bit_offset;
                all.push((i16::try_from(bits / 8 + direction * each).ok()?, bytes));
            }
        }
    }
    Some(all)
}
