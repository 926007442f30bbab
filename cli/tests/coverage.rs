//! Coverage of an example against what its packets and its source say.
//!
//! The firewall of `examples/xdp-firewall` goes through its lines in the order of its source, and each packet of the capture
//! beside it leaves at one of three places: at line 25, where it is too short or not of IPv4, at line 29, where its address
//! is in no map, or at the end, behind line 31. So the lines are counted here from the packets alone.

use ebpfkit_vm::capture::Reader;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("examples/xdp-firewall").join(name)
}

/// The addresses that are blocked, as the file of maps has them.
fn blocked() -> Vec<[u8; 4]> {
    let text = std::fs::read_to_string(example("maps.json")).expect("maps");
    let maps: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let entries = maps["blocked"].as_array().expect("entries");
    let key = |e: &serde_json::Value| {
        let hex = e["key"].as_str().and_then(|t| t.strip_prefix("0x")).expect("hexadecimal");
        u32::from_str_radix(hex, 16).expect("an address").to_be_bytes()
    };
    entries.iter().map(key).collect()
}

/// How often each line of the source is executed, counted from the packets.
fn by_hand() -> BTreeMap<u32, u64> {
    let bytes = std::fs::read(example("in.pcap")).expect("a capture");
    let mut reader = Reader::new(&bytes[..]).expect("a capture");
    let blocked = blocked();
    let (mut all, mut of_ipv4, mut dropped) = (0, 0, 0);
    while let Some((_, frame)) = reader.next().expect("a packet") {
        all += 1;
        if frame.len() >= 34 && frame[12..14] == [8, 0] {
            of_ipv4 += 1;
            dropped += u64::from(blocked.iter().any(|b| frame[26..30] == *b));
        }
    }
    assert!(all > of_ipv4 && of_ipv4 > dropped && dropped > 0, "each way out is taken");
    // The function itself and its closing brace; reads of the context; the checks; the lookup; the count.
    let counts = [(16, all), (18, all), (19, all), (25, all), (33, all)];
    let counts = counts.into_iter().chain([(27, of_ipv4), (28, of_ipv4), (29, of_ipv4), (31, dropped)]);
    counts.collect()
}

#[test]
fn every_line_is_counted_as_the_packets_say() {
    let out = std::env::temp_dir().join(format!("ebpfkit-coverage-{}.info", std::process::id()));
    let status = Command::new(env!("CARGO_BIN_EXE_ebpfkit"))
        .args(["run", "--no-maps", "--packet"])
        .args([example("in.pcap"), example("firewall.o"), "--maps".into(), example("maps.json")])
        .arg(format!("--coverage={}", out.display()))
        .output()
        .expect("the command starts");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let text = std::fs::read_to_string(&out).expect("written");
    std::fs::remove_file(&out).expect("it was there");
    let lines = text.lines().filter_map(|l| l.strip_prefix("DA:")).map(|l| {
        let (line, count) = l.split_once(',').expect("a line and a count");
        (line.parse::<u32>().expect("a number"), count.parse::<u64>().expect("a number"))
    });
    assert_eq!(lines.collect::<BTreeMap<_, _>>(), by_hand());
}
