//! Dead-code elimination: removes loads whose values nobody uses.
//!
//! Cranelift keeps every load. Translation leaves some that turn out to be of no use: words of the run that are taken
//! at a function's start in case they are needed, and loads that became part of a wider one.

use cranelift_codegen::ir::{DataFlowGraph, Function, Inst, InstructionData, Value};

/// Removes loads whose values are not used, and what only removed instructions used.
pub(crate) fn remove_unused_loads(func: &mut Function) {
    let mut uses = vec![0u32; func.dfg.num_values()];
    let blocks: Vec<_> = func.layout.blocks().collect();
    for inst in blocks.iter().flat_map(|b| func.layout.block_insts(*b)) {
        for n in used(&func.dfg, inst) {
            uses[n] += 1;
        }
    }
    // A value's uses mostly stand behind it; the few that do not keep it.
    for block in blocks.into_iter().rev() {
        let mut next = func.layout.last_inst(block);
        while let Some(inst) = next {
            next = func.layout.prev_inst(inst);
            let unused = func.dfg.inst_results(inst).iter().all(|v| uses[index(&func.dfg, *v)] == 0);
            if unused && is_removable(&func.dfg, inst) {
                for n in used(&func.dfg, inst) {
                    uses[n] -= 1;
                }
                func.layout.remove_inst(inst);
            }
        }
    }
}

/// The numbers of the values that an instruction uses, arguments of jumps included.
fn used(dfg: &DataFlowGraph, inst: Inst) -> impl Iterator<Item = usize> + '_ {
    dfg.inst_values(inst).map(|v| index(dfg, v))
}

fn index(dfg: &DataFlowGraph, value: Value) -> usize {
    dfg.resolve_aliases(value).as_u32() as usize
}

/// Whether an instruction does nothing but make its values.
fn is_removable(dfg: &DataFlowGraph, inst: Inst) -> bool {
    let data = &dfg.insts[inst];
    let op = data.opcode();
    if op.can_load() {
        return matches!(data, InstructionData::Load { flags, .. } if dfg.mem_flags[*flags].notrap());
    }
    let acts = op.is_call() || op.is_branch() || op.is_terminator() || op.can_store() || op.can_trap();
    !acts && !op.other_side_effects()
}
