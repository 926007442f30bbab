//! From a program to native code in memory: each of its functions becomes one native function.

use crate::flow::{Code, Finder};
use crate::index::{FunctionNumber, Slot};
use crate::lower::{self, Env};
use crate::opt::{dead_code_elimination, loop_alignment};
use crate::source::Source;
use crate::target::{CompileError, Tier, isa};
use crate::trampoline;
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_frontend::FunctionBuilderContext;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Module, ModuleError, ModuleReloc, ModuleRelocTarget};
use ebpfkit_vm::native::{NativeCode, NativeFn};
use std::cell::Cell;
use std::sync::{Arc, Mutex};

/// Compiles a program.
pub(crate) fn build(program: Source<'_>, tier: Tier, verify_ir: bool) -> Result<NativeCode, CompileError> {
    let isa = isa(tier, verify_ir)?;
    if isa.pointer_type().bits() != 64 {
        return Err(CompileError::Machine(format!("{} has no 64-bit addresses", isa.triple())));
    }
    let functions = compile(program, tier, &*isa)?;
    install(functions, isa)
}

/// What the compiler needed for programs of up to so many slots is kept for the next.
const MODEST: usize = 4_000;

/// Memory that the compiler works in. Much of the time for a small program would go into making it anew.
struct Scratch {
    context: Context,
    builder: FunctionBuilderContext,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Scratch {
    fn take() -> Box<Self> {
        let new = || Box::new(Self { context: Context::new(), builder: FunctionBuilderContext::new() });
        SCRATCH.take().unwrap_or_else(new)
    }

    /// Keeps it, empty as it is, for the thread's next program.
    fn put_back(self: Box<Self>) {
        SCRATCH.set(Some(self));
    }
}

/// Compiles all functions of a program.
fn compile(program: Source<'_>, tier: Tier, isa: &dyn TargetIsa) -> Result<Vec<CompiledFunction>, CompileError> {
    let reached = program.facts().map(|f| f.reached.as_slice());
    // Where the verifier has bounded what a program does, there is no need to count it.
    let counts = program.is_checked() || program.is_unbounded();
    let code = Code::new(program.insns(), reached, counts.then(|| program.loop_jumps()))?;
    let starts: Vec<Slot> = program.function_starts().collect();
    let slow = if counts { trampoline::trampolines()? } else { Default::default() };
    let env = Env::new(program, &code, tier, slow, &starts);
    let mut finder = Finder::new(program.insns().len());
    let mut scratch = Scratch::take();
    let mut functions = Vec::with_capacity(starts.len());
    for (number, start) in starts.iter().enumerate() {
        let flow = finder.flow(&code, *start);
        lower::function(&env, &flow, isa, &mut scratch.context.func, &mut scratch.builder);
        if tier == Tier::Optimizing {
            dead_code_elimination::remove_unused_loads(&mut scratch.context.func);
        }
        functions.push(CompiledFunction::compile(isa, FunctionNumber(number), *start, &mut scratch.context)?);
        scratch.context.clear();
    }
    if program.insns().len() <= MODEST {
        scratch.put_back();
    }
    Ok(functions)
}

/// The machine code of a function, before it has a place.
struct CompiledFunction {
    /// Slot of the function's first instruction.
    at: Slot,
    bytes: Vec<u8>,
    /// The program's functions have the numbers that they have in the program.
    relocs: Vec<ModuleReloc>,
    /// Bytes before the code, from the beginning of a line.
    offset: u32,
}

impl CompiledFunction {
    /// `at` is the slot of the function's first instruction.
    fn compile(
        isa: &dyn TargetIsa,
        number: FunctionNumber,
        at: Slot,
        context: &mut Context,
    ) -> Result<Self, CompileError> {
        context.compile(isa, &mut ControlPlane::default()).map_err(|e| failed(at, e.into()))?;
        let code = context.compiled_code().expect("the function was just compiled");
        let step = code.buffer.alignment.max(isa.function_alignment().minimum);
        let offset = loop_alignment::offset(code, step);
        let mut bytes = vec![0; offset as usize];
        bytes.extend_from_slice(code.code_buffer());
        let id = FuncId::from_u32(number.0 as u32);
        let reloc = |r| {
            let r = ModuleReloc::from_mach_reloc(r, &context.func, id);
            ModuleReloc { offset: r.offset + offset, ..r }
        };
        let relocs = code.buffer.relocs().iter().map(reloc).collect();
        Ok(Self { at, bytes, relocs, offset })
    }

    /// Puts the code into the module. `offsets` are those of the module's own functions.
    fn define(mut self, module: &mut JITModule, id: FuncId, offsets: &[u32]) -> Result<(), CompileError> {
        for reloc in &mut self.relocs {
            let offset = match reloc.name {
                ModuleRelocTarget::User { index, .. } => offsets.get(index as usize).copied().unwrap_or(0),
                ModuleRelocTarget::FunctionOffset(..) => self.offset,
                _ => 0,
            };
            reloc.addend += i64::from(offset);
        }
        let defined = module.define_function_bytes(id, loop_alignment::LINE.into(), &self.bytes, &self.relocs);
        defined.map_err(|e| failed(self.at, e))
    }
}

/// Owns the memory of native code and frees it.
pub(crate) struct CodeMemory(Mutex<Option<JITModule>>);

impl CodeMemory {
    pub(crate) fn new(module: JITModule) -> Self {
        Self(Mutex::new(Some(module)))
    }
}

impl Drop for CodeMemory {
    fn drop(&mut self) {
        if let Ok(Some(module)) = self.0.get_mut().map(Option::take) {
            // SAFETY: all programs that the code belongs to are gone, and runs keep their programs alive.
            unsafe { module.free_memory() };
        }
    }
}

/// Puts functions into memory, side by side, and makes them executable.
fn install(functions: Vec<CompiledFunction>, isa: OwnedTargetIsa) -> Result<NativeCode, CompileError> {
    let memory = |e| CompileError::Memory(Box::new(e));
    let signature = lower::signature(isa.default_call_conv());
    let mut builder = JITBuilder::with_isa(isa, cranelift_module::default_libcall_names());
    // Elsewhere caches of instructions have to be told of new ones, which the standard memory does.
    #[cfg(target_arch = "x86_64")]
    {
        let lines = functions.iter().map(|m| m.bytes.len().next_multiple_of(loop_alignment::LINE as usize));
        let pages = crate::memory::CodePages::new(lines.sum());
        builder.memory_provider(Box::new(pages.map_err(|err| memory(ModuleError::Allocation { err }))?));
    }
    let mut module = JITModule::new(builder);
    let mut ids = Vec::with_capacity(functions.len());
    for function in &functions {
        ids.push(module.declare_anonymous_function(&signature).map_err(|e| failed(function.at, e))?);
    }
    let offsets: Vec<u32> = functions.iter().map(|m| m.offset).collect();
    for (function, id) in functions.into_iter().zip(&ids) {
        function.define(&mut module, *id, &offsets)?;
    }
    module.finalize_definitions().map_err(memory)?;
    let entries = ids
        .iter()
        .zip(offsets)
        .map(|(id, offset)| {
            let address = module.get_finalized_function(*id).wrapping_add(offset as usize);
            // SAFETY: the function was compiled with the signature of `NativeFn`.
            unsafe { std::mem::transmute::<*const u8, NativeFn>(address) }
        })
        .collect();
    Ok(NativeCode { entries, memory: Arc::new(CodeMemory::new(module)) })
}

fn failed(at: Slot, e: ModuleError) -> CompileError {
    CompileError::Function { at: at.0, source: Box::new(e) }
}
