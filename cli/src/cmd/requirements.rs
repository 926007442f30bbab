//! `verify --requirements`: what an object needs of a kernel, and the oldest one on which it loads.

use crate::cmd::open;
use crate::cmd::{Selection, TypeArgs};
use crate::end::End;
use crate::files;
use crate::out::{self, say};
use anyhow::Result;
use ebpfkit_object::Object;
use ebpfkit_profiles::Profile;
use ebpfkit_profiles::matrix::{self, Column};
use ebpfkit_profiles::requirements::{self, Field, Requirement};
use ebpfkit_verifier::Options;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// What one file needs; documented in `docs/json.md`.
#[derive(Serialize)]
struct RequirementsResult<'a> {
    object: String,
    kernels: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<&'a str>,
    needs: Vec<NeedResult<'a>>,
    fields: Vec<FieldResult<'a>>,
}

/// Something that is needed.
#[derive(Serialize)]
struct NeedResult<'a> {
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    weak: bool,
    programs: &'a [String],
}

/// What a relocation finds in the types of each kernel.
#[derive(Serialize)]
struct FieldResult<'a> {
    name: &'a str,
    found: &'a [Option<i64>],
}

/// Prints what one file needs.
pub fn file(
    path: &Path,
    kernels: &[Arc<Profile>],
    types: &TypeArgs,
    selection: &Selection,
    options: Options,
    json: bool,
) -> Result<End> {
    let mut object = open(path)?;
    types.apply(&mut object, selection)?;
    if !selection.is_all() {
        selection.pick(&object)?;
        object.programs.retain(|program| selection.fits(program));
    }
    let all = |object: &Object| (0..object.programs.len()).collect();
    let columns = matrix::judge(&object, all, kernels, options);
    let found = requirements::of(&object, &columns, options);
    if json {
        let needs = found.needed.iter().map(|n| NeedResult {
            kind: n.sort.name(),
            name: &n.name,
            since: n.since.map(|v| v.series()),
            weak: n.is_weak,
            programs: &n.programs,
        });
        out::json(&RequirementsResult {
            object: files::name(path),
            kernels: columns.iter().map(|c| c.kernel.name.as_str()).collect(),
            oldest: found.oldest.map(|at| columns[at].kernel.name.as_str()),
            needs: needs.collect(),
            fields: found.fields.iter().map(|f| FieldResult { name: &f.name, found: &f.found }).collect(),
        })?;
        return Ok(End::Good);
    }
    say!("{} needs", files::name(path))?;
    // The newest first: they decide.
    let mut needed: Vec<&Requirement> = found.needed.iter().collect();
    needed.sort_by_key(|n| (std::cmp::Reverse(n.since), n.sort, &n.name));
    let width = needed.iter().map(|n| n.name.len()).max().unwrap_or(0);
    for need in needed {
        let since = need.since.map_or_else(String::new, |v| format!("since {}", v.series()));
        let weak = if need.is_weak { "can do without" } else { "" };
        let line = format!("  {:15}  {:width$}  {since:10}  {weak}", need.sort.name(), need.name);
        say!("{}", line.trim_end())?;
    }
    for field in &found.fields {
        say!("  {:15}  {}{}", "kernel type", field.name, differences(field, &columns))?;
    }
    match found.oldest {
        Some(at) => say!("all programs load on {} and later", columns[at].kernel.name),
        None => say!("not all programs load on the newest of these kernels ({})", names(&columns)),
    }?;
    Ok(End::Good)
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|c| c.kernel.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// What differs between kernels in what a relocation finds: runs of kernels that find the same.
fn differences(field: &Field, columns: &[Column]) -> String {
    let text = |found: Option<i64>| found.map_or_else(|| "missing".to_owned(), |n| n.to_string());
    let mut runs: Vec<(Option<i64>, usize)> = Vec::new();
    for (at, &found) in field.found.iter().enumerate() {
        if runs.last().is_none_or(|(last, _)| *last != found) {
            runs.push((found, at));
        }
    }
    match &runs[..] {
        [] => String::new(),
        [(only, _)] => format!(": {}", text(*only)),
        several => {
            let parts = several.iter().map(|(found, at)| format!("{} from {}", text(*found), columns[*at].kernel.name));
            format!(": {}", parts.collect::<Vec<_>>().join(", "))
        }
    }
}
