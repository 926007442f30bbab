//! Protocols of calls: dynptrs and iterators.

use super::argument;
use crate::case::{Case, Draft};
use crate::words;
use ebpfkit_verifier::reason::ObjectReason;

/// Explains rejections by dynptrs and iterators.
pub(crate) fn explain(case: &Case<'_>, reason: &ObjectReason) -> Option<Draft> {
    use ObjectReason as R;
    let callee = case.callee(case.at()).unwrap_or_else(|| "the call".into());
    let about = |index: u8| {
        let reg = index + 1;
        let shown = argument::subject(case, reg);
        let has = case.reg(reg).map(|r| words::value(case, r)).unwrap_or_default();
        (shown, has, words::ordinal(reg.into()))
    };
    // The call on the path that ended what is expected to be open.
    let ended = |words: &[&str]| case.last_call(words);
    let with = |d: Draft, words: &[&str], label: &str| match ended(words) {
        Some(at) => d.span(case.span(at, label)),
        None => d,
    };
    Some(match reason {
        R::DynptrNotOnStack { index } => {
            let (shown, has, nth) = about(*index);
            Draft::new(
                format!("{callee} wants a dynptr on the stack as its {nth} argument; {shown} is {has}"),
                format!("{shown} is {has}"),
            )
            .help("declare `struct bpf_dynptr ptr;` as a local variable, and pass `&ptr`")
        }
        R::DynptrNotUninit {} => {
            let d = Draft::new(
                format!("{callee} makes a dynptr where one is already, or in memory that is in use"),
                "a dynptr is here already",
            );
            with(d, &["dynptr"], "the last call that made or used one")
                .help("use a variable of its own for each dynptr, and release what needs it before it is used again")
        }
        R::DynptrConst {} => Draft::new(
            format!("{callee} changes its dynptr, and this one was given to the program to read"),
            "given by the kernel",
        )
        .help("clone it (bpf_dynptr_clone) and use the clone"),
        R::DynptrNotInit { index, .. } => {
            let (shown, _, nth) = about(*index);
            let d = Draft::new(
                format!("{callee} wants an initialised dynptr as its {nth} argument; {shown} is none on this path"),
                format!("{shown} is not initialised here, or no longer"),
            );
            let d = with(d, &["submit", "discard", "adjust", "pull", "change"], "this call ended the dynptr");
            d.help("make it first (bpf_dynptr_from_mem, bpf_ringbuf_reserve_dynptr, bpf_dynptr_from_skb, ...), on every path, and do not use it after it was submitted or discarded")
        }
        R::DynptrKind { kind, index } => {
            let (shown, _, nth) = about(*index);
            Draft::new(
                format!(
                    "{callee} wants a dynptr over {kind} as its {nth} argument, and {shown} is over something else"
                ),
                format!("{shown} is another kind of dynptr"),
            )
            .help(format!("make it with the function for {kind}"))
        }
        R::DynptrOverwrite {} => {
            let d = Draft::new(
                format!(
                    "a dynptr that has to be released is overwritten{}",
                    ended(&["reserve_dynptr"])
                        .map(|at| format!(": it was made at {}", case.line_of(at)))
                        .unwrap_or_default()
                ),
                "overwritten here",
            );
            with(d, &["reserve_dynptr"], "it is made here")
                .help("submit or discard it first, and do not write to its bytes")
        }
        R::DynptrInBuffer { off } => Draft::new(
            format!("{callee} may write over the dynptr that lies at fp{off:+}"),
            "the buffer overlaps a dynptr",
        )
        .help("make the buffer smaller, or keep the dynptr apart from it"),
        R::IterNotOnStack { index } => {
            let (shown, has, nth) = about(*index);
            Draft::new(
                format!("{callee} wants an iterator on the stack as its {nth} argument; {shown} is {has}"),
                format!("{shown} is {has}"),
            )
            .help("declare the iterator as a local variable (`struct bpf_iter_num it;`), and pass its address")
        }
        R::IterNotUninit { iter, .. } => {
            let d = Draft::new(
                format!("{callee} makes an iterator where one is in use already (iter_{iter})"),
                "an iterator is here already",
            );
            with(d, &["_new"], "it was made here")
                .help(format!("destroy it first (bpf_iter_{iter}_destroy), or use another variable"))
        }
        R::IterNotInit { iter, .. } => {
            let d = Draft::new(
                format!("{callee} wants an initialised iterator (iter_{iter}), and there is none on this path"),
                "not initialised here, or no longer",
            );
            with(d, &["_destroy"], "it was destroyed here").help(format!("call bpf_iter_{iter}_new first, on every path, and nothing but bpf_iter_{iter}_new after bpf_iter_{iter}_destroy"))
        }
        R::IterOutsideRcu { func } => {
            let d = Draft::new(
                format!("{func} needs an RCU region, and none is open on this path"),
                "outside of an RCU region",
            );
            with(d, &["rcu_read_unlock"], "the region ended here").help(
                "call bpf_rcu_read_lock before the iterator is made, and bpf_rcu_read_unlock after it is destroyed",
            )
        }
        R::IterType { index } => Draft::new(
            format!(
                "the {} argument of {callee} is no iterator of the kernel's",
                words::ordinal(usize::from(*index) + 1)
            ),
            "no iterator",
        )
        .help("use a struct bpf_iter_... of the kernel"),
    })
}
