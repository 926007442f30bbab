//! Other people's engines, from crates.io.

use super::programs::Plain;
use super::{Batch, Engine, Ready};
use anyhow::{Result, anyhow, bail};
use rbpf::EbpfVmRaw;
use solana_sbpf::aligned_memory::AlignedMemory;
use solana_sbpf::ebpf;
use solana_sbpf::elf::Executable;
use solana_sbpf::error::StableResult;
use solana_sbpf::memory_region::{MemoryMapping, MemoryRegion};
use solana_sbpf::program::{BuiltinProgram, FunctionRegistry, SBPFVersion};
use solana_sbpf::verifier::RequisiteVerifier;
use solana_sbpf::vm::{CallFrame, Config, ContextObject, EbpfVm, ExecutionMode};
use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Instant;

/// The form of solana-sbpf's instructions that is nearest to the kernel's.
const VERSION: SBPFVersion = SBPFVersion::V3;

/// Makes a program ready. Their types borrow from each other, so what they borrow is given up for good.
pub(super) fn ready<'a>(engine: Engine, plain: &Plain, packet: &[u8]) -> Result<Ready<'a>> {
    let memory = plain.memory(packet);
    match engine {
        Engine::RbpfInterpreter | Engine::RbpfX86 | Engine::RbpfCranelift => rbpf(engine, &plain.code, &memory),
        _ => sbpf(engine, &plain.code_v2, &memory),
    }
}

fn rbpf_vm(engine: Engine, code: &[u8]) -> Result<EbpfVmRaw<'static>> {
    let mut vm = EbpfVmRaw::new(Some(Box::leak(code.into())))?;
    match engine {
        Engine::RbpfX86 => vm.jit_compile()?,
        Engine::RbpfCranelift => vm.cranelift_compile()?,
        _ => {}
    }
    Ok(vm)
}

fn rbpf<'a>(engine: Engine, code: &[u8], memory: &[u8]) -> Result<Ready<'a>> {
    let vm = rbpf_vm(engine, code)?;
    let memory: &'static mut [u8] = Box::leak(memory.into());
    let (start, len) = (memory.as_mut_ptr(), memory.len());
    let batch: Batch<'_> = Box::new(move |count| {
        let mut r0 = 0;
        let began = Instant::now();
        for _ in 0..count {
            // SAFETY: the memory is never freed, and no other borrow of it lives while the program runs.
            let memory = unsafe { std::slice::from_raw_parts_mut(start, len) };
            r0 = match engine {
                // SAFETY: the programs of `bench/` keep to the memory that they are given.
                Engine::RbpfX86 => unsafe { vm.execute_program_jit(memory) }?,
                Engine::RbpfCranelift => vm.execute_program_cranelift(memory)?,
                _ => vm.execute_program(memory)?,
            };
        }
        Ok((std::hint::black_box(r0), began.elapsed().as_nanos() as f64))
    });
    Ready::new(engine, batch)
}

/// What solana-sbpf counts instructions with, and the memory that its programs see.
struct Meter {
    left: u64,
    memory: MemoryMapping,
}

impl ContextObject for Meter {
    fn consume(&mut self, amount: u64) {
        self.left = self.left.saturating_sub(amount);
    }

    fn get_remaining(&self) -> u64 {
        self.left
    }

    fn active_mapping_ptr(&mut self) -> NonNull<MemoryMapping> {
        NonNull::from(&mut self.memory)
    }
}

fn sbpf_executable(engine: Engine, code: &[u8]) -> Result<Executable<Meter>> {
    let config = Config { enabled_sbpf_versions: SBPFVersion::V0..=VERSION, ..Config::default() };
    let loader = Arc::new(BuiltinProgram::new_loader(config));
    let failed = |e: &dyn std::fmt::Display| anyhow!("solana-sbpf: {e}");
    let executable =
        Executable::from_text_bytes(code, loader, VERSION, FunctionRegistry::default()).map_err(|e| failed(&e))?;
    executable.verify::<RequisiteVerifier>().map_err(|e| failed(&e))?;
    if engine == Engine::SbpfJit {
        executable.jit_compile().map_err(|e| failed(&e))?;
    }
    Ok(executable)
}

fn sbpf<'a>(engine: Engine, code: &[u8], memory: &[u8]) -> Result<Ready<'a>> {
    // Never used up.
    const BUDGET: u64 = 1 << 62;
    let executable: &'static Executable<Meter> = Box::leak(Box::new(sbpf_executable(engine, code)?));
    let config = executable.get_config();
    let stack_len = config.stack_size();
    let stack = Box::leak(Box::new(AlignedMemory::<{ ebpf::HOST_ALIGN }>::zero_filled(stack_len)));
    let memory: *mut [u8] = Box::leak(memory.into());
    let regions = vec![
        executable.get_ro_region(),
        MemoryRegion::new(stack, ebpf::MM_STACK_START),
        MemoryRegion::new_empty(ebpf::MM_HEAP_START),
        MemoryRegion::new(memory, ebpf::MM_INPUT_START),
    ];
    // SAFETY: the memory of the regions is never freed, and nothing else refers to it.
    let mapping = unsafe { MemoryMapping::new(regions, config, VERSION) }.map_err(|e| anyhow!("solana-sbpf: {e}"))?;
    let machine = Box::leak(Box::new(Meter { left: BUDGET, memory: mapping }));
    let mut vm = EbpfVm::new(executable.get_loader().clone(), VERSION, machine, stack_len);
    vm.registers[1] = ebpf::MM_INPUT_START;
    let mut frames = vec![CallFrame::default(); config.max_call_depth];
    let mut how = if engine == Engine::SbpfJit { ExecutionMode::Jit } else { ExecutionMode::Interpreted };
    let batch: Batch<'_> = Box::new(move |count| {
        let mut r0 = 0;
        let began = Instant::now();
        for _ in 0..count {
            r0 = match vm.execute_program(executable, &mut how, &mut frames).1 {
                StableResult::Ok(r0) => std::hint::black_box(r0),
                StableResult::Err(e) => bail!("{}: {e}", engine.name()),
            };
        }
        Ok((r0, began.elapsed().as_nanos() as f64))
    });
    Ready::new(engine, batch)
}

/// Compiles a program, and keeps it. `None` when the engine fails, which with rbpf may be a panic.
pub(super) fn compile(engine: Engine, plain: &Plain) -> Option<Box<dyn Any>> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(|| -> Result<Box<dyn Any>> {
        Ok(match engine {
            Engine::RbpfX86 | Engine::RbpfCranelift => Box::new(rbpf_vm(engine, &plain.code)?),
            _ => Box::new(sbpf_executable(engine, &plain.code_v2)?),
        })
    });
    std::panic::set_hook(hook);
    result.ok()?.ok()
}
