//! The only room that knows aya: offsets from BTF, the plan of what to attach, attaching, reading, loss.

use std::path::PathBuf;

use zcscope_common::Path;

use crate::model::sample::Sample;
use crate::model::snapshot::Session;

/// Which tracing back end to use for facts that several can know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// Per fact, the first that really attaches: fentry, kprobe, tracepoint.
    #[default]
    Auto,
    /// fentry/fexit trampolines only.
    Fentry,
    /// kprobe/kretprobe only.
    Kprobe,
    /// BTF tracepoints only: for kernels that refuse the other two.
    Tracepoint,
}

/// What to trace; empty fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these processes.
    pub pids: Vec<u32>,
    /// Also trace every process forked (directly or not) by a traced one or, after
    /// [`Probe::adopt_children`]`(true)`, by zcscope itself.
    pub children: bool,
    /// Only processes with this name.
    pub comm: Option<String>,
    /// Only sockets routed over this device.
    pub dev: Option<String>,
    /// Only sockets with this local or remote port.
    pub port: Option<u16>,
    /// Only these paths.
    pub paths: Vec<Path>,
}

/// How to trace.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Back end.
    pub backend: Backend,
    /// BTF file to use instead of the running kernel's.
    pub btf: Option<PathBuf>,
    /// What to trace.
    pub filter: Filter,
}

/// Why tracing is impossible here: one sentence with what would help.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotTrace(pub String);

/// Programs loaded and attached. Dropping it detaches everything.
pub struct Probe {}

impl Probe {
    /// Loads and attaches everything the plan finds possible here.
    ///
    /// # Errors
    /// No root, no BTF, or no source at all for the fact `send`.
    pub fn start(_options: &Options) -> Result<Probe, CannotTrace> {
        Err(CannotTrace("the kernel programs are not built yet".into()))
    }

    /// Host, kernel, back end, sources of every fact and what is missing.
    #[must_use]
    pub fn session(&self) -> Session {
        Session::default()
    }

    /// Reads all counters.
    ///
    /// # Errors
    /// A map can no longer be read.
    pub fn read(&mut self) -> anyhow::Result<Sample> {
        Ok(Sample::default())
    }

    /// From now on (or no longer) a process forked by zcscope itself is traced. Only with [`Filter::children`].
    ///
    /// # Errors
    /// The process table cannot be written.
    pub fn adopt_children(&mut self, _on: bool) -> anyhow::Result<()> {
        Ok(())
    }

    /// Adds one process to the traced ones (only when [`Filter::pids`] or [`Filter::children`] restricts).
    ///
    /// # Errors
    /// The process table cannot be written.
    pub fn add_process(&mut self, _pid: u32) -> anyhow::Result<()> {
        Ok(())
    }
}
