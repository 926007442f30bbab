//! What the user says of programs in the place of their section names: `--type`, `--attach-type`, `--attach-target`; and of
//! maps what their own loader sets: `--map-size`.

use super::Selection;
use anyhow::{Result, bail};
use ebpfkit_abi::AttachType;
use ebpfkit_abi::map_type::Count;
use ebpfkit_object::{Map, Object, Overrides, nearest};

/// Options that say what programs are.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct TypeArgs {
    /// Type of the programs, as a section would be named (xdp, cgroup/connect4, fentry/do_unlinkat) or a program type's
    /// name (sched_cls)
    #[arg(long = "type", value_name = "TYPE", value_parser = prog_type)]
    prog_type: Option<Overrides>,
    /// Expected attach type, such as cgroup_inet_egress
    #[arg(long, value_name = "NAME", value_parser = attach_type)]
    attach_type: Option<AttachType>,
    /// What the programs attach to, such as a kernel function
    #[arg(long, value_name = "NAME")]
    attach_target: Option<String>,
    /// A size of a map that its own loader sets: key_size, value_size or max_entries, such as stacks.value_size=1016 (can
    /// be given several times)
    #[arg(long = "map-size", value_name = "MAP.FIELD=N", value_parser = map_size)]
    map_sizes: Vec<MapSize>,
}

/// A size of a map.
#[derive(Clone, Debug)]
struct MapSize {
    map: String,
    field: Field,
    size: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Key,
    Value,
    Entries,
}

/// The fields by their names.
const FIELDS: [(&str, Field); 3] =
    [("key_size", Field::Key), ("value_size", Field::Value), ("max_entries", Field::Entries)];

impl Field {
    fn name(self) -> &'static str {
        FIELDS.iter().find(|(_, field)| *field == self).map_or("", |(name, _)| name)
    }
}

fn map_size(text: &str) -> Result<MapSize, String> {
    let parts = text.split_once('=').and_then(|(left, size)| Some((left.rsplit_once('.')?, size)));
    let Some(((map, field), size)) = parts else { return Err("expected MAP.FIELD=N".into()) };
    let Some((_, field)) = FIELDS.iter().find(|(name, _)| *name == field) else {
        return Err("expected key_size, value_size or max_entries".into());
    };
    let size = size.parse().map_err(|_| format!("{size}: expected a number up to {}", u32::MAX))?;
    Ok(MapSize { map: map.to_owned(), field: *field, size })
}

/// What can be done about a map that the kernel does not create, by the loader's complaint: a size that is zero is one that
/// its own loader sets.
pub fn map_help(object: &Object, why: &str) -> Option<String> {
    let (_, rest) = why.split_once("map '")?;
    let (name, rest) = rest.split_once('\'')?;
    rest.contains("failed to create").then_some(())?;
    let map = object.maps.iter().find(|m| m.name == name)?;
    let row = map.map_type.row();
    let sizes = [(Field::Key, row.key, map.key_size), (Field::Value, row.value, map.value_size)];
    let missing = |(_, count, size): &(Field, Count, u32)| *size == 0 && !matches!(count, Count::Zero | Count::Any);
    let (field, ..) = sizes.into_iter().find(missing)?;
    let (kind, field) = (map.map_type, field.name());
    Some(format!(
        "{kind} maps have a {field}, which the loader of this object sets: `--map-size {name}.{field}=N` does"
    ))
}

fn prog_type(name: &str) -> Result<Overrides, String> {
    Overrides::of_type(name).map_err(|e| unknown("program type", e.nearest))
}

/// Says that there is no such thing, and what was probably meant.
fn unknown(what: &str, like: Option<&str>) -> String {
    let hint = like.map_or_else(String::new, |like| format!(", did you mean `{like}`?"));
    format!("no such {what}{hint}")
}

fn attach_type(name: &str) -> Result<AttachType, String> {
    let names = AttachType::ALL.iter().filter_map(|t| t.name());
    AttachType::from_name(name).ok_or_else(|| unknown("attach type", nearest(name, names)))
}

impl MapSize {
    fn apply(&self, object: &mut Object) -> Result<()> {
        let Some(at) = object.maps.iter().position(|m| m.name == self.map) else {
            let like = nearest(&self.map, object.maps.iter().map(|m| m.name.as_str()));
            let hint = like.map_or_else(String::new, |like| format!("; did you mean `{like}`?"));
            bail!("--map-size: the object has no map `{}`{hint}", self.map);
        };
        let map: &mut Map = &mut object.maps[at];
        // A type of another size says nothing of the map any more.
        match self.field {
            Field::Key if map.key_size != self.size => (map.key_size, map.key_type) = (self.size, 0),
            Field::Value if map.value_size != self.size => (map.value_size, map.value_type) = (self.size, 0),
            Field::Entries => map.max_entries = self.size,
            Field::Key | Field::Value => {}
        }
        Ok(())
    }
}

impl TypeArgs {
    /// Applies the options to the programs that are meant, and to maps.
    pub fn apply(&self, object: &mut Object, selection: &Selection) -> Result<()> {
        let mut overrides = self.prog_type.clone().unwrap_or_default();
        overrides.attach_type = self.attach_type.or(overrides.attach_type);
        overrides.attach_target = self.attach_target.clone().or(overrides.attach_target);
        object.override_programs(&overrides, |p| selection.fits(p));
        self.map_sizes.iter().try_for_each(|size| size.apply(object))
    }
}
