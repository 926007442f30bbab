//! Sizes and numbers of network protocols that contexts, helpers and packets share.

/// Bytes of an Ethernet header.
pub const ETH_HLEN: usize = 14;

/// Bytes of an Ethernet address.
pub const ETH_ALEN: usize = 6;

/// Bytes of a VLAN tag.
pub const VLAN_HLEN: usize = 4;

/// Bytes of an IPv4 header without options.
pub const IPV4_HLEN: usize = 20;

/// Bytes of an IPv6 header without extensions.
pub const IPV6_HLEN: usize = 40;

/// Bytes of a TCP header without options.
pub const TCP_HLEN: usize = 20;

/// Bytes of a UDP header.
pub const UDP_HLEN: usize = 8;

/// What follows an Ethernet header (`ETH_P_*`).
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// A VLAN tag (802.1Q).
    pub const VLAN_Q: u16 = 0x8100;
    /// An outer VLAN tag (802.1ad).
    pub const VLAN_AD: u16 = 0x88a8;
    /// The first number that is a type; lower ones are lengths of 802.3 frames.
    pub const FIRST: u16 = 0x0600;
    /// A frame of 802.3, with a length where others have a type.
    pub const IEEE_802_3: u16 = 1;
    /// A frame of 802.2.
    pub const IEEE_802_2: u16 = 4;
}

/// What follows an IP header (`IPPROTO_*`).
pub mod ip_protocol {
    /// IPv4 in IP.
    pub const IPIP: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP.
    pub const IPV6: u8 = 41;
    /// Generic routing encapsulation.
    pub const GRE: u8 = 47;
}

/// Address families (`AF_*`).
pub mod family {
    /// Unix sockets.
    pub const UNIX: u16 = 1;
    /// IPv4.
    pub const INET: u16 = 2;
    /// IPv6.
    pub const INET6: u16 = 10;
}
