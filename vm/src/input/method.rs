//! The arguments of a method of a struct of operations, as a test-run takes them. Source: observed behaviour of Linux 6.18.

use super::InputError;
use crate::run::Run;
use ebpfkit_abi::test_run::OPERATIONS;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, Type};

/// Whether a context has as many arguments as the method that the program is, and none that is null where the kernel has
/// an object. Only methods that the kernel has for tests are looked at; what others get is up to who calls them.
pub(super) fn check(run: &Run, context: &[u8]) -> Result<(), InputError> {
    let program = run.program();
    let Some(types) = program.kernel_types() else { return Ok(()) };
    let (of, method) = (program.attach_btf_id(), program.attach_type().0 as usize);
    if types.name(of) != OPERATIONS {
        return Ok(());
    }
    let Some(arguments) = arguments(types, of, method) else { return Ok(()) };
    let (found, expected) = (context.len(), arguments.len() * 8);
    if found != expected {
        return Err(InputError::Arguments { found, expected });
    }
    let is_null = |(n, never_null): &(usize, &bool)| **never_null && context[n * 8..][..8] == [0; 8];
    match arguments.iter().enumerate().find(is_null) {
        Some((number, _)) => Err(InputError::NullArgument { number }),
        None => Ok(()),
    }
}

/// The arguments of a method: whether each is a pointer to a struct, and never null. Which may be null says the function
/// that stands for the method.
fn arguments(types: &Btf, of: u32, method: usize) -> Option<Vec<bool>> {
    let member = types.member(of, method)?;
    let Some(Type::Ptr(proto)) = types.get(types.resolve(member.ty)) else { return None };
    let stub = types.find(&format!("{}__{}", types.name(of), member.name), Kind::Func);
    let nullable: Vec<bool> = match stub.and_then(|id| types.get(id)) {
        Some(Type::Func { proto, .. }) => types.params(proto).map(|p| p.name.ends_with("__nullable")).collect(),
        _ => Vec::new(),
    };
    let to_struct = |ty| match types.get(types.resolve(ty)) {
        Some(Type::Ptr(to)) => types.kind(types.resolve(to)) == Some(Kind::Struct),
        _ => false,
    };
    let params = types.params(proto).enumerate();
    Some(params.map(|(n, p)| to_struct(p.ty) && !nullable.get(n).is_some_and(|may| *may)).collect())
}
