//! Files named on the command line. `-` is standard input or output everywhere.

use crate::out;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Whether a name stands for standard input or output.
pub fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// A file's name in messages: as the user wrote it.
pub fn name(path: &Path) -> String {
    if is_standard(path) { "<stdin>".into() } else { path.display().to_string() }
}

/// The name in messages of a file that is written.
pub fn output_name(path: &Path) -> String {
    if is_standard(path) { out::STDOUT.into() } else { name(path) }
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if is_standard(path) {
        io::stdin().lock().read_to_end(&mut bytes).context("standard input")?;
    } else {
        bytes = std::fs::read(path).with_context(|| name(path))?;
    }
    Ok(bytes)
}

/// Largest source file that is looked at.
const MOST_SOURCE: u64 = 8 << 20;

/// The text of a source file that an object names: by that name, or beside the object. Nothing where it is not at hand.
pub fn source_of(object: &Path, name: &str) -> Option<String> {
    let beside = object.parent().map(|folder| folder.join(name));
    let found = [Some(PathBuf::from(name)), beside].into_iter().flatten().find(|p| p.is_file())?;
    let size = std::fs::metadata(&found).ok()?.len();
    if size > MOST_SOURCE { None } else { std::fs::read_to_string(found).ok() }
}

/// A better name for a source file that an object names: where it is not found by that name, but beside the object.
pub fn found_beside(object: &Path, name: &str) -> Option<String> {
    let beside = object.parent()?.join(name.trim_start_matches("./"));
    (!Path::new(name).is_file() && beside.is_file()).then(|| beside.display().to_string())
}

/// Reads a text.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).ok().with_context(|| format!("{}: expected text in UTF-8", name(path)))
}

/// Opens a file to be read bit by bit.
pub fn open(path: &Path) -> Result<Box<dyn Read + Send>> {
    if is_standard(path) {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).with_context(|| name(path))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        bail!("{}: it is a directory", name(path));
    }
    Ok(Box::new(file))
}

/// Checks the files that one command reads and writes together, before it touches any: standard input is read once,
/// standard output written once, and nothing is written over what is read. Results move to standard error when standard
/// output is taken.
pub fn check(inputs: &[Option<&Path>], outputs: &[Option<&Path>]) -> Result<()> {
    let inputs: Vec<&Path> = inputs.iter().copied().flatten().collect();
    let outputs: Vec<&Path> = outputs.iter().copied().flatten().collect();
    if inputs.iter().filter(|p| is_standard(p)).count() > 1 {
        bail!("`-`: standard input can be read once only");
    }
    match outputs.iter().filter(|p| is_standard(p)).count() {
        0 => {}
        1 => out::divert(),
        _ => bail!("`-`: standard output can be written once only"),
    }
    let real = |path: &Path| if is_standard(path) { None } else { regular(path) };
    for (n, path) in outputs.iter().enumerate() {
        let Some(target) = real(path) else { continue };
        if inputs.iter().any(|i| real(i).as_ref() == Some(&target)) {
            bail!("{}: it is read; choose another file for the output", name(path));
        }
        if outputs[..n].iter().any(|o| real(o).as_ref() == Some(&target)) {
            bail!("{}: it is written twice; choose another file for one output", name(path));
        }
    }
    Ok(())
}

/// Where a regular file is, or will be.
fn regular(path: &Path) -> Option<PathBuf> {
    match path.canonicalize() {
        Ok(real) => real.is_file().then_some(real),
        Err(_) => {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(folder.canonicalize().ok()?.join(path.file_name()?))
        }
    }
}

/// Files that are being written beside their places.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the files that are not finished, before the process ends at once.
pub fn remove_unfinished() {
    for path in unfinished().drain(..) {
        let _ = std::fs::remove_file(path);
    }
}

/// A file being written, which appears whole or not at all: it is written beside its place and then renamed. Devices
/// and pipes are written as they are.
pub struct Output {
    path: PathBuf,
    to: To,
}

enum To {
    Standard(io::Stdout),
    Direct(File),
    Beside(tempfile::NamedTempFile, PathBuf),
}

impl Output {
    /// Starts to write a file.
    pub fn create(path: &Path) -> Result<Self> {
        let to = if is_standard(path) {
            To::Standard(io::stdout())
        } else {
            Self::open(path).with_context(|| name(path))?
        };
        Ok(Self { path: path.to_owned(), to })
    }

    fn open(path: &Path) -> io::Result<To> {
        let existing = std::fs::metadata(path);
        if existing.as_ref().is_ok_and(|m| !m.is_file()) {
            return Ok(To::Direct(File::options().write(true).open(path)?));
        }
        // What a link points to is replaced, not the link.
        let target = if existing.is_ok() { path.canonicalize()? } else { path.to_owned() };
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".ebpfkit-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The user's mask takes from these what it takes from any new file.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder).map_err(|e| e.raw_os_error().map_or(e, io::Error::from_raw_os_error))?;
        if let Ok(existing) = existing {
            if existing.permissions().readonly() {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            file.as_file().set_permissions(existing.permissions())?;
        }
        unfinished().push(file.path().to_owned());
        Ok(To::Beside(file, target))
    }

    /// Ends the file, which is now where it belongs.
    pub fn finish(mut self) -> Result<()> {
        self.flush().with_context(|| self.label())?;
        let label = self.label();
        if let To::Beside(file, target) = self.to {
            file.persist(target).map_err(|e| e.error).context(label)?;
        }
        Ok(())
    }

    /// The file's name in messages.
    pub fn label(&self) -> String {
        output_name(&self.path)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Standard(out) => out.write(bytes),
            To::Direct(file) => file.write(bytes),
            To::Beside(file, _) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Standard(out) => out.flush(),
            To::Direct(file) => file.flush(),
            To::Beside(file, _) => file.flush(),
        }
    }
}

/// Writes a whole file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut output = Output::create(path)?;
    output.write_all(bytes).with_context(|| output.label())?;
    output.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        std::fs::write(&path, "before").expect("written");
        let mut output = Output::create(&path).expect("created");
        output.write_all(b"after").expect("written");
        assert_eq!(std::fs::read(&path).expect("there"), b"before");
        output.finish().expect("renamed");
        assert_eq!(std::fs::read(&path).expect("there"), b"after");
        let unfinished = Output::create(&path).expect("created");
        drop(unfinished);
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 1);
    }

    #[test]
    fn nothing_is_written_over_what_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("in");
        std::fs::write(&path, "").expect("written");
        let (same, other) = (folder.path().join("./in"), folder.path().join("new"));
        assert!(check(&[Some(&path)], &[Some(&same)]).is_err());
        assert!(check(&[Some(&path)], &[Some(&other)]).is_ok());
        assert!(check(&[], &[Some(&other), Some(&other)]).is_err());
        assert!(check(&[Some(Path::new("/dev/null"))], &[Some(Path::new("/dev/null"))]).is_ok());
        let standard = Path::new("-");
        assert!(check(&[Some(standard), None, Some(standard)], &[]).is_err());
    }
}
