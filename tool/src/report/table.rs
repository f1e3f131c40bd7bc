//! The report of `stat` as text for people, within 80 columns where names allow.

use std::fmt::Write as _;

use super::table_lists::{files, processes, sockets};
use super::table_path::path_block;
use crate::diagnose::Finding;
use crate::model::snapshot::Snapshot;
use crate::units::duration;

/// Rows of any list: copies per path, processes, sockets, files.
pub(super) const TOP: usize = 10;
const WIDTH: usize = 80;

/// The report. `command` is the traced command with its arguments, empty when there was none.
#[must_use]
pub fn render(snapshot: &Snapshot, findings: &[Finding], command: &[String]) -> String {
    let mut lines = header(snapshot, command);
    if snapshot.paths.is_empty() {
        lines.extend(nothing_sent());
    }
    // What is sent first, whatever the order of the ids.
    let (received, sent): (Vec<_>, Vec<_>) = snapshot.paths.iter().partition(|p| p.path.receives());
    for path in sent.into_iter().chain(received) {
        lines.push(String::new());
        lines.extend(path_block(path, snapshot.duration_ns));
    }
    lines.extend(processes(snapshot));
    lines.extend(sockets(snapshot));
    lines.extend(files(snapshot));
    lines.extend(finding_blocks(findings));
    lines.extend(missing(snapshot));
    lines.iter().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "{}", line.trim_end());
        out
    })
}

fn header(snapshot: &Snapshot, command: &[String]) -> Vec<String> {
    let session = &snapshot.session;
    let lost = match snapshot.lost.total {
        0 => "nothing lost".to_owned(),
        n => format!("LOST {n}"),
    };
    let parts = [
        session.host.clone(),
        format!("kernel {}", session.kernel),
        session.backend.clone(),
        duration(snapshot.duration_ns),
        lost,
    ];
    let shown: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let mut lines = vec![format!("zcscope stat: {}", shown.join(", "))];
    if !command.is_empty() {
        lines.push(format!("command: {}", command.join(" ")));
    }
    lines
}

fn nothing_sent() -> Vec<String> {
    [
        "",
        "Nothing was sent or received over TCP by what was traced. Things to check:",
        "  - the filter: -p, -c, -i, -P and --path must match the traffic",
        "  - the time: connections must send while the trace runs",
        "  - the protocol: UDP, QUIC, AF_UNIX and RDMA do not pass TCP's send function",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn finding_blocks(findings: &[Finding]) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in findings {
        lines.push(String::new());
        let label = finding.severity.name().to_uppercase();
        lines.extend(wrap(&format!("{label}  {}", finding.title), "", "    "));
        lines.extend(finding.explained_by.map(|id| format!("    explained by {id} above")));
        lines.extend(finding.evidence.iter().flat_map(|text| wrap(text, "    ", "      ")));
        // Commands are not wrapped: they are there to be copied.
        lines.extend(finding.fix.iter().map(|text| format!("    fix: {text}")));
    }
    lines
}

fn missing(snapshot: &Snapshot) -> Vec<String> {
    if snapshot.session.missing.is_empty() {
        return Vec::new();
    }
    // Several facts are often missing for one reason.
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for missing in &snapshot.session.missing {
        match reasons.iter_mut().find(|(why, _)| *why == missing.why) {
            Some((_, facts)) => facts.push(&missing.fact),
            None => reasons.push((&missing.why, vec![&missing.fact])),
        }
    }
    let heading = ["".to_owned(), "Not known here".to_owned()];
    let lines =
        reasons.iter().flat_map(|(why, facts)| wrap(&format!("{}: {why}", facts.join(", ")), "  ", "    "));
    heading.into_iter().chain(lines).collect()
}

/// What stands below a list of `count` rows of which the first were shown.
pub(super) fn more(count: usize, indent: &str) -> Option<String> {
    (count > TOP).then(|| format!("{indent}and {} more", count - TOP))
}

/// Breaks a text at spaces so that no line is longer than [`WIDTH`], if its words allow.
pub(super) fn wrap(text: &str, first: &str, rest: &str) -> Vec<String> {
    let mut lines = vec![first.to_owned()];
    let mut empty = true;
    for word in text.split_inclusive(' ') {
        let length = lines.last().map_or(0, |line| line.chars().count());
        if !empty && length + word.trim_end().chars().count() > WIDTH {
            lines.push(rest.to_owned());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
        empty = false;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{empty, full, sparse};
    use super::*;
    use crate::diagnose::findings;

    fn text(snapshot: &Snapshot) -> String {
        render(
            snapshot,
            &findings(snapshot),
            &["zc".to_owned(), "--to".to_owned(), "10.9.0.2:9999".to_owned()],
        )
    }

    #[test]
    fn with_every_figure() {
        insta::assert_snapshot!("full", text(&full()));
    }

    #[test]
    fn where_little_is_known() {
        insta::assert_snapshot!("sparse", text(&sparse()));
    }

    #[test]
    fn when_nothing_was_sent() {
        insta::assert_snapshot!("empty", render(&empty(), &[], &[]));
    }

    #[test]
    fn lines_fit_eighty_columns_but_for_commands() {
        for line in text(&full()).lines().filter(|line| !line.contains("fix: ")) {
            assert!(line.chars().count() <= WIDTH, "{line:?}");
        }
    }
}
