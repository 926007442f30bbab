//! Receiving a packet: what the kernel finds out of a frame before a program sees it.

use crate::packet::{Skb, protocol};
use crate::run::Run;
use crate::world::Device;
use ebpfkit_abi::net::ETH_HLEN;

impl Run {
    /// Puts a frame in for the next runs; programs see it from its link header on, or from its network header.
    #[inline]
    pub(crate) fn receive(&mut self, frame: &[u8], at_link: bool) {
        self.packet.set(frame);
        self.has_packet = true;
        found(self, at_link);
        // Said here, so that a run which is clean otherwise stays so.
        self.packet_moved();
    }
}

impl Run {
    /// Puts a frame in of which programs see what follows its network header, as those that choose a socket do; headers
    /// before it are found by where they begin.
    pub fn set_transport(&mut self, frame: &[u8], transport: usize) {
        self.packet.set(frame);
        self.has_packet = true;
        self.packet.pull_front(transport);
        self.state.skb = Skb::default();
        let mac = -(transport.min(frame.len()) as i64);
        (self.state.skb.mac, self.state.skb.network) = (mac, (mac + ETH_HLEN as i64).min(0));
        self.packet_moved();
    }
}

/// Addressed to this host, to all, to several, or to another host (`PACKET_*`). The loopback device has no broadcast
/// address.
pub(crate) fn packet_type(to: &[u8], device: Option<&Device>) -> u32 {
    if to == device.map_or([0; 6], |d| d.mac) {
        0
    } else if to == [0xff; 6] && device.is_some_and(|d| d.index != LOOPBACK) {
        1
    } else if to[0] & 1 != 0 {
        2
    } else {
        3
    }
}

/// Index of the loopback device, which packets come from when no other is named.
pub(crate) const LOOPBACK: u32 = 1;

/// Fills in what the kernel finds out when it receives a frame, for program types that work on an skb.
#[inline]
fn found(run: &mut Run, at_link: bool) {
    let Some(fields) = run.ctx.skb() else { return };
    run.state.skb = Skb::default();
    let mut ifindex = run.ctx.get_u32(fields.ifindex);
    if ifindex == 0 {
        ifindex = LOOPBACK;
        run.ctx.set_u32(fields.ifindex, ifindex);
    }
    let frame = run.packet.bytes();
    if frame.len() >= ETH_HLEN {
        let found = protocol(u16::from_be_bytes([frame[12], frame[13]]), &frame[ETH_HLEN..]);
        let to = packet_type(&frame[..6], run.world.device(ifindex));
        run.ctx.set_u32(fields.protocol, u16::from_ne_bytes(found.to_be_bytes()).into());
        run.ctx.set_u32(fields.pkt_type, to);
        run.state.skb.network = ETH_HLEN as i64;
        if !at_link {
            run.packet.pull_front(ETH_HLEN);
            run.state.skb.shrink_front(ETH_HLEN);
            (run.state.skb.mac, run.state.skb.network) = (-(ETH_HLEN as i64), 0);
        }
    }
    for field in [fields.vlan[0], fields.vlan[1], fields.vlan[2], fields.hash] {
        run.ctx.set_u32(field, 0);
    }
    let len = run.packet.len() as u32;
    run.ctx.set_u32(fields.len, len);
}
