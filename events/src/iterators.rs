//! Iterators: the elements that their programs are called for, in the order of the kernel, and once more at the end.

use crate::inputs::Input;
use crate::memory::Builder;
use crate::outcome;
use crate::report::Report;
use crate::schema::{Item, IterOver, TaskRef, What};
use crate::session::Session;
use ebpfkit_object::btf::{Kind, Type, TypeId};
use ebpfkit_object::{Btf, nearest};
use ebpfkit_vm::Space;
use ebpfkit_vm::show::{UserMap, Value, member};

/// What the structs are called that programs of iterators get.
const CONTEXT: &str = "bpf_iter__";
/// Most elements of a map that are gone over.
const MAX_ENTRIES: usize = 1_000_000;
/// Bytes of a `seq_file`, of which programs only have the address.
const SEQ_FILE: usize = 256;

type Members = Vec<(String, Value)>;

/// An element of an iterator.
struct Element {
    /// Members of the context.
    members: Members,
    /// An entry of a map that stands behind one of them: map, key, where the value stands.
    entry: Option<(String, Vec<u8>, u64)>,
}

impl From<Members> for Element {
    fn from(members: Members) -> Self {
        Self { members, entry: None }
    }
}

/// The struct that an iterator's programs get.
pub fn context(btf: &Btf, kind: &str) -> Result<TypeId, String> {
    btf.find(&format!("{CONTEXT}{kind}"), Kind::Struct).ok_or_else(|| {
        let names: Vec<&str> = (1..)
            .map_while(|id| btf.kind(id).map(|kind| (id, kind)))
            .filter(|(_, kind)| *kind == Kind::Struct)
            .filter_map(|(id, _)| btf.name(id).strip_prefix(CONTEXT))
            .collect();
        match nearest(kind, names.iter().copied()) {
            Some(like) => format!("iter: there is no iterator `{kind}`; did you mean `{like}`?"),
            None => format!("iter: there is no iterator `{kind}`; the kernel's types know {}", names.join(", ")),
        }
    })
}

/// Names of the members that tell of an element.
pub fn own_members(btf: &Btf, ty: TypeId) -> Vec<String> {
    let mut names = Vec::new();
    for m in btf.members(ty) {
        let inner = btf.members(btf.resolve(m.ty)).find(|i| m.name.is_empty() && !i.name.is_empty());
        names.extend(inner.as_ref().map(|i| i.name).or(Some(m.name)).map(str::to_owned));
    }
    names.retain(|name| !matches!(name.as_str(), "" | "meta"));
    names
}

/// Whether a member is a pointer to a struct of this name.
fn leads_to(btf: &Btf, ty: TypeId, name: &str, target: &str) -> bool {
    let Some(m) = member(btf, ty, name) else { return false };
    match btf.get(btf.resolve(m.ty)) {
        Some(Type::Ptr(to)) => btf.name(btf.resolve(to)) == target,
        _ => false,
    }
}

impl Session<'_> {
    /// Runs an iterator's program for each element, and once more without any.
    pub(crate) fn iterate(&mut self, item: &Item, n: usize, report: &mut Report) -> Result<(), String> {
        let What::Iter(kind, over) = &item.what else { return Ok(()) };
        let btf = self.types.clone().ok_or("iter: no types are known")?;
        let ty = context(&btf, kind)?;
        let mut elements = self.elements(&btf, (kind, ty), over)?;
        elements.push(Members::new().into());
        for (number, element) in elements.into_iter().enumerate() {
            let seq = self.memory.store(vec![0; SEQ_FILE], Space::Kernel).map_err(|e| e.to_string())?;
            let meta = Value::Struct(vec![
                ("seq".to_owned(), Value::Pointer(seq)),
                ("seq_num".to_owned(), Value::Int(number as i128)),
            ]);
            let mut members = element.members;
            members.push(("meta".to_owned(), meta));
            let mut builder = Builder::new(&mut self.memory);
            let path = || format!("elements[{number}]");
            let bytes = builder.bytes(&btf, ty, &Value::Struct(members)).map_err(|e| e.inside(&path()).to_string())?;
            let ran = self.run_program(item, None, n, &mut Input::Plain(bytes))?;
            let ends = ran.fault.is_some();
            outcome::merge(&mut report.programs, ran);
            if let Some((map, key, address)) = element.entry {
                self.write_back(&map, &key, address);
            }
            if ends {
                break;
            }
        }
        Ok(())
    }

    /// The elements of an iterator: those that the event gives, or those that there are.
    fn elements(&mut self, btf: &Btf, (kind, ty): (&str, TypeId), over: &IterOver) -> Result<Vec<Element>, String> {
        if over.map.is_some() && kind != "bpf_map_elem" {
            return Err(format!("map: `{kind}` goes over no map"));
        }
        if let Some(listed) = &over.elements {
            let names = own_members(btf, ty);
            let mut elements = Vec::new();
            for (number, value) in listed.iter().enumerate() {
                let members = match &value.0 {
                    Value::Struct(members) if members.iter().all(|(name, _)| names.contains(name)) => members.clone(),
                    other => {
                        let first = names.first().ok_or_else(|| format!("iter: `{kind}` has no elements"))?;
                        if let Value::Struct(members) = other
                            && let Some((wrong, _)) = members.iter().find(|(name, _)| !names.contains(name))
                            && members.iter().any(|(name, _)| names.contains(name))
                        {
                            let all = names.join(", ");
                            return Err(format!(
                                "elements[{number}].{wrong}: there is no such member; there are {all}"
                            ));
                        }
                        vec![(first.clone(), other.clone())]
                    }
                };
                elements.push(self.with_tasks(btf, ty, members)?.into());
            }
            return Ok(elements);
        }
        match (kind, &over.map) {
            ("task", _) => {
                let mut all = Vec::new();
                for task in self.tasks.named() {
                    let mut builder = Builder::new(&mut self.memory);
                    let address = self.tasks.address(task, Some(btf), &mut builder).map_err(|e| e.to_string())?;
                    all.push(vec![("task".to_owned(), Value::Pointer(address))].into());
                }
                Ok(all)
            }
            ("bpf_map", _) => Ok((0..self.object.maps.len()).map(|n| self.map_element(btf, n).into()).collect()),
            ("bpf_map_elem", Some(map)) => self.entries(btf, map),
            ("bpf_map_elem", None) => Err("iter: say with `map` over whose elements it goes".into()),
            _ => Err(format!(
                "iter: say with `elements` what `{kind}` goes over, a list of objects with {}",
                own_members(btf, ty).join(", ")
            )),
        }
    }

    /// Members with tasks that are named as events name them.
    fn with_tasks(&mut self, btf: &Btf, ty: TypeId, mut members: Members) -> Result<Members, String> {
        for (name, value) in &mut members {
            let task = match value {
                Value::Text(text) if !text.starts_with(['$', '/']) => TaskRef::Name(text.clone()),
                Value::Int(pid) if *pid != 0 => TaskRef::Pid(u32::try_from(*pid).map_err(|_| "a process number")?),
                _ => continue,
            };
            if leads_to(btf, ty, name, "task_struct") {
                let n = self.tasks.find(&task);
                let mut builder = Builder::new(&mut self.memory);
                *value = Value::Pointer(self.tasks.address(n, Some(btf), &mut builder).map_err(|e| e.to_string())?);
            }
        }
        Ok(members)
    }

    /// A map of the object as the kernel's struct, with the members that are known of it.
    fn map_element(&self, btf: &Btf, n: usize) -> Members {
        let def = &self.object.maps[n];
        let id = self.instance.maps().get(n).and_then(|m| m.as_ref().ok()).map_or(0, |m| m.info().id);
        let number = |n: u32| Value::Int(n.into());
        let mut map = vec![
            ("$id".to_owned(), Value::Text(format!("map {}", def.name))),
            ("id".to_owned(), number(id)),
            ("name".to_owned(), Value::Text(def.name.chars().take(15).collect())),
            ("map_type".to_owned(), number(def.map_type.0)),
            ("key_size".to_owned(), number(def.key_size)),
            ("value_size".to_owned(), number(def.value_size)),
            ("max_entries".to_owned(), number(def.max_entries)),
            ("map_flags".to_owned(), number(def.flags)),
        ];
        let ty = btf.find("bpf_map", Kind::Struct).unwrap_or_default();
        map.retain(|(name, _)| name.starts_with('$') || member(btf, ty, name).is_some());
        vec![("map".to_owned(), Value::Struct(map))]
    }

    /// The entries of a map of the object.
    fn entries(&mut self, btf: &Btf, name: &str) -> Result<Vec<Element>, String> {
        let number = self.object.maps.iter().position(|m| m.name == name).ok_or_else(|| {
            let like = nearest(name, self.object.maps.iter().map(|m| m.name.as_str()));
            let meant = like.map_or_else(String::new, |l| format!("; did you mean `{l}`?"));
            format!("map: the object has no map `{name}`{meant}")
        })?;
        let Some(Ok(map)) = self.instance.maps().get(number).cloned() else {
            return Err(format!("map: `{name}` could not be made"));
        };
        let of_map = self.map_element(btf, number);
        let (mut all, mut key) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let next = UserMap::next_key(&*map, key.as_deref());
            let next = next.map_err(|()| format!("map: the elements of `{name}` cannot be listed"))?;
            let Some(found) = next else { break };
            if let Some(value) = UserMap::lookup(&*map, &found) {
                let mut store =
                    |bytes: Vec<u8>| self.memory.store(bytes, Space::Kernel).map_err(|e| e.inside("map").to_string());
                let (key, value) = (store(found.clone())?, store(value)?);
                let mut members = of_map.clone();
                members.push(("key".to_owned(), Value::Pointer(key)));
                members.push(("value".to_owned(), Value::Pointer(value)));
                all.push(Element { members, entry: Some((name.to_owned(), found.clone(), value)) });
            }
            if all.len() > MAX_ENTRIES {
                return Err(format!("map: more than {MAX_ENTRIES} elements"));
            }
            key = Some(found);
        }
        Ok(all)
    }

    /// Puts what a program has made of an entry's value back into its map, if the entry is still there.
    fn write_back(&mut self, name: &str, key: &[u8], address: u64) {
        let Some(map) = self.instance.map(name).cloned() else { return };
        let Some(before) = UserMap::lookup(&*map, key) else { return };
        if let Some(now) = self.memory.images.get(address, before.len(), Space::Any)
            && now != before
        {
            // The entry is there, so that nothing is refused.
            let _ = map.user_update(key, now, 0);
        }
    }
}
