//! What the kernel knows of a packet besides its bytes (`struct sk_buff`).

use ebpfkit_abi::net::ethertype;

/// How far the checksums of a packet have been looked at (`ip_summed`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// Not at all.
    #[default]
    None,
    /// Found right, for one more header than the number says.
    Unnecessary(u8),
    /// The sum of the whole packet is known.
    Complete(super::Sum),
}

/// The key of a tunnel (`struct ip_tunnel_info`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TunnelKey {
    /// Tunnel id.
    pub id: u64,
    /// IPv6 rather than IPv4.
    pub ipv6: bool,
    /// Source as four words in the host's byte order; one for IPv4.
    pub source: [u32; 4],
    /// Destination, likewise.
    pub destination: [u32; 4],
    /// Type of service.
    pub tos: u8,
    /// Time to live.
    pub ttl: u8,
    /// IPv6 flow label.
    pub label: u32,
    /// `TUNNEL_*` bits of the key.
    pub flags: u16,
    /// Options.
    pub options: Option<Vec<u8>>,
    /// It was set by the program, for sending.
    pub set_by_program: bool,
}

/// Offsets count from the packet's first byte and may be negative.
#[derive(Clone, Debug)]
pub struct Skb {
    /// Link header.
    pub mac: i64,
    /// Network header.
    pub network: i64,
    /// Transport header, when someone has set it.
    pub transport: Option<i64>,
    /// Bytes before the packet in the kernel's buffer.
    headroom: i64,
    /// Checksum state.
    pub checksum: Checksum,
    /// Length of the link header as a helper has noted it (`mac_len`); zero when none has.
    pub noted_mac_len: usize,
    /// The packet is bytes alone: there is no `sk_buff` around it.
    pub bare: bool,
    /// There is an inner packet.
    pub encapsulated: bool,
    /// Tunnel that the packet came from, or that the program has chosen.
    pub tunnel: Option<TunnelKey>,
}

/// Headroom of a received packet, and the step that it grows by (`NET_SKB_PAD`).
const PAD: i64 = 64;

impl Default for Skb {
    fn default() -> Self {
        Self {
            mac: 0,
            network: 0,
            transport: None,
            headroom: PAD,
            checksum: Checksum::None,
            noted_mac_len: 0,
            bare: false,
            encapsulated: false,
            tunnel: None,
        }
    }
}

impl Skb {
    /// The packet is about to grow at its front: the kernel takes a larger buffer when the headroom is too small.
    /// It moves its marks of headers along then, even that of a transport header which was never set; it stands for one
    /// from there on.
    pub(crate) fn grow_front(&mut self, len: usize) {
        let len = len as i64;
        if len > self.headroom {
            let more = (len - self.headroom + PAD - 1) / PAD * PAD;
            self.headroom += more;
            self.transport.get_or_insert(more - 1 - self.headroom);
        }
        self.headroom -= len;
    }

    /// The packet has become shorter at its front.
    pub(crate) fn shrink_front(&mut self, len: usize) {
        self.headroom += len as i64;
    }

    /// Bytes from the link header to the network header.
    pub fn mac_len(&self) -> usize {
        usize::try_from(self.network - self.mac).unwrap_or(0)
    }
}

/// Protocol in an Ethernet header's type field; `rest` follows the header.
pub(crate) fn protocol(field: u16, rest: &[u8]) -> u16 {
    if field >= ethertype::FIRST {
        field
    } else if rest.starts_with(&[0xff, 0xff]) {
        ethertype::IEEE_802_3
    } else {
        ethertype::IEEE_802_2
    }
}
