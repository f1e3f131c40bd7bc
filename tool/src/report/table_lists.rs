//! Processes, sockets and files in the report for people.

use super::table::{TOP, more, wrap};
use crate::model::snapshot::{
    GaugeFigures, Limit, PathFigures, Place, ProcessFigures, Snapshot, SocketFigures,
};
use crate::units::{bytes, bytes_or_unknown, duration, percent};

/// Bytes over all paths of one subject, and the copied share of what it sent; "not known" where a path does not know.
struct Sum {
    sent: u64,
    received: u64,
    copied: String,
}

fn sum_up(paths: &[PathFigures]) -> Sum {
    let bytes_of = |receive| paths.iter().filter(|p| p.path.receives() == receive).map(|p| p.bytes).sum();
    let ledgers = || paths.iter().filter(|p| !p.path.receives()).filter_map(|p| p.ledger);
    let requested = ledgers().map(|l| l.requested_bytes).sum();
    let copied = match ledgers().map(|l| l.copied_bytes).sum::<Option<u64>>() {
        _ if ledgers().next().is_none() => "-".to_owned(),
        None => "not known".to_owned(),
        Some(copied) => percent(copied, requested),
    };
    Sum { sent: bytes_of(false), received: bytes_of(true), copied }
}

/// The columns of a list; received bytes have one only where something was received.
struct Columns {
    received: bool,
}

impl Columns {
    fn of(snapshot: &Snapshot) -> Self {
        Self { received: snapshot.paths.iter().any(|p| p.path.receives()) }
    }

    fn heading(&self, name: &str) -> String {
        let received = if self.received { format!("{:>12}", "received") } else { String::new() };
        format!("{name:<26}{:>12}{:>12}{received}  paths", "sent", "copied")
    }

    fn row(&self, name: &str, paths: &[PathFigures]) -> Vec<String> {
        let sum = sum_up(paths);
        let received = if self.received { format!("{:>12}", bytes(sum.received)) } else { String::new() };
        let names = paths.iter().map(|p| p.path.name()).collect::<Vec<_>>().join(" ");
        let figures = format!("{name:<26}{:>12}{:>12}{received}  ", bytes(sum.sent), sum.copied);
        let indent = " ".repeat(figures.chars().count());
        wrap(&names, &figures, &indent)
    }
}

/// Processes, most bytes first.
pub(super) fn processes(snapshot: &Snapshot) -> Vec<String> {
    if snapshot.processes.is_empty() {
        return Vec::new();
    }
    let columns = Columns::of(snapshot);
    let mut lines = vec![String::new(), columns.heading("processes")];
    for p in snapshot.processes.iter().take(TOP) {
        lines.extend(columns.row(&format!("  {} {}", p.pid, p.comm), &p.paths));
        lines.extend(place(&p.place));
        lines.extend(held(p));
    }
    lines.extend(more(snapshot.processes.len(), "  "));
    lines
}

/// Where it runs, as far as that has a name.
fn place(place: &Place) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(place.container.as_deref().or(place.cgroup.as_deref()).map(|name| format!("in {name}")));
    parts.extend(place.netns_name.as_deref().map(|name| format!("netns {name}")));
    if parts.is_empty() { Vec::new() } else { wrap(&parts.join(", "), "    ", "      ") }
}

/// What it holds for zero-copy.
fn held(process: &ProcessFigures) -> Vec<String> {
    let Some(g) = process.gauges else { return Vec::new() };
    let mut parts = held_now(&g);
    parts.extend(g.locked_pages.filter(|n| *n > 0).map(|n| match process.memlock_limit {
        Some(Limit::Bytes(limit)) => format!("at most {n} pages locked, limit {}", bytes(limit)),
        _ => format!("at most {n} pages locked"),
    }));
    if parts.is_empty() { Vec::new() } else { wrap(&parts.join("; "), "    ", "      ") }
}

fn held_now(g: &GaugeFigures) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(g.pages_in_flight.filter(|n| *n > 0).map(|n| format!("{n} pages in flight")));
    parts.extend(g.unread_notifications.filter(|n| *n > 0).map(|n| format!("{n} notifications unread")));
    let limit = g.optmem_max_bytes.map(|max| format!(" of {}", bytes(max))).unwrap_or_default();
    let peak = g.optmem_peak_bytes.filter(|n| *n > 0);
    parts.extend(peak.map(|n| format!("option memory of one socket at most {}{limit}", bytes(n))));
    parts
}

/// Sockets, most bytes first.
pub(super) fn sockets(snapshot: &Snapshot) -> Vec<String> {
    if snapshot.sockets.is_empty() {
        return Vec::new();
    }
    let columns = Columns::of(snapshot);
    let mut lines = vec![String::new(), columns.heading("sockets")];
    for s in snapshot.sockets.iter().take(TOP) {
        lines.extend(columns.row(&format!("  {} {}", s.pid, s.comm), &s.paths));
        lines.extend(wrap(&address(s), "    ", "      "));
    }
    lines.extend(more(snapshot.sockets.len(), "  "));
    lines
}

fn address(socket: &SocketFigures) -> String {
    let dev = socket.dev.as_deref().map(|d| format!(" on {d}")).unwrap_or_default();
    let ended = if socket.alive { "" } else { ", ended" };
    let held: String = socket
        .paths
        .iter()
        .filter_map(|p| p.completions.as_deref()?.latency)
        .map(|p| format!(", released p50 {}, p99 {}", duration(p.p50), duration(p.p99)))
        .collect();
    format!("{} -> {}{dev}{ended}{held}", socket.local, socket.remote)
}

/// Files sent, and files read by processes that send plainly.
pub(super) fn files(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(files) = snapshot.files.as_ref().filter(|files| !files.is_empty()) {
        let heading = format!("{:<40}{:>10}{:>12}{:>10}", "files", "sent", "not cached", "copied");
        lines.extend([String::new(), heading]);
        for f in files.iter().take(TOP) {
            let direct = if f.direct { ", O_DIRECT" } else { "" };
            let name = format!("  {} {} {} ({}{direct})", f.pid, f.comm, f.name, f.filesystem);
            let [missed, copied] = [f.cache_miss_bytes, f.copy_read_bytes].map(bytes_or_unknown);
            lines.push(format!("{name:<40}{:>10}{missed:>12}{copied:>10}", bytes(f.bytes)));
        }
        lines.extend(more(files.len(), "  "));
    }
    if let Some(reads) = snapshot.file_reads.as_ref().filter(|reads| !reads.is_empty()) {
        lines.extend([String::new(), format!("{:<40}{:>10}", "files read by plain senders", "read")]);
        lines.extend(reads.iter().take(TOP).map(|r| {
            let name = format!("  {} {}", r.pid, r.comm);
            format!("{name:<40}{:>10}", bytes(r.bytes))
        }));
        lines.extend(more(reads.len(), "  "));
    }
    lines
}
