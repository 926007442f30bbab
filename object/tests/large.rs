//! Objects and types that are small or of a plain kind, but would take hours or all memory if something were looked at
//! again wherever it is referred to.

use ebpfkit_isa::{Endian, Insn};
use ebpfkit_object::btf::{IntEncoding, Kind, SecVar, TypeId};
use ebpfkit_object::write::{
    BtfBuilder, Code, Data, DataSymbol, Function, Module, NewMember, Records, Reloc, RelocTarget,
};
use ebpfkit_object::{Btf, FuncInfo, LineInfo, Map, Object, Target, record};

/// How often an object repeats something. What takes the square of it as steps is noticed.
const MANY: usize = 50_000;
/// Most members of a struct.
const MEMBERS: usize = 65_535;
const MOV: Insn = Insn::new(0xb7, 0, 0, 0, 0);
const EXIT: Insn = Insn::new(0x95, 0, 0, 0, 0);

fn int(b: &mut BtfBuilder) -> TypeId {
    b.int("int", 4, IntEncoding { signed: true, char: false, bool: false, bit_offset: 0, bits: 32 })
}

fn member(name: &str, ty: TypeId, byte: u32) -> NewMember {
    NewMember { name: name.into(), ty, bit_offset: byte.wrapping_mul(8) }
}

/// Structs that hold the one before twice, `levels` times; the last.
fn doubled(b: &mut BtfBuilder, levels: u32) -> TypeId {
    let mut ty = int(b);
    let mut size = 4u32;
    for level in 0..levels {
        let next = size.wrapping_mul(2);
        ty = b.composite(false, &format!("s{level}"), next, &[member("a", ty, 0), member("b", ty, size)]);
        size = next;
    }
    ty
}

/// A map of a value type, judged in every way that looks into the type.
fn look_into(btf: &Btf, value_type: TypeId) {
    let value_size = btf.size_of(value_type).unwrap_or(0);
    let map = Map { value_type, value_size, max_entries: 1, key_size: 4, ..Map::default() };
    for _ in 0..1000 {
        assert!(record::of_map(&map, Some(btf), &|| None).fields.is_empty());
        let _ = btf.align_of(value_type);
    }
    let _ = record::check_structs(btf, &|| None);
}

#[test]
fn structs_that_double() {
    for levels in [20, 28, 31, 32, 40, 300] {
        let mut b = BtfBuilder::new(Endian::Little);
        let ty = doubled(&mut b, levels);
        let btf = Btf::parse(b.finish()).expect("valid");
        if levels == 20 {
            assert_eq!(btf.align_of(ty), Some(4));
        }
        look_into(&btf, ty);
    }
}

#[test]
fn structs_and_unions_of_very_many_members() {
    for union in [false, true] {
        let mut b = BtfBuilder::new(Endian::Little);
        let mut ty = int(&mut b);
        for level in 0..4 {
            let all: Vec<NewMember> = (0..MEMBERS).map(|i| member(&format!("m{i}"), ty, 0)).collect();
            ty = b.composite(union, &format!("wide{level}"), 4, &all);
        }
        let btf = Btf::parse(b.finish()).expect("valid");
        look_into(&btf, ty);
    }
}

#[test]
fn names_in_one_long_string() {
    let mut b = BtfBuilder::new(Endian::Little);
    let long = "\u{e9}".repeat(1 << 19);
    let ty = b.composite(false, &long, 0, &[]);
    let btf = Btf::parse(b.finish()).expect("valid");
    // Cut where a character ends.
    assert_eq!(btf.name(ty).len(), 4096);
    (0..MANY).for_each(|_| assert!(btf.name(ty).starts_with('\u{e9}')));
}

#[test]
fn many_types_of_one_name() {
    let mut b = BtfBuilder::new(Endian::Little);
    for i in 0..MANY as u32 {
        b.composite(false, "same", i, &[]);
        b.composite(false, &format!("same___{i}"), i, &[]);
    }
    let btf = Btf::parse(b.finish()).expect("valid");
    for i in 0..MANY {
        assert_eq!(btf.find("same", Kind::Union), None);
        assert!(btf.find(&format!("same___{i}"), Kind::Struct).is_some());
    }
    assert_eq!(btf.find_flavours("same").len(), 2 * MANY);
}

/// An object of `functions` functions in a section each or in one, with types and lines.
fn object(functions: usize, sections: bool) -> Vec<u8> {
    let mut btf = BtfBuilder::new(Endian::Little);
    let int = int(&mut btf);
    let proto = btf.func_proto(int, &[]);
    let text = btf.string("line");
    let mut module = Module::default();
    let mut records = Records::default();
    let mut whole = Code { name: "xdp".into(), ..Code::default() };
    let (mut all_funcs, mut all_lines) = (Vec::new(), Vec::new());
    for n in 0..functions {
        let name = format!("f{n}");
        let type_id = btf.func(&name, proto, 1);
        let start = if sections { 0 } else { whole.insns.len() };
        let function = Function { name, start, len: 2, global: true };
        let func = FuncInfo { insn: start as u32, type_id };
        let line = LineInfo { insn: start as u32, file_name: text, line_text: text, line: 1, column: 1 };
        if sections {
            let name = format!("own{n}");
            records.add(&name, vec![func], vec![line]);
            module.code.push(Code { name, insns: vec![MOV, EXIT], functions: vec![function], relocs: vec![] });
        } else {
            whole.insns.extend([MOV, EXIT]);
            whole.functions.push(function);
            all_funcs.push(func);
            all_lines.push(line);
        }
    }
    if !sections {
        records.add("xdp", all_funcs, all_lines);
        module.code.push(whole);
    }
    module.btf_ext = records.finish(&mut btf, Endian::Little);
    module.btf = btf.finish();
    module.write().expect("a module that was just made")
}

#[test]
fn many_functions() {
    let object = Object::open("functions.o", &object(MANY, false)).expect("valid");
    assert_eq!(object.programs.len(), MANY);
    assert!(object.programs.iter().all(|p| p.func_info.len() == 1 && p.line_info.len() == 1));
    let prepared = object.prepare(&Target::default()).expect("nothing is missing");
    assert_eq!(prepared.unloadable.iter().flatten().count(), 0);
}

#[test]
fn many_sections() {
    let object = Object::open("sections.o", &object(20_000, true)).expect("valid");
    assert_eq!(object.programs.len(), 20_000);
}

#[test]
fn many_maps_and_references() {
    const MAPS: usize = 20_000;
    let mut btf = BtfBuilder::new(Endian::Little);
    let int = int(&mut btf);
    let number = |btf: &mut BtfBuilder, n| {
        let array = btf.array(int, int, n);
        btf.ptr(array)
    };
    let members: Vec<NewMember> = [("type", 2), ("key_size", 4), ("value_size", 4), ("max_entries", 1)]
        .into_iter()
        .enumerate()
        .map(|(i, (name, n))| {
            let ty = number(&mut btf, n);
            member(name, ty, 8 * i as u32)
        })
        .collect();
    let definition = btf.composite(false, "", 32, &members);
    let mut data = Data { name: ".maps".into(), bytes: vec![0; 32 * MAPS], ..Data::default() };
    let mut code = Code { name: "xdp".into(), ..Code::default() };
    let mut vars = Vec::new();
    for n in 0..MAPS {
        let (name, offset) = (format!("m{n}"), 32 * n as u64);
        vars.push(SecVar { ty: btf.var(&name, definition, 1), offset: offset as u32, size: 32 });
        data.symbols.push(DataSymbol { name: name.clone(), offset, size: 32 });
        code.relocs.push(Reloc { at: code.insns.len(), target: RelocTarget::Symbol(name) });
        code.insns.extend([Insn::new(0x18, 1, 0, 0, 0), Insn::new(0, 0, 0, 0, 0)]);
    }
    btf.datasec(".maps", 32 * MAPS as u32, &vars);
    code.insns.extend([MOV, EXIT]);
    code.functions.push(Function { name: "p".into(), start: 0, len: code.insns.len(), global: true });
    let module = Module { code: vec![code], data: vec![data], btf: btf.finish(), ..Module::default() };
    let object = Object::open("maps.o", &module.write().expect("valid")).expect("valid");
    assert_eq!(object.maps.len(), MAPS);
    assert_eq!(object.programs[0].insns[2 * (MAPS - 1)].imm, MAPS as i32 - 1);
}

#[test]
fn a_definition_with_very_many_attributes() {
    let mut btf = BtfBuilder::new(Endian::Little);
    let int = int(&mut btf);
    let array = btf.array(int, int, 2);
    let number = btf.ptr(array);
    let members: Vec<NewMember> = (0..MEMBERS).map(|_| member("type", number, 0)).collect();
    let definition = btf.composite(false, "", 8, &members);
    let var = btf.var("m", definition, 1);
    btf.datasec(".maps", 8, &[SecVar { ty: var, offset: 0, size: 8 }]);
    let data = Data {
        name: ".maps".into(),
        bytes: vec![0; 8],
        symbols: vec![DataSymbol { name: "m".into(), offset: 0, size: 8 }],
        ..Data::default()
    };
    let module = Module { data: vec![data], btf: btf.finish(), ..Module::default() };
    let refused = Object::open("attributes.o", &module.write().expect("valid")).expect_err("too many");
    assert!(refused.to_string().contains("a definition of 65535 members"), "{refused}");
}

/// Symbols of functions that all reach to the end of their section are far more than the file together.
#[test]
fn functions_that_overlap() {
    let len = 8_000;
    let mut code = Code { name: "xdp".into(), insns: vec![MOV; len], ..Code::default() };
    for start in 0..len {
        code.functions.push(Function { name: format!("f{start}"), start, len: len - start, global: true });
    }
    let module = Module { code: vec![code], ..Module::default() };
    let refused = Object::open("overlap.o", &module.write().expect("valid")).expect_err("too many");
    assert!(refused.to_string().contains("instructions"), "{refused}");
}
