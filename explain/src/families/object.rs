//! Accesses through typed pointers to kernel structs, and to special fields of values.

use super::bounds;
use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
use crate::origin::How;
use crate::words;
use ebpfkit_isa::opcode::class;
use ebpfkit_verifier::reason::TypeReason;

/// Explains rejections by typed pointers and special fields.
pub(crate) fn explain(case: &Case<'_>, reason: &TypeReason) -> Option<Draft> {
    use TypeReason as R;
    let insn = case.here();
    let base = insn.memory_base();
    let history = base.map(|b| case.history(b)).unwrap_or_default();
    let subject = bounds::accessed(case)
        .or_else(|| case.name(&history))
        .unwrap_or_else(|| base.map_or("the pointer".into(), |b| format!("r{b}")));
    let reads = insn.class() == class::LDX;
    let text = case.text(case.at());
    let made = |d: Draft| match history
        .iter()
        .find(|e| matches!(e.how, How::Result | How::Loaded { .. } | How::Entry | How::Passed))
    {
        Some(e) if e.how == How::Entry || e.how == How::Passed => d,
        Some(e) => {
            let at = case.event_insn(e);
            let state = base.and_then(|b| case.reg(b)).map(|r| words::value(case, r)).unwrap_or_default();
            d.span(case.span(at, format!("{subject} comes from here: {state}")))
        }
        None => d,
    };
    let field = source_field(&text);
    let read = |name: &str| {
        format!(
            "read it with BPF_CORE_READ({subject}, {}), or cast the pointer in a way that the verifier knows: bpf_rdonly_cast({subject}, bpf_core_type_id_kernel(struct ...)), or a helper such as bpf_skc_to_tcp_sock for sockets{name}",
            field.as_deref().unwrap_or("field")
        )
    };
    Some(match reason {
        R::BeyondStruct { name, off, size } => {
            let whole = case.kernel.btf().and_then(|b| b.size_of(b.find(name, ebpfkit_object::btf::Kind::Struct)?));
            let whole = whole.map(|w| format!(", which has {}", words::bytes(w.into()))).unwrap_or_default();
            let d = Draft::new(
                format!("{subject} is a struct {name} to the verifier{whole}: {} {} behind its end", words::range_of((*off).into(), (*size).into()), if *size == 1 { "lies" } else { "lie" }),
                format!("{} of struct {name}", words::range_of((*off).into(), (*size).into())),
            )
            .note("a cast in C does not change what the verifier knows of a pointer");
            made(casts(case, d, &subject)).help(read(""))
        }
        R::NoMember { name, off } => made(Draft::new(format!("struct {name} has no member at byte {off}"), format!("byte {off} of struct {name}"))).help("access members as the kernel's types have them (preserve_access_index, vmlinux.h of the kernel that is meant)"),
        R::PartOfPointer { member, name, size, .. } => made(Draft::new(format!("{} of the pointer {name}.{member} are read: pointers are read whole", words::bytes((*size).into())), "a part of a pointer")).help(format!("read {member} with all 8 bytes")),
        R::BeyondMember { member, name, off, size, end } => made(Draft::new(format!("{} of struct {name} are accessed, over the end of {member} at byte {end}", words::range_of((*off).into(), (*size).into())), format!("over the end of {member}"))).help("access one member at a time, with its own width; copy arrays with bpf_probe_read_kernel"),
        R::OnlyRead {} => made(Draft::new(format!("{subject} leads to memory of the kernel, which programs of this type may only read"), "a write to kernel memory")).help("change the kernel's state by the helpers that are made for it (bpf_skb_store_bytes, bpf_setsockopt, ...)"),
        R::NoWrite { name, off } | R::StructWrite { name, off, .. } => {
            let member = insn.memory_base().and_then(|r| case.reg(r)).and_then(|r| case.member_at(r, (*off).into()));
            let what = member.as_deref().and_then(|m| m.rsplit('.').next());
            let what = what.map_or_else(|| format!("byte {off}"), |m| format!("'{m}'"));
            made(Draft::new(format!("programs of this kind may not write {what} of struct {name}"), "a write"))
                .help("write only the members that this kind of program may change; what else it keeps goes into a map (bpf_sk_storage_get for a socket's own data)")
        }
        R::WriteBeyondMember { name, off, size, end } => made(Draft::new(format!("{} are written over the end of a member of {name} (at byte {end})", words::range_of((*off).into(), (*size).into())), "a write")).help("write one member at a time, with its own width"),
        R::StructNeedsGpl { name } => Draft::new(format!("struct {name} of the kernel is for programs under the GPL, and the license is '{}'", case.object.license), "read here").blame(Blame::Environment).help("declare `char LICENSE[] SEC(\"license\") = \"GPL\";` if that is the license of the program"),
        R::NegativeStructOffset { name, off, .. } => made(Draft::new(format!("byte {off} lies before struct {name}"), "before the struct")).help("container_of on typed pointers is not known to the verifier: use bpf_rdonly_cast or bpf_probe_read_kernel"),
        R::VariableStructOffset { name, .. } => made(Draft::new(format!("struct {name} is accessed at a place that a variable decides"), "a place that is not known")).help("arrays in kernel structs are read at constant indices, or with bpf_probe_read_kernel"),
        R::UserStruct { name, .. } => made(Draft::new(format!("struct {name} lies in the memory of a process"), "memory of a process")).help("read it with bpf_probe_read_user or BPF_CORE_READ_USER"),
        R::PercpuStruct { name, .. } => made(Draft::new(format!("struct {name} lies in per-CPU memory"), "per-CPU memory")).help("get this CPU's copy with bpf_this_cpu_ptr, or another's with bpf_per_cpu_ptr"),
        R::SpecialField { field } | R::SpecialFieldOfObject { field } => {
            let what = if reads { "read" } else { "written" };
            made(Draft::new(format!("the {field} in a value cannot be {what} directly: its functions alone may touch it"), format!("over a {field}"))).help(format!("leave the {field} out when values are copied: copy the members before and behind it one by one, and use its functions"))
        }
        R::KptrByCall { field } => Draft::new(format!("{} would access the {field} in the value as plain bytes", case.callee(case.at()).unwrap_or_else(|| "the call".into())), "over a kernel pointer").help("pass a buffer without the kernel pointer"),
        R::KptrStore { field } => {
            let member = text.split('=').next().and_then(crate::source::last_word);
            let shown = member.map_or_else(|| format!("the {field} in a value"), |m| format!("{m}, a {field},"));
            made(Draft::new(format!("{shown} is written like a number: the map owns what it points to"), "stored directly"))
                .help("put an acquired pointer in by bpf_kptr_xchg(&value->member, p), and release the pointer that it returns where that is not NULL")
        }
        R::KptrVariable { field } | R::KptrSize { field } => made(Draft::new(format!("the {field} in a value is accessed in another way than it may be"), "a kernel pointer")).help("load it whole at its constant place; change it by bpf_kptr_xchg"),
        R::KptrMisaligned { field, at, off } => made(Draft::new(format!("the {field} begins at byte {at}, and byte {off} is accessed"), "beside its start")).help("access it whole, at its start"),
        R::KptrType { name, target, .. } => made(Draft::new(format!("a pointer to {name} is stored where the value declares a kptr to struct {target}"), format!("struct {name}"))).help(format!("store a pointer to struct {target}")),
        R::TracingField { .. } | R::SocketFilterLock {} => {
            let field = match reason {
                R::TracingField { field } => *field,
                _ => "bpf_spin_lock",
            };
            let map = case.program.insns.iter().filter(|i| i.is_ld_imm64() && matches!(i.src, 1 | 2 | 5 | 6)).find_map(|i| {
                let map = case.object.maps.get(usize::try_from(i.imm).ok()?)?;
                let btf = case.btf()?;
                btf.members(btf.resolve(map.value_type)).any(|m| field.contains(btf.name(btf.resolve(m.ty))) || btf.name(btf.resolve(m.ty)).contains(field)).then_some(map.name.as_str())
            });
            let shown = map.map_or_else(|| "a map".to_owned(), |m| format!("map '{m}'"));
            Draft::new(format!("{} programs cannot use {shown}, whose values have a {field}", case.program.prog_type), "the program").blame(Blame::Environment).help(format!("keep what this program needs in a map whose values have no {field}"))
        }
        _ => return None,
    })
}

/// The cast on the path's lines that gave the pointer another type in C.
fn casts(case: &Case<'_>, d: Draft, subject: &str) -> Draft {
    let Some(btf) = case.btf() else { return d };
    let assignment = format!("{subject} =");
    let of_function = case.function_start(case.at());
    let found = case
        .program
        .line_info
        .iter()
        .filter(|l| l.insn as usize >= of_function && (l.insn as usize) <= case.at())
        .find(|l| {
            let text = btf.str_at(l.line_text);
            text.contains(&assignment) && text.contains("(struct ")
        });
    match found {
        Some(l) => d.span(case.span(l.insn as usize, "this cast changes the type for the compiler alone")),
        None => d,
    }
}

/// The member behind the arrow in a line.
fn source_field(text: &str) -> Option<String> {
    let at = text.rfind("->")?;
    let rest = &text[at + 2..];
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    Some(rest[..end].to_owned()).filter(|f| !f.is_empty())
}
