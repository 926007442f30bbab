//! Captures on several CPUs give what one CPU gives, in the same order.

use ebpfkit_vm::capture::{ETHERNET, Format, Reader, Writer};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How often the packets of an example stand in the capture: more than workers get at once.
const TIMES: u64 = 300;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// The packets of an example's capture, again and again.
fn long_capture(example: &str, to: &Path) {
    let bytes = std::fs::read(root().join("examples").join(example).join("in.pcap")).expect("a capture");
    let mut writer = Writer::new(std::fs::File::create(to).expect("a file"), Format::Pcap, ETHERNET).expect("written");
    for _ in 0..TIMES {
        let mut reader = Reader::new(&bytes[..]).expect("a capture");
        while let Some((record, data)) = reader.next().expect("a packet") {
            writer.write(&record, data).expect("written");
        }
    }
    writer.finish().expect("written");
}

/// What the command prints, without how long it took, and the packets that it writes.
fn run(object: &str, capture: &Path, more: &[&str]) -> (String, Vec<u8>) {
    let out = capture.with_extension(format!("{}.pcapng", more.last().unwrap_or(&"")));
    let output = Command::new(env!("CARGO_BIN_EXE_ebpfkit"))
        .current_dir(root())
        .args(["run", object, "--packet"])
        .arg(capture)
        .arg("--write")
        .arg(&out)
        .args(more)
        .output()
        .expect("the command starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines =
        text.lines().filter(|l| !l.contains(" packets/s") && !l.contains("written to")).map(|l| format!("{l}\n"));
    (lines.collect(), std::fs::read(out).expect("packets"))
}

#[test]
fn one_cpu_and_several_give_the_same() {
    let folder: PathBuf = std::env::temp_dir().join(format!("ebpfkit-workers-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let cases = [
        ("xdp-firewall", "examples/xdp-firewall/firewall.o", &["--maps", "examples/xdp-firewall/maps.json"][..]),
        (
            "xdp-balancer",
            "examples/xdp-balancer/balancer.o",
            &["--maps", "examples/xdp-balancer/maps.json", "--no-maps"],
        ),
        ("tc-forward", "examples/tc-forward/forward.o", &["--write-if", "TC_ACT_OK", "--no-maps"]),
        ("xdp-firewall", "cli/tests/inputs/meta.s", &["--engine", "jit"]),
    ];
    for (n, (example, object, options)) in cases.into_iter().enumerate() {
        let capture = folder.join(format!("{n}.pcap"));
        long_capture(example, &capture);
        let one = run(object, &capture, &[options, &["-v"]].concat());
        assert!(one.0.lines().count() > 1000);
        for jobs in ["2", "3", "7"] {
            let several = run(object, &capture, &[options, &["-v", "--jobs", jobs]].concat());
            assert!(one.0 == several.0, "{object} prints something else on {jobs} CPUs");
            assert!(one.1 == several.1, "{object} writes other packets on {jobs} CPUs");
        }
    }
    std::fs::remove_dir_all(folder).expect("it was there");
}

#[test]
fn the_kernel_gives_the_same() {
    if ebpfkit_kernel::Kernel::open().is_err() {
        // Not by a macro, whose text the test harness would keep to itself.
        drop(std::io::Write::write_all(&mut std::io::stderr(), b"skipped 1: bpf(2) cannot be used here\n"));
        return;
    }
    for (example, object, maps) in [
        ("xdp-firewall", "firewall.o", Some("maps.json")),
        ("xdp-balancer", "balancer.o", Some("maps.json")),
        ("tc-forward", "forward.o", None),
        ("socket-filter", "dns.o", None),
    ] {
        let folder = root().join("examples").join(example);
        for engine in ["interp", "jit"] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ebpfkit"));
            command.arg("run").arg(folder.join(object)).arg("--packet").arg(folder.join("in.pcap"));
            command.args(["--compare", "--no-maps", "--engine", engine]);
            if let Some(maps) = maps {
                command.arg("--maps").arg(folder.join(maps));
            }
            let output = command.output().expect("the command starts");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("the kernel does the same"), "{example}: {text}");
        }
    }
}
