//! What the figures were taken on: without it they mean nothing.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::sh;

/// Load average per CPU from which on other work disturbs.
const BUSY: f64 = 0.25;

fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

/// Machine, kernel and programs.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    /// Processor as it names itself.
    pub(super) processor: String,
    /// CPUs online.
    pub(super) cpus: usize,
    /// Whether this is a virtual machine.
    pub(super) virtual_machine: bool,
    /// Kernel release.
    pub(super) kernel: String,
    /// Load average of the last minute before the first run: what else the machine was doing.
    pub(super) load_average: f64,
    /// Version of zcscope.
    pub(super) zcscope: String,
    /// Version of iperf3.
    pub(super) iperf3: String,
}

impl Machine {
    /// Asks the kernel and the programs.
    pub(super) fn ask(zcscope: &Path) -> Result<Machine> {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let value = |key: &str| {
            let line = info.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let first_line = |text: String| text.lines().next().unwrap_or_default().trim().to_owned();
        Ok(Machine {
            processor: value("model name").unwrap_or_else(|| "unknown".into()),
            cpus: info.lines().filter(|line| line.starts_with("processor")).count(),
            virtual_machine: value("flags").is_some_and(|flags| flags.split(' ').any(|f| f == "hypervisor")),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load_average: load_average(),
            zcscope: first_line(sh::text(zcscope, &["--version"])?),
            iperf3: first_line(sh::text("iperf3", &["--version"])?),
        })
    }

    /// One line.
    pub(super) fn text(&self) -> String {
        let virtual_machine = if self.virtual_machine { ", virtual machine" } else { "" };
        let busy = if self.load_average > BUSY * self.cpus as f64 {
            ". BUSY with other work: repeat this on a quiet machine"
        } else {
            ""
        };
        format!(
            "{}, {} CPUs{virtual_machine}; Linux {}; {}; {}; load average before the first run {:.1}{busy}",
            self.processor, self.cpus, self.kernel, self.zcscope, self.iperf3, self.load_average
        )
    }
}
