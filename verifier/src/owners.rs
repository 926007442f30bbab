//! Maps of programs belong to the kind of program that was first loaded with them.
//!
//! A kernel lets the programs of such a map call each other, so all that are loaded with it have to be of one kind:
//! the owner's. Whether a program is refused for this depends on those that were loaded before it, which is why it is
//! no part of [`crate::verify`].

use crate::program::CGROUP_STORAGES;
use crate::reason::{ProgramReason, Rejection};
use crate::verdict::{Report, Verdict, Verified};
use ebpfkit_abi::{AttachType, MapType, ProgType, helpers};
use ebpfkit_isa::Insn;
use ebpfkit_object::btf::TypeId;
use ebpfkit_object::{Object, ProgramFlags};
use rustc_hash::FxHashMap;

/// What has to be alike (`struct bpf_map_owner`).
#[derive(Clone, Debug)]
struct OwnerKind {
    /// The program's name, for messages.
    name: String,
    prog_type: ProgType,
    attach_type: AttachType,
    frags: bool,
    sleepable: bool,
    /// Prototype of the function that a program of typed arguments attaches to.
    proto: TypeId,
    /// The storages of control groups that the program uses, by map.
    storages: [Option<usize>; 2],
}

/// Who owns the maps of one object, while its programs are loaded one after the other.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    by_map: FxHashMap<usize, OwnerKind>,
}

impl Owners {
    /// Takes up a program that was verified: it comes to own its maps of programs, or is rejected because another kind
    /// of program owns one of them.
    pub fn admit(&mut self, object: &Object, report: &mut Report) {
        let Verdict::Accepted(verified) = &report.verdict else { return };
        if let Err(reason) = self.check(object, verified) {
            report.verdict =
                Verdict::Rejected(Box::new(Rejection { text: reason.to_string(), reason: reason.into(), insn: 0 }));
        }
    }

    fn check(&mut self, object: &Object, verified: &Verified) -> Result<(), ProgramReason> {
        let (kind, maps) = (OwnerKind::of(object, verified), &verified.facts().maps);
        for &map in maps {
            let Some(def) = object.maps.get(map) else { continue };
            if !matches!(def.map_type, MapType::ProgArray | MapType::Devmap | MapType::Cpumap) {
                continue;
            }
            let refuse = |owner: &str, what| {
                Err(ProgramReason::OtherOwner { map: def.name.clone(), owner: owner.to_owned(), what })
            };
            if calls(verified, "bpf_override_return") {
                return refuse("", "a program that replaces results cannot be called by others");
            }
            let Some(owner) = self.by_map.get(&map) else {
                self.by_map.insert(map, kind.clone());
                continue;
            };
            if let Some(what) = owner.differs(&kind, def.map_type, calls(verified, "bpf_tail_call")) {
                return refuse(&owner.name, what);
            }
        }
        Ok(())
    }
}

impl OwnerKind {
    fn of(object: &Object, verified: &Verified) -> Self {
        let (program, facts) = (verified.program(), verified.facts());
        let is = |map: usize, kind| object.maps.get(map).is_some_and(|m| m.map_type == kind);
        Self {
            name: program.name.clone(),
            prog_type: program.prog_type,
            attach_type: program.attach_type,
            frags: program.flags.has(ProgramFlags::XDP_HAS_FRAGS),
            sleepable: program.flags.has(ProgramFlags::SLEEPABLE),
            proto: facts.attach_proto,
            storages: CGROUP_STORAGES.map(|kind| facts.maps.iter().copied().find(|&m| is(m, kind))),
        }
    }

    /// What a program would have to share with the owner of a map, and does not.
    fn differs(&self, other: &Self, map: MapType, tail_calls: bool) -> Option<&'static str> {
        use ProgType as P;
        let typed = matches!(other.prog_type, P::Tracing | P::Lsm | P::Ext | P::StructOps);
        let mut storages = self.storages.iter().zip(&other.storages);
        if self.prog_type != other.prog_type {
            Some("a program of another type")
        } else if self.frags != other.frags {
            Some("a program that differs in its support of fragments")
        } else if self.sleepable != other.sleepable {
            Some("a program that differs in whether it may sleep")
        } else if map == MapType::ProgArray && self.attach_type != other.attach_type {
            Some("a program of another attach type")
        } else if !storages.all(|(owner, own)| owner == own || own.is_none() && !tail_calls) {
            Some("a program with other storage of control groups")
        } else if typed && self.proto != other.proto {
            Some("a program with other arguments")
        } else {
            None
        }
    }
}

/// Whether any instruction that is kept calls this helper.
fn calls(verified: &Verified, helper: &str) -> bool {
    let is_call = |i: &Insn| i.code == ebpfkit_isa::opcode::CALL && i.src == 0;
    let insns = verified.program().insns.iter().zip(&verified.facts().reached);
    let mut called = insns.filter(|(i, reached)| **reached && is_call(i));
    called.any(|(i, _)| u32::try_from(i.imm).ok().and_then(helpers::find).is_some_and(|h| h.name == helper))
}

#[cfg(test)]
mod tests {
    use super::Owners;
    use crate::{KernelModel, Options, Verdict, observer::Silent, verify};
    use ebpfkit_abi::{AttachType, MapType, ProgType};
    use ebpfkit_isa::Insn;
    use ebpfkit_object::{Map, Object, Program, ProgramFlags};

    /// A program that may call others through the first map.
    fn program(prog_type: ProgType, attach_type: AttachType, flags: u32) -> Program {
        let insns = [
            (0x18, 2, 1, 0, 0),
            (0, 0, 0, 0, 0),
            (0xb7, 3, 0, 0, 0),
            (0x85, 0, 0, 0, 12),
            (0xb7, 0, 0, 0, 1),
            (0x95, 0, 0, 0, 0),
        ];
        let insns = insns.iter().map(|i| Insn::new(i.0, i.1, i.2, i.3, i.4)).collect();
        Program { prog_type, attach_type, flags: ProgramFlags(flags), insns, ..Program::default() }
    }

    /// Which of two programs are accepted, one after the other.
    fn admitted(programs: [Program; 2]) -> [bool; 2] {
        let map_type = MapType::ProgArray;
        let map = Map { map_type, key_size: 4, value_size: 4, max_entries: 2, ..Map::default() };
        let object = Object { programs: programs.into(), maps: vec![map], ..Object::default() };
        let mut owners = Owners::default();
        [0, 1].map(|n| {
            let mut report = verify(&KernelModel::standard(), &object, n, Options::default(), &mut Silent);
            assert!(matches!(report.verdict, Verdict::Accepted(_)));
            owners.admit(&object, &mut report);
            matches!(report.verdict, Verdict::Accepted(_))
        })
    }

    #[test]
    fn programs_of_one_kind_share_a_map() {
        let (tc, xdp) = (program(ProgType::SchedCls, AttachType(0), 0), program(ProgType::Xdp, AttachType::Xdp, 0));
        assert_eq!(admitted([tc.clone(), tc.clone()]), [true, true]);
        assert_eq!(admitted([tc.clone(), xdp.clone()]), [true, false]);
        let frags = program(ProgType::Xdp, AttachType::Xdp, ProgramFlags::XDP_HAS_FRAGS);
        assert_eq!(admitted([xdp, frags]), [true, false]);
        let [ingress, egress] = [AttachType::CgroupInetIngress, AttachType::CgroupInetEgress]
            .map(|attach| program(ProgType::CgroupSkb, attach, 0));
        assert_eq!(admitted([ingress, egress]), [true, false]);
    }
}
