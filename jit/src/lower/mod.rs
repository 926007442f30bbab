//! From instructions to Cranelift's intermediate form, a function at a time.

mod alu;
mod branch;
mod call;
mod lookup;
mod memory;
pub(crate) mod sandbox;
pub(crate) mod values;

use crate::flow::{Code, Flow};
use crate::index::{BlockNumber, FunctionNumber, Slot};
use crate::opt::check_coalescing::SlowEntry;
use crate::opt::range::Range;
use crate::opt::unroll::Unrolling;
use crate::runtime;
use crate::source::Source;
use crate::target::Tier;
use crate::trampoline;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{
    AbiParam, AliasRegion, AliasRegionData, Block, ExtFuncData, ExternalName, FuncRef, Function, InstBuilder,
    MemFlagsData, SigRef, Signature, StackSlot, StackSlotData, StackSlotKind, Type, UserExternalName, Value,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use ebpfkit_abi::limits::MAX_LOOPS;
use ebpfkit_isa::{CallKind, Op, STACK_SIZE, Width};
use ebpfkit_vm::native::{STATUS_OK, offset};
use sandbox::RegionHints;
use std::collections::BTreeMap;
use values::KnownValues;

/// Blocks from one [`Translator::split_live_ranges`] to the next.
const SPLIT_EVERY: usize = 128;

/// The region of the run's own words, in every function.
const OWN_REGION: u32 = 0;

/// The signature of every native function: the run and `r1` to `r5`, `r0`.
pub(crate) fn signature(call_conv: CallConv) -> Signature {
    sized_signature(call_conv, 6)
}

fn sized_signature(call_conv: CallConv, params: usize) -> Signature {
    let mut s = Signature::new(call_conv);
    s.params.extend(std::iter::repeat_n(AbiParam::new(I64), params));
    s.returns.push(AbiParam::new(I64));
    s
}

/// What all functions of a program share.
pub(crate) struct Env<'a> {
    pub program: Source<'a>,
    pub code: &'a Code<'a>,
    pub checked: bool,
    /// The code is to be fast, however long it takes to make.
    pub optimizes: bool,
    /// With checks, or a budget: addresses of the functions of the slow path.
    pub slow: [usize; trampoline::COUNT],
    /// First slots of functions, ascending.
    pub starts: &'a [Slot],
    /// By function: whether it can return with a status.
    may_stop: Vec<bool>,
}

impl<'a> Env<'a> {
    /// Collects what is known of a program's functions.
    pub(crate) fn new(
        program: Source<'a>,
        code: &'a Code<'a>,
        tier: Tier,
        slow: [usize; trampoline::COUNT],
        starts: &'a [Slot],
    ) -> Self {
        let checked = program.is_checked();
        let mut this = Self {
            program,
            code,
            checked,
            optimizes: tier == Tier::Optimizing,
            slow,
            starts,
            may_stop: vec![code.counts(); starts.len()],
        };
        if !code.counts() {
            this.find_stops();
        }
        this
    }

    /// Finds the functions that can return with a status: those with a call that can, and their callers.
    pub(crate) fn find_stops(&mut self) {
        let mut callers = Vec::new();
        for n in 0..self.starts.len() {
            let end = self.starts.get(n + 1).copied().unwrap_or(Slot(self.program.insns().len()));
            for at in self.starts[n].up_to(end) {
                match self.code.op(at) {
                    Some(Op::Call(CallKind::Local(_))) => {
                        callers
                            .extend(self.code.callee(at).and_then(|s| self.function_at(s)).map(|callee| (n, callee)));
                    }
                    Some(Op::Call(_)) => self.may_stop[n] = true,
                    Some(_) if self.program.access_at(at).is_some_and(|a| a.arena) => self.may_stop[n] = true,
                    _ => {}
                }
            }
        }
        let mut changed = true;
        while changed {
            changed = false;
            for (caller, callee) in &callers {
                if self.may_stop(*callee) && !self.may_stop[*caller] {
                    self.may_stop[*caller] = true;
                    changed = true;
                }
            }
        }
    }

    /// The function that starts at a slot.
    pub(crate) fn function_at(&self, slot: Slot) -> Option<FunctionNumber> {
        self.starts.binary_search(&slot).ok().map(FunctionNumber)
    }

    /// Whether a function can return with a status.
    pub(crate) fn may_stop(&self, function: FunctionNumber) -> bool {
        self.may_stop[function.0]
    }
}

/// Translates one function. `func` is empty.
pub(crate) fn function(
    env: &Env<'_>,
    flow: &Flow,
    isa: &dyn TargetIsa,
    func: &mut Function,
    context: &mut FunctionBuilderContext,
) {
    func.signature = signature(isa.default_call_conv());
    let mut b = FunctionBuilder::new(func, context);
    let regs = std::array::from_fn(|_| b.declare_var(I64));
    let (loops, left) = (b.declare_var(I32), b.declare_var(I64));
    let packet = (b.declare_var(I64), b.declare_var(I64));
    let main = env.starts.first() == Some(&flow.start);
    let blocks: Vec<Block> = flow.leaders.iter().map(|_| b.create_block()).collect();
    let frame = (!env.checked).then(|| {
        let data = StackSlotData::new(StackSlotKind::ExplicitSlot, STACK_SIZE as u32, 4);
        b.create_sized_stack_slot(data)
    });
    let own = b.func.dfg.alias_regions.insert(AliasRegionData { user_id: OWN_REGION, description: "run".into() });
    debug_assert_eq!(own.as_u32(), OWN_REGION);
    let call_conv = b.func.signature.call_conv;
    let mut t = Translator {
        env,
        run: Value::from_u32(0),
        frame,
        regs,
        loops,
        left,
        counts: flow.has_charged_jumps(env.code),
        packet,
        top: Value::from_u32(0),
        context: Value::from_u32(0),
        hints: RegionHints::at_start(env.program.prog_type(), main),
        block: BlockState::new(KnownValues::at_start()),
        flow,
        unrolling: None,
        blocks,
        call_conv,
        signatures: [None; 8],
        slow_signatures: [None; 4],
        callees: BTreeMap::new(),
        at: Slot(0),
        is_slow: false,
        is_cold: false,
        b,
    };
    t.enter(flow);
    t.all_slots();
    t.b.seal_all_blocks();
    t.b.finalize(isa.frontend_config());
}

/// A function on its way.
pub(crate) struct Translator<'f, 'e> {
    pub b: FunctionBuilder<'f>,
    pub env: &'e Env<'e>,
    /// The run, as its address.
    pub run: Value,
    /// The frame of a function without checks.
    pub frame: Option<StackSlot>,
    /// `r0` to `r10`.
    pub regs: [Variable; 11],
    /// Iterations that `may_goto` still allows.
    pub loops: Variable,
    /// What is left of the budget, where the function counts.
    pub left: Variable,
    /// The function has jumps that are charged.
    pub counts: bool,
    /// With checks: address and bytes of the packet.
    pub packet: (Variable, Variable),
    /// `r10` as it was at the start.
    pub top: Value,
    /// With checks: address of the context.
    pub context: Value,
    pub hints: RegionHints,
    pub block: BlockState,
    pub flow: &'e Flow,
    /// The loop that is unrolled now.
    pub unrolling: Option<Unrolling>,
    /// By number.
    blocks: Vec<Block>,
    pub call_conv: CallConv,
    /// By number of parameters.
    pub signatures: [Option<SigRef>; 8],
    /// By number of parameters, of functions of the slow path.
    pub slow_signatures: [Option<SigRef>; 4],
    /// Functions of the program that are called, by number.
    pub callees: BTreeMap<FunctionNumber, FuncRef>,
    /// The slot that is translated now.
    pub at: Slot,
    /// All accesses take the slow path.
    pub is_slow: bool,
    /// Code is rarely reached here.
    pub is_cold: bool,
}

/// The state of a block: what holds in it alone.
pub(crate) struct BlockState {
    /// What is known of registers.
    pub known: KnownValues,
    /// By register: accesses through it before this slot are inside a region.
    pub inside_until: [Slot; 11],
    /// Where the block leads to, once it has ended.
    pub leads_to: [Option<Slot>; 2],
    /// The block has two ends: another on the slow path of coalesced checks.
    pub is_split: bool,
    /// The block has its last instruction.
    pub ended: bool,
    /// Slots before this one are done.
    pub skip_to: Slot,
    /// By coalesced check, in the order of slots.
    pub slow_entries: Vec<SlowEntry>,
}

impl BlockState {
    pub(crate) fn new(known: KnownValues) -> Self {
        Self {
            known,
            inside_until: [Slot(0); 11],
            leads_to: [None; 2],
            is_split: false,
            ended: false,
            skip_to: Slot(0),
            slow_entries: Vec::new(),
        }
    }
}

impl Translator<'_, '_> {
    /// The entry block: parameters, the registers' first values, the frame.
    pub(crate) fn enter(&mut self, flow: &Flow) {
        let entry = self.b.create_block();
        self.b.append_block_params_for_function_params(entry);
        self.begin(entry);
        let params = self.b.block_params(entry).to_vec();
        self.run = params[0];
        for (reg, param) in (1..=5).zip(&params[1..]) {
            self.set(reg, *param);
        }
        let zero = self.number(0);
        for n in [0, 6, 7, 8, 9] {
            self.set(n, zero);
        }
        let top = match self.frame {
            Some(slot) => {
                let bottom = self.b.ins().stack_addr(I64, slot, 0);
                self.b.ins().iadd_imm_s(bottom, STACK_SIZE as i64)
            }
            None => self.b.ins().load(I64, trusted(), self.run, offset::FRAME),
        };
        self.set(10, top);
        self.top = top;
        if self.env.checked {
            self.context = self.b.ins().load(I64, trusted(), self.run, offset::CONTEXT);
            self.reload_packet();
        }
        self.fetch_budget();
        if flow.slots.iter().any(|at| matches!(self.env.code.op(*at), Some(Op::MayGoto { .. }))) {
            let loops = self.b.ins().iconst(I32, i64::from(MAX_LOOPS));
            self.b.def_var(self.loops, loops);
        }
        let first = self.block_at(flow.start);
        self.b.ins().jump(first, &[]);
        self.block.ended = true;
    }

    /// Goes on in a block that all jumps to which are already there, so that registers need not be parameters of it.
    pub(crate) fn begin(&mut self, block: Block) {
        self.b.switch_to_block(block);
        self.b.seal_block(block);
    }

    /// A branch that is never taken, for the register allocator's sake. For each value that lives across blocks it goes
    /// through the parameters of blocks from where it last saw a value that lives in two places with a gap between
    /// them (`PrevBuffer` in regalloc2's `moves.rs`); without any, the time for a function is quadratic in its blocks.
    /// Here such a value is made: the status, which is used again behind all else.
    pub(crate) fn split_live_ranges(&mut self) {
        let (here, stop, go_on) = (self.b.create_block(), self.cold_block(), self.b.create_block());
        let status = self.b.ins().load(I32, trusted(), self.run, offset::STATUS);
        self.b.ins().jump(here, &[]);
        self.begin(here);
        self.b.ins().brif(status, stop, &[], go_on, &[]);
        self.begin(stop);
        let status = self.b.ins().uextend(I64, status);
        self.b.ins().return_(&[status]);
        self.begin(go_on);
    }

    /// The block that starts at a slot. All targets are leaders.
    pub(crate) fn block_at(&self, slot: Slot) -> Block {
        self.find_block(slot).unwrap_or(self.blocks[0])
    }

    /// The block with a number; of a loop that is unrolled, the one in the first iteration.
    pub(crate) fn block(&self, number: BlockNumber) -> Block {
        self.blocks[number.0]
    }

    /// Translates the instruction at a slot.
    pub(crate) fn slot(&mut self, at: Slot) {
        if let Some(number) = self.flow.leader(at) {
            if !self.block.ended {
                self.go(at);
            }
            self.finish_slow_paths();
            let goes_on = self.flow.has_single_predecessor(number)
                && self.block.leads_to.contains(&Some(at))
                && !self.block.is_split;
            let known = if goes_on { self.block.known } else { KnownValues::at_start() };
            let second = self.unrolling.as_ref().and_then(|u| u.block(number));
            let block = second.unwrap_or(self.block(number));
            self.b.switch_to_block(block);
            // Only the first iteration leads to the second, and it is done.
            if second.is_some() || !self.flow.is_loop_head(number) {
                self.b.seal_block(block);
            }
            self.block = BlockState::new(known);
            if self.env.optimizes && number.0 % SPLIT_EVERY == SPLIT_EVERY - 1 && self.unrolling.is_none() {
                self.split_live_ranges();
            }
        }
        self.at = at;
        if self.block.ended || at < self.block.skip_to {
            // Behind an instruction that turned out to end the function, or done with others.
            return;
        }
        if self.env.checked {
            self.coalesce_checks(at);
        }
        self.one(at);
    }

    /// Translates one instruction, inside a block.
    pub(crate) fn one(&mut self, at: Slot) {
        if at < self.block.skip_to {
            return;
        }
        self.at = at;
        let op = self.env.code.op(at).filter(|_| self.env.code.is_reached(at));
        let Some(op) = op else { return self.nowhere() };
        self.translate(op, at);
        self.keep_loads(at);
        self.hints.step(&op, self.env.program.imm64_at(at));
    }

    pub(crate) fn translate(&mut self, op: Op, at: Slot) {
        if self.env.code.writes_frame_pointer(at) {
            // The loader has put a function there that ends the run.
            return self.helper(None);
        }
        match op {
            Op::Alu { op, width, dst, src } => self.alu(op, width, dst, src),
            Op::Movsx { width, bits, dst, src } => self.movsx(width, bits, dst, src),
            Op::Neg { width, dst } => self.neg(width, dst),
            Op::Endian { big, bits, dst } => self.endian(big != cfg!(target_endian = "big"), bits, dst),
            Op::Bswap { bits, dst } => self.endian(true, bits, dst),
            Op::AddrSpaceCast { dst, src, imm } => self.addr_space_cast(dst, src, imm == 1),
            Op::LoadImm64 { dst, .. } => {
                // The loader has resolved it; without an answer it would have refused the program.
                let value = self.env.program.imm64_at(at).unwrap_or_default();
                let number = self.number(value as i64);
                self.set(dst, number);
                self.block.known.set_range(dst, Range::of(value));
            }
            Op::LoadAbs { size, imm } => self.packet_load(size, None, imm),
            Op::LoadInd { size, src, imm } => self.packet_load(size, Some(src), imm),
            Op::Load { size, signed, dst, src, off } => self.load(size, signed, dst, src, off),
            Op::Store { size, dst, src, off } => self.store(size, dst, src, off),
            Op::Atomic { op, fetch, size, dst, src, off } => self.atomic(op, fetch, size, dst, src, off),
            Op::LoadAcquire { size, dst, src, off } => self.load_acquire(size, dst, src, off),
            Op::StoreRelease { size, dst, src, off } => self.store_release(size, dst, src, off),
            Op::Ja { .. } => self.jump(),
            Op::Jmp { op, width, dst, src, .. } => self.conditional(op, width, dst, src),
            // The loader refuses it.
            Op::GotoX { .. } => self.helper(None),
            Op::MayGoto { .. } => self.may_goto(),
            Op::Call(kind) => self.call(kind),
            Op::Exit => {
                let r0 = self.get(0);
                self.leave_budget();
                self.leave(r0);
            }
        }
    }

    /// Control cannot be here, or is behind the last instruction.
    pub(crate) fn nowhere(&mut self) {
        self.runtime(runtime::past_end as *const () as usize, &[]);
        self.fail();
    }

    pub(crate) fn get(&mut self, reg: u8) -> Value {
        self.b.use_var(self.regs[usize::from(reg)])
    }

    pub(crate) fn get32(&mut self, reg: u8) -> Value {
        let wide = self.get(reg);
        self.b.ins().ireduce(I32, wide)
    }

    pub(crate) fn get_width(&mut self, width: Width, reg: u8) -> Value {
        match width {
            Width::W64 => self.get(reg),
            Width::W32 => self.get32(reg),
        }
    }

    pub(crate) fn set(&mut self, reg: u8, value: Value) {
        self.block.known.set(reg);
        self.b.def_var(self.regs[usize::from(reg)], value);
    }

    /// Sets a register, with the upper half zero when the value has 32 bits or fewer.
    pub(crate) fn set_extended(&mut self, reg: u8, value: Value) {
        let wide = self.extend(value);
        self.set(reg, wide);
    }

    pub(crate) fn extend(&mut self, value: Value) -> Value {
        if self.b.func.dfg.value_type(value) == I64 { value } else { self.b.ins().uextend(I64, value) }
    }

    /// The same value, computed at this place and not later, by no other way. It costs nothing.
    pub(crate) fn optimisation_barrier(&mut self, value: Value) -> Value {
        let pair = self.b.ins().iconcat(value, value);
        self.b.ins().isplit(pair).0
    }

    /// Another name for what a register holds already.
    pub(crate) fn redefine(&mut self, reg: u8, value: Value) {
        self.b.def_var(self.regs[usize::from(reg)], value);
    }

    pub(crate) fn number(&mut self, n: i64) -> Value {
        self.b.ins().iconst(I64, n)
    }

    /// Ends the function.
    pub(crate) fn leave(&mut self, r0: Value) {
        self.b.ins().return_(&[r0]);
        self.block.ended = true;
    }

    /// Ends the function because of a fault of this instruction, which stands in the run.
    pub(crate) fn fail(&mut self) {
        let at = self.b.ins().iconst(I32, self.at.0 as i64);
        self.b.ins().store(trusted(), at, self.run, offset::AT);
        // Nobody looks at the value; this one is at hand.
        self.leave(self.run);
    }

    /// A block that is reached as often as this place.
    pub(crate) fn new_block(&mut self) -> Block {
        if self.is_cold { self.cold_block() } else { self.b.create_block() }
    }

    /// A block that is rarely reached.
    pub(crate) fn cold_block(&mut self) -> Block {
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        block
    }

    pub(crate) fn status(&mut self) -> Value {
        let status = self.b.ins().load(I32, trusted(), self.run, offset::STATUS);
        self.b.ins().icmp_imm_u(IntCC::NotEqual, status, i64::from(STATUS_OK))
    }

    /// After a call of the runtime that can fail: ends the function if it did.
    pub(crate) fn stop_on_fault(&mut self) {
        let (stop, go_on) = (self.cold_block(), self.new_block());
        let status = self.status();
        self.b.ins().brif(status, stop, &[], go_on, &[]);
        self.begin(stop);
        self.fail();
        self.begin(go_on);
        self.block.ended = false;
    }

    /// Takes the slow path of an access: address and value in, the value out. All registers stay.
    pub(crate) fn slow_path(&mut self, store: bool, bytes: u64, args: &[Value]) -> Value {
        let was_cold = std::mem::replace(&mut self.is_cold, true);
        let value = self.trampoline(trampoline::number(store, bytes), args);
        self.stop_on_fault();
        self.is_cold = was_cold;
        value
    }

    /// Whether bytes may be accessed, asked of the run. All registers stay.
    pub(crate) fn ask(&mut self, address: Value, size: u64, write: bool) -> Value {
        let size = self.number(size as i64);
        self.trampoline(trampoline::whether(write), &[address, size])
    }

    /// Calls a function of [`trampoline`]; what it leaves.
    pub(crate) fn trampoline(&mut self, number: usize, args: &[Value]) -> Value {
        let (count, b) = (args.len() + 1, &mut self.b);
        let signature =
            *self.slow_signatures[count].get_or_insert_with(|| b.import_signature(trampoline::signature(count)));
        let address = self.number(self.env.slow[number] as i64);
        let mut all = [self.run; 3];
        all[1..count].copy_from_slice(args);
        self.b.ins().call_indirect(signature, address, &all[..count]);
        self.b.ins().load(I64, trusted(), self.run, offset::VALUE)
    }

    /// The signature of functions with so many parameters, the run among them.
    pub(crate) fn signature(&mut self, count: usize) -> SigRef {
        let (conv, b) = (self.call_conv, &mut self.b);
        *self.signatures[count].get_or_insert_with(|| b.import_signature(sized_signature(conv, count)))
    }

    /// A function of the program by its number, which is its name too.
    pub(crate) fn callee(&mut self, number: FunctionNumber) -> FuncRef {
        if let Some(known) = self.callees.get(&number) {
            return *known;
        }
        let signature = self.signature(6);
        let func = &mut self.b.func;
        let name = func.declare_imported_user_function(UserExternalName { namespace: 0, index: number.0 as u32 });
        let name = ExternalName::user(name);
        let function = func.import_function(ExtFuncData { name, signature, colocated: true, patchable: false });
        self.callees.insert(number, function);
        function
    }

    /// Calls a function of [`runtime`] with the run and these arguments.
    pub(crate) fn runtime(&mut self, address: usize, args: &[Value]) -> Value {
        let count = args.len() + 1;
        let signature = self.signature(count);
        let address = self.b.ins().iconst(I64, address as i64);
        let mut all = [self.run; 8];
        all[1..count].copy_from_slice(args);
        let call = self.b.ins().call_indirect(signature, address, &all[..count]);
        self.b.inst_results(call)[0]
    }
}

/// Memory of the run itself: always there and aligned, and none that programs write.
pub(crate) fn trusted() -> MemFlagsData {
    MemFlagsData::trusted().with_alias_region(Some(AliasRegion::from_u32(OWN_REGION)))
}

/// The integer type of a number of bits.
pub(crate) fn int(bits: u32) -> Type {
    Type::int(bits as u16).unwrap_or(I64)
}
