//! What stands beside the traffic: nothing, programs that do nothing at the same places, `zcscope stat`, `zcscope top` on
//! a screen, or a bpftrace script that collects the same basic facts.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::arena::{Arena, dependent};
use super::process::{Background, Conversation};
use super::statistics::Floor;
use super::terminal::Terminal;

/// Longer than any start takes, bpftrace's in an emulated guest included.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// Lines the script prints at intervals before all of it is taken to be attached.
const TICKS: u32 = 2;

/// How our files in the directory for temporary ones begin; the number of our process follows.
const FILES: &str = "zcscope-bench-";

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tracer {
    Nothing,
    /// Programs of two instructions where zcscope's stand: the least that any tracer there costs.
    Empty,
    Stat,
    Top,
    Bpftrace,
}

/// How a back end gets at the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Backend {
    Tracepoint,
    Fentry,
    Kprobe,
}

/// A tracer at work, ended when dropped.
pub(super) enum Running {
    Nothing,
    Empty(#[allow(dead_code, reason = "held")] Floor),
    Stat(Stat),
    Screen(Box<Terminal>),
    /// With its pipes, which must stay open.
    Script(Background, #[allow(dead_code, reason = "held")] Conversation),
}

impl Tracer {
    /// Those that can be compared on this back end: empty programs stand at tracepoints only.
    pub(super) const fn all(backend: Backend) -> &'static [Self] {
        match backend {
            Backend::Tracepoint => &[Self::Nothing, Self::Empty, Self::Stat, Self::Top, Self::Bpftrace],
            Backend::Fentry | Backend::Kprobe => &[Self::Nothing, Self::Stat, Self::Top, Self::Bpftrace],
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Empty => "empty",
            Self::Stat => "stat",
            Self::Top => "top",
            Self::Bpftrace => "bpftrace",
        }
    }

    /// Starts it and waits until it is attached.
    pub(super) fn start(self, arena: &Arena, backend: Backend) -> Result<Running> {
        let zcscope = &arena.zcscope;
        match self {
            Self::Nothing => Ok(Running::Nothing),
            Self::Empty => Floor::start(arena).map(Running::Empty),
            Self::Stat => Stat::start(zcscope, &["--backend", backend.name()]).map(Running::Stat),
            Self::Top => {
                let mut terminal =
                    Terminal::start("zcscope top", zcscope, &["top", "--backend", backend.name()])?;
                terminal.until_frame(PATIENCE)?;
                Ok(Running::Screen(Box::new(terminal)))
            }
            Self::Bpftrace => script(backend),
        }
    }
}

impl Backend {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tracepoint => "tracepoint",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
        }
    }

    /// The script that collects the same facts in this way.
    const fn script(self) -> &'static str {
        match self {
            Self::Tracepoint => include_str!("same_facts/tracepoint.bt"),
            Self::Fentry => include_str!("same_facts/fentry.bt"),
            Self::Kprobe => include_str!("same_facts/kprobe.bt"),
        }
    }
}

impl Running {
    /// Takes what it has written; to be called now and then.
    pub(super) fn drain(&mut self) {
        if let Self::Screen(terminal) = self {
            terminal.drain();
        }
    }

    /// Its process.
    pub(super) fn id(&self) -> Option<u32> {
        match self {
            Self::Nothing | Self::Empty(_) => None,
            Self::Stat(stat) => Some(stat.child.id()),
            Self::Script(child, _) => Some(child.id()),
            Self::Screen(terminal) => Some(terminal.program.id()),
        }
    }

    /// Ends it as Ctrl-C does.
    pub(super) fn stop(self) -> Result<()> {
        match self {
            Self::Nothing | Self::Empty(_) => {}
            Self::Stat(mut stat) => {
                stat.child.interrupt(PATIENCE)?;
            }
            Self::Script(mut child, _) => {
                child.interrupt(PATIENCE)?;
            }
            Self::Screen(mut terminal) => {
                terminal.send("q")?;
                terminal.program.wait_end(PATIENCE)?;
            }
        }
        Ok(())
    }
}

/// `zcscope stat` at work; it and its files go when dropped.
pub(super) struct Stat {
    pub(super) child: Background,
    ready: PathBuf,
    report: PathBuf,
}

impl Stat {
    /// Starts it and waits until it is attached.
    pub(super) fn start(zcscope: &Path, arguments: &[&str]) -> Result<Self> {
        remove_stale();
        let file = |what: &str| std::env::temp_dir().join(format!("{FILES}{}.{what}", std::process::id()));
        let (ready, report) = (file("ready"), file("json"));
        std::fs::remove_file(&ready).ok();
        let mut command = dependent(zcscope);
        command.args(["stat", "--json", "-o"]).arg(&report).arg("--ready-file").arg(&ready).args(arguments);
        let child = Background::start("zcscope stat", command.stdout(Stdio::null()))?;
        let mut stat = Self { child, ready, report };
        let ready = &stat.ready;
        stat.child.wait_until("was attached", PATIENCE, || Ok(ready.exists()))?;
        Ok(stat)
    }

    /// Ends it and takes its report.
    pub(super) fn report(mut self) -> Result<serde_json::Value> {
        self.child.interrupt(PATIENCE)?;
        let text = std::fs::read_to_string(&self.report).context("zcscope stat wrote no report")?;
        serde_json::from_str(&text).context("zcscope stat wrote no JSON")
    }
}

impl Drop for Stat {
    fn drop(&mut self) {
        for file in [&self.ready, &self.report] {
            std::fs::remove_file(file).ok();
        }
    }
}

/// Removes files of runs that were killed.
fn remove_stale() {
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(FILES)?.split('.').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            std::fs::remove_file(entry.path()).ok();
        }
    }
}

fn script(backend: Backend) -> Result<Running> {
    let mut command = dependent("bpftrace");
    command.args(["-B", "line", "-e", backend.script()]);
    let (child, mut pipes) = Background::conversing("bpftrace", &mut command)?;
    let mut ticks = 0;
    while ticks < TICKS {
        ticks += u32::from(pipes.line().context("starting bpftrace")? == "tick");
    }
    Ok(Running::Script(child, pipes))
}
