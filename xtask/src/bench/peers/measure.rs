//! One run of one side: a receiver, a sender, their bytes, and the CPU time of both processes as the kernel counted
//! it, in the same way for both sides.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::super::arena::dependent;
use super::super::process::{Background, children_cpu, listens};
use super::Cell;
use crate::sh;

/// The namespace is our own.
const PORT: u16 = 5201;
/// How long a receiver may take until it listens, and to end after its sender has.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// `zcscope load` to `zcscope sink`.
    Zcscope,
    /// `iperf3 -c` to `iperf3 -s`.
    Iperf3,
}

/// What one run gave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Bits that arrived per ns.
    pub(super) gbit_s: f64,
    /// CPU seconds of the sending process per GB (1e9 bytes).
    pub(super) sender_s_per_gb: f64,
    /// The same of both processes.
    pub(super) both_s_per_gb: f64,
}

/// What all runs have in common.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) zcscope: PathBuf,
    pub(super) seconds: u32,
}

impl Bench {
    /// Runs one side once.
    pub(super) fn measure(&self, side: Side, cell: &Cell) -> Result<Sample> {
        let start = children_cpu()?;
        let mut receiver = Background::start("the receiver", self.receiver(side).stdout(Stdio::null()))?;
        receiver.wait_until("listened", PATIENCE, || listens(PORT))?;
        // Children count when they have been waited for: first the sender alone, then the receiver, too.
        let report = sh::output(&mut self.sender(side, cell))?;
        let sender = children_cpu()?;
        receiver.wait_end(PATIENCE)?;
        let both = children_cpu()?;
        let report: Value = serde_json::from_slice(&report).context("the sender printed no JSON")?;
        let (bytes, gbit_s) = arrived(side, &report).context("the sender's JSON lacks its figures")?;
        let per_gb = |seconds: f64| seconds / (bytes / 1e9);
        Ok(Sample { gbit_s, sender_s_per_gb: per_gb(sender - start), both_s_per_gb: per_gb(both - start) })
    }

    fn receiver(&self, side: Side) -> Command {
        let address = format!("127.0.0.1:{PORT}");
        match side {
            Side::Zcscope => {
                let mut command = dependent(&self.zcscope);
                command
                    .args(["sink", "--listen", &address, "--mode", "recv", "--once"])
                    .stderr(Stdio::null());
                command
            }
            Side::Iperf3 => {
                let mut command = dependent("iperf3");
                command.args(["-s", "-1", "-B", "127.0.0.1", "-p", &PORT.to_string()]);
                command
            }
        }
    }

    fn sender(&self, side: Side, cell: &Cell) -> Command {
        let (size, streams, seconds) =
            (cell.size.to_string(), cell.streams.to_string(), self.seconds.to_string());
        match side {
            Side::Zcscope => {
                // As iperf3 does it: one buffer per stream, no warm-up, the kernel's own send buffer, any CPU.
                let buffers = (cell.size * cell.streams).to_string();
                let mut command = dependent(&self.zcscope);
                command.args(["load", cell.path, "--to", &format!("127.0.0.1:{PORT}"), "--cc", cell.cc]);
                command.args(["--size", &size, "--streams", &streams, "--duration", &format!("{seconds}s")]);
                command.args(["--depth", "1", "--working-set", &buffers, "--sndbuf", "system"]);
                command.args(["--warm-up", "none", "--no-pin", "--no-trace", "--json"]);
                // iperf3 sends a file it makes there, too. A memory file lends single pages, a file system larger ones.
                command.arg("--source").arg(std::env::temp_dir());
                command
            }
            Side::Iperf3 => {
                let mut command = dependent("iperf3");
                command.args(["-c", "127.0.0.1", "-p", &PORT.to_string(), "-C", cell.cc, "-J"]);
                command.args(["-l", &size, "-P", &streams, "-t", &seconds]).args(cell.flag);
                command
            }
        }
    }
}

/// Bytes that arrived, and Gbit/s.
fn arrived(side: Side, report: &Value) -> Option<(f64, f64)> {
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64);
    match side {
        Side::Zcscope => Some((number("/acked_bytes")?, number("/gbit_s")?)),
        Side::Iperf3 => {
            Some((number("/end/sum_received/bytes")?, number("/end/sum_received/bits_per_second")? / 1e9))
        }
    }
}

/// The congestion controls this kernel has loaded.
pub(super) fn congestion_controls() -> Result<Vec<String>> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control")?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_reports_are_understood() {
        let ours = serde_json::json!({"acked_bytes": 1000, "gbit_s": 2.5});
        assert_eq!(arrived(Side::Zcscope, &ours), Some((1000.0, 2.5)));
        let theirs = serde_json::json!({"end": {"sum_received": {"bytes": 7, "bits_per_second": 3e9}}});
        assert_eq!(arrived(Side::Iperf3, &theirs), Some((7.0, 3.0)));
        assert_eq!(arrived(Side::Iperf3, &ours), None);
    }
}
