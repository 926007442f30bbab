//! Calls that leave all registers as they are, for code that is rarely reached: what surrounds it need not make scratch.
//!
//! A function here takes the arguments of one of [`crate::runtime`]'s, calls it, and leaves the result in
//! [`offset::VALUE`].

use crate::build::CodeMemory;
use crate::runtime;
use crate::target::{CompileError, Tier, isa};
use cranelift_codegen::Context;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AbiParam, InstBuilder, MemFlagsData, Signature};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Module, ModuleError};
use ebpfkit_vm::native::offset;
use std::sync::OnceLock;

/// Functions: loads of 1, 2, 4 and 8 bytes, of which the run and the address are the arguments, and stores, which get
/// the value as well. Behind them those that say whether bytes may be read, and written, of address and size, and one that
/// takes instructions from the budget.
pub(crate) const COUNT: usize = 11;

/// The number of the function that takes instructions from the budget, where those in use are not enough.
pub(crate) const SPEND: usize = 10;

/// The number of the function that says whether bytes may be accessed.
pub(crate) fn whether(write: bool) -> usize {
    8 + usize::from(write)
}

/// The number of a function; `bytes` is a power of two up to 8.
pub(crate) fn number(store: bool, bytes: u64) -> usize {
    bytes.trailing_zeros() as usize + if store { 4 } else { 0 }
}

/// Arguments of a function.
fn params(number: usize) -> usize {
    if number < 4 || number == SPEND { 2 } else { 3 }
}

/// Addresses of the functions, by number; compiled once and kept.
pub(crate) fn trampolines() -> Result<[usize; COUNT], CompileError> {
    /// With the memory that they stand in, which is there as long as the process lives.
    static MADE: OnceLock<([usize; COUNT], CodeMemory)> = OnceLock::new();
    if let Some((addresses, _)) = MADE.get() {
        return Ok(*addresses);
    }
    let made = make()?;
    Ok(MADE.get_or_init(|| made).0)
}

/// The signature of one: it preserves all registers, and therefore returns nothing.
pub(crate) fn signature(params: usize) -> Signature {
    let mut s = Signature::new(CallConv::PreserveAll);
    s.params.extend(std::iter::repeat_n(AbiParam::new(I64), params));
    s
}

fn make() -> Result<([usize; COUNT], CodeMemory), CompileError> {
    let isa = isa(Tier::Baseline, false)?;
    let failed = |e: ModuleError| CompileError::Memory(Box::new(e));
    let conv = isa.default_call_conv();
    let mut module = JITModule::new(JITBuilder::with_isa(isa, cranelift_module::default_libcall_names()));
    let config = module.isa().frontend_config();
    let mut ids = Vec::new();
    for number in 0..COUNT {
        let own = signature(params(number));
        let id = module.declare_anonymous_function(&own).map_err(failed)?;
        let mut context = Context::new();
        context.func.signature = own.clone();
        let mut builder_context = FunctionBuilderContext::new();
        let mut b = FunctionBuilder::new(&mut context.func, &mut builder_context);
        let block = b.create_block();
        b.append_block_params_for_function_params(block);
        b.switch_to_block(block);
        let mut args = b.block_params(block).to_vec();
        if number != SPEND {
            let known = if number < 8 { 1 << (number % 4) } else { number as i64 - 8 };
            let known = b.ins().iconst(I64, known);
            args.insert(if number < 8 { 2 } else { 3 }, known);
        }
        let mut inner = signature(args.len());
        inner.call_conv = conv;
        inner.returns.push(AbiParam::new(I64));
        let inner = b.import_signature(inner);
        let address = match number {
            0..4 => runtime::load as *const (),
            4..8 => runtime::store as *const (),
            SPEND => runtime::spend as *const (),
            _ => runtime::may_access as *const (),
        };
        let callee = b.ins().iconst(I64, address as usize as i64);
        let call = b.ins().call_indirect(inner, callee, &args);
        let value = b.inst_results(call)[0];
        b.ins().store(MemFlagsData::trusted(), value, args[0], offset::VALUE);
        b.ins().return_(&[]);
        b.seal_all_blocks();
        b.finalize(config);
        module.define_function(id, &mut context).map_err(failed)?;
        ids.push(id);
    }
    module.finalize_definitions().map_err(failed)?;
    let addresses = std::array::from_fn(|n| module.get_finalized_function(ids[n]) as usize);
    Ok((addresses, CodeMemory::new(module)))
}
