//! The report of `stat` as text for people, within 80 columns where names allow.

use std::fmt::Write as _;

use crate::diagnose::Finding;
use crate::model::snapshot::{
    Completions, CopyFigures, Ledger, PathFigures, Percentiles, Snapshot, SocketFigures,
};
use crate::units::{bytes, duration, percent, rate};

/// Rows of copies per path, of processes, and of sockets.
const TOP: usize = 10;
const WIDTH: usize = 80;

/// The report. `command` is the traced command with its arguments, empty when there was none.
#[must_use]
pub fn render(snapshot: &Snapshot, findings: &[Finding], command: &[String]) -> String {
    let mut lines = header(snapshot, command);
    if snapshot.paths.is_empty() {
        lines.extend(nothing_sent());
    }
    for path in &snapshot.paths {
        lines.push(String::new());
        lines.extend(path_block(path, snapshot.duration_ns));
    }
    lines.extend(processes(snapshot));
    lines.extend(sockets(snapshot));
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
        "Nothing was sent over TCP by what was traced. Things to check:",
        "  - the filter: -p, -c, -i, -P and --path must match the traffic",
        "  - the time: connections must send while the trace runs",
        "  - the protocol: UDP, QUIC, AF_UNIX and RDMA do not pass TCP's send function",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn path_block(path: &PathFigures, duration_ns: u64) -> Vec<String> {
    let mean = u128::from(path.bytes) * 1_000_000_000 / u128::from(duration_ns.max(1));
    let mean = rate(u64::try_from(mean).unwrap_or(u64::MAX));
    let mut lines =
        vec![format!("{}: {} calls, {}, {mean} mean", path.path.name(), path.calls, bytes(path.bytes))];
    if let Some(ledger) = path.ledger {
        lines.extend(ledger_lines(&ledger, path));
    }
    if !path.copies.is_empty() {
        lines.push("  copies by reason (a byte copied twice counts twice)".into());
        lines.extend(path.copies.iter().take(TOP).flat_map(copy_lines));
        lines.extend(more(path.copies.len(), "    "));
    }
    let counts = |rows: Vec<(&str, u64)>| {
        rows.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
    };
    let errors: Vec<_> = path.errors.iter().map(|(name, n)| (*name, *n)).filter(|(_, n)| *n > 0).collect();
    if !errors.is_empty() {
        lines.push(format!("  {:<14}{}", "failed calls", counts(errors)));
    }
    if !path.refused.is_empty() {
        let refused = path.refused.iter().map(|(reason, n)| (reason.name(), *n)).collect();
        lines.push(format!("  {:<14}{}", "refused", counts(refused)));
    }
    lines.extend(path.completions.iter().flat_map(completion_lines));
    lines
}

fn ledger_lines(ledger: &Ledger, path: &PathFigures) -> Vec<String> {
    let requested = ledger.requested_bytes;
    let row = |name: &str, n: Option<u64>, note: &str| match n {
        Some(n) => format!("  {name:<14}{:>10} {:>8}  {note}", bytes(n), percent(n, requested)),
        None => format!("  {name:<14}{:>10}", "not known"),
    };
    let mut lines =
        vec![row("zero-copied", ledger.zerocopied_bytes, ""), row("copied", ledger.copied_bytes, "")];
    if ledger.silent_copied_bytes != Some(0) && ledger.copied_bytes.is_some() {
        lines.push(row("  silent", ledger.silent_copied_bytes, "the application was not told"));
    }
    if let Some(open) = path.in_flight {
        lines.push(row("in flight", Some(open.bytes), &format!("{} sends", open.sends)));
    }
    if ledger.clone_copied_bytes.is_some_and(|n| n > 0) {
        lines.push(row("clone copies", ledger.clone_copied_bytes, "for a second consumer, not the wire"));
    }
    lines
}

fn copy_lines(copy: &CopyFigures) -> Vec<String> {
    let kind = &copy.kind;
    let caller = kind.caller.as_deref().map(|c| format!(" <- {c}")).unwrap_or_default();
    let dev = kind.dev.as_deref().map(|d| format!(", dev {d}")).unwrap_or_default();
    let told = if kind.told { "" } else { ", not told" };
    let clone = if kind.clone { ", clone" } else { "" };
    let inferred = if kind.inferred { ", inferred" } else { "" };
    vec![
        format!(
            "    {:<20}{:>10} in {} copies{told}{clone}{inferred}",
            kind.reason.name(),
            bytes(copy.bytes),
            copy.count
        ),
        format!("      {}{caller}{dev}", kind.site),
    ]
}

fn completion_lines(c: &Completions) -> Vec<String> {
    let mut lines = vec![format!(
        "  {:<14}{} sends ended in {} units, {} flagged as copied",
        "kernel", c.sends, c.units, c.kernel_copied
    )];
    match (c.notifications, c.told_sends, c.told_copied) {
        (Some(n), Some(sends), Some(copied)) => {
            lines.push(format!("  {:<14}{sends} sends in {n} notifications, {copied} as copied", "told"));
        }
        _ => lines.push(format!("  {:<14}not known", "told")),
    }
    let latency = |name: &str, p: &Percentiles| {
        format!(
            "  {name:<14}p50 {}, p99 {}, p99.9 {}, max {}",
            duration(p.p50),
            duration(p.p99),
            duration(p.p999),
            duration(p.max)
        )
    };
    lines.extend(c.latency.iter().map(|p| latency("released", p)));
    lines.extend(c.app_read_latency.iter().map(|p| latency("read by app", p)));
    lines
}

/// Requested, copied and silent bytes over all paths of one subject; `None` where a path does not know.
fn sum_up(paths: &[PathFigures]) -> (u64, String) {
    let sent = paths.iter().map(|p| p.bytes).sum();
    let ledgers: Vec<_> = paths.iter().filter_map(|p| p.ledger).collect();
    let requested = ledgers.iter().map(|l| l.requested_bytes).sum();
    let copied = ledgers.iter().map(|l| l.copied_bytes).sum::<Option<u64>>();
    let text = match copied {
        _ if ledgers.is_empty() => "-".to_owned(),
        None => "not known".to_owned(),
        Some(copied) => percent(copied, requested),
    };
    (sent, text)
}

fn processes(snapshot: &Snapshot) -> Vec<String> {
    if snapshot.processes.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), format!("{:<26}{:>12}{:>12}  paths", "processes", "sent", "copied")];
    for p in snapshot.processes.iter().take(TOP) {
        let (sent, copied) = sum_up(&p.paths);
        let name = format!("  {} {}", p.pid, p.comm);
        lines.push(format!("{name:<26}{:>12}{copied:>12}  {}", bytes(sent), path_names(&p.paths)));
    }
    lines.extend(more(snapshot.processes.len(), "  "));
    lines
}

fn sockets(snapshot: &Snapshot) -> Vec<String> {
    if snapshot.sockets.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), format!("{:<26}{:>12}{:>12}  paths", "sockets", "sent", "copied")];
    for s in snapshot.sockets.iter().take(TOP) {
        let (sent, copied) = sum_up(&s.paths);
        let name = format!("  {} {}", s.pid, s.comm);
        lines.push(format!("{name:<26}{:>12}{copied:>12}  {}", bytes(sent), path_names(&s.paths)));
        lines.push(format!("    {}", address(s)));
    }
    lines.extend(more(snapshot.sockets.len(), "  "));
    lines
}

fn address(socket: &SocketFigures) -> String {
    let dev = socket.dev.as_deref().map(|d| format!(" on {d}")).unwrap_or_default();
    let ended = if socket.alive { "" } else { ", ended" };
    format!("{} -> {}{dev}{ended}", socket.local, socket.remote)
}

fn path_names(paths: &[PathFigures]) -> String {
    paths.iter().map(|p| p.path.name()).collect::<Vec<_>>().join(" ")
}

fn more(count: usize, indent: &str) -> Option<String> {
    (count > TOP).then(|| format!("{indent}and {} more", count - TOP))
}

fn finding_blocks(findings: &[Finding]) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in findings {
        lines.push(String::new());
        let label = finding.severity.name().to_uppercase();
        lines.extend(wrap(&format!("{label}  {}", finding.title), "", "    "));
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

/// Breaks a text at spaces so that no line is longer than [`WIDTH`], if its words allow.
fn wrap(text: &str, first: &str, rest: &str) -> Vec<String> {
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
