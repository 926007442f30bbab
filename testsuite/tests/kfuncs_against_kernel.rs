//! Every kernel function, held against the running kernel: which kinds of programs may call it, and what it says of
//! arguments of every kind.

use ebpfkit_abi::{AttachType as A, MapType as M, ProgType as P, kfuncs};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::pseudo;
use ebpfkit_object::btf::{Btf, Kind, Type, TypeId};
use ebpfkit_object::{Map, Program, ProgramFlags};
use ebpfkit_testsuite::against_kernel::{KINDS, differences, insn, program, report, typed_kinds};
use ebpfkit_testsuite::arguments::{ITERATOR, Value, prepare, set, varied};
use ebpfkit_testsuite::running;
use std::sync::Arc;

/// What arguments are tried with beside what those of helpers are.
const MORE: &[Value] = &[Value::Iterator];

/// A kernel function of the running kernel.
struct Func {
    id: TypeId,
    name: String,
    params: Vec<(String, TypeId)>,
}

/// The functions that the running kernel offers to programs; none without its types.
fn functions() -> Vec<(Arc<Btf>, Func)> {
    let Some(btf) = running::model().btf().cloned() else { return Vec::new() };
    let describe = |id: TypeId| {
        let Some(Type::Func { proto, .. }) = btf.get(id) else { return None };
        let params = btf.params(proto).map(|p| (p.name.to_owned(), btf.resolve(p.ty))).collect();
        Some((btf.clone(), Func { id, name: btf.name(id).to_owned(), params }))
    };
    let tagged = |id: &TypeId| btf.kind(*id) == Some(Kind::Func) && btf.decl_tags(*id, -1).any(|t| t == "bpf_kfunc");
    (1..btf.len()).filter(tagged).filter_map(describe).collect()
}

fn kfunc(btf: &Btf, name: &str) -> i32 {
    btf.find(name, Kind::Func).map_or(0, |id| id as i32)
}

fn maps() -> Vec<Map> {
    let name = "m".into();
    vec![Map { name, map_type: M::Array, key_size: 4, value_size: 16, max_entries: 4, ..Map::default() }]
}

/// A program that sets r1 to r5 and calls a kernel function.
fn call(btf: &Btf, kind: P, id: TypeId, args: &[Value]) -> Vec<Insn> {
    let mut code = prepare(kind, args);
    if args.contains(&Value::Iterator) {
        code.extend([insn(0xbf, 1, 10, 0, 0), insn(0x07, 1, 0, 0, ITERATOR)]);
        code.extend([insn(0xb7, 2, 0, 0, 0), insn(0xb7, 3, 0, 0, 8)]);
        code.push(insn(0x85, 0, pseudo::KFUNC_CALL, 0, kfunc(btf, "bpf_iter_num_new")));
    }
    set(&mut code, args);
    code.push(insn(0x85, 0, pseudo::KFUNC_CALL, 0, id as i32));
    code.extend([insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)]);
    code
}

/// A value that suits a parameter, as far as one can be had in a few instructions.
fn suitable(btf: &Btf, name: &str, ty: TypeId) -> Value {
    let Some(Type::Ptr(target)) = btf.get(ty) else { return Value::Number(8) };
    match btf.name(btf.resolve(target)) {
        _ if name.ends_with("__map") => Value::Map(0),
        "task_struct" => Value::Task,
        "__sk_buff" | "xdp_md" | "sk_buff" | "xdp_buff" => Value::Context,
        "bpf_iter_num" if name == "it" => Value::Iterator,
        _ => Value::Frame(-64),
    }
}

/// Kinds of programs with the function that they attach to.
fn kinds() -> Vec<(P, A, u32, u32)> {
    let untyped = KINDS.iter().map(|&(p, a, f)| (p, a, f, 0));
    untyped.chain(typed_kinds()).collect()
}

#[test]
fn the_same_programs_may_call_a_function() {
    let mut cases = Vec::new();
    for (btf, f) in functions() {
        for (kind, attach, flags, attach_btf_id) in kinds() {
            let code = call(&btf, kind, f.id, &[Value::Unset; 5]);
            let name = format!("{kind} {attach} {flags} {}", f.name);
            cases.push((name, Program { attach_btf_id, ..program((kind, attach, flags), code) }));
        }
    }
    report(differences("the_same_programs_may_call_a_function", maps(), cases));
}

#[test]
fn arguments_get_the_same_answer() {
    let mut cases = Vec::new();
    for (btf, f) in functions() {
        let may_call = |k: &(P, A, u32, u32)| kfuncs::find(&f.name).is_some_and(|row| row.allowed(k.0, k.1));
        let sleeps = |k: &(P, A, u32, u32)| k.2 & ProgramFlags::SLEEPABLE != 0;
        let all = kinds();
        let Some(&(kind, attach, flags, attach_btf_id)) =
            all.iter().filter(|k| may_call(k)).max_by_key(|k| (sleeps(k), k.3 != 0))
        else {
            continue;
        };
        let base: Vec<Value> = f.params.iter().take(5).map(|(name, ty)| suitable(&btf, name, *ty)).collect();
        let mut lists = vec![base.clone()];
        lists.extend(varied(&base, MORE));
        for list in lists {
            let name = format!("{kind} {attach} {} {list:?}", f.name);
            let code = call(&btf, kind, f.id, &list);
            cases.push((name, Program { attach_btf_id, ..program((kind, attach, flags), code) }));
        }
    }
    report(differences("arguments_get_the_same_answer", maps(), cases));
}

/// RCU regions do not nest; those without preemption do.
#[test]
fn regions_inside_regions_get_the_same_answer() {
    let Some(btf) = running::model().btf().cloned() else { return };
    const RCU: [&str; 2] = ["bpf_rcu_read_lock", "bpf_rcu_read_unlock"];
    const PREEMPT: [&str; 2] = ["bpf_preempt_disable", "bpf_preempt_enable"];
    let nested = |outer: [&str; 2], inner: [&str; 2]| {
        let calls = [outer[0], inner[0], inner[1], outer[1]];
        let mut code: Vec<Insn> =
            calls.iter().map(|name| insn(0x85, 0, pseudo::KFUNC_CALL, 0, kfunc(&btf, name))).collect();
        code.extend([insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)]);
        (format!("{} in {}", inner[0], outer[0]), program((P::SchedCls, A(0), 0), code))
    };
    let all = [(RCU, RCU), (RCU, PREEMPT), (PREEMPT, RCU), (PREEMPT, PREEMPT)];
    let cases = all.map(|(outer, inner)| nested(outer, inner)).to_vec();
    report(differences("regions_inside_regions_get_the_same_answer", Vec::new(), cases));
}
