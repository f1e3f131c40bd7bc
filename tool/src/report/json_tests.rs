//! Tests of the JSON document against its schema.

use serde_json::Value;

use super::super::fixture::{empty, full, sparse};
use super::*;
use crate::diagnose::findings;

/// The example of the design: a document of version 1 that must stay valid and readable for good.
const EXAMPLE: &str = include_str!("testdata/stat-1.example.json");
const SCHEMA_TEXT: &str = include_str!("../../../docs/json/zcscope.stat-1.schema.json");

fn errors(document: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA_TEXT).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

fn produced(snapshot: &Snapshot) -> Value {
    serde_json::to_value(document(snapshot, &findings(snapshot), &["zc".to_owned()])).unwrap()
}

#[test]
fn documents_and_the_example_fit_the_schema() {
    for snapshot in [full(), sparse(), empty()] {
        assert_eq!(errors(&produced(&snapshot)), Vec::<String>::new());
    }
    assert_eq!(errors(&serde_json::from_str(EXAMPLE).unwrap()), Vec::<String>::new());
}

#[test]
fn the_schema_can_say_no() {
    let mut wrong = produced(&full());
    wrong["paths"][0]["bytes"] = Value::from("many");
    assert_eq!(errors(&wrong).len(), 1);
    let mut other = produced(&full());
    other["schema"] = Value::from("zcscope.stat/2");
    assert_eq!(errors(&other).len(), 1);
    let mut negative = produced(&full());
    negative["paths"][1]["copied_bytes"] = Value::from(-1);
    assert_eq!(errors(&negative).len(), 1);
}

#[test]
fn documents_can_be_read_back() {
    let snapshot = full();
    let doc = document(&snapshot, &findings(&snapshot), &[]);
    let text = serde_json::to_string(&doc).unwrap();
    assert_eq!(serde_json::from_str::<StatDocument>(&text).unwrap(), doc);
    let example: StatDocument = serde_json::from_str(EXAMPLE).unwrap();
    assert_eq!(example.paths[0].pages, Some(23_184));
    assert_eq!(example.paths[0].copies.as_ref().unwrap()[0].reason, "no_scatter_gather");
}

#[test]
fn the_ledger_adds_up_in_the_document() {
    let doc = produced(&full());
    let path = doc["paths"].as_array().unwrap().iter().find(|p| p["path"] == "msg_zerocopy").unwrap();
    let n = |v: &Value| v.as_u64().unwrap();
    assert_eq!(
        n(&path["copied_bytes"]) + n(&path["zerocopied_bytes"]) + n(&path["in_flight"]["bytes"]),
        n(&path["requested_bytes"])
    );
    assert_eq!(path["refused"][0]["reason"], "optmem");
    assert_eq!(path["errors"]["ENOBUFS"], 7);
}

#[test]
fn what_is_not_known_is_absent() {
    let doc = produced(&sparse());
    let path = doc["paths"].as_array().unwrap().iter().find(|p| p["path"] == "msg_zerocopy").unwrap();
    for key in
        ["copied_bytes", "zerocopied_bytes", "completions", "in_flight", "attached_bytes", "frags", "refused"]
    {
        assert_eq!(path.get(key), None, "{key}");
    }
    assert_eq!(path["requested_bytes"], 94_961_664);
    assert!(!doc.to_string().contains("null"));
}
