//! Link types: how the packets of a capture begin, and the Ethernet frame that a program is shown in their place.

use ebpfkit_abi::net::ETH_HLEN;

/// `LINKTYPE_ETHERNET`: packets start with an Ethernet header.
pub const ETHERNET: u32 = 1;

/// What stands before the network header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// An Ethernet header: programs see the packet as it is.
    Ethernet,
    /// Nothing; the first four bits are the version of IP.
    Ip,
    /// Four bytes with an address family: in the byte order of the machine that wrote the capture, or big endian.
    Family,
    /// Linux cooked capture: the protocol and the sender's link address at these offsets in a header of so many bytes.
    Cooked { protocol: usize, address_len: usize, address: usize, len: usize },
    /// Nothing that an Ethernet frame can be made of.
    Other,
}

/// Link types by number, with their names (<https://www.tcpdump.org/linktypes.html>). Those that nothing is known of
/// here but the name are there for messages.
const LINK_TYPES: &[(u32, &str, Header)] = &[
    (0, "NULL (BSD loopback)", Header::Family),
    (ETHERNET, "ETHERNET", Header::Ethernet),
    (6, "IEEE802_5 (token ring)", Header::Other),
    (9, "PPP", Header::Other),
    // Raw IP as some systems number it in files.
    (12, "RAW", Header::Ip),
    (14, "RAW", Header::Ip),
    (51, "PPP_ETHER", Header::Other),
    (101, "RAW", Header::Ip),
    (105, "IEEE802_11 (wireless)", Header::Other),
    (108, "LOOP (OpenBSD loopback)", Header::Family),
    (113, "LINUX_SLL (cooked)", Header::Cooked { protocol: 14, address_len: 4, address: 6, len: 16 }),
    (117, "PFLOG", Header::Other),
    (127, "IEEE802_11_RADIOTAP (wireless)", Header::Other),
    (187, "BLUETOOTH_HCI_H4", Header::Other),
    (189, "USB_LINUX", Header::Other),
    (195, "IEEE802_15_4_WITHFCS", Header::Other),
    (220, "USB_LINUX_MMAPPED", Header::Other),
    (227, "CAN_SOCKETCAN", Header::Other),
    (228, "IPV4", Header::Ip),
    (229, "IPV6", Header::Ip),
    (239, "NFLOG", Header::Other),
    (247, "INFINIBAND", Header::Other),
    (249, "USBPCAP", Header::Other),
    (253, "NETLINK", Header::Other),
    (276, "LINUX_SLL2 (cooked)", Header::Cooked { protocol: 0, address_len: 11, address: 12, len: 20 }),
];

/// Ethertypes of IP.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Protocols below this are no ethertypes: the frame says its length instead.
const LEAST_ETHERTYPE: u16 = 0x0600;

/// Why no frame can be made of a packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The link type is not known here.
    #[error("link type {}; expected one of {}", name(*.0), known())]
    Unknown(u32),
    /// The packet ends inside its link header.
    #[error("{len} bytes, which end inside the header of link type {}", name(*.link_type))]
    Short {
        /// `LINKTYPE_*`.
        link_type: u32,
        /// Bytes that were captured.
        len: usize,
    },
    /// The packet is of an address family that is no network of ours.
    #[error("address family {family} in the header of link type {}; expected IPv4 or IPv6", name(*.link_type))]
    Family {
        /// `LINKTYPE_*`.
        link_type: u32,
        /// The number found.
        family: u32,
    },
}

fn row(link_type: u32) -> Option<&'static (u32, &'static str, Header)> {
    LINK_TYPES.iter().find(|(number, ..)| *number == link_type)
}

/// A link type in messages: its number and its name.
fn name(link_type: u32) -> String {
    row(link_type).map_or_else(|| link_type.to_string(), |(number, name, _)| format!("{number}, {name}"))
}

/// The names of the link types that frames can be made of.
fn known() -> String {
    let mut names: Vec<&str> = LINK_TYPES.iter().filter(|r| r.2 != Header::Other).map(|r| r.1).collect();
    names.dedup();
    names.join(", ")
}

/// The Ethernet frame of a captured packet. What has no Ethernet header gets one: with the sender's address where the
/// capture has it, zeros for the rest; `buffer` holds it.
///
/// # Errors
/// [`LinkError`] where no frame can be made.
#[inline]
pub fn ethernet_frame<'a>(link_type: u32, data: &'a [u8], buffer: &'a mut Vec<u8>) -> Result<&'a [u8], LinkError> {
    if link_type == ETHERNET {
        return Ok(data);
    }
    let (source, ethertype, payload) = parts(link_type, data)?;
    buffer.clear();
    buffer.resize(6, 0);
    buffer.extend_from_slice(&source);
    buffer.extend_from_slice(&ethertype.to_be_bytes());
    debug_assert_eq!(buffer.len(), ETH_HLEN);
    buffer.extend_from_slice(payload);
    Ok(buffer)
}

/// The sender's address, the ethertype and the network packet.
fn parts(link_type: u32, data: &[u8]) -> Result<([u8; 6], u16, &[u8]), LinkError> {
    let short = || LinkError::Short { link_type, len: data.len() };
    let header = row(link_type).map_or(Header::Other, |r| r.2);
    let of_ip = |data: &[u8]| if data.first().is_some_and(|b| b >> 4 == 6) { IPV6 } else { IPV4 };
    match header {
        Header::Ethernet | Header::Other => Err(LinkError::Unknown(link_type)),
        Header::Ip => Ok(([0; 6], of_ip(data), data)),
        Header::Family => {
            let (family, payload) = data.split_first_chunk::<4>().ok_or_else(short)?;
            // The order is the writer's, and numbers are small: the half that is not zero says which it is.
            let family = u32::from_le_bytes(*family);
            let family = if family > 0xffff { family.swap_bytes() } else { family };
            match family {
                2 => Ok(([0; 6], IPV4, payload)),
                // AF_INET6 on Linux, NetBSD and OpenBSD, FreeBSD, macOS.
                10 | 24 | 28 | 30 => Ok(([0; 6], IPV6, payload)),
                _ => Err(LinkError::Family { link_type, family }),
            }
        }
        Header::Cooked { protocol, address_len, address, len } => {
            let (header, payload) = data.split_at_checked(len).ok_or_else(short)?;
            let protocol = u16::from_be_bytes([header[protocol], header[protocol + 1]]);
            let mut source = [0; 6];
            // Version 1 has the length in two bytes, version 2 in one; neither is above 8.
            let known = usize::from(header[address_len + usize::from(len == 16)]).min(source.len());
            source[..known].copy_from_slice(&header[address..address + known]);
            let ethertype = match protocol {
                0..LEAST_ETHERTYPE => payload.len().min(usize::from(LEAST_ETHERTYPE) - 1) as u16,
                ethertype => ethertype,
            };
            Ok((source, ethertype, payload))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(link_type: u32, data: &[u8]) -> Result<Vec<u8>, LinkError> {
        ethernet_frame(link_type, data, &mut Vec::new()).map(<[u8]>::to_vec)
    }

    #[test]
    fn headers_become_ethernet() {
        let ip6 = [0x60, 1, 2];
        let ip4 = [0x45, 1, 2];
        let with = |source: [u8; 6], ethertype: [u8; 2], data: &[u8]| [&[0; 6], &source[..], &ethertype, data].concat();
        assert_eq!(frame(1, &ip4), Ok(ip4.to_vec()));
        assert_eq!(frame(101, &ip6), Ok(with([0; 6], [0x86, 0xdd], &ip6)));
        assert_eq!(frame(228, &ip4), Ok(with([0; 6], [8, 0], &ip4)));
        assert_eq!(frame(0, &[&[2, 0, 0, 0], &ip4[..]].concat()), Ok(with([0; 6], [8, 0], &ip4)));
        assert_eq!(frame(0, &[&[0, 0, 0, 30], &ip6[..]].concat()), Ok(with([0; 6], [0x86, 0xdd], &ip6)));
        let sender = [2, 3, 4, 5, 6, 7];
        let cooked = [&[0, 4, 0, 1, 0, 6], &sender[..], &[0, 0, 8, 0], &ip4].concat();
        assert_eq!(frame(113, &cooked), Ok(with(sender, [8, 0], &ip4)));
        let cooked2 = [&[0x86, 0xdd, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6], &sender[..], &[0, 0], &ip6].concat();
        assert_eq!(frame(276, &cooked2), Ok(with(sender, [0x86, 0xdd], &ip6)));
    }

    #[test]
    fn frames_of_802_3_say_their_length() {
        let cooked = [&[0, 0, 0, 1, 0, 6, 1, 1, 1, 1, 1, 1, 0, 0, 0, 4][..], &[0x42, 0x42, 3]].concat();
        assert_eq!(frame(113, &cooked).expect("a frame")[12..], [0, 3, 0x42, 0x42, 3]);
    }

    #[test]
    fn what_is_no_network_is_named() {
        let text = |link_type, data: &[u8]| frame(link_type, data).expect_err("no frame").to_string();
        assert!(text(127, &[0; 64]).starts_with("link type 127, IEEE802_11_RADIOTAP (wireless); expected one of NULL"));
        assert!(text(65000, &[0; 64]).starts_with("link type 65000; expected one of"));
        assert_eq!(text(113, &[0; 15]), "15 bytes, which end inside the header of link type 113, LINUX_SLL (cooked)");
        let other = "address family 7 in the header of link type 0, NULL (BSD loopback); expected IPv4 or IPv6";
        assert_eq!(text(0, &[7, 0, 0, 0, 0x45]), other);
    }
}
