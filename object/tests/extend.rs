//! Extensions in the place of functions, with the object of an example.

use ebpfkit_object::extend::{ExtendError, extend, extend_all, programs_with};
use ebpfkit_object::{Object, Program, Target};
use std::collections::BTreeMap;
use std::path::Path;

fn object() -> Object {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/freplace/policy.o");
    let object = Object::open("policy.o", &std::fs::read(path).expect("an object")).expect("an object");
    object.prepare(&Target::default()).expect("prepared").object
}

fn number(object: &Object, name: &str) -> usize {
    object.programs.iter().position(|p| p.name == name).expect("a program")
}

/// Names of the functions that a program has besides its main one.
fn functions<'o>(object: &'o Object, program: &Program) -> Vec<&'o str> {
    program.subprograms.iter().map(|(_, n)| object.subprograms[*n].name.as_str()).collect()
}

#[test]
fn calls_go_to_the_extension() {
    let mut object = object();
    let (filter, extension) = (number(&object, "filter"), number(&object, "no_tags"));
    assert_eq!(programs_with(&object, "policy"), [filter]);
    let before = object.programs[filter].clone();
    let body = object.programs[extension].insns.clone();
    assert_eq!(extend_all(&mut object, &BTreeMap::new()), []);
    let after = &object.programs[filter];
    assert_eq!(functions(&object, after), ["no_tags"]);
    let start = after.subprograms[0].0;
    assert_eq!(after.insns[start..], body[..], "the function has the extension's instructions");
    let call = (0..start).find(|at| after.insns[*at].function(*at).is_some()).expect("a call");
    assert_eq!(after.insns[call].function(call), Some(start as i64));
    assert_eq!((after.prog_type, &after.name), (before.prog_type, &before.name));
    assert!(after.func_info.iter().any(|f| f.insn as usize == start) && after.func_info.len() == 2);
    assert!(after.line_info.is_sorted_by_key(|l| l.insn));
    assert!(!object.programs[extension].autoload);
}

#[test]
fn a_main_function_can_be_replaced() {
    let mut object = object();
    let (filter, extension) = (number(&object, "filter"), number(&object, "no_tags"));
    extend(&mut object, filter, "filter", extension).expect("the same prototype");
    assert_eq!(object.programs[filter].insns, object.programs[extension].insns);
    assert!(object.programs[filter].subprograms.is_empty());
}

#[test]
fn what_does_not_fit_is_said() {
    let mut object = object();
    let (filter, extension) = (number(&object, "filter"), number(&object, "no_tags"));
    let missing = ExtendError::NoFunction { program: "filter".into(), function: "politics".into() };
    assert_eq!(extend(&mut object, filter, "politics", extension), Err(missing));
    assert_eq!(extend(&mut object, filter, "policy", filter), Err(ExtendError::NoExtension("filter".into())));
    let elsewhere = BTreeMap::from([("no_tags".to_owned(), "other:policy".to_owned())]);
    let left = extend_all(&mut object, &elsewhere);
    assert_eq!(left[0].1, "program `other` has no function `policy`");
    let elsewhere = BTreeMap::from([("no_tags".to_owned(), "policyy".to_owned())]);
    let left = extend_all(&mut object, &elsewhere);
    assert_eq!(
        left,
        [("no_tags".to_owned(), "no program has a function `policyy`; did you mean `policy`?".to_owned())]
    );
}
