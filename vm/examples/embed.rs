//! A program with a helper of its own, run on a byte slice.

use ebpfkit_isa::Insn;
use ebpfkit_vm::{Engine, Fault, HelperCall, Interpreter, Loader, Run, World};

/// Helper 1000: doubles its first argument.
fn double(_: HelperCall<'_>, args: [u64; 5]) -> Result<u64, Fault> {
    Ok(args[0] * 2)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // r1 = *(u8 *)(r1 + 2); call 1000; exit
    let insns = [Insn::new(0x71, 1, 1, 2, 0), Insn::new(0x85, 0, 0, 0, 1000), Insn::new(0x95, 0, 0, 0, 0)];
    let program = Loader::new(&insns).helper(1000, double).load()?;
    let mut run = Run::new(&program, World::default());
    run.set_packet(&[5, 6, 21]);
    let args = run.packet_args();
    println!("{}", Interpreter.run_with(&mut run, args)?);
    Ok(())
}
