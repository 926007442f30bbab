use super::{Pack, Packer};
use ebpfkit_asm::assemble_object;
use ebpfkit_object::{Btf, btf::Kind};

/// Types of a small program; `field` is a member that some have.
fn types(field: &str) -> Btf {
    let text = format!(
        ".license \"GPL\"\n.section tc\n.func int first(struct __sk_buff *ctx)\n r0 = 0\n exit\n.section .text\n\
         .func global int {field}(int *a, const char *b)\n r0 = 0\n exit\n"
    );
    let object = assemble_object("types.s", &text).expect("assembles");
    object.btf.as_deref().expect("has types").clone()
}

fn same(a: &Btf, b: &Btf) {
    assert_eq!(a.len(), b.len());
    for id in 1..a.len() {
        let found = b.find(a.name(id), a.kind(id).expect("a kind"));
        assert!(a.name(id).is_empty() || found.is_some(), "{} is missing", a.name(id));
    }
    let func = |btf: &Btf, name: &str| {
        let proto = btf.get(btf.find(name, Kind::Func).expect("a function"));
        format!("{proto:?}").split("type_id").next().map(str::to_owned)
    };
    assert_eq!(func(a, "first"), func(b, "first"));
}

#[test]
fn kernels_come_back_as_they_were() {
    let (one, two) = (types("second"), types("third"));
    let mut packer = Packer::new();
    packer.add(&one).expect("added");
    packer.add(&two).expect("added");
    let packed = packer.finish().expect("packed");
    let pack = Pack::open(&packed.bytes).expect("opens");
    for (number, from) in [&one, &two].into_iter().enumerate() {
        let back = Btf::parse(pack.types(number as u32).expect("put together")).expect("valid");
        same(from, &back);
    }
    // Most is the same.
    assert!(pack.record_count() < one.len() + 4);
}

#[test]
fn a_kernel_continues_a_pack() {
    let (one, two) = (types("second"), types("third"));
    let mut packer = Packer::new();
    packer.add(&one).expect("added");
    let base = Pack::open(&packer.finish().expect("packed").bytes).expect("opens");
    let mut packer = Packer::continuing(&base).expect("continues");
    packer.add(&two).expect("added");
    let packed = packer.finish().expect("packed");
    let more = Pack::open(&packed.bytes).expect("opens");
    assert!(more.record_count() - base.record_count() < 4);
    let back = Btf::parse(more.types_over(&base, &packed.from_base).expect("put together")).expect("valid");
    same(&two, &back);
    assert!(base.types_over(&more, &[]).is_err());
}

#[test]
fn damaged_packs_are_errors() {
    let mut packer = Packer::new();
    packer.add(&types("second")).expect("added");
    let bytes = packer.finish().expect("packed").bytes;
    for at in 0..bytes.len() {
        for value in [0, 0xff, bytes[at] ^ 1] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            if let Ok(types) = Pack::open(&damaged).and_then(|pack| pack.types(0)) {
                let _ = Btf::parse(types);
            }
        }
        assert!(Pack::open(&bytes[..at]).is_err());
    }
}
