//! Every kernel function, held against the running kernel: which kinds of programs may call it, and what it says of
//! arguments of every kind.

use ebpfkit_abi::{AttachType as A, MapType as M, ProgType as P, kfuncs};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::pseudo;
use ebpfkit_object::btf::{Btf, Kind, Type, TypeId};
use ebpfkit_object::{Map, Program, ProgramFlags};
use ebpfkit_testsuite::against_kernel::{KINDS, differences, insn, model, program, report, typed_kinds};
use std::sync::Arc;

/// What an argument is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Unset,
    Number(i32),
    Unknown,
    Bounded,
    Context,
    Frame(i32),
    Map,
    Element,
    ElementOrNull,
    Task,
    Iterator,
}

const TRIED: &[Value] = &[
    Value::Unset,
    Value::Number(0),
    Value::Number(8),
    Value::Number(-1),
    Value::Unknown,
    Value::Bounded,
    Value::Context,
    Value::Frame(-64),
    Value::Frame(-4),
    Value::Frame(8),
    Value::Map,
    Value::Element,
    Value::ElementOrNull,
    Value::Task,
    Value::Iterator,
];

/// Where the program keeps an iterator over numbers.
const ITERATOR: i32 = -16;

/// A kernel function of the running kernel.
struct Func {
    id: TypeId,
    name: String,
    params: Vec<(String, TypeId)>,
}

/// The functions that the running kernel offers to programs; none without its types.
fn functions() -> Vec<(Arc<Btf>, Func)> {
    let Some(btf) = model().btf().cloned() else { return Vec::new() };
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
fn call(btf: &Btf, id: TypeId, args: &[Value]) -> Vec<Insn> {
    let mut code = vec![insn(0xbf, 6, 1, 0, 0)];
    let wants = |v| args.contains(&v);
    for slot in 1..=16i16 {
        code.push(insn(0x7a, 10, 0, -8 * slot, 0));
    }
    if wants(Value::Element) || wants(Value::ElementOrNull) {
        // A variable key, so that the lookup may fail.
        code.extend([insn(0x85, 0, 0, 0, 7), insn(0x63, 10, 0, -8, 0), insn(0xbf, 2, 10, 0, 0)]);
        code.push(insn(0x07, 2, 0, 0, -8));
        code.extend([insn(0x18, 1, pseudo::MAP_FD, 0, 0), insn(0, 0, 0, 0, 0)]);
        code.extend([insn(0x85, 0, 0, 0, 1), insn(0xbf, 9, 0, 0, 0)]);
        if wants(Value::Element) {
            code.extend([insn(0x55, 9, 0, 2, 0), insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)]);
        }
    }
    if wants(Value::Unknown) || wants(Value::Bounded) {
        code.extend([insn(0x85, 0, 0, 0, 7), insn(0xbf, 7, 0, 0, 0), insn(0xbf, 8, 0, 0, 0)]);
        code.push(insn(0x57, 8, 0, 0, 15));
    }
    if wants(Value::Task) {
        code.extend([insn(0x85, 0, 0, 0, 158), insn(0xbf, 9, 0, 0, 0)]);
    }
    if wants(Value::Iterator) {
        code.extend([insn(0xbf, 1, 10, 0, 0), insn(0x07, 1, 0, 0, ITERATOR)]);
        code.extend([insn(0xb7, 2, 0, 0, 0), insn(0xb7, 3, 0, 0, 8)]);
        code.push(insn(0x85, 0, pseudo::KFUNC_CALL, 0, kfunc(btf, "bpf_iter_num_new")));
    }
    // Forgets r1 to r5.
    code.push(insn(0x85, 0, 0, 0, 7));
    for (i, value) in args.iter().enumerate() {
        let dst = i as u8 + 1;
        match *value {
            Value::Unset => {}
            Value::Number(n) => code.push(insn(0xb7, dst, 0, 0, n)),
            Value::Unknown => code.push(insn(0xbf, dst, 7, 0, 0)),
            Value::Bounded => code.push(insn(0xbf, dst, 8, 0, 0)),
            Value::Context => code.push(insn(0xbf, dst, 6, 0, 0)),
            Value::Frame(off) => code.extend([insn(0xbf, dst, 10, 0, 0), insn(0x07, dst, 0, 0, off)]),
            Value::Iterator => code.extend([insn(0xbf, dst, 10, 0, 0), insn(0x07, dst, 0, 0, ITERATOR)]),
            Value::Map => code.extend([insn(0x18, dst, pseudo::MAP_FD, 0, 0), insn(0, 0, 0, 0, 0)]),
            Value::Element | Value::ElementOrNull | Value::Task => code.push(insn(0xbf, dst, 9, 0, 0)),
        }
    }
    code.push(insn(0x85, 0, pseudo::KFUNC_CALL, 0, id as i32));
    code.extend([insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)]);
    code
}

/// A value that suits a parameter, as far as one can be had in a few instructions.
fn suitable(btf: &Btf, name: &str, ty: TypeId) -> Value {
    let Some(Type::Ptr(target)) = btf.get(ty) else { return Value::Number(8) };
    match btf.name(btf.resolve(target)) {
        _ if name.ends_with("__map") => Value::Map,
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
            let code = call(&btf, f.id, &[Value::Unset; 5]);
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
        for at in 0..base.len() {
            for &value in TRIED {
                let mut list = base.clone();
                list[at] = value;
                lists.push(list);
            }
        }
        for list in lists {
            let name = format!("{kind} {attach} {} {list:?}", f.name);
            let code = call(&btf, f.id, &list);
            cases.push((name, Program { attach_btf_id, ..program((kind, attach, flags), code) }));
        }
    }
    report(differences("arguments_get_the_same_answer", maps(), cases));
}
