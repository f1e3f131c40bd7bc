//! Where benchmarks run: as root, in a network namespace of their own, with programs built for it. Whatever a
//! benchmark starts dies with it, and the namespace goes with the last process in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::machine::Machine;
use crate::tools::Program;
use crate::{sh, tools};

/// What all benchmarks need besides their own.
const BASE: [Program; 3] = [
    tools::program("ip", "iproute2"),
    tools::program("unshare", "util-linux"),
    tools::program("setpriv", "util-linux"),
];

/// What is done first in the namespaces.
const INSIDE: &str = r#"ip link set dev lo up
[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing
exec "$@""#;

/// Options of every benchmark.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Common {
    /// Rounds; all sides take part in each, in alternating order.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: Option<u32>,
    /// Only so much that one sees it work.
    #[arg(long)]
    pub(super) quick: bool,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Put the tables into docs/benchmarks.md.
    #[arg(long)]
    pub(super) write: bool,
    /// Take this zcscope (and the examples beside it) instead of building them.
    #[arg(long, value_name = "FILE", overrides_with = "zcscope")]
    pub(super) zcscope: Option<PathBuf>,
    /// We are in the network namespace already.
    #[arg(long, hide = true)]
    pub(super) inside: bool,
}

/// Inside: what there is to run.
#[derive(Clone, Debug)]
pub(super) struct Arena {
    pub(super) zcscope: PathBuf,
    pub(super) rounds: u32,
    pub(super) quick: bool,
}

impl Common {
    /// Rounds as wanted, or as many as this benchmark takes.
    pub(super) fn rounds(&self, default: u32, quick: u32) -> u32 {
        self.rounds.unwrap_or(if self.quick { quick } else { default })
    }

    /// The options another benchmark gets from `all`.
    pub(super) fn passed_on(&self) -> Vec<String> {
        let rounds = self.rounds.map(|rounds| format!("--rounds={rounds}"));
        let flags = [("--quick", self.quick), ("--json", self.json), ("--write", self.write)];
        let flags = flags.into_iter().filter(|(_, wanted)| *wanted).map(|(flag, _)| flag.to_owned());
        flags.chain(rounds).collect()
    }

    /// The arena, where we are in it; outside, enters one and hands back how it ended.
    pub(super) fn enter(
        &self,
        programs: &[Program],
        rounds: [u32; 2],
    ) -> Result<std::result::Result<Arena, u8>> {
        if !self.inside {
            return self.run_inside(programs).map(Err);
        }
        let zcscope = self.zcscope.clone().context("no zcscope given")?;
        Ok(Ok(Arena { zcscope, rounds: self.rounds(rounds[0], rounds[1]), quick: self.quick }))
    }

    /// Starts this very command again in a network namespace of its own.
    fn run_inside(&self, programs: &[Program]) -> Result<u8> {
        if !sh::is_root() {
            bail!("a network namespace and tracing need root; run the whole bench as root");
        }
        tools::need(&[&BASE, programs].concat())?;
        let mut command = dependent("unshare");
        // bpftrace looks the kernel's events up in tracefs, which not every machine has mounted; ours goes with us.
        command.args(["--net", "--mount", "sh", "-c", INSIDE, "sh"]);
        command.arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
        command.arg("--inside").arg("--zcscope").arg(self.built()?);
        let status = command.status().context("cannot run unshare")?;
        Ok(u8::try_from(status.code().unwrap_or(2)).unwrap_or(2))
    }

    /// The zcscope to measure; built if none is given, with its examples beside it.
    pub(super) fn built(&self) -> Result<PathBuf> {
        match &self.zcscope {
            Some(file) => {
                std::fs::canonicalize(file).with_context(|| format!("there is no file {}", file.display()))
            }
            None => build(),
        }
    }
}

impl Arena {
    /// Machine and versions, before the first run.
    pub(super) fn machine(&self, others: &[&str]) -> Result<Machine> {
        Machine::ask(&self.zcscope, others)
    }

    /// A program of tool/examples.
    ///
    /// # Errors
    /// It is not beside zcscope.
    pub(super) fn example(&self, name: &str) -> Result<PathBuf> {
        let dir = self.zcscope.parent().unwrap_or(Path::new("."));
        let path = dir.join("examples").join(name);
        if !path.is_file() {
            bail!(
                "there is no {}; build it with cargo build --release -p zcscope --examples",
                path.display()
            );
        }
        Ok(path)
    }

    /// The command that repeats this benchmark as it was run.
    pub(super) fn command(&self, task: &str, more: &str) -> String {
        let quick = if self.quick { " --quick" } else { "" };
        format!("cargo xtask bench {task}{more} --rounds {}{quick}", self.rounds)
    }
}

/// Builds zcscope with optimization, and its examples beside it. One call for both: what they need of other crates
/// differs, and building them apart would build those anew each time.
pub(super) fn build() -> Result<PathBuf> {
    let mut cargo = sh::cargo(&["build", "--release", "-p", "zcscope", "--bins", "--examples"]);
    // What this prints is no part of our output.
    sh::run(cargo.stdout(Stdio::null()))?;
    Ok(sh::workspace().join("target/release/zcscope"))
}

/// A command that the kernel kills when this process ends, in whatever way.
pub(super) fn dependent(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}
