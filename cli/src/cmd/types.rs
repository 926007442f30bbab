//! What the user says of programs in the place of their section names: `--type`, `--attach-type`, `--attach-target`.

use super::Selection;
use ebpfkit_abi::AttachType;
use ebpfkit_object::{Object, Overrides, nearest};

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

impl TypeArgs {
    /// Applies the options to the programs that are meant.
    pub fn apply(&self, object: &mut Object, selection: &Selection) {
        let mut overrides = self.prog_type.clone().unwrap_or_default();
        overrides.attach_type = self.attach_type.or(overrides.attach_type);
        overrides.attach_target = self.attach_target.clone().or(overrides.attach_target);
        object.override_programs(&overrides, |p| selection.fits(p));
    }
}
