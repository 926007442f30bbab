//! `captures`: writes the examples' captures anew.

use anyhow::Result;
use ebpfkit_testsuite::generate::{Seeded, Source};
use ebpfkit_testsuite::packets::{Ipv4, Transport, ethernet};
use ebpfkit_vm::capture::{ETHERNET, Format, Record, Writer};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// Arguments of `captures`.
#[derive(clap::Args)]
pub struct Args {
    /// Write a capture of this many packets, as for the balancer, instead of the examples' own
    #[arg(long, requires = "out")]
    large: Option<u64>,
    /// Where the large capture goes
    #[arg(short, long)]
    out: Option<PathBuf>,
}

/// Writes them.
pub fn run(args: &Args) -> Result<()> {
    if let (Some(count), Some(out)) = (args.large, &args.out) {
        let mut source = Seeded(1);
        return write(out, (0..count).map(|_| to_service(&mut source)));
    }
    let examples = ebpfkit_testsuite::root().join("examples");
    let mut source = Seeded(7);
    let to_balancer: Vec<_> =
        (0..40).map(|n| if n % 8 == 7 { other(&mut source) } else { to_service(&mut source) }).collect();
    write(&examples.join("xdp-balancer/in.pcap"), to_balancer)?;
    let to_firewall = (0..20).map(|n| {
        if n == 5 {
            return arp();
        }
        let packet = Ipv4 {
            source: [192, 0, 2, source.below(4) as u8],
            destination: [198, 51, 100, 1],
            transport: Transport::Tcp(1024 + n, 80, 2),
            payload: 0,
        };
        packet.frame()
    });
    write(&examples.join("xdp-firewall/in.pcap"), to_firewall)?;
    let mut source = Seeded(9);
    let names = (0..30).map(|n| match n % 6 {
        0..=2 => dns(&mut source, 53),
        3 => dns(&mut source, 5353),
        4 => other(&mut source),
        // Cut inside the IP header.
        _ if n == 5 => dns(&mut source, 53)[..30].to_vec(),
        _ => arp(),
    });
    let names: Vec<_> = names.collect();
    write(&examples.join("tc-forward/in.pcap"), names.clone())?;
    write(&examples.join("socket-filter/in.pcap"), names)
}

fn write(path: &Path, frames: impl IntoIterator<Item = Vec<u8>>) -> Result<()> {
    let mut writer = Writer::new(BufWriter::new(File::create(path)?), Format::Pcap, ETHERNET)?;
    for (n, frame) in frames.into_iter().enumerate() {
        let time_ns = 1_700_000_000_000_000_000 + 1_000_000 * n as u64;
        writer.write(&Record { number: 0, time_ns, wire_len: frame.len() as u32, link_type: ETHERNET }, &frame)?;
    }
    writer.finish()?;
    Ok(())
}

/// To the virtual address of the balancer.
fn to_service(source: &mut Seeded) -> Vec<u8> {
    let port = 1024 + source.below(64) as u16;
    let udp = source.chance(500);
    let packet = Ipv4 {
        source: [10, 1, 0, source.below(16) as u8],
        destination: [10, 0, 0, 100],
        transport: if udp { Transport::Udp(port, 443) } else { Transport::Tcp(port, 443, 0x10) },
        payload: source.below(200) as usize,
    };
    packet.frame()
}

fn other(source: &mut Seeded) -> Vec<u8> {
    let packet = Ipv4 {
        source: [10, 1, 0, source.below(16) as u8],
        destination: [10, 0, 0, 1],
        transport: Transport::Ping(source.below(100) as u16),
        payload: 32,
    };
    packet.frame()
}

fn dns(source: &mut Seeded, port: u16) -> Vec<u8> {
    let packet = Ipv4 {
        source: [10, 1, 0, source.below(16) as u8],
        destination: [10, 0, 0, 53],
        transport: Transport::Udp(1024 + source.below(1000) as u16, port),
        payload: 30 + source.below(20) as usize,
    };
    packet.frame()
}

fn arp() -> Vec<u8> {
    let mut frame = ethernet(0x0806);
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    frame
}
