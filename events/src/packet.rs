//! Packets as people write them: bytes, or what is in them.

use ebpfkit_vm::hex;
use std::net::{IpAddr, SocketAddr};

/// Longest packet, in bytes.
const MAX_LEN: usize = 1 << 20;
/// TCP flags by name.
const FLAGS: [(&str, u8); 8] =
    [("fin", 1), ("syn", 2), ("rst", 4), ("psh", 8), ("ack", 16), ("urg", 32), ("ece", 64), ("cwr", 128)];
const EXPECTED: &str = "a packet as hexadecimal bytes, or in words: \"tcp 192.0.2.1:1234 > 198.51.100.1:80 syn\", \
    \"udp ... > ... text hello\", \"icmp 192.0.2.1 > 198.51.100.1\"";

/// Whether a packet is described in words.
pub fn is_described(text: &str) -> bool {
    matches!(text.split_whitespace().next(), Some("tcp" | "udp" | "icmp"))
}

/// Where the transport header of a frame begins; the frame's end where there is none.
pub fn transport(frame: &[u8]) -> usize {
    let Some((network, version)) = network(frame) else { return frame.len() };
    let header = match version {
        4 => usize::from(frame[network] & 15) * 4,
        _ => 40,
    };
    (network + header).min(frame.len())
}

/// Where the network header of a frame begins, and its version of IP.
fn network(frame: &[u8]) -> Option<(usize, u8)> {
    let at = if frame.get(12..14) == Some(&[0x81, 0]) { 18 } else { 14 };
    let version = frame.get(at)? >> 4;
    matches!(version, 4 | 6).then_some((at, version))
}

/// Where a frame of TCP or UDP comes from and goes to.
pub fn ends(frame: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (network, version) = network(frame)?;
    let transport = transport(frame);
    let port = |n: usize| Some(u16::from_be_bytes(*frame.get(transport + 2 * n..)?.first_chunk()?));
    let address = |n: usize| {
        Some(match version {
            4 => IpAddr::from(*frame.get(network + 12 + 4 * n..)?.first_chunk::<4>()?),
            _ => IpAddr::from(*frame.get(network + 8 + 16 * n..)?.first_chunk::<16>()?),
        })
    };
    let end = |n: usize| Some(SocketAddr::new(address(n)?, port(n)?));
    Some((end(0)?, end(1)?))
}

/// An Ethernet frame from its description: hexadecimal bytes, or protocol, ends and what else is said of it:
///
/// - `tcp 192.0.2.1:1234 > 198.51.100.1:80 syn,ack`, `udp A > B`, `icmp A > B` (echo requests); IPv6 addresses in brackets
/// - then, in any order: TCP flags, `ttl N`, `tos N`, `seq N`, `ack-number N`, `vlan N`, `id N`, `fragment N` (offset in bytes),
///   `from MAC`, `to MAC`, `zeros N` (so many zero bytes of payload), `hex BYTES`, `text REST` (to the end)
pub fn frame(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    if !is_described(text) {
        return hex::decode(text).map_err(|_| EXPECTED.to_owned());
    }
    Description::parse(text)?.build()
}

struct Description {
    protocol: u8,
    from: SocketAddr,
    to: SocketAddr,
    flags: u8,
    ttl: u8,
    tos: u8,
    seq: u32,
    ack: u32,
    id: u16,
    fragment: u16,
    vlan: Option<u16>,
    from_mac: [u8; 6],
    to_mac: [u8; 6],
    payload: Vec<u8>,
}

fn end(text: &str) -> Option<SocketAddr> {
    let alone = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
    text.parse().ok().or_else(|| alone(text))
}

impl Description {
    fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let protocol = words.next().unwrap_or_default();
        let ends = (words.next().and_then(end), words.next(), words.next().and_then(end));
        let (Some(from), Some(">"), Some(to)) = ends else { return Err(EXPECTED.into()) };
        if from.is_ipv4() != to.is_ipv4() {
            return Err("two addresses of one family".into());
        }
        let protocol = match (protocol, from.is_ipv4()) {
            ("tcp", _) => 6,
            ("udp", _) => 17,
            (_, true) => 1,
            (_, false) => 58,
        };
        let mut this = Self {
            protocol,
            from,
            to,
            flags: 0,
            ttl: 64,
            tos: 0,
            seq: 0,
            ack: 0,
            id: 0,
            fragment: 0,
            vlan: None,
            from_mac: [2, 0, 0, 0, 0, 1],
            to_mac: [2, 0, 0, 0, 0, 2],
            payload: Vec::new(),
        };
        while let Some(word) = words.next() {
            let wrong = |what: &str| format!("{what} behind `{word}`");
            let mut number = |most: u64| {
                let n = words.next().and_then(|w| w.parse::<u64>().ok()).filter(|n| *n <= most);
                n.ok_or_else(|| wrong(&format!("a number up to {most}")))
            };
            match word {
                "ttl" => this.ttl = number(255)? as u8,
                "tos" => this.tos = number(255)? as u8,
                "seq" => this.seq = number(u32::MAX.into())? as u32,
                "ack-number" => this.ack = number(u32::MAX.into())? as u32,
                "id" => this.id = number(65535)? as u16,
                "fragment" => this.fragment = number(65528)? as u16 / 8,
                "vlan" => this.vlan = Some(number(4095)? as u16),
                "zeros" => {
                    let more = number(MAX_LEN as u64)? as usize;
                    this.payload.resize(this.payload.len() + more, 0);
                }
                "from" => {
                    this.from_mac =
                        words.next().and_then(hex::hardware_address).ok_or_else(|| wrong("a hardware address"))?
                }
                "to" => {
                    this.to_mac =
                        words.next().and_then(hex::hardware_address).ok_or_else(|| wrong("a hardware address"))?
                }
                "hex" => {
                    let bytes =
                        words.next().and_then(|w| hex::decode(w).ok()).ok_or_else(|| wrong("hexadecimal bytes"))?;
                    this.payload.extend(bytes);
                }
                "text" => {
                    let at = text.find(" text ").map_or(text.len(), |n| n + 6);
                    this.payload.extend_from_slice(&text.as_bytes()[at..]);
                    break;
                }
                flags if protocol == 6 => {
                    for name in flags.split(',') {
                        let flag = FLAGS.iter().find(|(n, _)| *n == name);
                        this.flags |= flag.ok_or_else(|| format!("a flag of TCP or an option, not `{name}`"))?.1;
                    }
                }
                other => return Err(format!("an option of packets, not `{other}`")),
            }
        }
        Ok(this)
    }

    fn build(&self) -> Result<Vec<u8>, String> {
        if self.payload.len() > MAX_LEN {
            return Err(format!("at most {MAX_LEN} bytes of payload"));
        }
        let transport = self.transport();
        let mut frame = [self.to_mac, self.from_mac].concat();
        if let Some(vlan) = self.vlan {
            frame.extend([0x81, 0x00]);
            frame.extend(vlan.to_be_bytes());
        }
        let length = |extra: usize| {
            u16::try_from(transport.len() + extra).map_err(|_| "at most 65535 bytes in an IP packet".to_owned())
        };
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                frame.extend([0x08, 0x00]);
                let mut header = vec![0x45, self.tos];
                header.extend(length(20)?.to_be_bytes());
                header.extend(self.id.to_be_bytes());
                header.extend(self.fragment.to_be_bytes());
                header.extend([self.ttl, self.protocol, 0, 0]);
                header.extend(from.octets());
                header.extend(to.octets());
                let sum = checksum(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                frame.extend(header);
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                frame.extend([0x86, 0xdd, 0x60 | self.tos >> 4, self.tos << 4, 0, 0]);
                frame.extend(length(0)?.to_be_bytes());
                frame.extend([self.protocol, self.ttl]);
                frame.extend(from.octets());
                frame.extend(to.octets());
            }
            _ => return Err(EXPECTED.into()),
        }
        frame.extend(transport);
        Ok(frame)
    }

    fn transport(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let at = match self.protocol {
            6 => {
                bytes.extend(self.from.port().to_be_bytes());
                bytes.extend(self.to.port().to_be_bytes());
                bytes.extend(self.seq.to_be_bytes());
                bytes.extend(self.ack.to_be_bytes());
                bytes.extend([0x50, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
                16
            }
            17 => {
                bytes.extend(self.from.port().to_be_bytes());
                bytes.extend(self.to.port().to_be_bytes());
                bytes.extend((8 + self.payload.len()).min(65535).to_be_bytes()[6..].iter());
                bytes.extend([0, 0]);
                6
            }
            icmp => {
                bytes.extend([if icmp == 1 { 8 } else { 128 }, 0, 0, 0, 0, 1, 0, 1]);
                2
            }
        };
        bytes.extend_from_slice(&self.payload);
        let mut sum = match (self.from.ip(), self.to.ip()) {
            // ICMP has no pseudo header.
            (IpAddr::V4(_), _) if self.protocol == 1 => Vec::new(),
            (IpAddr::V4(from), IpAddr::V4(to)) => [from.octets(), to.octets()].concat(),
            (IpAddr::V6(from), IpAddr::V6(to)) => [from.octets(), to.octets()].concat(),
            _ => Vec::new(),
        };
        if !sum.is_empty() {
            sum.extend([0, self.protocol]);
            sum.extend((bytes.len() as u16).to_be_bytes());
        }
        sum.extend_from_slice(&bytes);
        let sum = match checksum(&sum) {
            // Zero would say that there is no sum.
            0 if self.protocol == 17 => 0xffff,
            sum => sum,
        };
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }
}

/// The checksum of the internet protocols.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u64 = bytes.chunks(2).map(|c| u64::from(c[0]) << 8 | c.get(1).map_or(0, |b| u64::from(*b))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_in_words() {
        let p = frame("tcp 192.0.2.1:1234 > 198.51.100.1:80 syn,ack seq 7 ttl 3 text GET /").expect("a packet");
        assert_eq!(p.len(), 14 + 20 + 20 + 5);
        assert_eq!((p[12], p[13], p[22], p[47], &p[54..]), (8, 0, 3, 0x12, &b"GET /"[..]));
        assert_eq!(checksum(&p[14..34]), 0, "a right sum adds up to nothing");
        let p = frame("udp [2001:db8::1]:1 > [2001:db8::2]:53 zeros 4").expect("a packet");
        assert_eq!((p.len(), p[12], p[20]), (14 + 40 + 8 + 4, 0x86, 17));
        assert_eq!(frame("01 02ff").expect("bytes"), [1, 2, 255]);
        assert_eq!(frame("icmp 192.0.2.1 > 192.0.2.2 vlan 5").expect("a packet").len(), 14 + 4 + 20 + 8);
        for wrong in ["tcp 1 2", "01f", "tcp 192.0.2.1:1 > 192.0.2.2:2 sin", "udp 192.0.2.1:1 > 192.0.2.2:2 ttl 300"] {
            assert!(frame(wrong).is_err(), "{wrong}");
        }
    }
}
