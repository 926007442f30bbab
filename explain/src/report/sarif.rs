//! SARIF 2.1.0, the format in which code hosts and editors read findings.

use super::{Finding, Level};
use crate::diagnosis::{SourceEdit, Span};
use crate::pages;
use serde::Serialize;
use std::collections::BTreeMap;

/// Text, as SARIF has it in many places.
#[derive(Clone, Debug, Serialize)]
struct Text {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<String>,
}

impl Text {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), markdown: None }
    }
}

/// A whole document.
#[derive(Clone, Debug, Serialize)]
pub struct Sarif {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: Vec<Run>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    invocations: Vec<Invocation>,
    column_kind: &'static str,
    results: Vec<SarifResult>,
}

#[derive(Clone, Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Clone, Debug, Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: String,
    short_description: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Text>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Clone, Debug, Serialize)]
struct Notification {
    level: &'static str,
    message: Text,
    locations: Vec<Location>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: String,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<Fix>,
    partial_fingerprints: BTreeMap<&'static str, String>,
    properties: Properties,
}

/// What else is known, for those who want it.
#[derive(Clone, Debug, Serialize)]
struct Properties {
    object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instruction: Option<usize>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    physical_location: PhysicalLocation,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<LogicalLocation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

#[derive(Clone, Debug, Serialize)]
struct LogicalLocation {
    name: String,
    kind: &'static str,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Clone, Debug, Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<Text>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Fix {
    description: Text,
    artifact_changes: Vec<ArtifactChange>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactChange {
    artifact_location: ArtifactLocation,
    replacements: Vec<Replacement>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Replacement {
    deleted_region: Region,
    inserted_content: Text,
}

/// A path as a URI: relative ones stay so.
fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut uri = String::new();
    if path.starts_with('/') {
        uri += "file://";
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b'+' | b'@' => {
                uri.push(byte.into())
            }
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}

fn physical(file: &str, region: Option<Region>) -> PhysicalLocation {
    PhysicalLocation { artifact_location: ArtifactLocation { uri: uri(file) }, region }
}

fn region(span: &Span) -> Option<Region> {
    let has_columns = span.column > 0 && span.end_column > span.column;
    span.has_source().then(|| Region {
        start_line: span.line,
        start_column: has_columns.then_some(span.column),
        end_line: None,
        end_column: has_columns.then_some(span.end_column),
        snippet: Some(Text::new(span.text.as_str())),
    })
}

fn fix(text: &str, edits: &[SourceEdit]) -> Fix {
    let change = |edit: &SourceEdit| ArtifactChange {
        artifact_location: ArtifactLocation { uri: uri(&edit.file) },
        replacements: vec![Replacement {
            // The whole line with its end.
            deleted_region: Region {
                start_line: edit.line,
                start_column: Some(1),
                end_line: Some(edit.line.saturating_add(1)),
                end_column: Some(1),
                snippet: None,
            },
            inserted_content: Text::new(edit.new.iter().map(|l| format!("{l}\n")).collect::<String>()),
        }],
    };
    Fix { description: Text::new(text), artifact_changes: edits.iter().map(change).collect() }
}

/// The document of all findings; programs that are accepted have none. `relative` makes the path of a source file
/// relative to where the document is read.
pub fn document(findings: &[Finding], relative: &dyn Fn(&str) -> String) -> Sarif {
    let mut rules: Vec<Rule> = Vec::new();
    let (mut results, mut notifications) = (Vec::new(), Vec::new());
    for finding in findings {
        let Some(level) = finding.level() else { continue };
        let level = if level == Level::Error { "error" } else { "warning" };
        let object = relative(&finding.object);
        if finding.status.is_none() {
            let location = Location {
                id: None,
                physical_location: physical(&object, None),
                logical_locations: vec![],
                message: None,
            };
            notifications.push(Notification { level, message: Text::new(finding.text()), locations: vec![location] });
            continue;
        }
        let rule = finding.rule();
        let rule_index = rules.iter().position(|r| r.id == rule).unwrap_or_else(|| {
            let page = pages::find(rule);
            let about = page.map_or_else(|| format!("programs that are {rule}"), |p| p.title().to_owned());
            let help = page.map(|p| Text { text: p.render(100, str::to_owned), markdown: Some(p.text.to_owned()) });
            rules.push(Rule { id: rule.to_owned(), short_description: Text::new(about), help });
            rules.len() - 1
        });
        let diagnosis = finding.diagnosis.as_ref();
        let primary = diagnosis.map(|d| &d.primary);
        let physical_location = match primary.filter(|s| s.has_source()) {
            Some(span) => physical(&relative(&span.file), region(span)),
            None => physical(&object, None),
        };
        let program = finding.program.clone();
        let logical_locations = program.iter().map(|p| LogicalLocation { name: p.clone(), kind: "function" }).collect();
        let related = diagnosis.into_iter().flat_map(|d| &d.secondary).filter(|s| s.has_source()).enumerate();
        let related_locations = related.map(|(i, span)| Location {
            id: Some(i + 1),
            physical_location: physical(&relative(&span.file), region(span)),
            logical_locations: vec![],
            message: Some(Text::new(span.label.as_str())),
        });
        let fixes = diagnosis.into_iter().flat_map(|d| &d.suggestions).filter(|s| s.proved && !s.source.is_empty());
        // The same finding in the next version of the program, wherever its lines are then.
        let at = primary.map(|s| s.text.trim()).unwrap_or_default();
        let fingerprint = format!("{rule}/{}/{at}", program.as_deref().unwrap_or_default());
        results.push(SarifResult {
            rule_id: rule.to_owned(),
            rule_index,
            level,
            message: Text::new(finding.text()),
            locations: vec![Location { id: None, physical_location, logical_locations, message: None }],
            related_locations: related_locations.collect(),
            fixes: fixes.map(|s| fix(&s.text, &s.source)).collect(),
            partial_fingerprints: BTreeMap::from([("programAndPlace/v1", fingerprint)]),
            properties: Properties {
                object: finding.object.clone(),
                program,
                messages: diagnosis.map(|d| d.messages.clone()).unwrap_or_default(),
                instruction: primary.and_then(|s| s.insn),
            },
        });
    }
    let invocation =
        Invocation { execution_successful: notifications.is_empty(), tool_execution_notifications: notifications };
    let driver = Driver { name: "ebpfkit", version: env!("CARGO_PKG_VERSION"), rules };
    let run = Run { tool: Tool { driver }, invocations: vec![invocation], column_kind: "unicodeCodePoints", results };
    Sarif { schema: "https://json.schemastore.org/sarif-2.1.0.json", version: "2.1.0", runs: vec![run] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_uris() {
        assert_eq!(uri("src/a b.c"), "src/a%20b.c");
        assert_eq!(uri("/usr/p#1.o"), "file:///usr/p%231.o");
        assert_eq!(uri("./ö.c"), "./%C3%B6.c");
    }
}
