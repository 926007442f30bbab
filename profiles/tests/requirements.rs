//! What objects need of kernels.

use ebpfkit_asm::assemble_object;
use ebpfkit_object::Object;
use ebpfkit_profiles::Profile;
use ebpfkit_profiles::matrix::{self, Summary};
use ebpfkit_profiles::requirements::{self, Sort};
use ebpfkit_verifier::Options;

/// A classifier that reads a field which came with 5.18, one that came with 5.16, and one that always was there; and,
/// of a socket, one that came with 5.1.
const READS: &str = r#"
.license "GPL"
.section tc
.func int reads(struct __sk_buff *ctx)
    r6 = r1
    r0 = *(u8 *)(r6 + 180)
    r0 = *(u64 *)(r6 + 184)
    r0 = *(u32 *)(r6 + 0)
    r1 = *(u64 *)(r6 + 168)
    if r1 == 0 goto out
    call bpf_sk_fullsock
    if r0 == 0 goto out
    r0 = *(u32 *)(r0 + 72)
out:
    r0 = 0
    exit
"#;

#[test]
fn fields_of_contexts_have_versions() {
    let object = assemble_object("reads.s", READS).expect("it is a program");
    let kernels = Profile::all();
    let all = |object: &Object| (0..object.programs.len()).collect();
    let columns = matrix::judge(&object, all, &kernels, Options::default());
    let found = requirements::of(&object, &columns, Options::default());
    let fields: Vec<_> = found
        .needed
        .iter()
        .filter(|n| n.sort == Sort::ContextField)
        .map(|n| (n.name.as_str(), n.since.map(|v| v.series()).unwrap_or_default()))
        .collect();
    let expected = [
        ("__sk_buff.hwtstamp", "5.16"),
        ("__sk_buff.len", "4.1"),
        ("__sk_buff.sk", "5.1"),
        ("__sk_buff.tstamp_type", "5.18"),
        ("bpf_sock.state", "5.1"),
    ];
    assert_eq!(fields, expected.map(|(name, since)| (name, since.to_owned())));
    for column in &columns {
        let summary = Summary::of(column.answer(0).expect("it was judged"));
        let message = summary.message.unwrap_or_default();
        match column.kernel.name.as_str() {
            "5.10" | "5.15" => {
                assert_eq!(message, "invalid bpf_context access off=184 size=8", "{}", column.kernel.name)
            }
            name => assert_eq!(message, "", "{name}"),
        }
    }
    assert_eq!(found.oldest.map(|at| columns[at].kernel.name.as_str()), Some("6.1"));
}
