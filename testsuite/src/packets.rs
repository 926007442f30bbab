//! Packets made from their fields, with correct lengths and checksums.

/// A transport header.
#[derive(Clone, Copy, Debug)]
pub enum Transport {
    /// Source and destination port.
    Udp(u16, u16),
    /// Source and destination port, flags.
    Tcp(u16, u16, u8),
    /// Echo request with this sequence number.
    Ping(u16),
}

/// An IPv4 packet in an Ethernet frame.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4 {
    /// Source address.
    pub source: [u8; 4],
    /// Destination address.
    pub destination: [u8; 4],
    /// What follows the IP header.
    pub transport: Transport,
    /// Bytes after the transport header; they count up from zero.
    pub payload: usize,
}

/// Ones' complement sum of 16-bit words (RFC 1071).
fn sum(parts: &[&[u8]]) -> u16 {
    let mut total = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            total += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&b| u32::from(b));
        }
    }
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}

/// An Ethernet header between two fixed stations.
pub fn ethernet(kind: u16) -> Vec<u8> {
    let mut out = vec![0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01];
    out.extend(kind.to_be_bytes());
    out
}

impl Ipv4 {
    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        let payload: Vec<u8> = (0..self.payload).map(|i| i as u8).collect();
        let (protocol, mut body, check_at) = match self.transport {
            Transport::Udp(from, to) => {
                let len = (8 + payload.len()) as u16;
                (17, [from.to_be_bytes(), to.to_be_bytes(), len.to_be_bytes(), [0; 2]].concat(), 6)
            }
            Transport::Tcp(from, to, flags) => {
                let mut header = [from.to_be_bytes(), to.to_be_bytes()].concat();
                header.extend([0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
                (6, header, 16)
            }
            Transport::Ping(sequence) => (1, [[8, 0], [0, 0], [0, 7], sequence.to_be_bytes()].concat(), 2),
        };
        body.extend(payload);
        let pseudo = [&self.source[..], &self.destination, &[0, protocol], &(body.len() as u16).to_be_bytes()].concat();
        let check = if protocol == 1 { sum(&[&body]) } else { sum(&[&pseudo, &body]) };
        body[check_at..check_at + 2].copy_from_slice(&check.to_be_bytes());
        let mut ip = vec![0x45, 0];
        ip.extend(((20 + body.len()) as u16).to_be_bytes());
        ip.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
        ip.extend(self.source);
        ip.extend(self.destination);
        let check = sum(&[&ip]);
        ip[10..12].copy_from_slice(&check.to_be_bytes());
        let mut out = ethernet(0x0800);
        out.extend(ip);
        out.extend(body);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_cover_what_they_should() {
        let packet =
            Ipv4 { source: [10, 0, 0, 1], destination: [10, 0, 0, 2], transport: Transport::Udp(1000, 53), payload: 5 };
        let frame = packet.frame();
        assert_eq!(frame.len(), 14 + 20 + 8 + 5);
        assert_eq!(sum(&[&frame[14..34]]), 0);
        let pseudo = [10, 0, 0, 1, 10, 0, 0, 2, 0, 17, 0, 13];
        assert_eq!(sum(&[&pseudo, &frame[34..]]), 0);
    }
}
