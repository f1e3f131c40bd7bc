//! `cargo xtask bench`: what tracing costs. One command is run in turns without and with `zcscope stat` beside it, in
//! alternating order, so that a machine that gets slower or faster in between touches both sides alike.
//! `cargo xtask bench peers` compares the load generator with iperf3 in the same manner.

mod peers;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::sh;

/// The tracer must be attached within this time.
const READY_LIMIT: Duration = Duration::from_secs(10);

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
    /// The load generator beside iperf3: copy, and sendfile beside iperf3 -Z.
    Peers(peers::Args),
}

/// The task `bench`.
pub(crate) fn run(args: &Args) -> Result<u8> {
    if let Some(Task::Peers(args)) = &args.task {
        return peers::run(args);
    }
    if !sh::is_root() {
        bail!(
            "tracing needs root, and sudo between the runs would disturb them; run the whole bench as root"
        );
    }
    sh::run(&mut sh::cargo(&["build", "--release", "-p", "zcscope"]))?;
    let bin = sh::workspace().join("target/release");
    let (mut plain, mut traced) = (Vec::new(), Vec::new());
    for round in 0..args.rounds {
        for with in [round % 2 == 1, round % 2 == 0] {
            let _tracer = if with { Some(Tracer::start(&bin, &args.stat)?) } else { None };
            let value = measure(&bin, args)?;
            println!("round {:>2} {:<7} {value:.4}", round + 1, if with { "traced" } else { "plain" });
            if with { &mut traced } else { &mut plain }.push(value);
        }
    }
    let unit = args.metric.as_deref().unwrap_or("seconds");
    let [plain, traced] = [plain, traced].map(Spread::of);
    println!("{unit}: plain {}, traced {}", plain.text(), traced.text());
    println!("traced / plain: {:.4} (medians)", traced.median / plain.median);
    Ok(0)
}

/// One run of the command: its own figure, or its time.
fn measure(bin: &Path, args: &Args) -> Result<f64> {
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let (program, rest) = args.command.split_first().context("no command")?;
    let start = Instant::now();
    let output = sh::output(Command::new(program).args(rest).env("PATH", path))?;
    let seconds = start.elapsed().as_secs_f64();
    let Some(pointer) = &args.metric else { return Ok(seconds) };
    let json: serde_json::Value = serde_json::from_slice(&output).context("the command printed no JSON")?;
    json.pointer(pointer)
        .and_then(serde_json::Value::as_f64)
        .with_context(|| format!("no number at {pointer}"))
}

/// A running `zcscope stat`; ended when dropped.
struct Tracer {
    child: Child,
    ready: PathBuf,
}

impl Tracer {
    fn start(bin: &Path, args: &str) -> Result<Self> {
        let ready = sh::workspace().join("target/bench.ready");
        std::fs::remove_file(&ready).ok();
        let mut command = Command::new(bin.join("zcscope"));
        command.arg("stat").args(args.split_whitespace()).arg("--ready-file").arg(&ready);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start zcscope stat")?;
        let mut tracer = Self { child, ready };
        let deadline = Instant::now() + READY_LIMIT;
        while !tracer.ready.exists() {
            if let Some(status) = tracer.child.try_wait()? {
                bail!("zcscope stat ended before it was ready ({status})");
            }
            if Instant::now() > deadline {
                bail!("zcscope stat was not ready after {} s", READY_LIMIT.as_secs());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(tracer)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_file(&self.ready).ok();
    }
}

/// Median and range of one side.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        // Of an even number of values, the middle two count half each.
        Self { median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), min: at(0), max: at(last) }
    }

    fn text(&self) -> String {
        format!("{:.4} ({:.4} to {:.4})", self.median, self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((Spread::of(vec![9.0, 1.0, 2.0]).median - 2.0).abs() < 1e-9);
        let even = Spread::of(vec![4.0, 1.0, 3.0, 2.0]);
        assert!((even.median - 2.5).abs() < 1e-9 && even.min < 1.1 && even.max > 3.9);
    }
}
