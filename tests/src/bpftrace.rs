//! An independent witness: bpftrace counts bytes at the functions that copy, with its own programs, while zcscope
//! watches the same run. Both must agree to the byte, site by site.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::expect::Backend;
use crate::fixture::{Fixture, Link};
use crate::kernel;
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};
use crate::stat_json::Stat;

/// Sums the bytes of packets with somebody else's pages (`flags`: 1 zero-copy, 2 shared frags) at three functions.
const SCRIPT: &str = r#"
BEGIN { printf("ready\n"); }
kprobe:skb_copy_ubufs {
    $skb = (struct sk_buff *)arg0;
    $info = (struct skb_shared_info *)($skb->head + $skb->end);
    if (($info->flags & 1) != 0 && $info->nr_frags > 0) { @skb_copy_ubufs = sum($skb->data_len); }
}
kprobe:__pskb_pull_tail {
    $skb = (struct sk_buff *)arg0;
    $info = (struct skb_shared_info *)($skb->head + $skb->end);
    if (($info->flags & 3) != 0 && $info->nr_frags > 0) { @__pskb_pull_tail = sum(arg1 & 0xffffffff); }
}
kprobe:skb_segment {
    $skb = (struct sk_buff *)arg0;
    $info = (struct skb_shared_info *)($skb->head + $skb->end);
    if (($info->flags & 3) != 0 && $info->nr_frags > 0 && (arg1 & 1) == 0) { @skb_segment = sum($skb->data_len); }
}
"#;

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("bpftrace_lo", |bench| agree(bench, Link::Lo, None, "msg_zerocopy", "skb_copy_ubufs")),
    ("bpftrace_tx_off", |bench| agree(bench, Link::Veth, Some("tx off"), "msg_zerocopy", "__pskb_pull_tail")),
    ("bpftrace_sg_off", |bench| agree(bench, Link::Veth, Some("sg off"), "msg_zerocopy", "skb_segment")),
    ("bpftrace_sg_off_sendfile", |bench| agree(bench, Link::Veth, Some("sg off"), "sendfile", "skb_segment")),
];

/// Why the witness cannot be heard here.
fn impossible(bench: &Bench) -> Option<&'static str> {
    if !kernel::has_program("bpftrace") {
        return Some("bpftrace is not installed");
    }
    if !std::path::Path::new("/sys/bus/event_source/devices/kprobe/type").exists() {
        return Some("this kernel has no kprobes");
    }
    if bench.backend == Some(Backend::Tracepoint) {
        return Some("tracepoints see no copying function");
    }
    None
}

fn agree(
    bench: &Bench,
    link: Link,
    offload: Option<&str>,
    path: &str,
    site: &str,
) -> anyhow::Result<Verdict> {
    if let Some(why) = impossible(bench) {
        return Ok(Verdict::Skipped(why.into()));
    }
    let fixture = Fixture::build(link, false)?;
    if let Some(setting) = offload {
        fixture.offload(setting)?;
    }
    let mut witness = crate::process::start(Command::new("bpftrace").args(["-e", SCRIPT]))?;
    // The first line tells of the probes, the second one that they work.
    witness.first_line(Duration::from_secs(60)).context("bpftrace does not start")?;
    std::thread::sleep(Duration::from_secs(2));
    let stat = traced(bench, &fixture, path)?;
    kill(Pid::from_raw(witness.pid().cast_signed()), Signal::SIGINT)?;
    let output = witness.finish(Duration::from_secs(120))?;
    let seen = sums(&output.stdout);
    let mut ours: BTreeMap<String, u64> = BTreeMap::new();
    for copies in stat.paths.iter().flat_map(|figures| &figures.copies) {
        *ours.entry(copies.site.clone()).or_default() += copies.bytes;
    }
    let mut wrong = Vec::new();
    if stat.lost.total > 0 {
        wrong.push(format!("{} events were lost: {:?}", stat.lost.total, stat.lost.by_cause));
    }
    if seen.get(site).copied().unwrap_or(0) == 0 {
        wrong.push(format!("bpftrace saw nothing at {site}: {:?} {}", output.stdout, output.complaint()));
    }
    if seen != ours {
        wrong.push(format!("bpftrace counts {seen:?} bytes, zcscope {ours:?}"));
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// Some sends under `zcscope stat`.
fn traced(bench: &Bench, fixture: &Fixture, path: &str) -> anyhow::Result<Stat> {
    let listen = format!("{}:0", fixture.address);
    let mut sink = fixture.sink.start(bench.app("sink").args(["--listen", &listen]))?;
    let to = format!("{}:{}", fixture.address, sink.first_line(Duration::from_secs(10))?);
    let files = tempfile::tempdir()?;
    let report = files.path().join("stat.json");
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(&report).arg("--").arg(&bench.this);
    command.args(["app", "send", path, "--calls", "16", "--size", "65536", "--to", &to]);
    let output = fixture.sender.start(&mut command)?.finish(Duration::from_secs(60))?;
    anyhow::ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    let text = std::fs::read_to_string(&report).context("zcscope wrote no report")?;
    serde_json::from_str(&text).context("the report is not of the schema")
}

/// bpftrace prints its maps when it ends: `@NAME: SUM`.
fn sums(text: &str) -> BTreeMap<String, u64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix('@')?.split_once(": "));
    lines.filter_map(|(name, sum)| Some((name.to_owned(), sum.trim().parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read_from_what_bpftrace_prints() {
        let seen = sums("Attaching 4 probes...\nready\n\n\n@__pskb_pull_tail: 65536\n@skb_segment: 7\n");
        assert_eq!(seen, BTreeMap::from([("__pskb_pull_tail".into(), 65536), ("skb_segment".into(), 7)]));
    }
}
