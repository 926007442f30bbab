//! Calls: helpers, functions of the program, tail calls.

use super::Translator;
use crate::runtime;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value};
use cranelift_module::Module;
use ebpfkit_isa::CallKind;

/// Number of `bpf_tail_call`.
const TAIL_CALL: u32 = 12;

impl Translator<'_, '_> {
    pub(super) fn call(&mut self, kind: CallKind) {
        match kind {
            CallKind::Helper(TAIL_CALL) => self.tail_call(),
            CallKind::Helper(_) | CallKind::Kfunc { .. } => self.helper(),
            CallKind::Local(_) => self.local(),
            CallKind::Reg(r) => self.through_register(r),
        }
    }

    fn args(&mut self) -> [Value; 5] {
        std::array::from_fn(|n| self.get(n as u8 + 1))
    }

    fn helper(&mut self) {
        // The loader has found it; otherwise it would have refused the program.
        let Some(function) = self.env.program.helper_at(self.at) else { return self.nowhere() };
        let function = self.number(function as usize as i64);
        let [a, b, c, d, e] = self.args();
        let r0 = self.runtime(runtime::helper as *const () as usize, &[function, a, b, c, d, e]);
        self.stop_on_fault();
        self.reload_packet();
        self.set(0, r0);
    }

    fn through_register(&mut self, reg: u8) {
        let target = self.get(reg);
        let [a, b, c, d, e] = self.args();
        let r0 = self.runtime(runtime::call_register as *const () as usize, &[target, a, b, c, d, e]);
        self.stop_on_fault();
        self.reload_packet();
        self.set(0, r0);
    }

    fn tail_call(&mut self) {
        let (map, index) = (self.get(2), self.get(3));
        let failed = self.runtime(runtime::tail_call as *const () as usize, &[map, index]);
        // The function ends in any case but failure: with a fault, or for the other program to take its place.
        self.stop_on_fault();
        self.set(0, failed);
    }

    /// A call of a function of the program.
    fn local(&mut self) {
        let callee = self.env.code.callee(self.at).and_then(|s| self.env.function_at(s));
        let Some(callee) = callee else { return self.nowhere() };
        if self.env.checked {
            self.runtime(runtime::push_frame as *const () as usize, &[]);
            self.stop_on_fault();
        }
        let function = self.module.declare_func_in_func(self.env.ids[callee], self.b.func);
        let [a, b, c, d, e] = self.args();
        let call = self.b.ins().call(function, &[self.run, a, b, c, d, e]);
        let mut r0 = self.b.inst_results(call)[0];
        if self.env.may_stop[callee] {
            r0 = self.resume(r0);
        }
        if self.env.checked {
            self.runtime(runtime::pop_frame as *const () as usize, &[]);
        }
        self.reload_packet();
        self.set(0, r0);
    }

    /// After a call: when the callee left a status, gives it what it asked for, or ends this function too.
    fn resume(&mut self, r0: Value) -> Value {
        let (asked, stop, go_on) = (self.cold_block(), self.cold_block(), self.b.create_block());
        self.b.append_block_param(go_on, I64);
        let status = self.status();
        self.b.ins().brif(status, asked, &[], go_on, &[BlockArg::Value(r0)]);
        self.b.switch_to_block(asked);
        let program = self.number(std::ptr::from_ref(self.env.program) as usize as i64);
        let late = self.runtime(runtime::resume as *const () as usize, &[program]);
        let status = self.status();
        self.b.ins().brif(status, stop, &[], go_on, &[BlockArg::Value(late)]);
        self.b.switch_to_block(stop);
        let zero = self.number(0);
        self.b.ins().return_(&[zero]);
        self.b.switch_to_block(go_on);
        self.b.block_params(go_on)[0]
    }
}
