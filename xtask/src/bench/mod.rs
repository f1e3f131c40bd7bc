//! `cargo xtask bench`: what tracing costs and how fast zcscope is, one benchmark a module. All have the same shape:
//! in a network namespace of their own ([`arena`]), sides in turns and in alternating order, so that a machine that
//! gets slower or faster in between touches all sides alike; medians and ranges; tables, JSON, docs/benchmarks.md.

mod all;
mod arena;
mod compare;
mod load;
mod machine;
mod many;
mod overhead;
mod peers;
mod probes;
mod process;
mod report;
mod scale;
mod screen;
mod sheet;
mod spread;
mod start;
mod statistics;
mod terminal;
mod tracer;

use anyhow::Result;

/// Every benchmark, in the order of `all`. The short ones come first.
const TASKS: [&str; 6] = ["start", "probes", "screen", "overhead", "scale", "peers"];

/// Arguments of `bench`.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Option<Task>,
    /// Runs of each side.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(3..))]
    rounds: u32,
    /// Take this number of the command's JSON output, such as /gbit_s; without it the time of the command counts.
    #[arg(long, value_name = "JSON_POINTER")]
    metric: Option<String>,
    /// Arguments of `zcscope stat`, such as "--backend tracepoint".
    #[arg(long, default_value = "", value_name = "ARGS", allow_hyphen_values = true)]
    stat: String,
    /// The command; `zcscope` is the one built here, with optimization.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Task {
    /// Kernel programs: ns per run, runs per send, what they add to a send.
    Probes(arena::Common),
    /// Throughput and CPU of sends without tracing, with `stat`, with `top`, with a bpftrace script.
    Overhead(overhead::Args),
    /// Frame time of every view, key to screen, idle CPU.
    Screen(arena::Common),
    /// Ten thousand sockets, short connections, many processes: CPU, memory, loss.
    Scale(arena::Common),
    /// From exec to the first frame, and to ready.
    Start(arena::Common),
    /// The load generator beside iperf3: copy, and sendfile beside iperf3 -Z.
    Peers(peers::Args),
    /// Everything, one after the other.
    All(arena::Common),
}

/// The task `bench`.
pub(crate) fn run(args: &Args) -> Result<u8> {
    match &args.task {
        None => compare::run(args),
        Some(Task::Probes(args)) => probes::run(args),
        Some(Task::Overhead(args)) => overhead::run(args),
        Some(Task::Screen(args)) => screen::run(args),
        Some(Task::Scale(args)) => scale::run(args),
        Some(Task::Start(args)) => start::run(args),
        Some(Task::Peers(args)) => peers::run(args),
        Some(Task::All(args)) => all::run(args),
    }
}
