//! The running kernel, as the loader and the verifier here see it.

use ebpfkit_abi::KernelVersion;
use ebpfkit_kernel::{Kernel, machine};
use ebpfkit_object::{Object, ObjectError, Prepared};
use ebpfkit_verifier::KernelModel;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// The running kernel modelled; where the machine does not say which it is, the newest known one.
pub fn model() -> KernelModel {
    KernelModel::new(version(), Arc::new(machine::btf))
}

/// Its version.
pub fn version() -> KernelVersion {
    machine::version().unwrap_or(KernelVersion::DEFAULT)
}

/// Resolves an object for it.
pub fn prepare(object: Object) -> Result<Prepared, ObjectError> {
    let target = machine::target(object.needs(), version().code(), machine::btf);
    object.prepare(&target)
}

/// bpf(2); without it, says that a test was skipped.
pub fn or_skip(test: &str) -> Option<Kernel> {
    Kernel::open().map_err(|e| skipped(1, &format!("{test}: {e}"))).ok()
}

/// Says that so many tests did not run. It is not printed by a macro, whose text the test harness would keep to itself;
/// `.ci/run` adds the numbers up.
pub fn skipped(count: usize, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped {count}: {why}");
}

/// The object in a file, named like the file. The outer error is the file's.
pub fn open(file: &Path) -> io::Result<Result<Object, ObjectError>> {
    let bytes = std::fs::read(file).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(Object::open(&name, &bytes))
}
