//! Which flow a frame belongs to, as network cards tell flows apart to spread them over CPUs.

use ebpfkit_abi::net::ETH_HLEN;

/// Ethertypes.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Tags of VLANs, which stand before the ethertype.
const VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const MAX_VLANS: usize = 2;
/// Protocols whose header begins with two ports: TCP, UDP, SCTP.
const WITH_PORTS: [u8; 3] = [6, 17, 132];
/// An odd number whose bits look random (the golden ratio).
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// One end of a flow, mixed.
fn end(address: &[u8], port: u16) -> u64 {
    let words = address.chunks_exact(4).map(|w| u64::from(u32::from_ne_bytes([w[0], w[1], w[2], w[3]])));
    let mixed = words.fold(u64::from(port), |hash, word| (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR));
    mixed ^ mixed >> 32
}

/// A hash of a frame's flow: addresses and, where the packet has them, ports. Both directions of a connection, and all
/// fragments of a packet, have the same. Frames without an IP header have the hash of nothing.
pub fn flow_hash(frame: &[u8]) -> u32 {
    flow(frame).unwrap_or(0)
}

fn flow(frame: &[u8]) -> Option<u32> {
    let mut at = ETH_HLEN - 2;
    let mut ethertype = half(frame, at)?;
    for _ in 0..MAX_VLANS {
        if VLAN.contains(&ethertype) {
            at += 4;
            ethertype = half(frame, at)?;
        }
    }
    let packet = frame.get(at + 2..)?;
    let (source, destination, transport) = match ethertype {
        IPV4 => {
            // A fragment has no ports, or those of the whole packet, which its brothers lack.
            let is_fragment = half(packet, 6)? & 0x3fff != 0;
            let header = usize::from(packet[0] & 15) * 4;
            let ports = (!is_fragment && WITH_PORTS.contains(packet.get(9)?)).then_some(header);
            (packet.get(12..16)?, packet.get(16..20)?, ports)
        }
        IPV6 => (packet.get(8..24)?, packet.get(24..40)?, WITH_PORTS.contains(packet.get(6)?).then_some(40)),
        _ => return None,
    };
    let port = |n: usize| transport.and_then(|at| half(packet, at + 2 * n)).unwrap_or(0);
    let hash = end(source, port(0)).wrapping_add(end(destination, port(1))).wrapping_mul(FACTOR);
    Some((hash >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(source: [u8; 4], destination: [u8; 4], ports: [u16; 2], fragment: u16) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0, 0, 40, 0, 0]);
        frame.extend(fragment.to_be_bytes());
        frame.extend([64, 6, 0, 0]);
        frame.extend(source);
        frame.extend(destination);
        frame.extend(ports.iter().flat_map(|p| p.to_be_bytes()));
        frame
    }

    #[test]
    fn both_directions_are_one_flow() {
        let (a, b) = ([192, 0, 2, 1], [198, 51, 100, 7]);
        let hash = flow_hash(&ipv4(a, b, [40000, 80], 0));
        assert_eq!(hash, flow_hash(&ipv4(b, a, [80, 40000], 0)));
        assert_ne!(hash, flow_hash(&ipv4(a, b, [40001, 80], 0)));
        assert_ne!(hash, flow_hash(&ipv4(a, b, [80, 40000], 0)), "ports belong to addresses");
        let mut tagged = ipv4(a, b, [40000, 80], 0);
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        assert_eq!(hash, flow_hash(&tagged));
    }

    #[test]
    fn fragments_stay_together() {
        let (a, b) = ([192, 0, 2, 1], [198, 51, 100, 7]);
        assert_eq!(flow_hash(&ipv4(a, b, [40000, 80], 0x2000)), flow_hash(&ipv4(a, b, [0x1234, 0x5678], 185)));
    }

    #[test]
    fn frames_may_end_anywhere() {
        let whole = ipv4([10, 0, 0, 1], [10, 0, 0, 2], [1, 2], 0);
        for len in 0..whole.len() {
            flow_hash(&whole[..len]);
        }
        assert_eq!(flow_hash(&[0; 60]), 0);
    }

    #[test]
    fn flows_spread() {
        let mut counts = [0; 4];
        for port in 1000..5000 {
            counts[flow_hash(&ipv4([10, 0, 0, 1], [10, 0, 0, 2], [port, 443], 0)) as usize % 4] += 1;
        }
        assert!(counts.iter().all(|n| (800..1200).contains(n)), "{counts:?}");
    }
}
