//! Compiling a program: one module, one native function for each of its functions.

use crate::dead;
use crate::flow::{Code, Finder};
use crate::place;
use crate::trampoline;
use crate::translate::{self, Env};
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable, SetError};
use cranelift_frontend::FunctionBuilderContext;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module, ModuleError, ModuleReloc, ModuleRelocTarget};
use ebpfkit_isa::DecodeError;
use ebpfkit_vm::Program;
use ebpfkit_vm::native::{NativeCode, NativeFn};
use std::sync::{Arc, Mutex, OnceLock};

/// Why a program was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// There is no native code for this machine.
    #[error("no native code for this machine: {0}")]
    Machine(String),
    /// The compiler refused a function.
    #[error("native code of the function at insn {at}: {source}")]
    Function {
        /// Slot of its first instruction.
        at: usize,
        /// Why.
        source: Box<ModuleError>,
    },
    /// No memory for the code, or it cannot be made executable.
    #[error("memory for native code: {0}")]
    Memory(Box<ModuleError>),
    /// A slot that is no instruction.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The program is not verified, and checks were not asked for.
    #[error("only a verified program can run without checks")]
    NotVerified,
}

/// How much work goes into the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// All optimisations.
    Best,
    /// Quick to compile: no optimisation, registers allocated in one pass.
    Quick,
}

/// Choices for [`compile_with`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How much work goes into the code; by default it depends on the program's size.
    pub tier: Option<Tier>,
    /// Checks the compiler's intermediate form before it is used. For tests.
    pub verify_ir: bool,
}

/// Programs with more slots than this get quick code unless told otherwise.
const LARGE: usize = 16_000;

/// Compiles a program for runs with or without checks. A second call does nothing.
pub fn compile(program: &Arc<Program>, checked: bool) -> Result<(), CompileError> {
    compile_with(program, checked, Options::default())
}

/// [`compile`] with choices.
pub fn compile_with(program: &Arc<Program>, checked: bool, options: Options) -> Result<(), CompileError> {
    if program.native(checked).is_some() {
        return Ok(());
    }
    if !checked && program.verified().is_none() {
        return Err(CompileError::NotVerified);
    }
    let tier = options.tier.unwrap_or(if program.insns().len() > LARGE { Tier::Quick } else { Tier::Best });
    let code = build(program, (checked, tier), isa(tier, options.verify_ir)?)?;
    // SAFETY: the code was just built for this program and mode, and owns its memory.
    unsafe { program.set_native(checked, code) };
    Ok(())
}

/// The machine's compiler; made once for each kind.
pub(crate) fn isa(tier: Tier, verify_ir: bool) -> Result<OwnedTargetIsa, CompileError> {
    static ISAS: [OnceLock<Result<OwnedTargetIsa, String>>; 4] = [const { OnceLock::new() }; 4];
    let which = usize::from(tier == Tier::Quick) + 2 * usize::from(verify_ir);
    let isa = ISAS[which].get_or_init(|| {
        let flags = flags(tier, verify_ir).map_err(|e| e.to_string())?;
        let builder = cranelift_native::builder()?;
        builder.finish(flags).map_err(|e| e.to_string())
    });
    isa.clone().map_err(CompileError::Machine)
}

fn flags(tier: Tier, verify_ir: bool) -> Result<settings::Flags, SetError> {
    let mut b = settings::builder();
    let (level, allocator) = match tier {
        Tier::Best => ("speed", "backtracking"),
        Tier::Quick => ("none", "single_pass"),
    };
    b.set("opt_level", level)?;
    b.set("regalloc_algorithm", allocator)?;
    b.set("enable_verifier", if verify_ir { "true" } else { "false" })?;
    b.set("is_pic", "false")?;
    b.set("use_colocated_libcalls", "false")?;
    b.set("unwind_info", "false")?;
    b.set("enable_probestack", "false")?;
    // Where blocks start, for `place`.
    b.set("machine_code_cfg_info", "true")?;
    Ok(settings::Flags::new(b))
}

/// Owns the memory of native code and frees it.
struct CodeMemory(Mutex<Option<JITModule>>);

impl Drop for CodeMemory {
    fn drop(&mut self) {
        if let Ok(Some(module)) = self.0.get_mut().map(Option::take) {
            // SAFETY: the program that the code belongs to goes with it, and runs keep their programs alive.
            unsafe { module.free_memory() };
        }
    }
}

fn build(
    program: &Arc<Program>,
    (checked, tier): (bool, Tier),
    isa: OwnedTargetIsa,
) -> Result<NativeCode, CompileError> {
    let call_conv = isa.default_call_conv();
    let pointer = isa.pointer_type();
    if pointer.bits() != 64 {
        return Err(CompileError::Machine(format!("{} has no 64-bit addresses", isa.triple())));
    }
    let mut builder = JITBuilder::with_isa(isa, cranelift_module::default_libcall_names());
    if checked {
        builder.symbols(trampoline::NAMES.into_iter().zip(trampoline::trampolines()?.map(|a| a as *const u8)));
    }
    let mut module = JITModule::new(builder);
    let reached = program.verified().filter(|_| !checked).map(|v| v.facts().reached.as_slice());
    let code = Code::new(program.insns(), reached)?;
    let functions = program.functions();
    let signature = translate::signature(call_conv);
    let mut ids: Vec<FuncId> = Vec::new();
    for f in &functions {
        ids.push(module.declare_anonymous_function(&signature).map_err(|e| failed(f.start, e))?);
    }
    let starts: Vec<usize> = functions.iter().map(|f| f.start).collect();
    let mut slow = Vec::new();
    for (number, name) in trampoline::NAMES.into_iter().enumerate().filter(|_| checked) {
        let signature = trampoline::signature(trampoline::params(number));
        slow.push(module.declare_function(name, Linkage::Import, &signature).map_err(|e| failed(0, e))?);
    }
    let env = Env::new(program, &code, (checked, tier), slow, &starts, &ids);
    let mut finder = Finder::new(program.insns().len());
    let mut context = Context::new();
    let mut builder_context = FunctionBuilderContext::new();
    let mut machines = Vec::with_capacity(ids.len());
    for (start, id) in starts.iter().zip(&ids) {
        let mut flow = finder.flow(&code, *start);
        if checked {
            flow.sort(&code);
        }
        context.func.signature = signature.clone();
        translate::function(&env, &flow, &mut module, &mut context.func, &mut builder_context);
        if tier == Tier::Best {
            dead::remove(&mut context.func);
        }
        machines.push(Machine::compile(&module, *id, *start, &mut context)?);
        module.clear_context(&mut context);
    }
    let offsets: Vec<u32> = machines.iter().map(|m| m.offset).collect();
    for (machine, id) in machines.into_iter().zip(&ids) {
        machine.define(&mut module, *id, &offsets)?;
    }
    module.finalize_definitions().map_err(|e| CompileError::Memory(Box::new(e)))?;
    let entries = ids
        .iter()
        .zip(offsets)
        .map(|(id, offset)| {
            let address = module.get_finalized_function(*id).wrapping_add(offset as usize);
            // SAFETY: the function was compiled with the signature of `NativeFn`.
            unsafe { std::mem::transmute::<*const u8, NativeFn>(address) }
        })
        .collect();
    Ok(NativeCode { entries, memory: Box::new(CodeMemory(Mutex::new(Some(module)))) })
}

/// The machine code of a function, before it has a place.
struct Machine {
    /// Slot of the function's first instruction.
    at: usize,
    bytes: Vec<u8>,
    relocs: Vec<ModuleReloc>,
    /// Bytes before the code, from the beginning of a line.
    offset: u32,
}

impl Machine {
    /// `at` is the slot of the function's first instruction.
    fn compile(module: &JITModule, id: FuncId, at: usize, context: &mut Context) -> Result<Self, CompileError> {
        let isa = module.isa();
        context.compile(isa, &mut ControlPlane::default()).map_err(|e| failed(at, e.into()))?;
        let code = context.compiled_code().expect("the function was just compiled");
        let step = code.buffer.alignment.max(isa.function_alignment().minimum);
        let offset = place::offset(code, step);
        let mut bytes = vec![0; offset as usize];
        bytes.extend_from_slice(code.code_buffer());
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
        let defined = module.define_function_bytes(id, place::LINE.into(), &self.bytes, &self.relocs);
        defined.map_err(|e| failed(self.at, e))
    }
}

fn failed(at: usize, e: ModuleError) -> CompileError {
    CompileError::Function { at, source: Box::new(e) }
}
