//! Beside other tracers: who copied is told by the address on the stack that the copying function returns to, and tracers
//! of returns put their own code in its place.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use crate::fixture::netns::Netns;
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};
use crate::stat_json::Stat;

const TRACING: &str = "/sys/kernel/tracing";
/// The copying function.
const COPIES: &str = "skb_copy_ubufs";
const CALLS: u64 = 20;
const SIZE: u64 = 10_000;

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("copy_beside_return_probe", |bench| beside(bench, &RETURN_PROBE)),
    ("copy_beside_function_graph", |bench| beside(bench, &FUNCTION_GRAPH)),
];

/// A tracer of the kernel's own: what to write where to switch it on, and off.
struct Tracer {
    on: [(&'static str, &'static str); 2],
    off: [(&'static str, &'static str); 2],
}

const RETURN_PROBE: Tracer = Tracer {
    on: [("kprobe_events", "r:zcscope_test skb_copy_ubufs"), ("events/kprobes/zcscope_test/enable", "1")],
    off: [("events/kprobes/zcscope_test/enable", "0"), ("kprobe_events", "-:zcscope_test")],
};

const FUNCTION_GRAPH: Tracer = Tracer {
    on: [("set_ftrace_filter", COPIES), ("current_tracer", "function_graph")],
    off: [("current_tracer", "nop"), ("set_ftrace_filter", "")],
};

/// It runs until this is dropped.
struct Running(&'static Tracer);

impl Running {
    fn start(tracer: &'static Tracer) -> anyhow::Result<Self> {
        let running = Running(tracer);
        write(&tracer.on)?;
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = write(&self.0.off);
    }
}

fn write(settings: &[(&str, &str)]) -> anyhow::Result<()> {
    for (file, text) in settings {
        let path = PathBuf::from(TRACING).join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {text:?} to {}", path.display()))?;
    }
    Ok(())
}

/// Every byte is copied by local delivery, whoever else watches the function that copies.
fn beside(bench: &Bench, tracer: &'static Tracer) -> anyhow::Result<Verdict> {
    if !possible() {
        return Ok(Verdict::Skipped(format!("nothing can be attached to {COPIES} on this kernel")));
    }
    let other = Running::start(tracer)?;
    let netns = Netns::new()?;
    let mut sink = netns.start(bench.app("sink").args(["--listen", "127.0.0.1:0"]))?;
    let to = format!("127.0.0.1:{}", sink.first_line(Duration::from_secs(10))?);
    let files = tempfile::tempdir()?;
    let report = files.path().join("stat.json");
    let (calls, size) = (CALLS.to_string(), SIZE.to_string());
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(&report).arg("--").arg(&bench.this);
    command.args(["app", "send", "msg_zerocopy", "--calls", &calls, "--size", &size, "--to", &to]);
    let output = netns.start(&mut command)?.finish(Duration::from_secs(60))?;
    drop(other);
    if output.code != 0 {
        anyhow::bail!("exit code {}: {}", output.code, output.complaint());
    }
    let stat =
        serde_json::from_str(&fs::read_to_string(&report)?).context("the report is not of the schema")?;
    let wrong = check(&stat);
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// The kernel's tracers are there, and so is the function. Where probes are not allowed zcscope takes tracepoints, which
/// look at no stack.
fn possible() -> bool {
    let lists = |file: &str, word: &str| {
        let text = fs::read_to_string(PathBuf::from(TRACING).join(file)).unwrap_or_default();
        text.split_ascii_whitespace().any(|other| other == word)
    };
    PathBuf::from(TRACING).join("kprobe_events").exists()
        && lists("available_tracers", "function_graph")
        && lists("available_filter_functions", COPIES)
}

/// A byte that is sent again, because tracing slows its acknowledgement, is copied again, but is one copied byte.
fn check(stat: &Stat) -> Vec<String> {
    let paths: Vec<_> = stat.paths.iter().filter(|figures| figures.path == "msg_zerocopy").collect();
    let copied: u64 = paths.iter().filter_map(|figures| figures.copied_bytes).sum();
    let copies = paths.iter().flat_map(|figures| &figures.copies);
    let told: Vec<_> = copies.map(|copy| (copy.reason.as_str(), copy.bytes)).collect();
    let all = CALLS * SIZE;
    if copied == all && matches!(told.as_slice(), [("loopback", bytes)] if *bytes >= all) {
        return Vec::new();
    }
    vec![format!("{copied} B copied of {all}, for {told:?}; all should be, and for loopback")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stat_json::{Copies, PathFigures};

    #[test]
    fn a_copy_with_another_reason_or_of_other_bytes_is_wrong() {
        let stat = |copied: u64, copies: &[(&str, u64)]| {
            let copies = copies.iter().map(|(reason, bytes)| Copies {
                reason: (*reason).into(),
                bytes: *bytes,
                ..Copies::default()
            });
            let figures = PathFigures {
                path: "msg_zerocopy".into(),
                copied_bytes: Some(copied),
                copies: copies.collect(),
                ..PathFigures::default()
            };
            Stat { paths: vec![figures], ..Stat::default() }
        };
        let all = CALLS * SIZE;
        assert!(check(&stat(all, &[("loopback", all)])).is_empty());
        assert!(check(&stat(all, &[("loopback", all + SIZE)])).is_empty());
        assert_eq!(check(&stat(all - 1, &[("loopback", all)])).len(), 1);
        assert_eq!(check(&stat(all, &[("loopback", all - 1)])).len(), 1);
        assert_eq!(check(&stat(all, &[("unknown_caller", all)])).len(), 1);
        assert_eq!(check(&stat(all, &[("loopback", all), ("packet_tap", 1)])).len(), 1);
        assert_eq!(check(&stat(0, &[])).len(), 1);
    }
}
