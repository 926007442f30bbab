//! Random structured programs: branches, bounded loops, functions, stack, spills, maps, packets, pointer arithmetic.
//!
//! Most are accepted by the kernel, because the writer knows what each register and stack slot holds; a share of
//! deliberate mistakes makes the others. A program depends on nothing but its packet and its maps, so that every engine
//! gives the same result.

mod access;
mod body;
mod callbacks;
mod code;
mod construct;
mod kind;
mod known;
mod loops;
mod maps;
mod memory;
mod packets;
mod regions;
mod role;
mod shapes;
mod source;
mod types;

pub use construct::{Construct, Constructs, Kfuncs};
pub use source::{Bytes, Seeded, Source};

use code::Code;
use ebpfkit_isa::Insn;
use ebpfkit_object::{FuncInfo, Object, Prepared, Program};
use kind::Kind;
use known::Known;
use role::Role;
use types::Types;

/// What programs are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Statements, at most; a statement is a few instructions.
    pub statements: u32,
    /// Chance in 1000 that a statement ignores what is known.
    pub mistakes: u32,
    /// Functions besides the main program and callbacks, at most.
    pub functions: u32,
    /// What else programs may do.
    pub constructs: Constructs,
    /// How many of them one program has, at most.
    pub most: u32,
    /// Functions of the kernel that it may call.
    pub kfuncs: Option<Kfuncs>,
}

impl Config {
    /// As [`Config::default`].
    pub const DEFAULT: Self =
        Self { statements: 40, mistakes: 10, functions: 2, constructs: Constructs::ALL, most: 5, kfuncs: None };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Bytes of a value of each map that programs use: an array, a hash map and a second array.
pub const VALUE_SIZES: [u32; 3] = [48, 16, 64];
/// Entries of each map.
pub const ENTRIES: u32 = 4;

/// What a program has of the constructs that are wanted: few at a time, so that each is met in many surroundings.
fn choose(source: &mut impl Source, config: &Config) -> (&'static Kind, Constructs) {
    let mut on = Constructs::NONE;
    let mut allowed = config.constructs;
    if config.kfuncs.is_none() {
        allowed = allowed.minus(Construct::WITH_KFUNCS);
    }
    if config.mistakes == 0 {
        // Without types there are no records of functions and no locks, and some other types of values have none either.
        allowed = allowed.minus(Constructs::NONE.with(Construct::Untyped).with(Construct::Typedefs));
    }
    let allowed = allowed.list();
    for _ in 0..if allowed.is_empty() { 0 } else { source.below(config.most + 1) } {
        on = on.with(source.pick(&allowed));
    }
    let kind = if on.has(Construct::Kinds) {
        &kind::OTHERS[source.below(kind::OTHERS.len() as u32) as usize]
    } else {
        &kind::XDP
    };
    (kind, on.minus(kind.without))
}

/// What the functions are for.
fn roles(source: &mut impl Source, config: &Config, on: Constructs) -> Vec<Role> {
    let mut roles = Vec::new();
    for _ in 0..source.below(config.functions + 1) {
        let global = on.has(Construct::Globals) && source.chance(600);
        roles.push(if global { Role::Global } else { Role::Static });
    }
    let mut add = |source: &mut _, role| {
        let at = Source::below(source, roles.len() as u32 + 1) as usize;
        roles.insert(at, role);
    };
    if on.has(Construct::Loop) {
        let stack = source.chance(600);
        add(source, Role::Iteration { stack });
    }
    if on.has(Construct::Elements) {
        let (map, stack) = (source.pick(&[0, 2]), source.chance(500));
        add(source, Role::Element { map, stack });
    }
    if on.has(Construct::Panics) {
        // Everything else may call it.
        roles.push(Role::Panic);
    }
    roles.insert(0, Role::Main);
    roles
}

/// Writes a program.
pub fn program(source: &mut impl Source, config: &Config) -> Prepared {
    let (kind, on) = choose(source, config);
    let types = Types::get();
    let (mut maps, numbers) = maps::maps(source, on, types);
    let typed = needs_types(on) && !on.has(Construct::Untyped);
    for map in maps.iter_mut().filter(|_| !typed) {
        (map.key_type, map.value_type) = (0, 0);
    }
    let roles = roles(source, config, on);
    let constructs = on.list();
    let write = |source: &mut _, number: usize, roles: &[Role], constructs: &[Construct]| {
        let mut body = body::Body {
            source,
            code: Code::default(),
            known: Known::new(),
            budget: if number == 0 { config.statements } else { config.statements / 4 },
            number,
            roles,
            mistakes: config.mistakes,
            kind,
            constructs,
            maps: numbers,
            kfuncs: config.kfuncs,
            holds: false,
            has_record: false,
            iterators: 0,
            open_loops: 0,
            failures: Vec::new(),
        };
        body.write();
        body.code
    };
    let codes: Vec<Code> = (0..roles.len()).map(|number| write(source, number, &roles, &constructs)).collect();
    let made = |name: &str, (insns, starts): (Vec<Insn>, Vec<(usize, Role)>)| Program {
        name: name.into(),
        section: kind.section.into(),
        prog_type: kind.prog_type,
        attach_type: kind.attach_type,
        autoload: true,
        insns,
        func_info: (starts.into_iter())
            .filter(|_| typed)
            .map(|(insn, role)| FuncInfo { insn: insn as u32, type_id: types.of(role) })
            .collect(),
        ..Program::default()
    };
    let mut programs = vec![made("generated", link(codes, &roles))];
    if on.has(Construct::Tail) {
        let code = write(source, 0, &[Role::Main], &[]);
        programs.push(made("target", link(vec![code], &[Role::Main])));
    }
    let unloadable = vec![None; programs.len()];
    let btf = typed.then(|| types.btf.clone());
    let object = Object { name: "generated".into(), license: "GPL".into(), programs, maps, btf, ..Object::default() };
    Prepared { object, unloadable }
}

/// Whether something of a program cannot be without types.
fn needs_types(on: Constructs) -> bool {
    use Construct as C;
    [C::Types, C::Globals, C::Loop, C::Elements, C::Lock, C::Typedefs].into_iter().any(|c| on.has(c))
}

/// Puts the functions that are called one after the other and fills in calls. (The kernel refuses code that nothing
/// reaches.) Also gives where each of them starts.
fn link(mut codes: Vec<Code>, roles: &[Role]) -> (Vec<Insn>, Vec<(usize, Role)>) {
    for code in &mut codes {
        if !code.resolve() {
            // A jump that does not fit its field: the function becomes empty.
            *code = Code::default();
            code.mov_imm(0, 0);
            code.exit();
        }
    }
    let mut called = vec![false; codes.len()];
    called[0] = true;
    // Calls go to later functions only.
    for number in 0..codes.len() {
        if called[number] {
            codes[number].calls.iter().for_each(|&(_, callee)| called[callee] = true);
        }
    }
    let mut starts = vec![0; codes.len()];
    let mut all: Vec<Insn> = Vec::new();
    let mut calls = Vec::new();
    for (number, code) in codes.iter_mut().enumerate().filter(|&(number, _)| called[number]) {
        starts[number] = all.len();
        calls.extend(code.calls.iter().map(|&(at, function)| (all.len() + at, function)));
        all.append(&mut code.insns);
    }
    for (at, function) in calls {
        all[at].imm = starts[function] as i32 - at as i32 - 1;
    }
    let kept = (0..roles.len()).filter(|&n| called[n]).map(|n| (starts[n], roles[n])).collect();
    (all, kept)
}
