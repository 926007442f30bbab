//! The file of a recorded kernel.
//!
//! ```text
//! ebpfkit kernel profile 1
//! name: ...            the lines of the header, each once
//! ...
//!                      an empty line
//! ```
//!
//! Then three parts, each with its size before it: which records of the bundled types the kernel has, the types that are
//! not among them as a pack, and its configuration; the first and last compressed.

use crate::profile::{Profile, Source, bundled_types, bundled_types_id};
use crate::types::{PackError, Packer};
use ebpfkit_abi::kernel::FeatureSet;
use ebpfkit_abi::{Feature, KernelVersion};
use ebpfkit_object::Btf;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::sync::OnceLock;

const FIRST_LINE: &str = "ebpfkit kernel profile 1\n";
/// Most bytes of a part that are believed.
const MAX_PART: u64 = 32 << 20;

/// Why a file is no profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileError {
    /// It is something else.
    NotAProfile,
    /// Another ebpfkit wrote it.
    OtherVersion,
    /// Something in it is wrong.
    Damaged(&'static str),
    /// Its types cannot be packed or unpacked.
    Types(PackError),
}

impl std::fmt::Display for ProfileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAProfile => f.write_str("not a file that `ebpfkit kernel record` wrote"),
            Self::OtherVersion => {
                f.write_str("recorded by another version of ebpfkit, with other bundled types; record the kernel again")
            }
            Self::Damaged(what) => write!(f, "a damaged kernel profile: {what}"),
            Self::Types(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for ProfileError {}

impl From<PackError> for ProfileError {
    fn from(e: PackError) -> Self {
        Self::Types(e)
    }
}

/// What a recording has gathered.
pub(crate) struct Gathered<'a> {
    pub release: &'a str,
    pub version: KernelVersion,
    pub features: FeatureSet,
    pub jit: bool,
    pub trampolines: bool,
    pub types: Option<&'a Btf>,
    pub config: &'a str,
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn inflated(bytes: &[u8]) -> Result<Vec<u8>, ProfileError> {
    let mut out = Vec::new();
    let read = DeflateDecoder::new(bytes).take(MAX_PART).read_to_end(&mut out);
    read.map(|_| out).map_err(|_| ProfileError::Damaged("a part cannot be decompressed"))
}

impl Profile {
    /// Packs what was recorded.
    pub(crate) fn of_recording(g: &Gathered<'_>) -> Result<Self, ProfileError> {
        let (mut from_base, mut pack) = (Vec::new(), Vec::new());
        if let Some(types) = g.types {
            let mut packer = Packer::continuing(bundled_types()?)?;
            packer.add(types)?;
            let packed = packer.finish()?;
            (from_base, pack) = (packed.from_base, packed.bytes);
        }
        Ok(Self {
            name: g.release.to_owned(),
            types_of: g.release.to_owned(),
            release: g.release.to_owned(),
            version: g.version,
            features: g.features,
            judged: None,
            origin: "recorded".into(),
            jit: g.jit,
            trampolines: g.trampolines,
            source: Source::Recorded { from_base, pack, config: g.config.into() },
            btf: OnceLock::new(),
            config: OnceLock::new(),
        })
    }

    /// The profile as a file; a bundled one has none.
    pub fn to_file(&self) -> Option<Vec<u8>> {
        let Source::Recorded { from_base, pack, config } = &self.source else { return None };
        let mut header = String::from(FIRST_LINE);
        let features: Vec<&str> = self.features.iter().map(Feature::name).collect();
        // All that were known when it was recorded, so that a newer ebpfkit can tell what was not looked for.
        let known: Vec<&str> = Feature::ALL.iter().map(|f| f.name()).collect();
        let _ = write!(
            header,
            "release: {}\nversion: {}\ntypes: {:08x}\njit: {}\ntrampolines: {}\nfeatures: {}\nknown: {}\n\n",
            self.release,
            self.version,
            bundled_types_id(),
            self.jit,
            self.trampolines,
            features.join(" "),
            known.join(" "),
        );
        let mut out = header.into_bytes();
        let mut records = Vec::with_capacity(from_base.len());
        let mut before = 0u32;
        for &record in from_base {
            // Runs of neighbours are the rule, so that differences compress to nearly nothing.
            records.extend_from_slice(&(record - before).to_le_bytes());
            before = record;
        }
        for part in [deflated(&records), pack.clone(), deflated(config.as_bytes())] {
            out.extend_from_slice(&u32::try_from(part.len()).ok()?.to_le_bytes());
            out.extend_from_slice(&part);
        }
        Some(out)
    }

    /// Reads a file that [`Self::to_file`] made.
    pub fn read(bytes: &[u8]) -> Result<Self, ProfileError> {
        let bytes = bytes.strip_prefix(FIRST_LINE.as_bytes()).ok_or(ProfileError::NotAProfile)?;
        let end = memchr::memmem::find(bytes, b"\n\n").ok_or(ProfileError::Damaged("the header has no end"))?;
        let header = std::str::from_utf8(&bytes[..end]).map_err(|_| ProfileError::Damaged("the header is no text"))?;
        let field = |name: &'static str| {
            let value = header.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
            value.map(str::trim).ok_or(ProfileError::Damaged(name))
        };
        if u32::from_str_radix(field("types")?, 16) != Ok(bundled_types_id()) {
            return Err(ProfileError::OtherVersion);
        }
        let version = KernelVersion::parse(field("version")?).ok_or(ProfileError::Damaged("version"))?;
        // What was not looked for when it was recorded follows from the version.
        let known = field("known")?;
        let mut features = FeatureSet::of(version);
        for name in known.split(' ') {
            if let Some(feature) = Feature::by_name(name) {
                features = features.without(feature);
            }
        }
        for name in field("features")?.split(' ') {
            if let Some(feature) = Feature::by_name(name) {
                features = features.with(feature);
            }
        }
        let mut rest = &bytes[end + 2..];
        let mut part = || -> Result<&[u8], ProfileError> {
            let short = ProfileError::Damaged("it ends too early");
            let (size, after) = rest.split_first_chunk::<4>().ok_or(short.clone())?;
            let size = u32::from_le_bytes(*size) as usize;
            if size > after.len() {
                return Err(short);
            }
            rest = &after[size..];
            Ok(&after[..size])
        };
        let (records, pack, config) = (inflated(part()?)?, part()?.to_vec(), inflated(part()?)?);
        let mut from_base = Vec::with_capacity(records.len() / 4);
        let mut before = 0u32;
        for step in records.chunks_exact(4) {
            before = before.saturating_add(u32::from_le_bytes([step[0], step[1], step[2], step[3]]));
            from_base.push(before);
        }
        let config = String::from_utf8(config).map_err(|_| ProfileError::Damaged("the configuration is no text"))?;
        let release = field("release")?.to_owned();
        Ok(Self {
            name: release.clone(),
            types_of: release.clone(),
            release,
            version,
            features,
            judged: None,
            origin: "recorded".into(),
            jit: field("jit")? == "true",
            trampolines: field("trampolines")? == "true",
            source: Source::Recorded { from_base, pack, config: config.into() },
            btf: OnceLock::new(),
            config: OnceLock::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebpfkit_asm::assemble_object;

    fn recorded() -> Vec<u8> {
        let text = ".license \"GPL\"\n.section tc\n.func int first(struct __sk_buff *ctx)\n r0 = 0\n exit\n";
        let object = assemble_object("types.s", text).expect("assembles");
        let version = KernelVersion::new(6, 12, 7);
        let gathered = Gathered {
            release: "6.12.7-own",
            version,
            features: FeatureSet::of(version).without(Feature::Atomics),
            jit: true,
            trampolines: false,
            types: object.btf.as_deref(),
            config: "CONFIG_BPF=y\n",
        };
        Profile::of_recording(&gathered).expect("packed").to_file().expect("a file")
    }

    #[test]
    fn files_are_read_back() {
        let profile = Profile::read(&recorded()).expect("read");
        assert_eq!((&*profile.name, profile.version.patch, profile.trampolines), ("6.12.7-own", 7, false));
        assert!(!profile.features.has(Feature::Atomics) && profile.features.has(Feature::MayGoto));
        assert_eq!(&*profile.config(), "CONFIG_BPF=y\n");
        assert!(profile.btf().is_some_and(|btf| btf.find("first", ebpfkit_object::btf::Kind::Func).is_some()));
    }

    #[test]
    fn damaged_files_do_no_harm() {
        let file = recorded();
        // Not every byte: types are put together each time.
        for at in (0..file.len()).step_by(101) {
            let mut damaged = file.clone();
            damaged[at] ^= 0x55;
            if let Ok(profile) = Profile::read(&damaged) {
                profile.btf();
            }
        }
        assert_eq!(Profile::read(b"\x7fELF").err(), Some(ProfileError::NotAProfile));
        let text = String::from_utf8_lossy(&file).into_owned();
        let other = text.find("types: ").expect("a field") + "types: ".len();
        let mut old = file.clone();
        old[other] = if old[other] == b'0' { b'1' } else { b'0' };
        assert_eq!(Profile::read(&old).err(), Some(ProfileError::OtherVersion));
    }
}
