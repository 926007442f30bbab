//! The same C as code of this machine: compiled to a shared library, and called.

use super::programs::Case;
use super::{Absent, Batch, Engine, Ready};
use anyhow::{Context, Result, bail};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Memory in, the result out.
type Entry = unsafe extern "C" fn(*mut u8) -> u64;

/// A program's function in a library that stays loaded.
fn load(library: &Path) -> Result<Entry> {
    let path = CString::new(library.as_os_str().as_bytes())?;
    // SAFETY: the library is our own, which runs nothing when it is loaded.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        bail!("{} cannot be loaded", library.display());
    }
    // SAFETY: the handle is a loaded library's.
    let symbol = unsafe { libc::dlsym(handle, c"entry".as_ptr()) };
    if symbol.is_null() {
        bail!("{} has no function `entry`", library.display());
    }
    // SAFETY: `bench.h` declares the function so, and the library is never closed.
    Ok(unsafe { std::mem::transmute::<*mut libc::c_void, Entry>(symbol) })
}

/// The compiler: `$CLANG`, or the first that is there.
fn compiler() -> Option<String> {
    let named = std::env::var("CLANG").ok();
    let names = named.into_iter().chain(["clang".into(), "clang-22".into()]);
    names.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success()))
}

pub(super) fn ready(case: &Case) -> Result<Result<Ready<'_>, Absent>> {
    let Some(plain) = &case.plain else { return Ok(Err(Absent::NoNative)) };
    let Some(clang) = compiler() else { return Ok(Err(Absent::NoClang)) };
    let folder = std::env::temp_dir().join(format!("ebpfkit-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let library = folder.join(format!("{}.so", case.name));
    let mut command = Command::new(clang);
    command.args(["-O2", "-w", "-DRAW", "-shared", "-fPIC"]).arg(&plain.source).arg("-o").arg(&library);
    let compiled = command.output().context("clang")?.status.success();
    let entry = if compiled { Some(load(&library)?) } else { None };
    // What is loaded needs no file any more.
    std::fs::remove_dir_all(&folder)?;
    let Some(entry) = entry else { return Ok(Err(Absent::NoClang)) };
    let mut memory = plain.memory(&case.packet);
    let batch: Batch<'_> = Box::new(move |count| {
        let mut r0 = 0;
        let start = Instant::now();
        for _ in 0..count {
            // SAFETY: the function keeps to the memory that it is given.
            r0 = std::hint::black_box(unsafe { entry(memory.as_mut_ptr()) });
        }
        Ok((r0, start.elapsed().as_nanos() as f64))
    });
    Ready::new(Engine::Native, batch).map(Ok)
}
