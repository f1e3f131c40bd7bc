//! A load's report as text: one small table, and a plain warning where a rate would mislead.

use std::fmt::Write;

use super::result::{Completions, Copied, EndedBy, Latency, LoadReport};
use super::{text_knobs, text_levels};
use crate::units::{bit_rate, bytes, counted, duration, exact, percent, size};

/// Share of refused sends worth a word.
const REFUSED_LIMIT: f64 = 0.01;

/// Share of their time that sending threads may wait for a CPU before their rates mislead.
const WAITED_LIMIT: f64 = 0.20;

/// The report as lines, with a newline at the end; empty for a run that never began: its error says all. `kernel` is a block of lines (or nothing) on what the kernel did;
/// it stands before the warnings.
#[must_use]
pub fn render(report: &LoadReport, kernel: &str) -> String {
    if report.never_began() {
        return String::new();
    }
    let mut out = heading(report);
    for (name, value) in rows(report) {
        for (index, line) in value.lines().enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(out, "  {name:<9} {line}");
        }
    }
    if let Some(open_loop) = &report.open_loop {
        out.push_str(&text_levels::render(open_loop));
    }
    out.push_str(kernel);
    for warning in warnings(report) {
        let _ = writeln!(out, "\nwarning: {warning}");
    }
    out
}

/// The name of the path, marked when the run was no zero-copy run.
fn title(report: &LoadReport) -> String {
    match report.copied.as_ref().filter(|copied| copied.too_much()) {
        Some(copied) => format!("{} (COPIED {})", report.path, share(copied)),
        None => report.path.clone(),
    }
}

fn heading(report: &LoadReport) -> String {
    let cc = report.cc.as_deref().map(|cc| format!(", {cc}")).unwrap_or_default();
    let ended = match report.ended_by {
        EndedBy::Bytes | EndedBy::Duration => "",
        EndedBy::Signal => ", ended early",
        EndedBy::Error => ", FAILED on the way",
    };
    format!(
        "{} to {}: size {}, depth {}, {}{cc}{ended}\n",
        title(report),
        report.target,
        size(report.size),
        report.depth,
        text_knobs::streams(report)
    )
}

fn rows(report: &LoadReport) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("sent", sent(report)),
        ("calls", calls(report)),
        ("CPU", cpu(report)),
        ("switches", switches(report)),
        ("told", told(report)),
    ];
    if let Some(completions) = &report.completions
        && completions.latency_ns.count > 0
    {
        let every = completions.reap_every;
        rows.push((
            "latency",
            format!(
                "{}\n(send call to notification read; the queue is read every {every} sends)",
                percentiles(&completions.latency_ns)
            ),
        ));
    }
    if let Some(place) = &report.place {
        rows.push(("place", place.text()));
    }
    if let Some(device) = &report.device {
        let verdict = if device.verified { "verified" } else { "NOT verified" };
        rows.push(("device", format!("{}: {verdict}: {}", device.name, device.why)));
    }
    rows.push(("set", text_knobs::knobs(report)));
    rows.push(("warm-up", warm_up(report)));
    if let Some(peer) = &report.peer {
        rows.push(("peer", peer.to_string()));
    }
    if let Some(why) = &report.kernel_missing {
        rows.push(("kernel", format!("not traced: {why}")));
    }
    rows
}

/// `p50 … max` in one line.
pub(super) fn percentiles(latency: &Latency) -> String {
    latency.figures.map_or_else(
        || "-".into(),
        |l| {
            let d = duration;
            format!(
                "p50 {}   p90 {}   p99 {}   p99.9 {}   max {}",
                d(l.p50),
                d(l.p90),
                d(l.p99),
                d(l.p999),
                d(l.max)
            )
        },
    )
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
    if let Some(syscalls) = &report.syscalls {
        let per_gb =
            syscalls.per_gb.map(|n| format!(" ({} per GB)", exact(n.round() as u64))).unwrap_or_default();
        let _ = write!(line, "; {} of the path{per_gb}", counted(syscalls.count, "system call"));
    }
    line
}

fn cpu(report: &LoadReport) -> String {
    let per_gb = |value: Option<f64>| value.map(|s| format!(" ({s:.3} s/GB)")).unwrap_or_default();
    let mut line =
        format!("senders {}{}", duration(report.cpu.thread_ns), per_gb(report.cpu.thread_s_per_gb));
    if let Some(delay) = report.cpu.run_delay_ns {
        let _ = write!(line, "\nsenders waited for a CPU {}", duration(delay));
    }
    if let Some(machine) = report.cpu.machine_ns {
        let per_gb = per_gb(report.cpu.machine_s_per_gb);
        let _ = write!(line, "\nwhole machine with all that runs on it {}{per_gb}", duration(machine));
    }
    if let Some(steal) = report.cpu.steal_ns.filter(|ns| *ns > 0) {
        let _ = write!(line, "\nstolen by the hypervisor {}", duration(steal));
    }
    line
}

fn switches(report: &LoadReport) -> String {
    let s = &report.switches;
    let per_gb = s.per_gb.map(|n| format!(" ({} per GB)", exact(n.round() as u64))).unwrap_or_default();
    format!("{} voluntary, {} involuntary{per_gb}", exact(s.voluntary), exact(s.involuntary))
}

fn warm_up(report: &LoadReport) -> String {
    let Some(w) = &report.warm_up else { return "none".into() };
    let drift = w.drift.map(|drift| format!("{:+.0} %", drift * 100.0)).unwrap_or_default();
    let verdict = match w.flat {
        Some(true) => format!(", until the rate was flat (drift {drift})"),
        Some(false) => format!(", and the rate was still not flat (drift {drift})"),
        None => String::new(),
    };
    let left = match w.left_bytes {
        0 => String::new(),
        n => format!(", {} of it unacknowledged when the measuring began", bytes(n)),
    };
    // Two lines where one would be wider than a terminal.
    let gap = if w.flat.is_some() || w.left_bytes > 0 { '\n' } else { ' ' };
    format!("{}, {}{verdict}{left};{gap}not in these figures", duration(w.ns), bytes(w.bytes))
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
        "{} of {} ended, in {}\n{} told copied ({}), {}",
        exact(c.sends),
        counted(calls, "send"),
        counted(c.notifications, "notification"),
        exact(c.told_copied),
        percent(c.told_copied, c.sends),
        bytes(c.told_copied_bytes)
    );
    if c.outstanding > 0 {
        let _ = write!(text, "\n{} still held by the kernel when we gave up waiting", exact(c.outstanding));
    }
    if c.unexpected > 0 {
        let _ = write!(text, "\n{} told of sends that were not outstanding", counted(c.unexpected, "end"));
    }
    text
}

fn warnings(report: &LoadReport) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(copied) = report.copied.as_ref().filter(|copied| copied.too_much()) {
        let who = if copied.by == "kernel" { "the kernel copied" } else { "the kernel told that it copied" };
        warnings.push(format!(
            "this was not zero-copy: {who} {}\n\
             of the bytes; read no gain from these rates (delivery on the same host always\n\
             copies MSG_ZEROCOPY)",
            share(copied)
        ));
    }
    if report.so_zerocopy == Some(false) {
        warnings.push("every byte was copied: SO_ZEROCOPY was left unset as asked".into());
    }
    let refused = report.errors.get("ENOBUFS").copied().unwrap_or(0);
    if refused as f64 > REFUSED_LIMIT * report.calls as f64 {
        warnings.push(format!(
            "the kernel refused {} with ENOBUFS: what it may hold\n\
             of one socket (net.core.optmem_max) or of one user (ulimit -l) was used up;\n\
             raise it, lower --depth, or look at ends more often (--reap-every)",
            counted(refused, "send")
        ));
    }
    warnings.extend(waited(report));
    if let Some(device) = report.device.as_ref().filter(|device| !device.verified) {
        warnings.push(format!("the traffic did not leave through {}: {}", device.name, device.why));
    }
    warnings
}

/// That the senders waited for a CPU so long that the rates are no longer the path's.
fn waited(report: &LoadReport) -> Option<String> {
    let measured = report.phases.send_ns + report.phases.settle_ns;
    let all = report.threads.unwrap_or(report.streams) * measured;
    let delay = report.cpu.run_delay_ns.filter(|delay| *delay as f64 > WAITED_LIMIT * all as f64)?;
    Some(format!(
        "the sending threads could run, but waited for a CPU {} of the time:\n\
         others had it (the sink, if it runs on this host, may be one of them), so the\n\
         path may be faster than this; name free CPUs (--cpu), use fewer --streams, or\n\
         measure on a quiet machine",
        percent(delay, all)
    ))
}

/// The copied share in percent.
fn share(copied: &Copied) -> String {
    let pair = |copied: Option<u64>, of: Option<u64>| copied.zip(of);
    let (part, whole) = pair(copied.kernel_bytes, copied.kernel_of_bytes)
        .or_else(|| pair(copied.told_bytes, copied.told_of_bytes))
        .unwrap_or((0, 0));
    percent(part, whole)
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
            size: 65_536,
            streams: 1,
            threads: Some(1),
            depth: 16,
            cc: Some("cubic".into()),
            so_zerocopy: Some(true),
            phases: Phases { connect_ns: 1, send_ns: 1_000_000_000, settle_ns: 0 },
            bytes: 655_360,
            acked_bytes: 655_360,
            gbit_s: 0.005,
            cpu: Cpu { thread_ns: 1000, thread_s_per_gb: Some(0.1), pinned: true, ..Cpu::default() },
            calls: 10,
            errors: BTreeMap::from([("ENOBUFS".into(), 0)]),
            completions: Some(Completions {
                sends: 10,
                notifications: 2,
                reap_every: 4,
                ..Completions::default()
            }),
            ..LoadReport::default()
        }
    }

    #[test]
    fn json_has_the_agreed_keys_and_survives_a_round_trip() {
        let report = report();
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["schema"], "zcscope.load/1");
        for key in [
            "path", "target", "size", "streams", "threads", "depth", "cc", "phases", "bytes", "gbit_s",
            "cpu", "calls",
        ] {
            assert!(!json[key].is_null(), "{key}");
        }
        assert_eq!(json["errors"]["ENOBUFS"], 0);
        assert_eq!(json["completions"]["told_copied"], 0);
        assert_eq!(json["completions"]["latency_ns"], serde_json::json!({"count": 0}));
        assert!(json.get("kernel").is_none() && json.get("device").is_none(), "absent, not null");
        assert_eq!(serde_json::from_value::<LoadReport>(json).unwrap(), report);
    }

    #[test]
    fn copied_runs_are_never_called_zero_copy() {
        let mut r = report();
        r.copied = Copied::of(None, Some((0, 655_360)));
        assert!(!render(&r, "").contains("warning"), "{}", render(&r, ""));
        r.copied = Copied::of(None, Some((655_360, 655_360)));
        let text = render(&r, "");
        assert!(text.starts_with("msg_zerocopy (COPIED 100 %) to"), "{text}");
        assert!(text.contains("warning: this was not zero-copy: the kernel told"), "{text}");
    }

    #[test]
    fn what_the_kernel_did_outweighs_what_it_told() {
        let mut r = report();
        r.copied = Copied::of(Some((0, 1000)), Some((1000, 1000)));
        assert!(!render(&r, "").contains("COPIED"), "told copied, but it was not");
        r.copied = Copied::of(Some((20, 1000)), Some((0, 1000)));
        let text = render(&r, "");
        assert!(
            text.starts_with("msg_zerocopy (COPIED 2.0 %)") && text.contains("the kernel copied 2.0 %"),
            "{text}"
        );
        r.copied = Copied::of(Some((9, 1000)), None);
        assert!(!render(&r, "").contains("COPIED"), "header pulls of less than 1 %");
        assert_eq!(Copied::of(None, None), None);
        assert_eq!(Copied::of(Some((0, 0)), None), None, "nothing was asked for");
    }

    #[test]
    fn a_storm_of_refusals_is_explained() {
        let mut r = report();
        r.errors.insert("ENOBUFS".into(), 9);
        assert!(render(&r, "").contains("net.core.optmem_max"), "{}", render(&r, ""));
    }

    #[test]
    fn senders_that_waited_for_a_cpu_are_told_and_warned_of_when_it_was_long() {
        let mut r = report();
        (r.streams, r.threads) = (4, Some(2));
        assert!(!render(&r, "").contains("waited"), "not known is not told");
        // A second of two threads, one fifth of it.
        r.cpu.run_delay_ns = Some(400_000_000);
        let text = render(&r, "");
        assert!(text.contains("senders waited for a CPU 400 ms") && !text.contains("warning"), "{text}");
        r.cpu.run_delay_ns = Some(401_000_000);
        let text = render(&r, "");
        let (_, warning) = text.split_once("warning: ").unwrap();
        assert!(
            warning.starts_with("the sending threads could run, but waited for a CPU 20.1 %")
                && warning.contains("--cpu"),
            "{text}"
        );
        let warning = format!("warning: {warning}");
        assert!(warning.lines().all(|line| line.chars().count() <= 80), "{warning}");
        r.phases.send_ns = 0;
        r.cpu.run_delay_ns = Some(0);
        assert!(!render(&r, "").contains("warning"), "a run of no time");
    }

    #[test]
    fn a_run_that_never_began_has_no_figures() {
        let failed = || LoadReport {
            error: Some("this kernel has no TLS sockets".into()),
            ended_by: EndedBy::Error,
            ..LoadReport::default()
        };
        assert_eq!(render(&failed(), "kernel"), "");
        let told = |report: LoadReport| assert!(render(&report, "").contains("FAILED on the way"));
        told(LoadReport { bytes: 1, ..failed() });
        told(LoadReport { warm_up: Some(WarmUpFigures::default()), ..failed() });
        told(LoadReport { errors: BTreeMap::from([("ENOBUFS".into(), 2)]), ..failed() });
        assert!(!render(&LoadReport { error: None, ..failed() }, "").is_empty());
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
