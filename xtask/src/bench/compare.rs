//! `cargo xtask bench -- COMMAND`: any command in turns without and with `zcscope stat` beside it, in alternating order.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Args;
use super::arena::build;
use super::spread::Spread;
use crate::sh;

/// The tracer must be attached within this time.
const READY_LIMIT: Duration = Duration::from_secs(10);

/// The task without a sub-command.
pub(super) fn run(args: &Args) -> Result<u8> {
    if !sh::is_root() {
        bail!(
            "tracing needs root, and sudo between the runs would disturb them; run the whole bench as root"
        );
    }
    let bin = build()?.parent().map(Path::to_path_buf).context("zcscope is nowhere")?;
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
    println!("{unit}: plain {}, traced {}", plain.text(4), traced.text(4));
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
