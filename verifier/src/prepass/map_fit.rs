//! Which maps a kind of program may use.

use crate::reason::{ProgramReason, TypeReason};
use crate::{Env, Step, reason::reject};
use ebpfkit_abi::{Feature, MapTraits, MapType as M, ProgType as P, helpers};
use ebpfkit_object::ProgramFlags;
use ebpfkit_object::record::FieldKind;

impl Env<'_> {
    /// Whether the map may be used by this program.
    pub fn check_map_prog_compatibility(&mut self, map: u32) -> Step {
        let (map_type, record) = {
            let used = &self.maps[map as usize];
            (used.def.map_type, used.record.clone())
        };
        let kind = self.effective_prog_type();
        let tracing =
            matches!(kind, P::Kprobe | P::Tracepoint | P::PerfEvent | P::RawTracepoint | P::RawTracepointWritable);
        let refuse = |field| reject(TypeReason::TracingField { field });
        if tracing && (record.has(FieldKind::ListHead) || record.has(FieldKind::RbRoot)) {
            return refuse("bpf_{list_head,rb_root}");
        }
        if record.has(FieldKind::SpinLock) || record.has(FieldKind::ResSpinLock) {
            if kind == P::SocketFilter {
                return reject(TypeReason::SocketFilterLock {});
            }
            if tracing {
                return refuse("bpf_spin_lock");
            }
        }
        // Older kernels see nothing special in such members.
        let timers = helpers::find(helpers::id::TIMER_INIT).is_some_and(|h| h.since <= self.kernel().version);
        for field in [FieldKind::Timer, FieldKind::Workqueue] {
            if timers && tracing && record.has(field) && !self.has(Feature::TimersInTracing) {
                return refuse(field.name());
            }
        }
        if map_type == M::StructOps {
            return reject(ProgramReason::StructOpsMap {});
        }
        let tail_calls = map_type == M::ProgArray && self.has(Feature::SleepableTailCalls);
        let few = !self.has(Feature::SleepableMaps) && !matches!(map_type, M::Hash | M::LruHash | M::Array);
        let fits = tail_calls || map_type.is(MapTraits::SLEEPABLE) && !few;
        if self.prog().flags.has(ProgramFlags::SLEEPABLE) && !fits {
            return reject(ProgramReason::SleepableMap {});
        }
        Ok(())
    }

    /// The program's type; of an extension, the type of what it extends.
    pub fn effective_prog_type(&self) -> P {
        self.prog().prog_type
    }
}
