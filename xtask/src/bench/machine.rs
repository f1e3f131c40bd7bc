//! What the figures were taken on: without it they mean nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::sh;

/// Share of the CPUs' time in use from which on other work disturbs.
const BUSY: f64 = 0.05;
/// How long the CPUs are watched before the first run.
const WATCHED: Duration = Duration::from_secs(1);

/// Share of all CPUs' time that was used between two readings of /proc/stat.
fn used(before: &str, after: &str) -> Option<f64> {
    let times = |text: &str| -> Option<[f64; 2]> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let fields: Vec<f64> =
            line.split_ascii_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
        // Idle, and idle while input is awaited.
        let idle: f64 = fields.iter().skip(3).take(2).sum();
        Some([fields.iter().sum(), idle])
    };
    let ([all, idle], [all_after, idle_after]) = (times(before)?, times(after)?);
    Some(1.0 - (idle_after - idle) / (all_after - all))
}

/// Machine, kernel and programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    /// Processor as it names itself.
    pub(super) processor: String,
    /// CPUs online.
    pub(super) cpus: usize,
    /// Whether this is a virtual machine.
    pub(super) virtual_machine: bool,
    /// Kernel release.
    pub(super) kernel: String,
    /// Share of the CPUs' time that other work used in the second before the first run.
    pub(super) in_use: f64,
    /// Versions of zcscope and of what it is compared with.
    pub(super) programs: Vec<String>,
}

impl Machine {
    /// Asks the kernel and the programs.
    pub(super) fn ask(zcscope: &Path, others: &[&str]) -> Result<Machine> {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let value = |key: &str| {
            let line = info.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let version = |program: &Path| -> Result<String> {
            let text = sh::text(program, &["--version"])?;
            Ok(text.lines().next().unwrap_or_default().trim().to_owned())
        };
        let stat = || fs::read_to_string("/proc/stat");
        let before = stat()?;
        std::thread::sleep(WATCHED);
        let in_use = used(&before, &stat()?).unwrap_or(f64::NAN);
        let programs = std::iter::once(zcscope).chain(others.iter().map(Path::new));
        Ok(Machine {
            processor: value("model name").unwrap_or_else(|| "unknown".into()),
            cpus: info.lines().filter(|line| line.starts_with("processor")).count(),
            virtual_machine: value("flags").is_some_and(|flags| flags.split(' ').any(|f| f == "hypervisor")),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            in_use,
            programs: programs.map(version).collect::<Result<_>>()?,
        })
    }

    /// One line.
    pub(super) fn text(&self) -> String {
        let virtual_machine = if self.virtual_machine { ", virtual machine" } else { "" };
        let busy = if self.in_use > BUSY { ": BUSY, repeat this on a quiet machine" } else { "" };
        format!(
            "{}, {} CPUs{virtual_machine}; Linux {}; {}; other work used {:.0} % of the CPUs before{busy}",
            self.processor,
            self.cpus,
            self.kernel,
            self.programs.join("; "),
            100.0 * self.in_use
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_use_is_the_share_that_was_not_idle() {
        let [before, after] = ["cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1\n", "cpu  30 0 20 130 20 0 0 0 0 0\n"];
        assert!((used(before, after).unwrap() - 0.3).abs() < 1e-9);
        assert_eq!(used("", after), None);
    }
}
