//! A run that is served to a debugger: a client that speaks gdb's remote protocol leads it.

use ebpfkit_vm::hex;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// Number of `pc` among the registers.
const PC: usize = 11;

/// The protocol's client, and the command that it leads.
struct Client {
    child: Child,
    out: BufReader<ChildStdout>,
    stream: TcpStream,
}

impl Client {
    /// Starts a run and connects to it.
    fn new(arguments: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let mut child = Command::new(env!("CARGO_BIN_EXE_ebpfkit"))
            .args(["debug", "--run", "--gdb", "localhost:0"])
            .args(arguments)
            .current_dir(root)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut line = String::new();
        BufReader::new(child.stderr.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.split("debugger at ").nth(1).and_then(|a| a.split(' ').next()).expect("an address");
        let stream = TcpStream::connect(address).expect("it listens");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, out, stream }
    }

    /// Sends a packet.
    fn send(&mut self, packet: &str) {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        self.stream.write_all(format!("${packet}#{sum:02x}").as_bytes()).expect("sent");
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).expect("an answer");
        byte[0]
    }

    /// The next packet that comes, acknowledged and without its shortened runs.
    fn receive(&mut self) -> String {
        while self.byte() != b'$' {}
        let mut text = String::new();
        loop {
            match self.byte() {
                b'#' => break,
                b'*' => {
                    let last = text.chars().last().expect("something before a run");
                    let count = self.byte() - 29;
                    text.extend(std::iter::repeat_n(last, count.into()));
                }
                // What stands for itself in no packet.
                b'}' => text.push((self.byte() ^ 0x20) as char),
                byte => text.push(byte as char),
            }
        }
        // The checksum.
        self.byte();
        self.byte();
        self.stream.write_all(b"+").expect("sent");
        text
    }

    fn ask(&mut self, packet: &str) -> String {
        self.send(packet);
        self.receive()
    }

    /// The registers `r0` to `r10`, and `pc`.
    fn registers(&mut self) -> Vec<u64> {
        let bytes = unhex(&self.ask("g"));
        bytes.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().expect("eight bytes"))).collect()
    }

    /// What the command prints, and whether it ended well.
    fn end(mut self) -> (String, bool) {
        let mut text = String::new();
        self.out.read_to_string(&mut text).expect("text");
        (text, self.child.wait().expect("it ends").success())
    }
}

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn hex(text: &str) -> String {
    hex::encode(text.as_bytes())
}

const FIREWALL: [&str; 3] = ["examples/xdp-firewall/firewall.o", "--data-in", "cli/tests/inputs/packet.bin"];

#[test]
fn a_run_is_led_to_its_end() {
    let mut client = Client::new(&FIREWALL);
    assert!(client.ask("qSupported:swbreak+;xmlRegisters=i386").contains("qXfer:features:read+"));
    let description = client.ask("qXfer:features:read:target.xml:0,ffb");
    assert!(description.contains("<architecture>bpf</architecture>") && description.contains("name=\"r10\""));
    assert!(client.ask("?").starts_with(['T', 'S']));

    let first = client.registers();
    assert_eq!((first.len(), first[PC]), (PC + 1, 0));
    // The context is the first argument: data and data_end, whose distance is the packet's length.
    let packet =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inputs/packet.bin")).expect("a packet");
    let fields = unhex(&client.ask(&format!("m{:x},8", first[1])));
    let field = |at: usize| u32::from_le_bytes(fields[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((field(4).wrapping_sub(field(0))) as usize, packet.len());
    // Code stands at zero; what is nobody's memory cannot be read.
    let object = ebpfkit_object::Object::open(
        "firewall.o",
        &std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/xdp-firewall/firewall.o"))
            .expect("read"),
    )
    .expect("an object");
    let insn = object.programs[0].insns[0].to_bytes(ebpfkit_isa::Endian::Little);
    assert_eq!(unhex(&client.ask("m0,8")), insn);
    assert!(client.ask("mffffffffffff0000,8").starts_with('E'));
    assert!(client.ask(&format!("M{:x},1:00", first[1])).starts_with('E'), "nothing is written");

    // One step.
    assert!(client.ask("s").starts_with(['T', 'S']));
    assert_eq!(client.registers()[PC], 8);
    client.send(&format!("qRcmd,{}", hex("line")));
    let said = client.receive();
    assert!(said.starts_with('O'), "{said}");
    let said = String::from_utf8(unhex(&said[1..])).expect("text");
    assert!(said.contains("firewall.c:") && said.contains("instruction 1"), "{said}");
    assert_eq!(client.receive(), "OK");

    // A breakpoint: the first instruction of the third line from here.
    assert_eq!(client.ask("Z0,18,8"), "OK");
    assert!(client.ask("Z0,fffff0,8") != "OK", "no instruction there");
    assert!(client.ask("c").starts_with(['T', 'S']));
    let stopped = client.registers();
    assert_eq!(stopped[PC], 0x18);
    assert_eq!(client.ask("z0,18,8"), "OK");
    // The packet, through a register that leads there.
    let start = packet.get(..4).expect("a packet");
    let read = |client: &mut Client, at: u64| {
        let answer = client.ask(&format!("m{at:x},4"));
        if answer.starts_with('E') { Vec::new() } else { unhex(&answer) }
    };
    let found = stopped[..10].iter().copied().any(|at| read(&mut client, at) == start);
    assert!(found, "{stopped:x?}");

    // The end, with the result.
    let end = client.ask("c");
    assert!(end.starts_with('W'), "{end}");
    let (text, good) = client.end();
    let code = u8::from_str_radix(&end[1..3], 16).expect("a code");
    assert!(good && text.contains(&format!("returned {code} ")), "{text}");
}

#[test]
fn a_run_goes_on_alone() {
    let mut client = Client::new(&FIREWALL);
    assert_eq!(client.ask("D"), "OK");
    let (text, good) = client.end();
    assert!(good && text.contains("returned "), "{text}");
}

#[test]
fn a_run_that_is_killed_ends() {
    let mut client = Client::new(&FIREWALL);
    client.send("k");
    let (text, good) = client.end();
    assert!(!good && text.contains("stopped"), "{text}");
}
