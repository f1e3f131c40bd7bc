//! What a selftest reports: pure types; their serde form is the JSON `zcscope.selftest/1`. A key that is absent is not
//! known here, or does not apply.

use serde::{Deserialize, Serialize};

use super::rows::{Fate, Row, Told};

/// Schema of [`SelftestReport`].
pub(super) const SELFTEST_SCHEMA: &str = "zcscope.selftest/1";

/// One selftest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SelftestReport {
    /// [`SELFTEST_SCHEMA`].
    pub(super) schema: String,
    /// Version of zcscope.
    pub(super) version: String,
    /// Host name.
    pub(super) host: String,
    /// Kernel release.
    pub(super) kernel: String,
    /// Back end in words.
    pub(super) backend: String,
    /// How long it took.
    pub(super) duration_ns: u64,
    /// Rows that were as they must be.
    pub(super) right: u64,
    /// Rows that were not.
    pub(super) wrong: u64,
    /// Rows this kernel or host cannot show.
    pub(super) skipped: u64,
    /// Whether a signal ended it.
    pub(super) interrupted: bool,
    /// Every row, in the order they ran.
    pub(super) rows: Vec<RowReport>,
}

/// What came of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As it must be.
    Right,
    /// Not as it must be.
    Wrong,
    /// Cannot be shown here.
    #[default]
    Skipped,
}

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RowReport {
    /// Name.
    pub(super) name: String,
    /// What it shows.
    pub(super) about: String,
    /// The generator's path.
    pub(super) path: String,
    /// What came of it.
    pub(super) verdict: Verdict,
    /// Why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// What is not as it must be, a sentence each.
    pub(super) complaints: Vec<String>,
    /// Bytes the generator sent.
    pub(super) sent_bytes: u64,
    /// What must come of them.
    pub(super) expected: ExpectedDoc,
    /// What was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) observed: Option<ObservedDoc>,
}

/// What must come of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ExpectedDoc {
    /// `plain`, `zero_copy` or `copied`.
    pub(super) fate: String,
    /// Of how many sends the application is told that they were copied: `all`, `none`, or `some`, where that depends on
    /// how packets were cut.
    pub(super) told: String,
    /// Why they are copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// Why they are copied for a second consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) clone_reason: Option<String>,
    /// Why sends are refused on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<String>,
}

/// What was seen of a row, in the words of `zcscope.stat/1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObservedDoc {
    /// Bytes accepted.
    pub(super) bytes: u64,
    /// Of those, bytes that asked for no copy; absent on a path that never asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) requested_bytes: Option<u64>,
    /// Requested and not copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) zerocopied_bytes: Option<u64>,
    /// Requested and copied, each byte once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) copied_bytes: Option<u64>,
    /// Copied for a second consumer only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) clone_copied_bytes: Option<u64>,
    /// Copied without the application being told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) silent_copied_bytes: Option<u64>,
    /// Sends that ended.
    pub(super) ended_sends: u64,
    /// Sends the application was told were copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) told_copied_sends: Option<u64>,
    /// Calls refused with `ENOBUFS`.
    pub(super) enobufs: u64,
    /// Copy events by reason; a byte copied twice counts twice.
    pub(super) copies: Vec<SeenReason>,
}

/// Copies for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeenReason {
    /// The reason.
    pub(super) reason: String,
    /// Bytes.
    pub(super) bytes: u64,
    /// For a second consumer only.
    pub(super) clone: bool,
    /// Concluded from other events, not seen.
    pub(super) inferred: bool,
}

impl SelftestReport {
    /// Counts the rows.
    pub(super) fn count(&mut self) {
        let of = |verdict| self.rows.iter().filter(|row| row.verdict == verdict).count() as u64;
        (self.right, self.wrong, self.skipped) =
            (of(Verdict::Right), of(Verdict::Wrong), of(Verdict::Skipped));
    }
}

impl RowReport {
    /// Of a row that has not run.
    pub(super) fn of(row: &Row) -> Self {
        let expect = row.expect;
        let (fate, reason) = match expect.fate {
            Fate::Plain => ("plain", None),
            Fate::ZeroCopy => ("zero_copy", None),
            Fate::Copied(reason) => ("copied", Some(reason)),
        };
        let told = match expect.told {
            Told::All => "all",
            Told::None => "none",
            Told::Some => "some",
        };
        let name = |reason: zcscope_common::Reason| reason.name().to_owned();
        Self {
            name: row.name.into(),
            about: row.about.into(),
            path: row.path.into(),
            expected: ExpectedDoc {
                fate: fate.into(),
                told: told.into(),
                reason: reason.map(name),
                clone_reason: expect.clone.map(name),
                refused: expect.refused.map(name),
            },
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::rows::ROWS;
    use super::*;

    const SCHEMA: &str = include_str!("../../../../docs/json/zcscope.selftest-1.schema.json");

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

    fn full() -> SelftestReport {
        let mut rows: Vec<RowReport> = ROWS.iter().map(RowReport::of).collect();
        rows[0].why = Some("not here".into());
        rows[1].verdict = Verdict::Wrong;
        rows[1].complaints = vec!["bytes copied: 0, expected 1".into()];
        let copies = vec![SeenReason { reason: "loopback".into(), bytes: 1, clone: false, inferred: true }];
        rows[1].observed = Some(ObservedDoc {
            requested_bytes: Some(1),
            zerocopied_bytes: Some(0),
            copied_bytes: Some(1),
            clone_copied_bytes: Some(0),
            silent_copied_bytes: Some(0),
            told_copied_sends: Some(1),
            copies,
            ..ObservedDoc::default()
        });
        rows[2].observed = Some(ObservedDoc::default());
        let mut report = SelftestReport { schema: SELFTEST_SCHEMA.into(), rows, ..SelftestReport::default() };
        report.count();
        report
    }

    #[test]
    fn the_document_fits_its_schema_and_every_key_is_documented() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let mut document = serde_json::to_value(full()).unwrap();
        let wrong = |document: &Value| {
            let validator = jsonschema::validator_for(&closed(schema.clone())).unwrap();
            validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect::<Vec<_>>()
        };
        assert_eq!(wrong(&document), Vec::<String>::new());
        document["rows"][0]["surprise"] = 1.into();
        document["rows"][1]["verdict"] = "fine".into();
        assert_eq!(wrong(&document).len(), 2);
    }

    #[test]
    fn rows_are_counted_by_verdict() {
        let report = full();
        assert_eq!((report.right, report.wrong), (0, 1));
        assert_eq!(report.skipped, ROWS.len() as u64 - 1);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<SelftestReport>(&text).unwrap(), report);
    }
}
