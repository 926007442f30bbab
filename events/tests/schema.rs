//! The published schema is the one that files are read by, and the document names every kind of item.

use ebpfkit_events::schema::{ROWS, json_schema};
use std::path::{Path, PathBuf};

fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("docs").join(name)
}

#[test]
fn the_schema_is_published() {
    let path = document("events.schema.json");
    let text = serde_json::to_string_pretty(&json_schema()).expect("JSON") + "\n";
    if std::env::var_os("EBPFKIT_BLESS").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == text,
        "docs/events.schema.json is old; EBPFKIT_BLESS=1 cargo test -p ebpfkit-events writes it"
    );
}

#[test]
fn the_document_names_every_kind_of_item() {
    let text = std::fs::read_to_string(document("events.md")).expect("a document");
    let missing: Vec<&str> = ROWS.iter().map(|r| r.key).filter(|key| !text.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/events.md says nothing of {missing:?}");
}
