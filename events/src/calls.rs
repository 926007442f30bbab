//! Contexts of programs on functions, tracepoints and system calls: registers, arguments and records.

use crate::hooks::{member_at, syscall_of};
use crate::memory::{Builder, Memory};
use crate::schema::{Call, Record, Typed};
use ebpfkit_abi::syscalls;
use ebpfkit_object::btf::{Kind, Type, TypeId};
use ebpfkit_object::{Btf, nearest};
use ebpfkit_vm::Space;
use ebpfkit_vm::show::{Mismatch, Value, member, write_with};

/// Bytes of `struct pt_regs` of x86-64.
const REGISTERS: usize = 168;
/// Where in it the arguments of functions stand, in order.
const ARGUMENTS: [usize; 6] = [112, 104, 96, 88, 72, 64];
/// Those of system calls.
const SYSCALL_ARGUMENTS: [usize; 6] = [112, 104, 96, 56, 72, 64];
/// Returned value, number of the system call, instruction pointer, stack pointer.
const AX: usize = 80;
const ORIG_AX: usize = 120;
const IP: usize = 128;
const SP: usize = 152;
/// Where kernel functions are said to be.
pub const KERNEL_TEXT: u64 = 0xffff_ffff_8100_0000;
/// Where functions of processes are said to be.
pub const USER_TEXT: u64 = 0x40_0000;

/// An argument as the kernel's types declare it; the type is zero where nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    name: String,
    ty: TypeId,
    /// For arguments of system calls: what they point to.
    behind: Option<&'static str>,
}

/// The arguments and the returned type of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prototype {
    params: Vec<Declared>,
    /// Zero for `void`.
    ret: TypeId,
    /// The types are known: a name that is not there is wrong.
    known: bool,
}

impl Prototype {
    /// Of a prototype among the kernel's types, without its first `skip` parameters.
    fn of(btf: &Btf, proto: TypeId, skip: usize) -> Option<Self> {
        let Some(Type::FuncProto { ret, .. }) = btf.get(proto) else { return None };
        let param = |p: ebpfkit_object::btf::Param<'_>| Declared { name: p.name.to_owned(), ty: p.ty, behind: None };
        Some(Self { params: btf.params(proto).skip(skip).map(param).collect(), ret, known: true })
    }

    /// Of a kernel function.
    pub fn of_function(btf: Option<&Btf>, name: &str) -> Self {
        let found = btf.and_then(|btf| {
            let name = name.split('+').next()?.rsplit(':').next()?;
            let Some(Type::Func { proto, .. }) = btf.get(btf.find(name, Kind::Func)?) else { return None };
            Self::of(btf, proto, 0)
        });
        found.unwrap_or_default()
    }

    /// Of a tracepoint with its own arguments.
    pub fn of_tracepoint(btf: Option<&Btf>, name: &str) -> Self {
        // Functions of the tracepoint name the arguments, its type does not.
        let of_function = |btf: &Btf| {
            let id =
                ["__probestub_", "__traceiter_"].iter().find_map(|p| btf.find(&format!("{p}{name}"), Kind::Func))?;
            let Some(Type::Func { proto, .. }) = btf.get(id) else { return None };
            Self::of(btf, proto, 1)
        };
        let found = btf.and_then(|btf| {
            if let Some(found) = of_function(btf) {
                return Some(found);
            }
            let Some(Type::Typedef(ptr)) = btf.get(btf.find(&format!("btf_trace_{name}"), Kind::Typedef)?) else {
                return None;
            };
            let Some(Type::Ptr(proto)) = btf.get(btf.resolve(ptr)) else { return None };
            Self::of(btf, btf.resolve(proto), 1)
        });
        found.unwrap_or_default()
    }

    /// Of a member of a struct that is a pointer to a function.
    pub fn of_member(btf: Option<&Btf>, of: TypeId, offset: u32) -> Self {
        let found = btf.and_then(|btf| {
            let m = member_at(btf, of, offset)?;
            let Some(Type::Ptr(proto)) = btf.get(btf.resolve(m.ty)) else { return None };
            Self::of(btf, btf.resolve(proto), 0)
        });
        found.unwrap_or_default()
    }

    /// Of a system call.
    pub fn of_syscall(name: &str) -> Self {
        let Some(row) = syscalls::find(name) else { return Self::default() };
        let param = |a: syscalls::Argument| Declared { name: a.name.to_owned(), ty: 0, behind: a.behind };
        Self { params: row.args().map(param).collect(), ret: 0, known: true }
    }

    /// Names and types of the arguments.
    pub fn params(&self) -> impl Iterator<Item = (&str, TypeId)> {
        self.params.iter().map(|p| (p.name.as_str(), p.ty))
    }

    /// Names of the arguments.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.params.iter().map(|p| p.name.as_str())
    }

    /// The arguments as registers hold them.
    pub fn words(
        &self,
        btf: Option<&Btf>,
        args: Option<&Typed>,
        builder: &mut Builder<'_>,
    ) -> Result<Vec<u64>, String> {
        let mut words = vec![0; self.params.len()];
        match args.map(|a| &a.0) {
            None => {}
            Some(Value::List(items)) => {
                if self.known && items.len() > words.len() {
                    return Err(format!("args: a list of {}; there are {} arguments", items.len(), words.len()));
                }
                words.resize(words.len().max(items.len()), 0);
                for (n, item) in items.iter().enumerate() {
                    let word = self.word(btf, self.params.get(n), item, builder);
                    words[n] = word.map_err(|e| e.inside(&format!("[{n}]")).inside("args").to_string())?;
                }
            }
            Some(Value::Struct(members)) => {
                for (name, item) in members {
                    let Some(n) = self.params.iter().position(|p| p.name == *name) else {
                        return Err(self.no_argument(name));
                    };
                    let word = self.word(btf, self.params.get(n), item, builder);
                    words[n] = word.map_err(|e| e.inside(name).inside("args").to_string())?;
                }
            }
            Some(_) => return Err("args: expected a list of arguments, or an object by their names".into()),
        }
        Ok(words)
    }

    fn no_argument(&self, name: &str) -> String {
        let names = || self.names();
        match (self.known && names().any(|n| !n.is_empty()), nearest(name, names())) {
            (false, _) => format!("args.{name}: the kernel's types do not name the arguments; give them as a list"),
            (_, Some(like)) => format!("args.{name}: there is no such argument; did you mean `{like}`?"),
            (_, None) => {
                format!("args.{name}: there is no such argument; there are {}", names().collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn word(
        &self,
        btf: Option<&Btf>,
        param: Option<&Declared>,
        value: &Value,
        builder: &mut Builder<'_>,
    ) -> Result<u64, Mismatch> {
        let Some(behind) = param.and_then(|p| p.behind) else {
            return builder.argument(btf, param.map_or(0, |p| p.ty), value);
        };
        builder.strings = Space::User;
        let word = match (behind, value) {
            ("texts", Value::List(items)) => {
                let mut pointers = Vec::new();
                for item in items {
                    pointers.extend(builder.argument(btf, 0, item)?.to_ne_bytes());
                }
                pointers.extend([0; 8]);
                builder.memory.store(pointers, Space::User)
            }
            ("text" | "texts", _) => builder.argument(btf, 0, value),
            (name, Value::Struct(_)) => {
                let known = btf.and_then(|b| Some((b, b.find(name, Kind::Struct)?)));
                match known {
                    Some((btf, ty)) => {
                        let bytes = builder.bytes(btf, ty, value)?;
                        builder.memory.store(bytes, Space::User)
                    }
                    None => builder.argument(btf, 0, value),
                }
            }
            _ => builder.argument(btf, 0, value),
        };
        builder.strings = Space::Any;
        word
    }

    /// Whether a value of 32 bits is returned, which leaves the upper half of its register zero.
    pub fn returns_word(&self, btf: Option<&Btf>) -> bool {
        self.ret != 0 && btf.is_some_and(|btf| btf.size_of(self.ret).is_some_and(|size| size <= 4))
    }

    /// Whether a pointer is returned.
    pub fn returns_pointer(&self, btf: Option<&Btf>) -> bool {
        btf.is_some_and(|btf| matches!(btf.get(btf.resolve(self.ret)), Some(Type::Ptr(_))))
    }

    /// The returned value as a register holds it.
    pub fn returned(&self, btf: Option<&Btf>, ret: Option<&Typed>, builder: &mut Builder<'_>) -> Result<u64, String> {
        let Some(ret) = ret else { return Ok(0) };
        builder.argument(btf, self.ret, &ret.0).map_err(|e| e.inside("ret").to_string())
    }
}

fn put(registers: &mut [u8], at: usize, word: u64) {
    registers[at..at + 8].copy_from_slice(&word.to_ne_bytes());
}

/// Registers at the start or the end of a function.
pub fn registers(
    key: &str,
    target: &str,
    btf: Option<&Btf>,
    call: &Call,
    builder: &mut Builder<'_>,
) -> Result<Vec<u8>, String> {
    let is_user = matches!(key, "uprobe" | "uretprobe" | "usdt");
    let of_syscall = match key {
        "ksyscall" | "kretsyscall" => Some(target),
        "kprobe" | "kretprobe" => syscall_of(target),
        _ => None,
    };
    let prototype = match of_syscall {
        Some(name) => Prototype::of_syscall(name),
        None if is_user => Prototype::default(),
        None => Prototype::of_function(btf, target),
    };
    if is_user {
        builder.strings = Space::User;
    }
    let words = prototype.words(btf, call.args.as_ref(), builder)?;
    let ret = prototype.returned(btf, call.ret.as_ref(), builder)?;
    builder.strings = Space::Any;
    let mut registers = vec![0; REGISTERS];
    let (text, slots) = match of_syscall {
        Some(_) => (KERNEL_TEXT, SYSCALL_ARGUMENTS),
        None if is_user => (USER_TEXT, ARGUMENTS),
        None => (KERNEL_TEXT, ARGUMENTS),
    };
    for (word, at) in words.iter().zip(slots) {
        put(&mut registers, at, *word);
    }
    put(&mut registers, IP, text);
    if of_syscall.is_some() {
        // The function that does a system call gets the registers that the task entered the kernel with.
        let name = of_syscall.unwrap_or_default();
        put(&mut registers, ORIG_AX, syscalls::find(name).map_or(0, |row| row.number.into()));
        let entered = builder.memory.store(registers, Space::Kernel).map_err(|e| e.to_string())?;
        registers = vec![0; REGISTERS];
        put(&mut registers, ARGUMENTS[0], entered);
        put(&mut registers, IP, text);
    }
    if words.len() > 6 && of_syscall.is_none() {
        let mut stack = vec![0; 8];
        stack.extend(words[6..].iter().flat_map(|w| w.to_ne_bytes()));
        let space = if is_user { Space::User } else { Space::Kernel };
        let sp = builder.memory.store(stack, space).map_err(|e| e.to_string())?;
        put(&mut registers, SP, sp);
    }
    put(&mut registers, AX, ret);
    Ok(registers)
}

/// Registers of a sample.
pub fn sample(ip: u64, period: u64, address: u64) -> Vec<u8> {
    let mut bytes = vec![0; REGISTERS];
    put(&mut bytes, IP, ip);
    bytes.extend(period.to_ne_bytes());
    bytes.extend(address.to_ne_bytes());
    bytes
}

/// The struct of a tracepoint's record: its type, and the types that it belongs to.
pub enum Layout<'b> {
    /// A system call: registers side by side, the number before them.
    Syscall(&'b str, bool),
    /// A struct.
    Struct(&'b Btf, TypeId),
}

/// Bytes before the fields of any record.
const COMMON: usize = 8;

/// How a tracepoint's record is laid out for a program. `context` is the struct that the program says it gets, in the
/// object's types.
pub fn layout<'b>(
    name: &'b str,
    kernel: Option<&'b Btf>,
    context: Option<(&'b Btf, TypeId)>,
) -> Result<Layout<'b>, String> {
    let (category, event) = name.split_once([':', '/']).ok_or_else(|| {
        format!("tracepoint: \"{name}\"; expected its category and its name: syscalls:sys_enter_openat")
    })?;
    if category == "syscalls" {
        for (prefix, ends) in [("sys_enter_", false), ("sys_exit_", true)] {
            if let Some(call) = event.strip_prefix(prefix) {
                return Ok(Layout::Syscall(call, ends));
            }
        }
    }
    if let Some(btf) = kernel {
        let of_program = context.map(|(own, ty)| own.name(ty)).filter(|n| n.starts_with("trace_event_raw_"));
        let of_program = of_program.map(|n| ebpfkit_object::btf::essential(n).to_owned());
        let names = [of_program, Some(format!("trace_event_raw_{event}")), class(btf, event)];
        if let Some(ty) = names.into_iter().flatten().find_map(|n| btf.find(&n, Kind::Struct)) {
            return Ok(Layout::Struct(btf, ty));
        }
    }
    match context {
        Some((own, ty)) => Ok(Layout::Struct(own, ty)),
        None => Err(format!("tracepoint: the types say nothing of `{name}`")),
    }
}

/// The struct of an event whose record it shares with others: the class whose functions have the same prototype, and of
/// several the one whose name is most alike.
fn class(btf: &Btf, event: &str) -> Option<String> {
    let Some(Type::Func { proto, .. }) = btf.get(btf.find(&format!("__probestub_{event}"), Kind::Func)?) else {
        return None;
    };
    let of_class = |id: TypeId| {
        let class = btf.name(id).strip_prefix("__bpf_trace_")?;
        let same = matches!(btf.get(id), Some(Type::Func { proto: p, .. }) if p == proto);
        (same && btf.kind(id) == Some(Kind::Func)).then_some(class)
    };
    let alike = |class: &&str| class.bytes().zip(event.bytes()).take_while(|(a, b)| a == b).count();
    let closest = (1..btf.len()).filter_map(of_class).max_by_key(alike)?;
    Some(format!("trace_event_raw_{closest}"))
}

/// The record of a tracepoint.
pub fn record(
    layout: &Layout<'_>,
    kernel: Option<&Btf>,
    record: &Record,
    memory: &mut Memory,
) -> Result<Vec<u8>, String> {
    let mut builder = Builder::new(memory);
    match layout {
        Layout::Syscall(name, ends) => {
            let number = syscalls::find(name).map_or(0, |row| row.number);
            let mut bytes = vec![0; COMMON];
            bytes.extend(u64::from(number).to_ne_bytes());
            if *ends {
                let ret = match (&record.ret, record.args.as_ref().map(|a| &a.0)) {
                    (Some(ret), _) => *ret,
                    (None, Some(Value::Struct(members))) => match members.iter().find(|(n, _)| n == "ret") {
                        Some((_, Value::Int(n))) => *n as i64,
                        _ => 0,
                    },
                    _ => 0,
                };
                bytes.extend(ret.to_ne_bytes());
                return Ok(bytes);
            }
            let words = Prototype::of_syscall(name).words(kernel, record.args.as_ref(), &mut builder)?;
            bytes.extend((0..6).flat_map(|n| words.get(n).copied().unwrap_or(0).to_ne_bytes()));
            Ok(bytes)
        }
        Layout::Struct(btf, ty) => of_struct(btf, *ty, record.args.as_ref(), &mut builder),
    }
}

/// A record by its struct. Strings of any length stand behind it, and the struct says where.
fn of_struct(btf: &Btf, ty: TypeId, args: Option<&Typed>, builder: &mut Builder<'_>) -> Result<Vec<u8>, String> {
    let id = btf.resolve(ty);
    let flexible = btf.members(id).last().filter(|m| m.name == "__data").map(|m| m.bit_offset as usize / 8);
    let size = btf.size_of(id).unwrap_or(0) as usize;
    let mut bytes = vec![0; size];
    let mut tail = Vec::new();
    let start = flexible.unwrap_or(size);
    let members = match args.map(|a| &a.0) {
        None => &[][..],
        Some(Value::Struct(members)) => members,
        Some(_) => return Err("args: expected an object by the names of the record's fields".into()),
    };
    for (name, value) in members {
        if let Some(m) = member(btf, id, &format!("__data_loc_{name}")) {
            let data = match value {
                Value::Text(text) => [text.as_bytes(), &[0]].concat(),
                Value::List(items) => {
                    items.iter().filter_map(|v| if let Value::Int(n) = v { Some(*n as u8) } else { None }).collect()
                }
                _ => return Err(format!("args.{name}: expected a text")),
            };
            let at = m.bit_offset as usize / 8;
            let offset = start + tail.len();
            let location = (data.len() as u32) << 16 | (offset as u32 & 0xffff);
            if data.len() > 4096 || offset > 0xffff {
                return Err(format!("args.{name}: {} bytes; at most 4096 fit", data.len()));
            }
            bytes[at..at + 4].copy_from_slice(&location.to_ne_bytes());
            tail.extend(data);
            continue;
        }
        let one = Value::Struct(vec![(name.clone(), value.clone())]);
        write_with(btf, id, &one, &mut bytes, builder).map_err(|e| {
            let names: Vec<&str> = btf
                .members(id)
                .map(|m| m.name.strip_prefix("__data_loc_").unwrap_or(m.name))
                .filter(|n| !matches!(*n, "ent" | "__data" | ""))
                .collect();
            match member(btf, id, name) {
                Some(_) => e.inside("args").to_string(),
                None => match nearest(name, names.iter().copied()) {
                    Some(like) => format!("args.{name}: there is no such field; did you mean `{like}`?"),
                    None => format!("args.{name}: there is no such field; there are {}", names.join(", ")),
                },
            }
        })?;
    }
    bytes.truncate(start.max(bytes.len().min(start)));
    bytes.extend(tail);
    bytes.resize(bytes.len().max(size), 0);
    Ok(bytes)
}
