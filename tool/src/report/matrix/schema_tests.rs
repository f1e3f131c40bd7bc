//! The JSON document of a matrix against its schema.

use serde_json::Value;

use crate::matrix::fixture::{cable, copying};
use crate::matrix::knobs::{Knobs, QueueLimit};
use crate::matrix::result::MatrixReport;

const SCHEMA_TEXT: &str = include_str!("../../../../docs/json/zcscope.matrix-1.schema.json");

fn schema() -> Value {
    serde_json::from_str(SCHEMA_TEXT).unwrap()
}

/// A schema in which every object with properties has no others: what is produced must be documented.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(map) => {
            if map.contains_key("properties") {
                map.insert("additionalProperties".into(), false.into());
            }
            map.values_mut().for_each(|value| *value = closed(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = closed(value.take())),
        _ => {}
    }
    schema
}

fn errors(schema: &Value, document: &Value) -> Vec<String> {
    assert!(jsonschema::meta::is_valid(schema));
    let validator = jsonschema::validator_for(schema).unwrap();
    validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

fn full() -> MatrixReport {
    let mut report = cable();
    report.partial = Some("ended by a signal".into());
    report.cell_bytes = Some(1 << 20);
    report.knobs = Knobs {
        sndbuf: QueueLimit::Bytes,
        sndbuf_asked_bytes: Some(1 << 20),
        reap_every: Some(3),
        threads: Some(1),
        cpus: Some(vec![0, 2]),
        ..Knobs::default()
    };
    report.setting.functional_only = Some("why".into());
    report.setting.not_traced = Some("why".into());
    let run = &mut report.cells[1].runs[0];
    run.error = Some("the sink closed the connection".into());
    if let Some(proof) = &mut report.cells[1].proof {
        proof.kernel_missing = Some("events of this run were lost".into());
    }
    report.cells[1].errors = vec!["the sink closed the connection".into()];
    report
}

#[test]
fn documents_fit_and_every_key_is_documented() {
    for report in [cable(), copying(), full()] {
        let document = serde_json::to_value(report).unwrap();
        assert_eq!(errors(&schema(), &document), Vec::<String>::new());
        assert_eq!(errors(&closed(schema()), &document), Vec::<String>::new());
    }
}

#[test]
fn the_schema_can_say_no() {
    let mut document = serde_json::to_value(cable()).unwrap();
    document["cells"][0]["surprise"] = 1.into();
    assert_eq!(errors(&schema(), &document).len(), 0, "later versions may add keys");
    assert_eq!(errors(&closed(schema()), &document).len(), 1);
    document["cells"][0]["verdict"] = "fast".into();
    document["schema"] = "zcscope.matrix/2".into();
    assert_eq!(errors(&schema(), &document).len(), 2);
}

#[test]
fn documents_can_be_read_back() {
    for report in [cable(), copying(), full()] {
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<MatrixReport>(&text).unwrap(), report);
    }
}
