//! What a user says of programs in the place of their section names, as `bpftool prog load ... type` does.

use crate::model::{Object, Program, ProgramFlags};
use crate::read::sections;
use ebpfkit_abi::{AttachType, ProgType};

/// What to take instead of what a section's name says. Nothing set changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Program type.
    pub prog_type: Option<ProgType>,
    /// Expected attach type.
    pub attach_type: Option<AttachType>,
    /// What it attaches to, such as a kernel function: what stands behind the slash of a section's name.
    pub attach_target: Option<String>,
    /// Load flags that are added, such as the one for programs that may sleep.
    pub flags: Option<ProgramFlags>,
}

/// Why a name is no program type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no program type")]
pub struct UnknownType {
    /// The name.
    pub name: String,
    /// One that is like it.
    pub nearest: Option<&'static str>,
}

impl Overrides {
    /// Reads a name as `--type` takes it: a section's name, which may say the attach type and target too (`xdp`,
    /// `cgroup/connect4`, `fentry.s/do_unlinkat`), or a program type's own name (`sched_cls`).
    pub fn of_type(name: &str) -> Result<Self, UnknownType> {
        if let Some((row, target)) = sections::lookup(name) {
            let attach_target = (!target.is_empty()).then(|| target.to_owned());
            let flags = (row.flags != 0).then_some(ProgramFlags(row.flags));
            return Ok(Self { prog_type: Some(row.prog_type), attach_type: Some(row.attach), attach_target, flags });
        }
        if let Some(prog_type) = ProgType::from_name(name).filter(|t| *t != ProgType::Unspec) {
            return Ok(Self { prog_type: Some(prog_type), ..Self::default() });
        }
        let known = sections::ROWS.iter().map(|r| r.name).chain(ProgType::ALL.iter().filter_map(|t| t.name()));
        Err(UnknownType { name: name.to_owned(), nearest: crate::near::nearest(name, known) })
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn apply(&self, program: &mut Program) {
        if let Some(prog_type) = self.prog_type {
            if prog_type != program.prog_type {
                // What another type's section said does not count for this one.
                (program.attach_type, program.flags) = (AttachType::default(), ProgramFlags::default());
                program.attach_target.clear();
            }
            program.prog_type = prog_type;
        }
        if let Some(attach_type) = self.attach_type {
            program.attach_type = attach_type;
        }
        if let Some(target) = &self.attach_target {
            program.attach_target.clone_from(target);
        }
        if let Some(flags) = self.flags {
            program.flags.0 |= flags.0;
        }
    }
}

impl Object {
    /// Applies overrides to the programs that `which` picks. To be done before [`Object::needs`] and
    /// [`Object::prepare`], which look at program types.
    pub fn override_programs(&mut self, overrides: &Overrides, which: impl Fn(&Program) -> bool) {
        self.programs.iter_mut().filter(|p| which(p)).for_each(|p| overrides.apply(p));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sections_and_types() {
        let xdp = Overrides::of_type("xdp").expect("a section");
        assert_eq!((xdp.prog_type, xdp.attach_type), (Some(ProgType::Xdp), Some(AttachType::Xdp)));
        let fentry = Overrides::of_type("fentry.s/do_unlinkat").expect("a section with a target");
        assert_eq!(fentry.attach_target.as_deref(), Some("do_unlinkat"));
        assert_eq!(fentry.flags, Some(ProgramFlags(ProgramFlags::SLEEPABLE)));
        let tc = Overrides::of_type("sched_cls").expect("a type");
        assert_eq!((tc.prog_type, tc.attach_type), (Some(ProgType::SchedCls), None));
        let wrong = Overrides::of_type("xdq").expect_err("no type");
        assert_eq!(wrong.nearest, Some("xdp"));
    }

    #[test]
    fn a_program_of_an_unknown_section_gets_a_type() {
        let program = Program { section: "mine".into(), ..Program::default() };
        let mut object = Object { programs: vec![program.clone(), program], ..Object::default() };
        object.programs[1].name = "other".into();
        let overrides = Overrides::of_type("lsm/file_open").expect("a section");
        object.override_programs(&overrides, |p| p.name == "other");
        assert_eq!(object.programs[0].prog_type, ProgType::Unspec);
        assert_eq!(object.programs[1].prog_type, ProgType::Lsm);
        assert_eq!(object.programs[1].attach_type, AttachType::LsmMac);
        assert_eq!(object.programs[1].attach_target, "file_open");
    }
}
