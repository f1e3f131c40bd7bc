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

/// Every key of `value` stands in the schema's `definition`, or in one it refers to.
fn undocumented(value: &Value, definition: &Value, schema: &Value, at: &str, found: &mut Vec<String>) {
    let definition = match definition["$ref"].as_str() {
        Some(target) => &schema["$defs"][target.trim_start_matches("#/$defs/")],
        None => definition,
    };
    match value {
        Value::Array(items) => {
            items.iter().for_each(|item| undocumented(item, &definition["items"], schema, at, found));
        }
        Value::Object(map) if definition.get("properties").is_some() => {
            for (key, value) in map {
                let (known, at) = (&definition["properties"][key], format!("{at}/{key}"));
                match known {
                    Value::Null => found.push(at),
                    known => undocumented(value, known, schema, &at, found),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_key_is_in_the_schema() {
    let schema: Value = serde_json::from_str(SCHEMA_TEXT).unwrap();
    let mut found = Vec::new();
    undocumented(&produced(&full()), &schema, &schema, "", &mut found);
    assert_eq!(found, Vec::<String>::new());
    let mut wrong = produced(&full());
    wrong["paths"][0]["surprise"] = Value::from(1);
    undocumented(&wrong, &schema, &schema, "", &mut found);
    assert_eq!(found, ["/paths/surprise"], "the check can say no");
}

#[test]
fn stages_disagreements_gauges_and_files_are_in_the_document() {
    let doc = produced(&full());
    let of = |name: &str| doc["paths"].as_array().unwrap().iter().find(|p| p["path"] == name).unwrap();
    let zc = of("msg_zerocopy");
    assert_eq!((&zc["pages"], &zc["frags_per_skb"]["p50"]), (&Value::from(23_184), &Value::from(17)));
    assert_eq!(zc["notes"][0]["reason"], "frag_limit");
    assert_eq!(zc["in_flight"]["pages"], 32);
    assert_eq!(zc["send_ns"]["count"], 1_447);
    assert_eq!(zc["send_ns_per_kib"], 75);
    let c = &zc["completions"];
    for key in ["latency_ns", "queue_latency_ns", "read_latency_ns", "app_read_latency_ns", "range_length"] {
        assert!(c[key]["count"].as_u64() > Some(0), "{key}");
    }
    assert_eq!(c["disagreements"][0]["kind"], "merged_range");
    assert_eq!((&c["before_attach"], &c["lost_ends"], &c["unread_sends"]), (&4.into(), &0.into(), &0.into()));
    let received = of("recv_zerocopy");
    assert_eq!(
        (&received["zerocopied_bytes"], &received["skip_hint_bytes"]),
        (&974_848.into(), &12_000.into())
    );
    assert_eq!(received.get("refused"), None);
    let socket = doc["sockets"].as_array().unwrap().iter().find(|s| s["comm"] == "zc").unwrap();
    assert_eq!((&socket["uid"], &socket["container"]), (&1_000.into(), &"docker:0123456789ab".into()));
    assert_eq!((&socket["netns"], &socket["netns_name"]), (&4_026_531_840_u32.into(), &"blue".into()));
    assert_eq!(socket["gauges"]["optmem_max_bytes"], 131_072);
    assert_eq!(socket["paths"][1]["completions"]["latency_ns"]["count"], 1_447);
    let process = doc["processes"].as_array().unwrap().iter().find(|s| s["comm"] == "zc").unwrap();
    assert_eq!(process["gauges"]["memlock_limit_bytes"], 8 << 20);
    assert_eq!(
        (&doc["files"][0]["file"], &doc["file_reads"][0]["bytes"]),
        (&"movie-of-the-week.mkv".into(), &900.into())
    );
}

#[test]
fn what_is_not_known_is_absent() {
    let doc = produced(&sparse());
    let path = doc["paths"].as_array().unwrap().iter().find(|p| p["path"] == "msg_zerocopy").unwrap();
    for key in [
        "copied_bytes",
        "zerocopied_bytes",
        "completions",
        "in_flight",
        "attached_bytes",
        "frags",
        "refused",
        "pages",
        "frags_per_skb",
        "notes",
        "send_ns",
        "send_ns_per_kib",
    ] {
        assert_eq!(path.get(key), None, "{key}");
    }
    assert_eq!(path["requested_bytes"], 94_961_664);
    for key in ["files", "file_reads"] {
        assert_eq!(doc.get(key), None, "{key}");
    }
    assert!(!doc.to_string().contains("null"));
}
