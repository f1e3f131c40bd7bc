//! The scenarios: a table of links and paths, plus misuse and foreign programs, and the loop that runs them.

mod bounce;
mod copies;
mod ends;
mod files;
mod kernel_users;
mod notices;
mod paths;
mod queue;
mod receive;
pub(crate) mod row;
mod select;
mod table;
mod uring;
mod waiting;

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;

use queue::{Needs, Task};

use crate::expect::Backend;
use crate::findings::{self, calm, live, live_table};
use crate::guarded::{self, Witness};
use crate::kernel::{self, Since};
use crate::report::{Tally, Verdict};
use crate::{bpftrace, detours, foreign, generator, misuse};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Force this back end of zcscope.
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// Only scenarios whose name contains this, or one of these, separated by commas.
    #[arg(long, default_value = "")]
    only: String,
    /// Only the core of the table: what every back end must show on every kernel.
    #[arg(long)]
    core: bool,
    /// Only the core and this half of the rest, `1/2` or `2/2`: two kernels share the table.
    #[arg(long, value_parser = ["1/2", "2/2"])]
    share: Option<String>,
    /// List the scenarios and end.
    #[arg(long)]
    list: bool,
    /// The zcscope to test; the one beside this program when not given.
    #[arg(long)]
    zcscope: Option<PathBuf>,
    /// Check only the links and the application's own counters, without zcscope.
    #[arg(long)]
    truth_only: bool,
    /// Run so many scenarios side by side.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Leave the reports of zcscope in this directory.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// What every scenario needs to know.
#[derive(Debug)]
pub(crate) struct Bench {
    /// This program, to be started as sender, sink and tap.
    pub(crate) this: PathBuf,
    /// The program under test.
    pub(crate) zcscope: PathBuf,
    /// Forced back end.
    pub(crate) backend: Option<Backend>,
    /// No zcscope at all.
    pub(crate) truth_only: bool,
    /// Where to leave reports.
    pub(crate) keep: Option<PathBuf>,
    /// Knows when this kernel ran no programs.
    pub(crate) witness: Option<Witness>,
}

impl Bench {
    /// Whether zcscope has nothing but tracepoints here.
    pub(crate) fn traces_by_tracepoint(&self) -> bool {
        match self.backend {
            Some(backend) => backend == Backend::Tracepoint,
            None => !kernel::has_kprobes(),
        }
    }

    /// A command that plays a part of the reference application.
    pub(crate) fn app(&self, role: &str) -> Command {
        let mut command = Command::new(&self.this);
        command.args(["app", role]);
        command
    }

    /// `zcscope stat` with the forced back end.
    pub(crate) fn stat(&self) -> Command {
        let mut command = Command::new(&self.zcscope);
        command.arg("stat");
        if let Some(backend) = self.backend {
            command.args(["--backend", backend.name()]);
        }
        command
    }
}

/// A scenario that is code, not a row: misuse and foreign programs.
pub(crate) type Procedure = (&'static str, fn(&Bench) -> anyhow::Result<Verdict>);

/// All tables of rows.
const TABLES: &[&[row::Row]] =
    &[table::ROWS, paths::ROWS, uring::ROWS, copies::ROWS, ends::ROWS, files::ROWS];

/// Beginnings of names of what only the later of two kernels can do.
const LATER: [&str; 4] = ["bpftrace", "veth_esp", "uring_lo_bundles", "dma_bounce"];

/// What differs from another row in nothing that depends on the kernel: left out where two kernels share the table.
const ONCE: &[&str] = &[
    "notices_acks_at_once",
    "notices_merged_told_first",
    "waiting_closed_by_force",
    "select_netns_name",
    "select_containers",
    "veth_sent_again",
    "veth_sent_again_sendfile",
    "misuse_unknown_device",
    "misuse_unknown_pid",
    "misuse_unknown_netns",
    "misuse_unknown_cgroup",
    "misuse_unknown_path",
    "misuse_no_such_command",
    "sink_port_in_use",
    "load_no_sink",
    "foreign_iperf3_parallel",
    "stat_exit_status",
    "stat_exit_status_signal",
    "stat_fail_if",
    "stat_fail_if_forms",
    "stat_nothing_sent",
    "misuse_not_root",
    "misuse_unwritable_report",
    "foreign_iperf3_sendfile",
    "foreign_python_sendfile",
    "lo_copy_ipv6",
    "lo_sendfile_ipv6",
    "uring_lo_zc_ipv6",
    "recv_lo_ipv6",
    "veth_msg_zerocopy_ipv6",
    "lo_copy_many",
    "lo_msg_zerocopy_odd",
    "uring_lo_zc_odd",
    "lo_shut_copy",
    "lo_bad_buffer_copy",
    "recv_map_lo_tiny",
    "recv_map_lo_small",
    "lo_mixed_copy",
    "lo_mixed_sendfile",
    "uring_lo_fixed_batch",
    "uring_lo_zc_many",
    "recv_lo_many",
];

/// True when a scenario belongs to this half of the table, or to any, when no half is wanted.
fn is_shared(name: &str, share: Option<&str>) -> bool {
    share.is_none_or(|share| {
        share == share_of(name)
            && !ONCE.contains(&name)
            && !generator::is_once(name)
            && !findings::is_once(name)
    })
}

/// The half of the table a scenario is in.
fn share_of(name: &str) -> &'static str {
    let second = LATER.iter().any(|later| name.starts_with(later))
        || name.bytes().map(u32::from).sum::<u32>() % 2 == 1;
    if second { "2/2" } else { "1/2" }
}

/// Everything that is code, not a row.
fn procedures() -> impl Iterator<Item = &'static Procedure> {
    misuse::ALL
        .iter()
        .chain(generator::all())
        .chain(foreign::ALL)
        .chain(detours::ALL)
        .chain(bpftrace::ALL)
        .chain(files::ALL)
        .chain(ends::ALL)
        .chain(waiting::ALL)
        .chain(notices::ALL)
        .chain(uring::ALL)
        .chain(kernel_users::ALL)
        .chain(bounce::ALL)
        .chain(select::ALL)
        .chain(calm::ALL)
}

/// The names of all scenarios.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let rows = TABLES.iter().copied().flatten().map(|row| row.name);
    let receivers = receive::ROWS.iter().map(|row| row.name);
    let live = live_table::ROWS.iter().map(|row| row.name);
    rows.chain(receivers).chain(live).chain(procedures().map(|(name, _)| *name))
}

/// Runs the scenarios; true when none failed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let context = context(args)?;
    let wanted = |name: &str| {
        let core = table::CORE.contains(&name);
        args.only.split(',').any(|part| name.contains(part))
            && (!args.core || core)
            && (core || is_shared(name, args.share.as_deref()))
    };
    let rows: Vec<_> = TABLES.iter().copied().flatten().filter(|row| wanted(row.name)).collect();
    let procedures: Vec<_> = procedures().filter(|(name, _)| wanted(name) && !args.truth_only).collect();
    let live: Vec<_> = live_table::ROWS.iter().filter(|row| wanted(row.name) && !args.truth_only).collect();
    let receivers: Vec<_> = receive::ROWS.iter().filter(|row| wanted(row.name)).collect();
    if args.list {
        rows.iter()
            .map(|row| row.name)
            .chain(receivers.iter().map(|row| row.name))
            .chain(live.iter().map(|row| row.name))
            .chain(procedures.iter().map(|(name, _)| *name))
            .for_each(|name| println!("{name}"));
        return Ok(true);
    }
    if args.backend == Some(Backend::Tracepoint) && !kernel::has(Since::SendLength) {
        println!("skip all: before Linux 6.4 no tracepoint sees sends");
        return Ok(true);
    }
    let tally = Mutex::new(Tally::default());
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for row in rows {
        tasks.push(task(&context, &tally, row.name, row.needs(), move |bench| row::run(row, bench)));
    }
    for row in receivers {
        tasks.push(task(&context, &tally, row.name, row.needs(), move |bench| receive::run(row, bench)));
    }
    for row in live {
        let needs = if row.needs_all() { Needs::Alone } else { Needs::Nothing };
        tasks.push(task(&context, &tally, row.name, needs, move |bench| live::run(row, bench)));
    }
    for (name, procedure) in procedures {
        // Ordinary traffic disturbs nobody, and lasts.
        let needs = if *name == "calm_traffic" { Needs::Nothing } else { Needs::Alone };
        tasks.push(task(&context, &tally, name, needs, procedure));
    }
    queue::run(tasks, args.jobs);
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(tally.close())
}

/// How often a row may be tried with kprobes: the kernel skips a kprobe that hits while another one's program runs
/// on the same CPU. zcscope says so, as a loss or as a fact it cannot know, but the count is not exact then.
const KPROBE_TRIES: u32 = 6;

/// How often a scenario is tried in which zcscope itself reported that the kernel skipped a program, or the kernel's own
/// trace events show that it ran none for some packets: the counts need not be exact then.
const SKIPPED_TRIES: u32 = 3;

fn with_patience(
    bench: &Bench,
    name: &str,
    scenario: impl Fn(&Bench) -> anyhow::Result<Verdict>,
) -> anyhow::Result<Verdict> {
    let kprobe = bench.backend == Some(Backend::Kprobe);
    let mut number = 0;
    loop {
        number += 1;
        let began = guarded::now();
        let verdict = carried_out(bench, name, &scenario)?;
        let Verdict::Failed(complaints) = &verdict else { return Ok(verdict) };
        let skipped = complaints.iter().any(|complaint| complaint.contains("program_skipped"));
        let unseen = bench.witness.as_ref().map_or(0, |witness| witness.packets_since(began));
        let tries = match (kprobe, skipped || unseen > 0) {
            (true, _) => KPROBE_TRIES,
            (false, true) => SKIPPED_TRIES,
            (false, false) => 1,
        };
        let dropped = kprobe && complaints.iter().any(|complaint| complaint.contains("kprobe_missed"));
        if number >= tries && dropped {
            // Its report names the loss, so it is honest; exact it cannot be. Other back ends show the row.
            let why = "in every try the kernel dropped kprobes, and zcscope said so";
            return Ok(Verdict::Skipped(format!("{why}: {}", complaints.join("; "))));
        }
        if number >= tries {
            return Ok(verdict);
        }
        println!("  try {number} of {name}: {}", complaints.join("; "));
        if unseen > 0 {
            println!("    {unseen} packets were handled on top of init, where this kernel runs no programs");
        }
    }
}

/// One run of a scenario. One that could not be carried out (a helper did not start or end in time) is tried once
/// more, and the log says so; what it found is not looked at here.
fn carried_out(
    bench: &Bench,
    name: &str,
    scenario: impl Fn(&Bench) -> anyhow::Result<Verdict>,
) -> anyhow::Result<Verdict> {
    scenario(bench).or_else(|error| {
        println!("  once more, {name} could not be carried out: {error:#}");
        scenario(bench)
    })
}

/// A scenario as a task that prints its own verdict.
fn task<'a>(
    bench: &'a Bench,
    tally: &'a Mutex<Tally>,
    name: &'a str,
    needs: Needs,
    scenario: impl Fn(&Bench) -> anyhow::Result<Verdict> + Send + 'a,
) -> Task<'a> {
    let run = move || {
        let began = Instant::now();
        let verdict = with_patience(bench, name, scenario);
        let verdict = verdict.unwrap_or_else(|error| Verdict::Failed(vec![format!("{error:#}")]));
        tally.lock().unwrap_or_else(PoisonError::into_inner).add(name, &verdict, began.elapsed());
    };
    Task { needs, run: Box::new(run) }
}

fn context(args: &Args) -> anyhow::Result<Bench> {
    let this = std::env::current_exe().context("cannot find this program")?;
    let beside = this.with_file_name("zcscope");
    let zcscope = args.zcscope.clone().unwrap_or(if beside.exists() { beside } else { "zcscope".into() });
    if let Some(directory) = &args.keep {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    Ok(Bench {
        this,
        zcscope,
        backend: args.backend,
        truth_only: args.truth_only,
        keep: args.keep.clone(),
        witness: Witness::begin(),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn tries(outcome: fn(u32) -> anyhow::Result<Verdict>) -> (u32, bool) {
        let bench = Bench {
            this: PathBuf::new(),
            zcscope: PathBuf::new(),
            backend: None,
            truth_only: false,
            keep: None,
            witness: None,
        };
        let number = Cell::new(0);
        let result = with_patience(&bench, "test", |_| {
            number.set(number.get() + 1);
            outcome(number.get())
        });
        (number.get(), matches!(result, Ok(Verdict::Ok)))
    }

    #[test]
    fn two_kernels_share_the_table() {
        let halves = |name: &str| [Some("1/2"), Some("2/2"), None].map(|share| is_shared(name, share));
        assert_eq!(halves("dma_bounce"), [false, true, true]);
        assert_eq!(halves("select_containers"), [false, false, true]);
        let [first, second, all] = halves("lo_sendfile_sockets");
        assert!(all && first != second);
    }

    #[test]
    fn only_what_could_not_be_carried_out_is_tried_again_and_only_once() {
        assert_eq!(tries(|_| Ok(Verdict::Ok)), (1, true));
        assert_eq!(tries(|_| Ok(Verdict::Failed(vec!["3 bytes of 4".into()]))), (1, false));
        assert_eq!(
            tries(|number| if number == 1 { anyhow::bail!("late") } else { Ok(Verdict::Ok) }),
            (2, true)
        );
        assert_eq!(tries(|_| anyhow::bail!("late")), (2, false));
    }
}
