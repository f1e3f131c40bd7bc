//! One path in the report for people.

use std::fmt::Display;

use super::table::{TOP, more, wrap};
use crate::model::snapshot::{Completions, CopyFigures, Ledger, PathFigures, Percentiles, WrongSends};
use crate::units::{bytes, duration, percent, rate};

/// Everything about one path: its ledger, its copies, the ends of its sends, their cost.
pub(super) fn path_block(path: &PathFigures, duration_ns: u64) -> Vec<String> {
    let mean = u128::from(path.bytes) * 1_000_000_000 / u128::from(duration_ns.max(1));
    let mean = rate(u64::try_from(mean).unwrap_or(u64::MAX));
    let mut lines =
        vec![format!("{}: {} calls, {}, {mean} mean", path.path.name(), path.calls, bytes(path.bytes))];
    if let Some(ledger) = path.ledger {
        let receive = path.path.receives();
        lines.extend(if receive { received_lines(&ledger, path) } else { ledger_lines(&ledger, path) });
    }
    if !path.copies.is_empty() {
        lines.push("  copies by reason (a byte copied twice counts twice)".into());
        lines.extend(path.copies.iter().take(TOP).flat_map(copy_lines));
        lines.extend(more(path.copies.len(), "    "));
    }
    let errors = path.errors.iter().map(|(name, n)| (*name, *n)).filter(|(_, n)| *n > 0);
    lines.extend(counts("failed calls", errors));
    lines.extend(counts("refused", path.refused.iter().map(|(reason, n)| (reason.name(), *n))));
    lines.extend(packet_line(path));
    lines.extend(counts("noted", path.notes.iter().flatten().map(|(reason, n)| (reason.name(), *n))));
    lines.extend(path.completions.as_deref().into_iter().flat_map(completion_lines));
    lines.extend(cost_line(path));
    lines
}

/// A line with a name at its start, `None` without text.
fn named(name: &str, parts: &[String]) -> Option<String> {
    (!parts.is_empty()).then(|| format!("  {name:<14}{}", parts.join(", ")))
}

/// Numbers with their names; nothing when there are none.
fn counts(name: &str, rows: impl Iterator<Item = (impl Display, u64)>) -> Vec<String> {
    let text = rows.map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ");
    if text.is_empty() { Vec::new() } else { wrap(&format!("  {name:<14}{text}"), "", "                ") }
}

fn row(name: &str, n: Option<u64>, whole: u64, note: &str) -> String {
    match n {
        Some(n) => format!("  {name:<14}{:>10} {:>8}  {note}", bytes(n), percent(n, whole)),
        None => format!("  {name:<14}{:>10}", "not known"),
    }
}

fn ledger_lines(ledger: &Ledger, path: &PathFigures) -> Vec<String> {
    let row = |name: &str, n: Option<u64>, note: &str| row(name, n, ledger.requested_bytes, note);
    let mut lines =
        vec![row("zero-copied", ledger.zerocopied_bytes, ""), row("copied", ledger.copied_bytes, "")];
    if ledger.silent_copied_bytes != Some(0) && ledger.copied_bytes.is_some() {
        lines.push(row("  silent", ledger.silent_copied_bytes, "the application was not told"));
    }
    if let Some(open) = path.in_flight {
        let pages = open.pages.map(|pages| format!(", {pages} pages")).unwrap_or_default();
        lines.push(row("in flight", Some(open.bytes), &format!("{} sends{pages}", open.sends)));
    }
    if let Some(unsent) = path.completions.as_deref().map(|c| c.unsent_bytes).filter(|n| *n > 0) {
        lines.push(row("  unsent", Some(unsent), "zero-copied, but the connection ended before they left"));
    }
    if let Some(c) = path.completions.as_deref().filter(|c| c.lost_ends > 0) {
        let note = format!("{} sends whose end was not seen", c.lost_ends);
        lines.push(row("lost ends", Some(c.lost_end_bytes), &note));
    }
    if ledger.clone_copied_bytes.is_some_and(|n| n > 0) {
        lines.push(row("clone copies", ledger.clone_copied_bytes, "for a second consumer, not the wire"));
    }
    lines
}

fn received_lines(ledger: &Ledger, path: &PathFigures) -> Vec<String> {
    let whole = ledger.requested_bytes;
    let mut lines = vec![
        row("mapped", ledger.zerocopied_bytes, whole, ""),
        row("copied", ledger.copied_bytes, whole, ""),
    ];
    if let Some(left) = path.skip_hint_bytes.filter(|n| *n > 0) {
        lines.push(format!("  {:<14}{:>10}           left to a plain read", "not mapped", bytes(left)));
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

/// How the bytes lie in packets.
fn packet_line(path: &PathFigures) -> Option<String> {
    let mut parts = Vec::new();
    parts.extend(path.frags.filter(|n| *n > 0).map(|n| format!("{n} frags")));
    parts.extend(path.pages.filter(|n| *n > 0).map(|n| format!("{n} pages")));
    parts.extend(path.frags_per_skb.as_ref().map(|s| format!("{} a packet (max {})", s.p50, s.max)));
    parts.extend(path.bytes_per_frag.as_ref().map(|s| format!("{} a frag", bytes(s.p50))));
    named("packets", &parts)
}

fn wrong_name(wrong: &WrongSends) -> String {
    let inferred = if wrong.inferred { " (inferred)" } else { "" };
    format!("{}{inferred}", wrong.kind.name())
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
    let wrong = c.disagreements.iter().flatten();
    lines.extend(counts("told wrongly", wrong.map(|wrong| (wrong_name(wrong), wrong.sends))));
    let others = [
        (c.unread_sends.unwrap_or(0), "sends ended, notification not read"),
        (c.before_attach, "sends ended that began before the trace"),
    ];
    lines.extend(others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("  {:<14}{n} {what}", "")));
    lines.extend(latency_lines(c));
    lines
}

/// The stages of a send's end, each from the one before; the last line is all of them.
fn latency_lines(c: &Completions) -> Vec<String> {
    let stages = [
        ("released", c.latency),
        ("then queued", c.queue_latency),
        ("then read", c.read_latency),
        ("read in all", c.app_read_latency),
    ];
    stages.iter().filter_map(|(name, p)| p.as_ref().map(|p| latency(name, p))).collect()
}

fn latency(name: &str, p: &Percentiles) -> String {
    format!(
        "  {name:<14}p50 {}, p99 {}, p99.9 {}, max {}",
        duration(p.p50),
        duration(p.p99),
        duration(p.p999),
        duration(p.max)
    )
}

/// Time inside the send call.
fn cost_line(path: &PathFigures) -> Option<String> {
    let mut parts = Vec::new();
    parts.extend(path.send_ns_per_kib.map(|ns| format!("{ns} ns per KiB")));
    parts.extend(path.send_ns.as_ref().map(|p| format!("p50 {}, p99 {}", duration(p.p50), duration(p.p99))));
    named("in the call", &parts)
}
