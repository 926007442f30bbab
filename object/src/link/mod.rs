//! Linking: several objects into one, as `bpftool gen object` does.
//!
//! Sections of one name are joined; a strong definition takes the place of weak ones and of externs; types are joined
//! and equal ones kept once; records of functions, lines and CO-RE move with their instructions. The result is a file
//! like a compiler's, so that [`Object::open`](crate::Object::open) reads it.

mod check;
mod dedup;
mod file;
mod symbols;
mod types;

use crate::btf::Btf;
use crate::model::ObjectError;
use crate::read::elf::{File, malformed, refused};
use crate::read::ext::{self, Records};
use std::collections::{HashMap, HashSet};

/// Bytes of one joined section that are believed.
const MAX_SECTION: usize = 1 << 28;
/// Sections that hold one text for the whole object.
const SINGLE: [&str; 2] = ["license", "version"];

/// One object that is linked.
pub(crate) struct Input<'a> {
    pub file: File<'a>,
    pub btf: Option<Btf>,
    pub records: Records,
}

/// A section of the result.
pub(crate) struct OutputSection {
    pub name: String,
    pub data: Vec<u8>,
    /// Bytes, also for sections without contents.
    pub size: usize,
    pub align: usize,
    pub is_code: bool,
    pub no_bits: bool,
}

/// Where the inputs' sections went.
pub(crate) struct Layout {
    pub sections: Vec<OutputSection>,
    /// By input and section: section of the result, and byte offset in it.
    pub positions: HashMap<(usize, usize), (usize, usize)>,
    /// Sections, by input, whose contents another input has already given.
    pub skipped: HashSet<(usize, usize)>,
}

/// Links objects, given by name and bytes. The result is an ELF file.
pub fn link(inputs: &[(&str, &[u8])]) -> Result<Vec<u8>, ObjectError> {
    let mut parsed = Vec::new();
    for (name, bytes) in inputs {
        let file = File::parse(name, bytes)?;
        let section = |name: &str| file.find(name).map(|s| file.sections[s].data);
        let btf = section(".BTF").map(|d| Btf::parse(d).map_err(|e| malformed(*name, e.to_string(), "valid types")));
        let btf = btf.transpose()?;
        let records = match (&btf, section(".BTF.ext")) {
            (Some(btf), Some(data)) => ext::read(&file, data, btf)?,
            _ => Records::default(),
        };
        parsed.push(Input { file, btf, records });
    }
    let Some(first) = parsed.first() else { return Err(refused("nothing to link")) };
    if let Some(other) = parsed.iter().find(|i| i.file.endian != first.file.endian) {
        return Err(refused(format!("'{}' has another byte order than '{}'", other.file.name, first.file.name)));
    }
    let layout = layout(&parsed)?;
    let globals = symbols::resolve(&parsed, &layout)?;
    check::definitions(&parsed, &globals)?;
    let (btf, btf_ext) = types::merge(&parsed, &layout, &globals)?;
    file::write(&parsed, layout, &globals, btf, btf_ext)
}

/// Joins the sections that a loader looks at.
fn layout(inputs: &[Input<'_>]) -> Result<Layout, ObjectError> {
    let mut layout = Layout { sections: Vec::new(), positions: HashMap::new(), skipped: HashSet::new() };
    for (number, input) in inputs.iter().enumerate() {
        for (index, s) in input.file.sections.iter().enumerate() {
            let kept = s.is_code || s.is_data || (s.no_bits && s.size > 0);
            if !kept || s.name.starts_with(".BTF") || s.name.starts_with(".debug") {
                continue;
            }
            let known = layout.sections.iter().position(|j| j.name == s.name);
            if let Some(at) = known.filter(|_| SINGLE.contains(&s.name)) {
                if layout.sections[at].data != s.data {
                    return Err(refused(format!("non-identical contents of section '{}' are not supported", s.name)));
                }
                layout.skipped.insert((number, index));
                continue;
            }
            let at = known.unwrap_or(layout.sections.len());
            if known.is_none() {
                layout.sections.push(OutputSection {
                    name: s.name.to_owned(),
                    data: Vec::new(),
                    size: 0,
                    align: 1,
                    is_code: s.is_code,
                    no_bits: s.no_bits,
                });
            }
            let output = &mut layout.sections[at];
            if (output.is_code, output.no_bits) != (s.is_code, s.no_bits) {
                return Err(refused(format!("ELF sections {} are incompatible", s.name)));
            }
            let start = output.size.next_multiple_of(s.align);
            let end = start.checked_add(s.size).filter(|&end| end <= MAX_SECTION);
            let Some(end) = end else {
                let found = format!("section {} of more than {MAX_SECTION} bytes", s.name);
                return Err(malformed(input.file.name, found, "less"));
            };
            if !output.no_bits {
                output.data.resize(start, 0);
                output.data.extend_from_slice(s.data);
            }
            (output.size, output.align) = (end, output.align.max(s.align));
            layout.positions.insert((number, index), (at, start));
        }
    }
    Ok(layout)
}
