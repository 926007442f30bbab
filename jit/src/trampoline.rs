//! Calls that leave all registers as they are, for code that is rarely reached: what surrounds it need not make room.
//!
//! A function here takes the arguments of one of [`crate::runtime`]'s, calls it, and leaves the result in
//! [`NativeState::value`](ebpfkit_vm::native::NativeState).

use crate::compile::{CompileError, isa};
use crate::{compile::Tier, runtime};
use cranelift_codegen::Context;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AbiParam, InstBuilder, MemFlagsData, Signature};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Module, ModuleError};
use ebpfkit_vm::Run;
use ebpfkit_vm::native::NativeState;
use std::mem::offset_of;
use std::sync::OnceLock;

/// Offset in a run of the word that holds the result.
pub(crate) const VALUE: i32 = (offset_of!(Run, native) + offset_of!(NativeState, value)) as i32;

/// Addresses of the functions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trampolines {
    /// [`runtime::load`]: run, address, size.
    pub load: usize,
    /// [`runtime::store`]: run, address, size, value.
    pub store: usize,
}

/// The functions; compiled once and kept.
pub(crate) fn trampolines() -> Result<Trampolines, CompileError> {
    static MADE: OnceLock<Trampolines> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(*made);
    }
    let made = make()?;
    Ok(*MADE.get_or_init(|| made))
}

/// The signature of one: it preserves all registers, and therefore returns nothing.
pub(crate) fn signature(params: usize) -> Signature {
    let mut s = Signature::new(CallConv::PreserveAll);
    s.params.extend(std::iter::repeat_n(AbiParam::new(I64), params));
    s
}

fn make() -> Result<Trampolines, CompileError> {
    let isa = isa(Tier::Quick, false)?;
    let failed = |e: ModuleError| CompileError::Memory(Box::new(e));
    let conv = isa.default_call_conv();
    let mut module = JITModule::new(JITBuilder::with_isa(isa, cranelift_module::default_libcall_names()));
    let config = module.isa().frontend_config();
    let mut ids = Vec::new();
    for (address, params) in [(runtime::load as *const () as usize, 3), (runtime::store as *const () as usize, 4)] {
        let id = module.declare_anonymous_function(&signature(params)).map_err(failed)?;
        let mut context = Context::new();
        context.func.signature = signature(params);
        let mut builder_context = FunctionBuilderContext::new();
        let mut b = FunctionBuilder::new(&mut context.func, &mut builder_context);
        let block = b.create_block();
        b.append_block_params_for_function_params(block);
        b.switch_to_block(block);
        let args = b.block_params(block).to_vec();
        let mut inner = signature(params);
        inner.call_conv = conv;
        inner.returns.push(AbiParam::new(I64));
        let inner = b.import_signature(inner);
        let callee = b.ins().iconst(I64, address as i64);
        let call = b.ins().call_indirect(inner, callee, &args);
        let value = b.inst_results(call)[0];
        b.ins().store(MemFlagsData::trusted(), value, args[0], VALUE);
        b.ins().return_(&[]);
        b.seal_all_blocks();
        b.finalize(config);
        module.define_function(id, &mut context).map_err(failed)?;
        ids.push(id);
    }
    module.finalize_definitions().map_err(failed)?;
    // The module is never freed: its code may be called as long as the process lives.
    let address = |n: usize| module.get_finalized_function(ids[n]) as usize;
    let made = Trampolines { load: address(0), store: address(1) };
    std::mem::forget(module);
    Ok(made)
}
