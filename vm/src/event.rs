//! What programs leave for the world outside of their maps: what they emit, and where they send their packet.

/// Something that a program told the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Text of `bpf_trace_printk`.
    Printk(String),
    /// A record of a perf event array.
    Perf {
        /// Name of the map.
        map: String,
        /// Index in the map, which is the CPU unless the program chose another.
        index: u32,
        /// The record.
        data: Vec<u8>,
    },
    /// A copy of the packet that the program sent out.
    Packet {
        /// Device.
        device: u32,
        /// Helper flags, such as `BPF_F_INGRESS`.
        flags: u64,
        /// The bytes.
        data: Vec<u8>,
    },
    /// Text of one of the program's streams (`bpf_stream_vprintk`).
    Stream {
        /// 1 for standard output, 2 for standard error.
        stream: u32,
        /// The text.
        text: String,
    },
    /// Text or bytes for the reader of an iterator (`bpf_seq_printf`, `bpf_seq_write`).
    Output(Vec<u8>),
    /// A signal to the running task.
    Signal {
        /// Thread.
        pid: u32,
        /// Number of the signal.
        signal: u32,
    },
    /// A record of a ring buffer.
    Ring {
        /// Name of the map.
        map: String,
        /// The record.
        data: Vec<u8>,
    },
}

/// Where a program wants its packet to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// To a device.
    Device {
        /// `ifindex`.
        index: u32,
        /// Helper flags, such as `BPF_F_INGRESS`.
        flags: u64,
    },
    /// To the peer of a device in another namespace.
    Peer {
        /// `ifindex`.
        index: u32,
    },
    /// To a device, with the link header filled in from the neighbour.
    Neigh {
        /// `ifindex`.
        index: u32,
        /// Next hop, when the program chose one.
        gateway: Option<std::net::IpAddr>,
    },
    /// To an entry of a map of devices, CPUs or sockets.
    Map {
        /// `id` of the map.
        map: u32,
        /// Key.
        key: u64,
        /// Helper flags.
        flags: u64,
    },
}
