//! Arguments shared by every verb that traces: filters and back end.

use std::path::PathBuf;

use zcscope_common::Path;

use super::Failure;
use crate::host::{cgroup, netns};
use crate::probe::{Backend, Filter, Options};

/// What to trace and how. The letters are the same for every verb.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TraceArgs {
    /// Trace only this process.
    #[arg(short = 'p', long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Trace only processes with this name (as in /proc/PID/comm).
    #[arg(short = 'c', long, value_name = "COMM")]
    pub comm: Option<String>,
    /// Trace only sockets routed over this device.
    #[arg(short = 'i', long = "interface", value_name = "DEV")]
    pub dev: Option<String>,
    /// Trace only sockets with this local or remote port.
    #[arg(short = 'P', long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Trace only these paths (may be repeated).
    #[arg(long = "path", value_name = "PATH", value_parser = parse_path)]
    pub paths: Vec<Path>,
    /// Trace only this network namespace: the one of process PID, or NAME of `ip netns`.
    #[arg(long, value_name = "PID|NAME")]
    pub netns: Option<String>,
    /// Trace only processes in this cgroup (version 2) and below it; PATH is that of /proc/PID/cgroup.
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<String>,
    /// Force one tracing back end.
    #[arg(long, value_enum, default_value_t, value_name = "BACKEND")]
    pub backend: Backend,
    /// Have the kernel measure what its programs cost, ours among them (30 to 55 ns more for each run).
    #[arg(long)]
    pub kernel_stats: bool,
    /// Read kernel types from this file instead of /sys/kernel/btf/vmlinux.
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

fn parse_path(name: &str) -> Result<Path, String> {
    Path::from_name(name).ok_or_else(|| {
        let known: Vec<_> = Path::ALL.iter().map(|p| p.name()).collect();
        format!("no such path; one of {}", known.join(", "))
    })
}

impl TraceArgs {
    /// Checks the filter against this host and turns it into probe options.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the process or the device does not exist.
    pub fn options(&self) -> Result<Options, Failure> {
        if let Some(pid) = self.pid
            && !std::path::Path::new(&format!("/proc/{pid}")).exists()
        {
            return Err(Failure::Usage(format!(
                "there is no process {pid}; `pgrep -a NAME` lists the running ones"
            )));
        }
        if let Some(dev) = &self.dev
            && nix::net::if_::if_nametoindex(dev.as_str()).is_err()
        {
            return Err(Failure::Usage(format!(
                "there is no network device {dev:?} in this network namespace; `ip link` lists them"
            )));
        }
        let filter = Filter {
            pids: self.pid.into_iter().collect(),
            children: false,
            comm: self.comm.clone(),
            dev: self.dev.clone(),
            port: self.port,
            paths: self.paths.clone(),
            netns: self.netns.as_deref().map(netns::find).transpose().map_err(Failure::Usage)?,
            cgroup: self.cgroup.as_deref().map(cgroup::find).transpose().map_err(Failure::Usage)?,
        };
        Ok(Options { backend: self.backend, btf: self.btf.clone(), filter, kernel_stats: self.kernel_stats })
    }
}
