//! What the parser's actions share: the constants so far, and everything that is wrong.

use super::statement::{At, Callee, MapKey, Register, Sum, Target, Wide};
use crate::error::{Problem, Problems};
use ebpfkit_isa::{R10, Width};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// State of a parse. An action that finds something wrong says so here and goes on with a stand-in.
#[derive(Debug, Default)]
pub(crate) struct Context<'t> {
    /// The whole text.
    pub text: &'t str,
    pub problems: Problems,
    /// Constants by name (`.equ`).
    pub constants: FxHashMap<&'t str, i128>,
}

impl<'t> Sum<'t> {
    pub(crate) fn of(number: impl Into<i128>) -> Self {
        Self { number: number.into(), ..Self::default() }
    }

    pub(crate) fn named(name: &'t str) -> Self {
        Self { name: Some(At { value: name, span: 0..0 }), ..Self::default() }
    }
}

/// How a register of this width is written.
pub(crate) fn register_name(width: Width, number: u8) -> String {
    format!("{}{number}", if width == Width::W32 { 'w' } else { 'r' })
}

impl<'t> Context<'t> {
    pub(crate) fn problem(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.problems.push(Problem { span, message: message.into(), help: None });
    }

    pub(crate) fn problem_with(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.problems.push(Problem { span, message: message.into(), help });
    }

    /// A constant's value, or the name itself.
    pub(crate) fn name(&mut self, name: At<&'t str>) -> Sum<'t> {
        match self.constants.get(name.value) {
            Some(&number) => Sum::of(number),
            None => Sum { name: Some(name), ..Sum::default() },
        }
    }

    /// Applies an operation that only numbers have.
    pub(crate) fn numbers(
        &mut self,
        span: Range<usize>,
        a: Sum<'t>,
        b: Sum<'t>,
        f: impl Fn(i128, i128) -> Option<i128>,
    ) -> Sum<'t> {
        let signed = a.signed;
        let (a, b) = (self.value(a), self.value(b));
        let number = f(a, b).filter(|n| n.unsigned_abs() < 1 << 80).unwrap_or_else(|| {
            self.problem(span, "the result is out of range");
            0
        });
        Sum { name: None, number, signed }
    }

    pub(crate) fn signed(&mut self, a: Sum<'t>, negative: bool) -> Sum<'t> {
        let sum = self.add(Sum::default(), a, negative);
        Sum { signed: true, ..sum }
    }

    pub(crate) fn add(&mut self, a: Sum<'t>, b: Sum<'t>, negative: bool) -> Sum<'t> {
        let name = match (a.name, b.name) {
            (Some(_), Some(n)) => {
                self.problem(n.span, format!("`{}` is the second name in one sum", n.value));
                None
            }
            (None, Some(n)) if negative => {
                self.unknown_constant(&n);
                None
            }
            (a, b) => a.or(b),
        };
        let number = if negative { a.number - b.number } else { a.number + b.number };
        // Sums of 64-bit numbers cannot reach the limits of 128 bits, unless a text is made of nothing else.
        Sum { name, number: number.clamp(-(1 << 80), 1 << 80), signed: a.signed }
    }

    fn unknown_constant(&mut self, name: &At<&'t str>) {
        let help = self.problems.suggest(name.value, self.constants.keys().copied());
        let help = help.or_else(|| Some("constants are defined by `.equ NAME, VALUE`".into()));
        self.problem_with(name.span.clone(), format!("`{}` is no constant", name.value), help);
    }

    /// The number of a sum that must not contain names.
    pub(crate) fn value(&mut self, sum: Sum<'t>) -> i128 {
        if let Some(name) = &sum.name {
            self.unknown_constant(name);
        }
        sum.number
    }

    /// The number of a register, which must exist.
    pub(crate) fn register(&mut self, r: &At<Register>) -> u8 {
        if r.value.number > R10 {
            let name = register_name(r.value.width, r.value.number);
            let help = Some("there are r0 to r10, and their lower halves w0 to w10".into());
            self.problem_with(r.span.clone(), format!("register {name} does not exist"), help);
            return 0;
        }
        r.value.number
    }

    /// The number of a 64-bit register.
    pub(crate) fn wide(&mut self, r: &At<Register>) -> u8 {
        self.of_width(r, Width::W64)
    }

    /// The number of a register that must have this width.
    pub(crate) fn of_width(&mut self, r: &At<Register>, width: Width) -> u8 {
        let number = self.register(r);
        if r.value.width != width && r.value.number <= R10 {
            let (have, want) = (register_name(r.value.width, number), register_name(width, number));
            let bits = if width == Width::W32 { 32 } else { 64 };
            let message = format!("expected a {bits}-bit register, found `{have}`");
            self.problem_with(r.span.clone(), message, Some(format!("write `{want}`")));
        }
        number
    }

    /// A number of 32 bits, signed or unsigned, or a 64-bit number that is the sign extension of one.
    pub(crate) fn int32(&mut self, n: At<Sum<'t>>) -> i32 {
        let number = self.value(n.value);
        let low = number as i32;
        let fits = number == i128::from(low)
            || number == i128::from(low as u32)
            || number == i128::from(i64::from(low) as u64);
        if !fits {
            let help = "a 64-bit number is loaded by `rX = NUMBER ll` or `lddw`".to_owned();
            self.problem_with(n.span, format!("{number} does not fit in 32 bits"), Some(help));
        }
        low
    }

    pub(crate) fn int16(&mut self, number: i128, span: Range<usize>, what: &str) -> i16 {
        i16::try_from(number).unwrap_or_else(|_| {
            self.problem(span, format!("{what} {number} does not fit in 16 bits"));
            0
        })
    }

    pub(crate) fn distance(&mut self, a: At<Sum<'t>>) -> Target<'t> {
        Target::Distance(self.value(a.value))
    }

    /// `pc+5`, as the kernel writes jumps.
    pub(crate) fn pc_relative(&mut self, name: At<&'t str>, a: At<Sum<'t>>) -> Target<'t> {
        if name.value != "pc" {
            self.problem(name.span, format!("expected a label or a distance such as `+5`, found `{}`", name.value));
        }
        Target::Distance(self.value(a.value))
    }

    pub(crate) fn helper(&mut self, a: At<Sum<'t>>) -> Callee<'t> {
        Callee::Helper(self.value(a.value))
    }

    pub(crate) fn call_relative(&mut self, name: At<&'t str>, a: At<Sum<'t>>) -> Callee<'t> {
        if name.value == "local" || name.value == "pc" {
            return Callee::Local(Target::Distance(self.value(a.value)));
        }
        Callee::Local(self.pc_relative(name, a))
    }

    /// `call local f`
    pub(crate) fn called_as(&mut self, kind: At<&'t str>, target: Target<'t>) -> Callee<'t> {
        match (kind.value, &target) {
            ("local", _) => {}
            ("helper" | "kfunc", Target::Label(name)) => return Callee::Name(name),
            _ => self.unknown_kind(kind),
        }
        Callee::Local(target)
    }

    fn unknown_kind(&mut self, kind: At<&'t str>) {
        let message = format!("expected `local`, `helper` or `kfunc`, found `{}`", kind.value);
        self.problem(kind.span, message);
    }

    /// `call helper 1`, `call local 5`, `call kfunc 1234, 1`
    pub(crate) fn called_number(&mut self, kind: At<&'t str>, number: u64, module: Option<At<Sum<'t>>>) -> Callee<'t> {
        let span = kind.span.clone();
        let callee = match kind.value {
            "helper" => Callee::Helper(number.into()),
            "local" => Callee::Local(Target::Distance(number.into())),
            "kfunc" | "runtime" => {
                return Callee::Kernel(number.into(), module.map_or(0, |m| self.value(m.value)));
            }
            _ => {
                self.unknown_kind(kind);
                Callee::Helper(0)
            }
        };
        if module.is_some() {
            self.problem(span, "only functions of the kernel have a second number");
        }
        callee
    }

    pub(crate) fn map_key(&mut self, kind: At<&'t str>, number: u64) -> MapKey<'t> {
        match kind.value {
            "fd" => MapKey::Descriptor(number.into()),
            "idx" => MapKey::Index(number.into()),
            other => {
                self.problem(kind.span, format!("expected `fd` or `idx`, found `{other}`"));
                MapKey::Descriptor(0)
            }
        }
    }

    fn is_map(&mut self, word: At<&'t str>) {
        if word.value != "map" {
            self.problem(word.span, format!("expected `map`, found `{}`", word.value));
        }
    }

    /// `map[flows]`, `func[name]`
    pub(crate) fn map(&mut self, word: At<&'t str>, key: MapKey<'t>) -> Wide<'t> {
        if let ("func", MapKey::Name(name)) = (word.value, &key) {
            return Wide::Function(Target::Label(name));
        }
        if let ("btf", MapKey::Descriptor(id)) = (word.value, &key) {
            return Wide::Kernel(*id, 0);
        }
        self.is_map(word);
        Wide::Map(key)
    }

    /// `map[flows][0] + 8`
    pub(crate) fn map_value(
        &mut self,
        word: At<&'t str>,
        key: MapKey<'t>,
        zero: At<u64>,
        offset: Option<Sum<'t>>,
    ) -> Wide<'t> {
        self.is_map(word);
        if zero.value != 0 {
            self.problem(zero.span, "only the first value of a map has an address: write `[0]`");
        }
        let offset = offset.map_or(0, |o| self.value(o));
        Wide::Value(key, offset)
    }

    /// `btf[7, 3]`
    pub(crate) fn kernel_variable(&mut self, word: At<&'t str>, id: u64, module: u64) -> Wide<'t> {
        if word.value != "btf" {
            self.problem(word.span, format!("expected `btf`, found `{}`", word.value));
        }
        Wide::Kernel(id.into(), module.into())
    }

    /// `func[+5]`
    pub(crate) fn function(&mut self, word: At<&'t str>, distance: At<Sum<'t>>) -> Wide<'t> {
        if word.value != "func" {
            self.problem(word.span, format!("expected `func`, found `{}`", word.value));
        }
        Wide::Function(Target::Distance(self.value(distance.value)))
    }
}
