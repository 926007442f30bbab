//! Calls: helpers, functions of the program, tail calls.

use super::Translator;
use crate::runtime;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value};
use ebpfkit_abi::helpers::id;
use ebpfkit_isa::CallKind;

impl Translator<'_, '_> {
    pub(crate) fn call(&mut self, kind: CallKind) {
        match kind {
            CallKind::Helper(id::TAIL_CALL) => self.tail_call(),
            CallKind::Helper(id) => self.helper(Some(id)),
            CallKind::Kfunc { .. } => self.helper(None),
            CallKind::Local(_) => self.local(),
            CallKind::Reg(r) => self.through_register(r),
        }
    }

    fn args(&mut self) -> [Value; 5] {
        std::array::from_fn(|n| self.get(n as u8 + 1))
    }

    pub(crate) fn helper(&mut self, id: Option<u32>) {
        // The loader has found it; otherwise it would have refused the program.
        let Some(function) = self.env.program.helper_at(self.at) else { return self.nowhere() };
        if let Some(value) = self.cpu(id, function) {
            return self.set(0, value);
        }
        if !self.env.checked
            && let Some(value) = self.short_lookup(id, function)
        {
            return self.set(0, value);
        }
        if self.env.checked
            && let Some(value) = self.checked_lookup(id, function)
        {
            return self.set(0, value);
        }
        let function = self.number(function as usize as i64);
        let [a, b, c, d, e] = self.args();
        self.leave_budget();
        let r0 = self.runtime(runtime::helper as *const () as usize, &[function, a, b, c, d, e]);
        self.stop_on_fault();
        self.after_call();
        self.set(0, r0);
    }

    fn through_register(&mut self, reg: u8) {
        let target = self.get(reg);
        let [a, b, c, d, e] = self.args();
        self.leave_budget();
        let r0 = self.runtime(runtime::call_register as *const () as usize, &[target, a, b, c, d, e]);
        self.stop_on_fault();
        self.after_call();
        self.forget_args();
        self.set(0, r0);
    }

    fn tail_call(&mut self) {
        let (map, index) = (self.get(2), self.get(3));
        self.leave_budget();
        let failed = self.runtime(runtime::tail_call as *const () as usize, &[map, index]);
        // The function ends in any case but failure: with a fault, or for the other program to take its place.
        self.stop_on_fault();
        self.set(0, failed);
    }

    /// A call of a function of the program.
    fn local(&mut self) {
        let callee = self.env.code.callee(self.at).and_then(|s| self.env.function_at(s));
        let Some(callee) = callee else { return self.nowhere() };
        self.leave_budget();
        let cost = self.env.program.function_cost(callee);
        if self.env.checked {
            let cost = self.number(cost as i64);
            self.runtime(runtime::push_frame as *const () as usize, &[cost]);
            self.stop_on_fault();
        } else {
            self.charge_call(cost);
        }
        let function = self.callee(callee);
        let [a, b, c, d, e] = self.args();
        let call = self.b.ins().call(function, &[self.run, a, b, c, d, e]);
        let mut r0 = self.b.inst_results(call)[0];
        if self.env.may_stop(callee) {
            r0 = self.resume(r0);
        }
        if self.env.checked {
            self.runtime(runtime::pop_frame as *const () as usize, &[]);
        }
        self.after_call();
        self.forget_args();
        self.set(0, r0);
    }

    /// With checks: takes from the run what a call may have changed.
    fn after_call(&mut self) {
        self.reload_packet();
        self.fetch_budget();
    }

    /// With checks: after a call of a function the argument registers hold zeros, in every engine.
    fn forget_args(&mut self) {
        if self.env.checked {
            let zero = self.number(0);
            (1..=5).for_each(|reg| self.set(reg, zero));
        }
    }

    /// After a call: when the callee left a status, gives it what it asked for, or ends this function too.
    fn resume(&mut self, r0: Value) -> Value {
        let (asked, stop, go_on) = (self.cold_block(), self.cold_block(), self.b.create_block());
        self.b.append_block_param(go_on, I64);
        let status = self.status();
        self.b.ins().brif(status, asked, &[], go_on, &[BlockArg::Value(r0)]);
        self.begin(asked);
        let late = self.runtime(runtime::resume as *const () as usize, &[]);
        let status = self.status();
        self.b.ins().brif(status, stop, &[], go_on, &[BlockArg::Value(late)]);
        self.begin(stop);
        self.b.ins().return_(&[self.run]);
        self.begin(go_on);
        self.b.block_params(go_on)[0]
    }
}
