//! The tasks that events happen in, and their structs.

use crate::memory::Builder;
use crate::schema::{TaskRef, TaskSpec, Typed};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, TypeId};
use ebpfkit_vm::Task;
use ebpfkit_vm::show::{Mismatch, Value, member};

/// The first process that nobody has numbered.
const FIRST_PID: u32 = 1001;
/// Inode numbers of namespaces, as a kernel gives the first of each kind.
const NAMESPACES: [(&str, i128); 4] =
    [("uts_ns", 0xeffffffe), ("mnt_ns", 0xf0000000), ("pid_ns_for_children", 0xeffffffc), ("net_ns", 0xf0000075)];

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// What helpers say of it.
    pub task: Task,
    /// Process of the parent.
    pub ppid: u32,
    /// Other members of its struct.
    fields: Option<Typed>,
    /// Where its struct stands, once it was needed.
    address: Option<u64>,
}

/// All tasks; the first is that of events that name none.
#[derive(Debug)]
pub struct Tasks {
    all: Vec<Known>,
    next_pid: u32,
}

impl Tasks {
    /// One task, the world's.
    pub fn new(task: Task) -> Self {
        Self { all: vec![Known { task, ppid: 1, fields: None, address: None }], next_pid: FIRST_PID }
    }

    /// A task by its number.
    pub fn get(&self, n: usize) -> &Known {
        &self.all[n]
    }

    /// Numbers of all tasks that events have named.
    pub fn named(&self) -> std::ops::Range<usize> {
        1.min(self.all.len())..self.all.len()
    }

    /// The number of the task that an event names; one that is new is added.
    pub fn find(&mut self, task: &TaskRef) -> usize {
        match task {
            TaskRef::Name(name) => self.with(&TaskSpec { comm: Some(name.clone()), ..TaskSpec::default() }),
            TaskRef::Pid(pid) => self.with(&TaskSpec { pid: Some(*pid), ..TaskSpec::default() }),
            TaskRef::Full(spec) => self.with(spec),
        }
    }

    /// The number of a task; what is said of it now holds from now on.
    pub fn with(&mut self, spec: &TaskSpec) -> usize {
        let fits = |k: &Known| {
            let same_pid = spec.pid.is_none_or(|pid| k.task.tgid == pid);
            let same_tid = spec.tid.map_or(spec.pid.is_none() || k.task.pid == k.task.tgid, |tid| k.task.pid == tid);
            let same_comm = spec.pid.is_some() || spec.tid.is_some() || spec.comm.as_ref() == Some(&k.task.comm);
            same_pid && same_tid && same_comm
        };
        if let Some(n) = self.all.iter().skip(1).position(fits) {
            self.update(n + 1, spec);
            return n + 1;
        }
        let pid = spec.pid.unwrap_or_else(|| {
            self.next_pid += 1;
            self.next_pid - 1
        });
        let task = Task { pid: spec.tid.unwrap_or(pid), tgid: pid, comm: "task".into(), ..Task::default() };
        self.all.push(Known { task, ppid: 1, fields: None, address: None });
        let n = self.all.len() - 1;
        self.update(n, spec);
        n
    }

    fn update(&mut self, n: usize, spec: &TaskSpec) {
        let known = &mut self.all[n];
        let before = known.clone();
        let task = &mut known.task;
        if let Some(comm) = &spec.comm {
            // Names have 15 bytes, and never end inside a character here.
            let end = (0..=15.min(comm.len())).rev().find(|n| comm.is_char_boundary(*n)).unwrap_or(0);
            task.comm = comm[..end].to_owned();
        }
        task.uid = spec.uid.unwrap_or(task.uid);
        task.gid = spec.gid.unwrap_or(task.gid);
        task.cgroup = spec.cgroup.unwrap_or(task.cgroup);
        known.ppid = spec.ppid.unwrap_or(known.ppid);
        if spec.fields.is_some() {
            known.fields.clone_from(&spec.fields);
        }
        if *known != before {
            // Its struct is written anew, in the same place.
            known.address = None;
        }
    }

    /// Address of a task's struct, which is laid out when it is asked for first; zero where the kernel's types are
    /// unknown.
    pub fn address(&mut self, n: usize, btf: Option<&Btf>, builder: &mut Builder<'_>) -> Result<u64, Mismatch> {
        if let Some(address) = self.all[n].address {
            return Ok(address);
        }
        let Some(btf) = btf else { return Ok(0) };
        let Some(ty) = btf.find("task_struct", Kind::Struct) else { return Ok(0) };
        let address = builder.pointee(btf, ty, &self.value(n, btf, ty))?;
        self.all[n].address = Some(address);
        Ok(address)
    }

    fn value(&self, n: usize, btf: &Btf, ty: TypeId) -> Value {
        let known = &self.all[n];
        let task = &known.task;
        let number = |n: u32| Value::Int(n.into());
        let id = |n: u32| object(vec![("val", number(n))]);
        let name = |pid: u32, tid: u32| if pid == tid { format!("task {pid}") } else { format!("task {pid}/{tid}") };
        let cred = object(vec![
            ("uid", id(task.uid)),
            ("gid", id(task.gid)),
            ("suid", id(task.uid)),
            ("euid", id(task.uid)),
            ("egid", id(task.gid)),
            ("fsuid", id(task.uid)),
        ]);
        let parent = object(vec![
            ("$id", Value::Text(name(known.ppid, known.ppid))),
            ("pid", number(known.ppid)),
            ("tgid", number(known.ppid)),
        ]);
        let namespaces = NAMESPACES
            .iter()
            .map(|(name, inum)| (*name, object(vec![("ns", object(vec![("inum", Value::Int(*inum))]))])))
            .collect();
        let own = name(task.tgid, task.pid);
        let leader = if task.pid == task.tgid {
            Value::Text(format!("${own}"))
        } else {
            object(vec![
                ("$id", Value::Text(name(task.tgid, task.tgid))),
                ("pid", number(task.tgid)),
                ("tgid", number(task.tgid)),
            ])
        };
        let mut members = vec![
            ("$id", Value::Text(own)),
            ("pid", number(task.pid)),
            ("tgid", number(task.tgid)),
            ("comm", Value::Text(task.comm.clone())),
            ("real_parent", parent.clone()),
            ("parent", parent),
            ("group_leader", leader),
            ("cred", cred.clone()),
            ("real_cred", cred),
            ("nsproxy", object(namespaces)),
        ];
        members.retain(|(name, _)| name.starts_with('$') || member(btf, ty, name).is_some());
        let mut value = object(members);
        if let (Value::Struct(own), Some(Typed(Value::Struct(more)))) = (&mut value, &known.fields) {
            own.retain(|(name, _)| !more.iter().any(|(n, _)| n == name));
            own.extend(more.iter().cloned());
        }
        value
    }
}

fn object(members: Vec<(&str, Value)>) -> Value {
    Value::Struct(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
