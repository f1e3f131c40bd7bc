//! A load's report as text: one small table, and a plain warning where a rate would mislead.

use std::fmt::Write;

use super::result::{Completions, EndedBy, LoadReport};
use crate::units::{bit_rate, bytes, duration, exact, percent, size};

/// Told-copied share above which a run may not be called zero-copy.
const COPIED_LIMIT: f64 = 0.01;

/// The report as lines, with a newline at the end. `kernel` is a block of lines (or nothing) on what the kernel did;
/// it stands before the warnings.
#[must_use]
pub fn render(report: &LoadReport, kernel: &str) -> String {
    let mut out = heading(report);
    for (name, value) in rows(report) {
        for (index, line) in value.lines().enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(out, "  {name:<9} {line}");
        }
    }
    out.push_str(kernel);
    for warning in warnings(report) {
        let _ = writeln!(out, "\nwarning: {warning}");
    }
    out
}

fn heading(report: &LoadReport) -> String {
    let streams = if report.streams == 1 { "1 stream".into() } else { format!("{} streams", report.streams) };
    let cc = report.cc.as_deref().map(|cc| format!(", {cc}")).unwrap_or_default();
    let ended = match report.ended_by {
        EndedBy::Bytes | EndedBy::Duration => "",
        EndedBy::Signal => ", ended early",
        EndedBy::Error => ", FAILED",
    };
    format!(
        "{} to {}: size {}, depth {}, {streams}{cc}{ended}\n",
        report.path,
        report.target,
        size(report.size),
        report.depth
    )
}

fn rows(report: &LoadReport) -> Vec<(&'static str, String)> {
    let mut rows =
        vec![("sent", sent(report)), ("calls", calls(report)), ("CPU", cpu(report)), ("told", told(report))];
    if let Some(completions) = &report.completions
        && let Some(l) = completions.latency_ns.figures
    {
        let figures = format!("p50 {}   p99 {}   max {}", duration(l.p50), duration(l.p99), duration(l.max));
        let every = completions.reap_every;
        rows.push((
            "latency",
            format!("{figures}\n(send call to notification read; the queue is read every {every} sends)"),
        ));
    }
    if let Some(place) = &report.place {
        rows.push(("place", place.text()));
    }
    if let Some(device) = &report.device {
        let verdict = if device.verified { "verified" } else { "NOT verified" };
        rows.push(("device", format!("{}: {verdict}: {}", device.name, device.why)));
    }
    if let Some(why) = &report.kernel_missing {
        rows.push(("kernel", format!("not traced: {why}")));
    }
    rows
}

fn sent(report: &LoadReport) -> String {
    let total = report.phases.send_ns + report.phases.settle_ns;
    let lost = report.bytes - report.acked_bytes;
    let open =
        if lost == 0 { String::new() } else { format!(", {} of them never acknowledged", bytes(lost)) };
    format!(
        "{} ({} B) in {}: {} acknowledged{open}",
        bytes(report.bytes),
        exact(report.bytes),
        duration(total),
        bit_rate(report.gbit_s * 1e9)
    )
}

fn calls(report: &LoadReport) -> String {
    let mut line = exact(report.calls);
    if report.partial_calls > 0 {
        let _ = write!(line, ", {} partial", exact(report.partial_calls));
    }
    for (errno, n) in &report.errors {
        let _ = write!(line, ", {errno} {}", exact(*n));
    }
    line
}

fn cpu(report: &LoadReport) -> String {
    let per_gb = |value: Option<f64>| value.map(|s| format!(" ({s:.3} s/GB)")).unwrap_or_default();
    let mut line =
        format!("senders {}{}", duration(report.cpu.thread_ns), per_gb(report.cpu.thread_s_per_gb));
    if let Some(machine) = report.cpu.machine_ns {
        let per_gb = per_gb(report.cpu.machine_s_per_gb);
        let _ = write!(line, "\nwhole machine with all that runs on it {}{per_gb}", duration(machine));
    }
    line
}

fn told(report: &LoadReport) -> String {
    match (&report.completions, report.so_zerocopy) {
        (None, _) => "nothing: the kernel sends no notification on this path".into(),
        (Some(_), Some(false)) => {
            "nothing: SO_ZEROCOPY is not set, so the kernel ignored MSG_ZEROCOPY".into()
        }
        (Some(c), _) => ends(c, report.calls),
    }
}

fn ends(c: &Completions, calls: u64) -> String {
    let mut text = format!(
        "{} of {} sends ended, in {} notifications\n{} told copied ({}), {}",
        exact(c.sends),
        exact(calls),
        exact(c.notifications),
        exact(c.told_copied),
        percent(c.told_copied, c.sends),
        bytes(c.told_copied_bytes)
    );
    if c.outstanding > 0 {
        let _ = write!(text, "\n{} still held by the kernel when we gave up waiting", exact(c.outstanding));
    }
    if c.unexpected > 0 {
        let _ = write!(text, "\n{} ends told of sends that were not outstanding", exact(c.unexpected));
    }
    text
}

fn warnings(report: &LoadReport) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(c) = &report.completions
        && share(c.told_copied, c.sends) > COPIED_LIMIT
    {
        warnings.push(format!(
            "this was not zero-copy: the kernel told that {} of the sends were copied;\n\
             read no gain from these rates (delivery on the same host always copies MSG_ZEROCOPY)",
            percent(c.told_copied, c.sends)
        ));
    }
    if report.so_zerocopy == Some(false) {
        warnings.push("every byte was copied: SO_ZEROCOPY was left unset as asked".into());
    }
    if let Some(device) = report.device.as_ref().filter(|device| !device.verified) {
        warnings.push(format!("the traffic did not leave through {}: {}", device.name, device.why));
    }
    warnings
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::super::result::*;
    use super::*;
    use std::collections::BTreeMap;

    fn report() -> LoadReport {
        LoadReport {
            schema: LOAD_SCHEMA.into(),
            version: "0.1.0".into(),
            kernel_release: "6.18.0".into(),
            path: "msg_zerocopy".into(),
            target: "127.0.0.1:9000".into(),
            device: None,
            place: None,
            size: 65_536,
            streams: 1,
            depth: 16,
            cc: Some("cubic".into()),
            so_zerocopy: Some(true),
            ended_by: EndedBy::Duration,
            error: None,
            phases: Phases { connect_ns: 1, send_ns: 1_000_000_000, settle_ns: 0 },
            bytes: 655_360,
            acked_bytes: 655_360,
            gbit_s: 0.005,
            cpu: Cpu {
                thread_ns: 1000,
                thread_s_per_gb: Some(0.1),
                machine_ns: None,
                machine_s_per_gb: None,
                pinned: true,
            },
            calls: 10,
            partial_calls: 0,
            errors: BTreeMap::from([("ENOBUFS".into(), 0)]),
            completions: Some(Completions {
                sends: 10,
                notifications: 2,
                reap_every: 4,
                ..Completions::default()
            }),
            per_stream: vec![],
            kernel: None,
            kernel_missing: None,
        }
    }

    #[test]
    fn json_has_the_agreed_keys_and_survives_a_round_trip() {
        let report = report();
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["schema"], "zcscope.load/1");
        for key in
            ["path", "target", "size", "streams", "depth", "cc", "phases", "bytes", "gbit_s", "cpu", "calls"]
        {
            assert!(!json[key].is_null(), "{key}");
        }
        assert_eq!(json["errors"]["ENOBUFS"], 0);
        assert_eq!(json["completions"]["told_copied"], 0);
        assert_eq!(json["completions"]["latency_ns"], serde_json::json!({"count": 0}));
        assert!(json.get("kernel").is_none() && json.get("device").is_none(), "absent, not null");
        assert_eq!(serde_json::from_value::<LoadReport>(json).unwrap(), report);
    }

    #[test]
    fn copied_sends_are_never_called_zero_copy() {
        let mut r = report();
        assert!(!render(&r, "").contains("warning"), "{}", render(&r, ""));
        r.completions.as_mut().unwrap().told_copied = 10;
        let text = render(&r, "");
        assert!(
            text.contains("10 told copied (100 %)") && text.contains("warning: this was not zero-copy"),
            "{text}"
        );
    }

    #[test]
    fn traffic_that_took_another_way_is_warned_of() {
        let mut r = report();
        r.device = Some(DeviceCheck {
            name: "eth9".into(),
            tx_bytes: 0,
            verified: false,
            why: "nothing passed".into(),
        });
        assert!(
            render(&r, "").contains("warning: the traffic did not leave through eth9"),
            "{}",
            render(&r, "")
        );
    }
}
