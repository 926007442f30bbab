//! `explain`: what a code means.

use crate::end::End;
use crate::out::{self, say};
use crate::paint;
use anyhow::{Result, bail};
use ebpfkit_explain::pages;
use serde::Serialize;

/// Arguments of `explain`.
#[derive(clap::Args)]
pub struct Args {
    /// Code of a rejection, such as EBPF0201
    #[arg(value_name = "CODE", required_unless_present = "list")]
    what: Option<String>,
    /// List the codes
    #[arg(long, conflicts_with = "what")]
    list: bool,
    /// Print JSON
    #[arg(short, long)]
    json: bool,
}

/// A page; documented in `docs/json.md`.
#[derive(Serialize)]
struct PageResult {
    code: &'static str,
    title: &'static str,
    /// The whole page as Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'static str>,
}

/// Columns of a page.
const WIDTH: usize = 100;

/// Explains a code, or lists them.
pub fn run(args: &Args) -> Result<End> {
    match &args.what {
        None => list(args.json),
        Some(code) => page(code, args.json),
    }
}

fn list(json: bool) -> Result<End> {
    for page in pages::all() {
        if json {
            out::json(&PageResult { code: page.code, title: page.title(), page: None })?;
        } else {
            say!("{}  {}", page.code, page.title())?;
        }
    }
    Ok(End::Good)
}

fn page(code: &str, json: bool) -> Result<End> {
    let Some(page) = pages::find(code) else {
        bail!("there is no code `{code}`; `ebpfkit explain --list` shows those there are");
    };
    if json {
        out::json(&PageResult { code: page.code, title: page.title(), page: Some(page.text) })?;
    } else {
        say!("{}", page.render(WIDTH, paint::heading).trim_end())?;
    }
    Ok(End::Good)
}
