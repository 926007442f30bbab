//! Extensions (`SEC("freplace/function")`): a program in the place of a function of another one.
//!
//! What comes of it is a program like any other, whose function has the extension's instructions, so that it can be verified
//! and run as it stands.

use crate::Btf;
use crate::btf::{Type, TypeId};
use crate::model::{FuncInfo, LineInfo, Object, Program, Subprogram};
use ebpfkit_abi::ProgType;
use std::collections::BTreeMap;
use std::ops::Range;

/// `BTF_FUNC_GLOBAL`
const GLOBAL: u16 = 1;

/// Why an extension cannot take the place of a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtendError {
    /// The program that is to be the extension is none.
    #[error("{0} is no extension; its section has to be freplace/FUNCTION")]
    NoExtension(String),
    /// The program has no such function.
    #[error("{program} has no function {function}")]
    NoFunction {
        /// The program.
        program: String,
        /// The function.
        function: String,
    },
    /// The function is static, so that its callers know what it does.
    #[error("{0} is static; only global functions can be replaced")]
    Static(String),
    /// The functions take or return different things.
    #[error("{extension} and {function} have different prototypes: {what}")]
    Prototype {
        /// The extension.
        extension: String,
        /// The function.
        function: String,
        /// What is different.
        what: String,
    },
}

/// Names of a program's functions, with the slots that they take; the main function is the first.
fn functions(object: &Object, program: &Program) -> Vec<(String, Range<usize>)> {
    let mut starts: Vec<(usize, String)> = vec![(0, program.name.clone())];
    starts.extend(program.subprograms.iter().map(|(start, number)| {
        let name = object.subprograms.get(*number).map(|s| s.name.clone());
        (*start, name.unwrap_or_default())
    }));
    starts.sort_by_key(|s| s.0);
    let ends: Vec<usize> = starts.iter().skip(1).map(|s| s.0).chain([program.insns.len()]).collect();
    starts.into_iter().zip(ends).map(|((start, name), end)| (name, start..end)).collect()
}

/// Programs of an object that have a function of a name, by number. Extensions have none that can be replaced.
pub fn programs_with(object: &Object, function: &str) -> Vec<usize> {
    let has =
        |p: &Program| p.prog_type != ProgType::Ext && functions(object, p).iter().any(|(name, _)| name == function);
    (0..object.programs.len()).filter(|n| has(&object.programs[*n])).collect()
}

fn prototype(btf: &Btf, program: &Program, slot: usize) -> Option<(TypeId, u16)> {
    let func = program.func_info.iter().find(|f| f.insn as usize == slot)?;
    match btf.get(func.type_id)? {
        Type::Func { proto, linkage } => Some((proto, linkage)),
        _ => None,
    }
}

/// What two prototypes say differently.
fn difference(btf: &Btf, one: TypeId, other: TypeId) -> Option<String> {
    let count = |proto| btf.params(proto).count();
    if count(one) != count(other) {
        return Some(format!("{} arguments and {}", count(one), count(other)));
    }
    let kind = |ty: TypeId| (btf.kind(btf.resolve(ty)), btf.size_of(ty));
    let ret = |proto| match btf.get(proto) {
        Some(Type::FuncProto { ret, .. }) => ret,
        _ => 0,
    };
    let pairs = btf.params(one).zip(btf.params(other)).map(|(a, b)| (a.ty, b.ty));
    let differs = |(a, b): (TypeId, TypeId)| a != b && kind(a) != kind(b);
    if let Some(n) = pairs.into_iter().position(differs) {
        return Some(format!("argument {}", n + 1));
    }
    differs((ret(one), ret(other))).then(|| "what they return".to_owned())
}

/// Puts an extension in the place of a function of a program; both are programs of the object, by number, and are prepared.
/// Functions that nothing calls any more are left out.
///
/// # Errors
/// [`ExtendError`] where the kernel would not attach it.
pub fn extend(object: &mut Object, program: usize, function: &str, extension: usize) -> Result<(), ExtendError> {
    let (target, by) = (&object.programs[program], &object.programs[extension]);
    if by.prog_type != ProgType::Ext {
        return Err(ExtendError::NoExtension(by.name.clone()));
    }
    let own = functions(object, target);
    let Some(replaced) = own.iter().position(|(name, _)| name == function) else {
        return Err(ExtendError::NoFunction { program: target.name.clone(), function: function.to_owned() });
    };
    if let Some(btf) = object.btf.as_deref()
        && let Some((old, linkage)) = prototype(btf, target, own[replaced].1.start)
        && let Some((new, _)) = prototype(btf, by, 0)
    {
        if linkage != GLOBAL {
            return Err(ExtendError::Static(function.to_owned()));
        }
        if let Some(what) = difference(btf, old, new) {
            return Err(ExtendError::Prototype { extension: by.name.clone(), function: function.to_owned(), what });
        }
    }
    // Functions of both, by program and first slot.
    let mut parts: Vec<(bool, Range<usize>)> = own.iter().map(|(_, range)| (false, range.clone())).collect();
    let added = functions(object, by).into_iter().map(|(_, range)| (true, range));
    parts.splice(replaced..=replaced, added);
    let insns = |of_extension: bool| if of_extension { &by.insns } else { &target.insns };
    // The function that an instruction of a part names, as the part that it is now.
    let named = |of_extension: bool, at: usize| {
        let slot = usize::try_from(insns(of_extension)[at].function(at)?).ok()?;
        if !of_extension && slot == own[replaced].1.start {
            return Some(replaced);
        }
        parts.iter().position(|(e, range)| *e == of_extension && range.start == slot)
    };
    let mut needed = vec![false; parts.len()];
    let mut open = vec![0];
    while let Some(part) = open.pop() {
        if std::mem::replace(&mut needed[part], true) {
            continue;
        }
        let (of_extension, range) = &parts[part];
        open.extend(range.clone().filter_map(|at| named(*of_extension, at)));
    }
    // Where each part begins now.
    let mut starts = vec![0; parts.len()];
    let mut len = 0;
    for (n, (_, range)) in parts.iter().enumerate().filter(|(n, _)| needed[*n]) {
        starts[n] = len;
        len += range.len();
    }
    let mut new = Program { insns: Vec::with_capacity(len), ..target.clone() };
    (new.func_info, new.line_info, new.poison, new.subprograms) = Default::default();
    let main_of_extension = object.subprograms.len();
    for (n, (of_extension, range)) in parts.iter().enumerate().filter(|(n, _)| needed[*n]) {
        let (from, start) = (if *of_extension { by } else { target }, starts[n]);
        for at in range.clone() {
            let mut insn = from.insns[at];
            if let Some(callee) = named(*of_extension, at) {
                insn.imm = (starts[callee] as i64 - (start + at - range.start) as i64 - 1) as i32;
            }
            new.insns.push(insn);
        }
        let moved = |slot: u32| slot - range.start as u32 + start as u32;
        let inside = |slot: u32| range.contains(&(slot as usize));
        let funcs = from.func_info.iter().filter(|f| inside(f.insn));
        new.func_info.extend(funcs.map(|f| FuncInfo { insn: moved(f.insn), ..*f }));
        let lines = from.line_info.iter().filter(|l| inside(l.insn));
        new.line_info.extend(lines.map(|l| LineInfo { insn: moved(l.insn), ..*l }));
        let poison = from.poison.iter().filter(|p| range.contains(&p.0));
        new.poison.extend(poison.map(|(at, why)| (at - range.start + start, why.clone())));
        let number = match (of_extension, range.start) {
            (true, 0) => Some(main_of_extension),
            (_, slot) => from.subprograms.iter().find(|s| s.0 == slot).map(|s| s.1),
        };
        new.subprograms.extend(number.filter(|_| start != 0).map(|number| (start, number)));
    }
    let body = Subprogram {
        name: by.name.clone(),
        is_global: true,
        insns: by.insns.clone(),
        type_id: by.func_info.first().map_or(0, |f| f.type_id),
        line_info: by.line_info.clone(),
        ..Subprogram::default()
    };
    object.subprograms.push(body);
    object.programs[program] = new;
    object.programs[extension].autoload = false;
    Ok(())
}

/// Puts extensions in the place of the functions that their sections name, or that `choose` says for one by its name
/// (`function`, or `program:function`). The answer is what could not be put anywhere, and why.
pub fn extend_all(object: &mut Object, choose: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut left = Vec::new();
    for n in 0..object.programs.len() {
        let program = &object.programs[n];
        if program.prog_type != ProgType::Ext || !program.autoload {
            continue;
        }
        let name = program.name.clone();
        let to = choose.get(&name).unwrap_or(&program.attach_target).clone();
        let (of, function) = to.split_once(':').map_or((None, to.as_str()), |(of, function)| (Some(of), function));
        let found: Vec<usize> = programs_with(object, function)
            .into_iter()
            .filter(|p| of.is_none_or(|of| object.programs[*p].name == of))
            .collect();
        if found.is_empty() {
            let of = of.map_or_else(|| "no program has a".to_owned(), |of| format!("program `{of}` has no"));
            let of_program = |p: &&Program| p.prog_type != ProgType::Ext;
            let names: Vec<String> =
                object.programs.iter().filter(of_program).flat_map(|p| functions(object, p)).map(|f| f.0).collect();
            let others = names.iter().map(String::as_str).filter(|name| *name != function);
            let like = crate::nearest(function, others);
            let meant = like.map_or_else(String::new, |like| format!("; did you mean `{like}`?"));
            left.push((name.clone(), format!("{of} function `{function}`{meant}")));
        }
        for program in found {
            if let Err(e) = extend(object, program, function, n) {
                left.push((name.clone(), e.to_string()));
            }
        }
    }
    left
}
