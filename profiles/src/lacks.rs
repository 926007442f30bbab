//! What a kernel lacks that an object cannot do without, so that its programs never reach the verifier.

use crate::profile::Profile;
use ebpfkit_abi::kernel::KernelVersion;
use ebpfkit_abi::{AttachType, MapType, MapTypes, ProgType, kfuncs};
use ebpfkit_object::btf::Kind;
use ebpfkit_object::{ExternKind, Object, ObjectError, Prepared, Target};
use std::sync::Arc;

/// Whether a kernel looks at the attach type when it loads a program of a type. Others take any, and a program that cannot
/// be attached loads nevertheless.
fn load_checks_attach_type(kind: ProgType, version: KernelVersion) -> bool {
    use ProgType as P;
    // Selecting sockets had no attach types before, and they were not looked at.
    let first = AttachType::SkReuseportSelect.since();
    if kind == P::SkReuseport && first.is_some_and(|first| !version.at_least(first)) {
        return false;
    }
    !matches!(kind, P::SchedCls | P::SchedAct | P::Kprobe | P::Tracepoint | P::RawTracepoint | P::PerfEvent | P::Xdp)
}

impl Profile {
    /// Resolves an object for the kernel, as [`Object::prepare`] does. Programs that need a program, attach or map type
    /// that the kernel lacks are unloadable.
    pub fn prepare(self: &Arc<Self>, object: Object) -> Result<Prepared, ObjectError> {
        let target = self.target(object.needs());
        self.prepare_for(object, &target)
    }

    /// The same for a target that was made of the profile.
    pub fn prepare_for(self: &Arc<Self>, object: Object, target: &Target) -> Result<Prepared, ObjectError> {
        let functions = self.missing_function(&object);
        let mut prepared = object.prepare(target)?;
        let object = &prepared.object;
        for (program, why) in object.programs.iter().zip(&mut prepared.unloadable) {
            if why.is_some() {
                continue;
            }
            let kind = program.prog_type;
            let own = self.is_too_old_for(kind.since(), kind.kernel_name()).map(|since| {
                format!("prog '{}': kernels have program type {kind} since {}", program.name, since.series())
            });
            let attach = program.attach_type;
            // Zero is what programs say that have no attach type.
            let matters = attach != AttachType::default() && load_checks_attach_type(kind, self.version);
            let attach_since = attach.since().filter(|_| matters);
            let attach = || {
                let since = self.is_too_old_for(attach_since, attach.kernel_name())?;
                Some(format!("prog '{}': kernels have attach type {attach} since {}", program.name, since.series()))
            };
            *why = functions.clone().or(own).or_else(attach);
        }
        Ok(prepared)
    }

    /// The version that brought something, where the kernel is older and does not have it nevertheless.
    fn is_too_old_for(&self, since: Option<KernelVersion>, enumerator: Option<&str>) -> Option<KernelVersion> {
        let since = since.filter(|s| !self.version.at_least(*s))?;
        // Distributions bring what is newer to older kernels; then their types name it.
        let has = self.judged.is_none() && enumerator.is_some_and(|name| self.has_enumerator(name));
        if has { None } else { Some(since) }
    }

    /// Types of maps that the kernel does not have.
    pub(crate) fn missing_maps(&self) -> MapTypes {
        let is_missing = |t: &&MapType| self.is_too_old_for(t.since(), t.kernel_name()).is_some();
        MapType::ALL.iter().filter(is_missing).fold(MapTypes::default(), |set, t| set.and(*t))
    }

    fn has_enumerator(&self, name: &str) -> bool {
        let Some(btf) = self.btf() else { return false };
        ["bpf_prog_type", "bpf_map_type", "bpf_attach_type"].iter().any(|of| {
            let Some(id) = btf.find(of, Kind::Enum) else { return false };
            btf.enum_values(id).any(|value| value.name == name)
        })
    }

    /// A function that the kernel does not have although the types say so, which stand in for its own.
    fn missing_function(&self, object: &Object) -> Option<String> {
        if !self.has_types_of_another() {
            return None;
        }
        object.externs.iter().filter(|e| !e.is_weak && matches!(e.kind, ExternKind::Function { .. })).find_map(|e| {
            let since = kfuncs::since(&e.name).filter(|s| !self.version.at_least(*s))?;
            Some(format!("extern (func ksym) '{}': kernels have it since {}", e.name, since.series()))
        })
    }
}
