//! Return values.

use super::{resource, story};
use crate::case::{Case, Draft};
use crate::origin::{Event, How, Location};
use crate::words;
use ebpfkit_abi::{AttachType, ProgType, retval_name};
use ebpfkit_verifier::RegState;
use ebpfkit_verifier::reason::{CallReason, ExploreReason};

/// What values of a range mean to this kind of program.
fn meaning(case: &Case<'_>, min: i32, max: i32) -> Option<String> {
    let kind = case.program.prog_type;
    let named: Vec<String> = (min..=max.min(min.saturating_add(8)))
        .filter_map(|v| Some(format!("{v} is {}", retval_name(kind, v as u32)?)))
        .collect();
    if !named.is_empty() {
        return Some(named.join(", "));
    }
    let refuses = matches!(
        kind,
        ProgType::CgroupSock
            | ProgType::CgroupSockAddr
            | ProgType::CgroupDevice
            | ProgType::CgroupSysctl
            | ProgType::CgroupSockopt
            | ProgType::CgroupSkb
    ) || case.program.attach_type == AttachType::LsmCgroup;
    if refuses && min == 0 {
        return Some("0 refuses (the caller sees EPERM), 1 allows; bpf_set_retval sets another error number".into());
    }
    if kind == ProgType::Lsm {
        return Some("0 allows, a negative error number refuses (`-EPERM` is -1, `-EACCES` is -13)".into());
    }
    None
}

fn range_words(min: i32, max: i32) -> String {
    match (min, max) {
        (a, b) if a == b => format!("{a}"),
        (a, b) if i64::from(b) - i64::from(a) == 1 => format!("{a} or {b}"),
        (a, b) => format!("a value from {a} to {b}"),
    }
}

/// A return value outside of what may be returned.
pub(crate) fn range(case: &Case<'_>, who: &str, min: i32, max: i32) -> Draft {
    let state = case.reg(0).copied().unwrap_or(RegState::UNKNOWN);
    let history = case.history(0);
    let value = match state.const_value() {
        Some(v) if v <= u64::from(u32::MAX) && v > u64::from(u32::MAX / 2) => words::number(i64::from(v as i32)),
        Some(v) => words::number(v as i64),
        None => words::scalar(&state),
    };
    let wants = range_words(min, max);
    let last = case.step().unwrap_or(0);
    let mut d =
        Draft::new(format!("{who} returns {value}, and has to return {wants}"), format!("{value} is returned here"));
    d = origin(case, d, &history, &value, case.at());
    let end = resource::returned(case, last);
    if end != case.at() {
        d = d.at(end);
    }
    for (at, _) in super::ctx::branches(case, 1) {
        if state.const_value().is_some() {
            d = d.span(case.span(at, "this choice leads to the return"));
            let returns = state.const_value().and_then(|v| case.return_line(case.at(), v as i32));
            match returns.and_then(|(file, line, _)| case.span_at(&file, line, "")) {
                Some(span) => d.place = Some(span),
                None => d = resource::at_return(case, d, Some(at)),
            }
        }
    }
    if let Some(text) = meaning(case, min, max).filter(|_| !who.contains("callback")) {
        d = d.note(text);
    }
    d.help(format!("return {wants} on every path, as a constant or bounded before the return"))
}

/// What made the returned value.
fn origin(case: &Case<'_>, mut d: Draft, history: &[Event], value: &str, exit: usize) -> Draft {
    let Some(made) = history.last() else { return d };
    let at = case.event_insn(made);
    let text = match made.how {
        How::Constant => format!("r0 is set to {value} here"),
        How::Result => format!("r0 is what {} returns", case.callee(at).unwrap_or_else(|| "a call".into())),
        How::Loaded { .. } => "r0 is read from memory here".into(),
        How::Entry => "r0 is an argument".into(),
        _ => String::new(),
    };
    // A constant that was set early stands at the line of something else.
    let elsewhere = made.how == How::Constant && !case.text(at).contains(value.trim_start_matches('-'));
    if at != exit && !text.is_empty() && !elsewhere {
        d = d.span(case.span(at, text));
    }
    if !matches!(made.how, How::Constant) {
        let step = case.step().unwrap_or(0);
        d = story::story(case, d, step, 0, "the return value");
        d.spans.retain(|s| !s.label.starts_with("r0 is what") || !s.label.is_empty());
    }
    d
}

/// Something else than a number is returned.
fn no_number(case: &Case<'_>, who: &str, reg: u8) -> Draft {
    let state = case.reg(reg).copied().unwrap_or(RegState::UNKNOWN);
    let has = words::value(case, &state);
    let history = case.history(reg);
    let d = Draft::new(format!("{who} returns {has}, and has to return a number"), format!("{has} is returned"));
    let d = super::general::with_origin(case, d, &history, "r0");
    d.help("return a number: a value that is read through the pointer, or 0")
}

/// Explains rejections by what is returned.
pub(crate) fn explain(case: &Case<'_>, reason: &ExploreReason) -> Option<Draft> {
    use ExploreReason as R;
    let program = || format!("{} programs at this hook: this one", case.program.prog_type);
    let name = case.function_at(case.at()).unwrap_or_else(|| case.program.name.clone());
    let who = |exit_ctx: &str| match exit_ctx {
        p if p.contains("async callback") => format!("the callback {name}"),
        p if p.contains("callback") => format!("the callback {name}"),
        p if p.contains("program") => format!("{name} ({})", case.program.section),
        _ => name.clone(),
    };
    let _ = program;
    Some(match reason {
        R::ReturnRange { exit_ctx, min, max, .. } => range(case, &who(exit_ctx), *min, *max),
        R::VoidHookReturn { .. } => range(case, &who("program"), 1, 1).note("the hook returns nothing: only 1, which lets it pass, may be returned"),
        R::ReturnNoScalar { exit_ctx, reg, .. } => no_number(case, &who(exit_ctx), *reg),
        R::SubprogReturnNoScalar { reg, .. } => no_number(case, &name, *reg)
            .note("global functions are verified on their own: their callers know nothing of what they return but that it is a number")
            .help("make the function static, so that pointers can be returned"),
        R::ReturnLeaksAddress { reg } => no_number(case, &name, *reg),
        _ => return None,
    })
}

/// Explains what a callback returns.
pub(crate) fn callback(case: &Case<'_>, reason: &CallReason) -> Option<Draft> {
    let name = case.function_at(case.at()).unwrap_or_else(|| "the callback".into());
    Some(match reason {
        CallReason::CallbackReturn { min, max, .. } => {
            let d = range(case, &format!("the callback {name}"), *min, *max);
            if (*min, *max) == (0, 1) { d.note("a callback returns 0 to go on and 1 to stop") } else { d }
        }
        CallReason::CallbackReturnNoScalar {} => no_number(case, &format!("the callback {name}"), 0),
        CallReason::ReturnsStackPointer {} => {
            let history = case.history_at(case.step()?, Location::Reg(0));
            let d = Draft::new(
                format!("{name} returns the address of a variable on its own stack, which is gone when it returns"),
                "returned here",
            );
            super::general::with_origin(case, d, &history, "r0").help("let the caller pass a buffer to be filled")
        }
        _ => return None,
    })
}

/// A callback that is a global function.
pub(crate) fn global_callback(case: &Case<'_>) -> Draft {
    let address = case.here().is_func_address().then(|| case.here().function(case.at())).flatten();
    let name = address.and_then(|a| case.function_at(usize::try_from(a).ok()?));
    let shown = name.clone().unwrap_or_else(|| "the callback".into());
    let d = Draft::new(
        format!(
            "{shown} is a global function, and callbacks have to be static: they are verified where they are called from"
        ),
        format!("the address of {shown} is taken here"),
    );
    let d = match name.as_deref().and_then(|n| case.declaration(n)) {
        Some((file, line, _)) => match case.span_at(&file, line, format!("{shown} is declared here, without `static`"))
        {
            Some(span) => d.span(span),
            None => d,
        },
        None => d,
    };
    d.help(format!("declare {shown} `static`"))
}

/// A tail call in a callback.
pub(crate) fn tail_call_in_callback(case: &Case<'_>) -> Draft {
    let function = case.function_at(case.at()).unwrap_or_else(|| "the callback".into());
    Draft::new(
        format!("{function} runs as a callback, and makes a tail call: that would leave the helper that runs it in the middle"),
        "a tail call in a callback",
    )
    .help(format!("return 1 from {function} to end the loop, and make the tail call behind the call that takes the callback"))
}
