//! The selftest as a table for people: a line per row, and what is wrong or missing below it.

use std::fmt::Write as _;

use super::result::{ObservedDoc, RowReport, SelftestReport, Verdict};
use crate::units::{bytes, duration, percent};

/// Above the rows.
pub(super) fn heading(report: &SelftestReport) -> String {
    format!(
        "zcscope {} on Linux {}, tracing by {}\n\n{:<8}{:<21}{:>9}  {:<39}observed\n",
        report.version, report.kernel, report.backend, "", "", "sent", "expected"
    )
}

/// One row, with a newline at the end of each line.
pub(super) fn row(row: &RowReport) -> String {
    let verdict = match row.verdict {
        Verdict::Right => "right",
        Verdict::Wrong => "WRONG",
        Verdict::Skipped => "skipped",
    };
    let sent = if row.sent_bytes > 0 { bytes(row.sent_bytes) } else { "-".into() };
    let observed = row.observed.as_ref().map(observed).unwrap_or_default();
    let line = format!("{verdict:<8}{:<21}{sent:>9}  {:<39}{observed}", row.name, expected(row));
    let mut text = format!("{}\n", line.trim_end());
    for why in row.why.iter().chain(&row.complaints) {
        let _ = writeln!(text, "{:<8}{why}", "");
    }
    if row.verdict == Verdict::Wrong {
        let _ = writeln!(text, "{:<8}({})", "", row.about);
    }
    text
}

/// Below the rows.
pub(super) fn summary(report: &SelftestReport) -> String {
    let SelftestReport { right, wrong, skipped, .. } = report;
    let mut text =
        format!("\n{right} right, {wrong} wrong, {skipped} skipped in {}\n", duration(report.duration_ns));
    if report
        .rows
        .iter()
        .filter_map(|row| row.observed.as_ref())
        .flat_map(|seen| &seen.copies)
        .any(|c| c.inferred)
    {
        text.push_str("~ concluded from other events: this back end does not see the copy itself\n");
    }
    match (*wrong, *right) {
        (0, 0) => text.push_str("Nothing could be shown here.\n"),
        (0, _) => text.push_str("What zcscope says on this kernel is what happened, to the byte.\n"),
        _ => text.push_str("Do not trust its figures on this kernel: please report these rows.\n"),
    }
    text
}

fn expected(row: &RowReport) -> String {
    let e = &row.expected;
    let mut text = match e.fate.as_str() {
        "copied" => {
            let told = match e.told.as_str() {
                "all" => "told",
                "none" => "silent",
                _ => "told or not",
            };
            format!("copied ({told}): {}", e.reason.as_deref().unwrap_or_default())
        }
        "zero_copy" => "zero-copy".to_owned(),
        _ => "plain copy".to_owned(),
    };
    if let Some(reason) = &e.clone_reason {
        let _ = write!(text, " and {reason}");
    }
    if let Some(reason) = &e.refused {
        let _ = write!(text, ", {reason}");
    }
    text
}

fn observed(seen: &ObservedDoc) -> String {
    let Some(requested) = seen.requested_bytes else { return "plain copy".into() };
    let share = |part: Option<u64>| part.map_or("n/a".to_owned(), |part| percent(part, requested));
    let mut parts = vec![format!("copied {}", share(seen.copied_bytes))];
    let silent = seen.silent_copied_bytes.filter(|n| *n > 0);
    parts.extend(silent.map(|n| format!("silent {}", percent(n, requested))));
    let clone = seen.clone_copied_bytes.filter(|n| *n > 0);
    parts.extend(clone.map(|n| format!("for others {}", percent(n, requested))));
    parts.extend((seen.enobufs > 0).then(|| format!("ENOBUFS {}", seen.enobufs)));
    let mut reasons: Vec<String> = seen
        .copies
        .iter()
        .map(|copy| format!("{}{}", copy.reason, if copy.inferred { "~" } else { "" }))
        .collect();
    reasons.dedup();
    let mut text = parts.join(", ");
    if !reasons.is_empty() {
        let _ = write!(text, ": {}", reasons.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::result::SeenReason;
    use super::super::rows::ROWS;
    use super::*;

    fn done(name: &str, verdict: Verdict) -> RowReport {
        let blank = RowReport::of(ROWS.iter().find(|row| row.name == name).unwrap());
        let copies = vec![SeenReason {
            reason: "no_scatter_gather".into(),
            bytes: 4 << 20,
            clone: false,
            inferred: true,
        }];
        let observed = ObservedDoc {
            requested_bytes: Some(4 << 20),
            copied_bytes: Some(4 << 20),
            silent_copied_bytes: Some(4 << 20),
            copies,
            ..ObservedDoc::default()
        };
        RowReport { verdict, sent_bytes: 4 << 20, observed: Some(observed), ..blank }
    }

    #[test]
    fn the_table() {
        let mut wrong = done("zerocopy_lo", Verdict::Wrong);
        wrong.complaints = vec!["bytes copied: 0, expected 4,194,304".into()];
        let mut skipped = RowReport::of(&ROWS[3]);
        skipped.why = Some("before Linux 6.17 a veth pair copies what it transmits".into());
        let mut report = SelftestReport {
            version: "0.1.0".into(),
            kernel: "6.12.117".into(),
            backend: "tracepoint".into(),
            duration_ns: 7_200_000_000,
            rows: vec![done("sendfile_no_sg", Verdict::Right), wrong, skipped],
            ..SelftestReport::default()
        };
        report.count();
        let rows: String = report.rows.iter().map(row).collect();
        insta::assert_snapshot!(format!("{}{rows}{}", heading(&report), summary(&report)));
    }
}
