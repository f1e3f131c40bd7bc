//! DMA through bounce buffers: forced by the kernel's command line, every byte a card transmits is copied once more, and
//! no packet knows. Else nothing bounces, and that is known, too.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::table::{HEALTHY_CARD, LOOPBACK, VMXNET3};
use super::{Bench, Procedure};
use crate::expect;
use crate::fixture::{Fixture, Link, nic};
use crate::kernel;
use crate::report::Verdict;
use crate::stat_json::Stat;
use crate::truth::Sent;

/// The scenarios.
pub(super) const ALL: &[Procedure] = &[("dma_bounce", bounce)];

/// What is used of the report beside the usual.
#[derive(Debug, Deserialize)]
struct Bounces {
    bounces: Option<Vec<Device>>,
}

/// One device that bounced.
#[derive(Debug, Deserialize)]
struct Device {
    device: String,
    count: u64,
    bytes: u64,
}

fn bounce(bench: &Bench) -> anyhow::Result<Verdict> {
    let forced = kernel::bounces_always();
    if forced && nic::of_driver("vmxnet3").len() < 2 {
        return Ok(Verdict::Skipped("there are no two vmxnet3 cards".into()));
    }
    let (kind, expected) = if forced { (VMXNET3, HEALTHY_CARD) } else { (Link::Lo, LOOPBACK) };
    let (link, files) = (Fixture::build(kind, false)?, tempfile::tempdir()?);
    let mut sink = link.sink.start(bench.app("sink").args(["--listen", &format!("{}:0", link.address)]))?;
    let to = format!("{}:{}", link.address, sink.first_line(Duration::from_secs(10))?);
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(files.path().join("stat.json")).arg("--").arg(&bench.this);
    command.args(["app", "send", "msg_zerocopy", "--calls", "32", "--size", "65536", "--to", &to]);
    let output = link.sender.start(&mut command)?.finish(Duration::from_secs(60))?;
    ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    let sent: Sent = serde_json::from_str(output.stdout.trim()).context("the sender printed no counters")?;
    let text = std::fs::read_to_string(files.path().join("stat.json"))?;
    if let Some(directory) = &bench.keep {
        std::fs::write(directory.join("dma_bounce.json"), &text)?;
    }
    let stat: Stat = serde_json::from_str(&text)?;
    let all = std::slice::from_ref(&sent);
    let mut wrong = expect::report(&expected, all, &link.device, &stat, bench.backend);
    let bounces: Bounces = serde_json::from_str(&text)?;
    let Some(rows) = bounces.bounces else {
        wrong.push("bounce buffers are not in the report".into());
        return Ok(Verdict::Failed(wrong));
    };
    wrong.extend(compare(&rows, forced, sent.bytes));
    if stat.finds("dma_bounce") != forced {
        wrong.push(format!("dma_bounce is a finding: {}", !forced));
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// Forced: the sender's card bounced every byte of the stream and some headers, the sink's card acknowledgements only.
fn compare(rows: &[Device], forced: bool, sent: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let bytes: BTreeMap<&str, u64> = rows.iter().map(|row| (row.device.as_str(), row.bytes)).collect();
    let most = bytes.values().max().copied().unwrap_or(0);
    let others: u64 = bytes.values().sum::<u64>() - most;
    // Headers and packets sent again; the stream is sent once.
    let fits = if forced { most >= sent && most < sent * 2 && others < sent / 4 } else { bytes.is_empty() };
    if !fits {
        wrong.push(format!("{bytes:?} bytes bounced of {sent} sent, forced: {forced}"));
    }
    if rows.iter().any(|row| row.count == 0 || row.device.is_empty()) {
        wrong.push(format!("a row without a name or a mapping: {rows:?}"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_did_not_bounce_and_those_that_need_not_are_complaints() {
        let row = |device: &str, bytes| Device { device: device.into(), count: 1, bytes };
        let right = [row("0000:00:03.0", 1_010), row("0000:00:04.0", 90)];
        assert_eq!(compare(&right, true, 1_000), Vec::<String>::new());
        assert_eq!(compare(&right, false, 1_000).len(), 1);
        assert_eq!(compare(&[row("0000:00:03.0", 999)], true, 1_000).len(), 1);
        assert_eq!(compare(&[], false, 1_000), Vec::<String>::new());
        assert_eq!(compare(&[row("", 1_010)], true, 1_000).len(), 1);
    }
}
