//! One run of the load generator into a sink that reads, on the loopback device: the traffic whose cost is compared.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::arena::dependent;
use super::process::{Background, listens};
use super::sheet::size;
use crate::sh;

/// The namespace is our own.
const PORT: u16 = 5201;
/// How long the sink may take until it listens, and to end after its sender has.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Traffic {
    /// A path of `zcscope load`.
    pub(super) path: &'static str,
    /// Bytes per send.
    pub(super) size: u32,
}

/// What one run gave.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Sample {
    /// Bits that arrived per ns.
    pub(super) gbit_s: f64,
    /// CPU time of the sending thread, s.
    pub(super) sender_s: f64,
    pub(super) sends: f64,
    pub(super) bytes: f64,
}

impl Traffic {
    /// `copy 1K`
    pub(super) fn name(self) -> String {
        format!("{} {}", self.path, size(self.size))
    }

    /// Sends for this long, over one connection, without a warm-up.
    pub(super) fn run(self, zcscope: &Path, time: Duration) -> Result<Sample> {
        let address = format!("127.0.0.1:{PORT}");
        let mut sink = dependent(zcscope);
        sink.args(["sink", "--listen", &address, "--once"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut sink = Background::start("the sink", &mut sink)?;
        sink.wait_until("listened", PATIENCE, || listens(PORT))?;
        let mut load = dependent(zcscope);
        load.args(["load", self.path, "--to", &address, "--size", &self.size.to_string()]);
        load.args(["--duration", &format!("{}ms", time.as_millis()), "--warm-up", "none"]);
        // Not traced by itself; a kernel has cubic in any case.
        load.args(["--no-trace", "--json", "--cc", "cubic"]);
        let report = sh::output(&mut load)?;
        sink.wait_end(PATIENCE)?;
        let report: Value = serde_json::from_slice(&report).context("the load printed no JSON")?;
        Sample::of(&report).context("the load's JSON lacks its figures")
    }
}

impl Sample {
    fn of(report: &Value) -> Option<Self> {
        let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64);
        Some(Self {
            gbit_s: number("/gbit_s")?,
            sender_s: number("/cpu/thread_ns")? / 1e9,
            sends: number("/calls")?,
            bytes: number("/acked_bytes")?,
        })
    }

    /// CPU time of the sender per send, ns.
    pub(super) fn ns_per_send(&self) -> f64 {
        self.sender_s * 1e9 / self.sends
    }

    /// CPU seconds of the sender per GB (1e9 bytes).
    pub(super) fn s_per_gb(&self) -> f64 {
        self.sender_s / (self.bytes / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_a_load_is_understood() {
        let report = serde_json::json!({
            "acked_bytes": 2_000_000_000_u64, "calls": 1000, "gbit_s": 2.5, "cpu": {"thread_ns": 500_000_000},
        });
        let sample = Sample::of(&report).unwrap();
        assert!((sample.s_per_gb() - 0.25).abs() < 1e-9 && (sample.ns_per_send() - 500_000.0).abs() < 1e-6);
        assert!(Sample::of(&serde_json::json!({})).is_none());
    }
}
