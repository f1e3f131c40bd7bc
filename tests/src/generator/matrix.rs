//! `zcscope matrix`: what it calls zero-copy must be, and what was copied must be printed as copied.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::expect::Backend;
use crate::fixture::netns::Netns;
use crate::fixture::nic;
use crate::kernel::{self, Since};
use crate::process::{self, Output};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("matrix_lo", loopback),
    ("matrix_interrupted", interrupted),
    ("matrix_diff", compared),
    ("matrix_cable_vmxnet3", |bench| cable(bench, "vmxnet3", "zero_copy")),
    ("matrix_cable_virtio_net", |bench| cable(bench, "virtio_net", "copied")),
];

/// What is used of the document `zcscope.matrix/1`, read independently of zcscope's own types.
#[derive(Debug, Deserialize)]
struct Matrix {
    schema: String,
    seed: u64,
    partial: Option<String>,
    setting: Setting,
    cells: Vec<Cell>,
    break_even: Vec<BreakEven>,
}

#[derive(Debug, Deserialize)]
struct Setting {
    link: String,
    functional_only: Option<String>,
    device: Option<Device>,
    traced: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Device {
    driver: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Cell {
    path: String,
    size: u64,
    verdict: String,
    verdict_source: Option<String>,
    told: Option<Copied>,
    kernel: Option<Copied>,
    errors: Vec<String>,
    proof: Option<Run>,
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Copied {
    requested_bytes: u64,
    copied_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Run {
    acked_bytes: u64,
    told: Option<Copied>,
    kernel: Option<Copied>,
    kernel_missing: Option<String>,
}

#[derive(Debug, Deserialize)]
struct BreakEven {
    path: String,
    machine_s_per_gb: Outcome,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    outcome: String,
}

impl Copied {
    fn percent(self) -> u64 {
        self.copied_bytes * 100 / self.requested_bytes.max(1)
    }
}

impl Cell {
    /// The traced run was told the truth, and the others were told something else by more than half of their bytes.
    fn told_otherwise(&self) -> bool {
        let percent = |copied: Option<Copied>| copied.map(Copied::percent);
        let apart = |a: Option<u64>, b| a.zip(b).is_some_and(|(a, b): (u64, u64)| a.abs_diff(b) > 50);
        let Some(proof) = &self.proof else { return false };
        let told = percent(proof.told);
        apart(told, percent(self.told)) && !apart(told, percent(proof.kernel))
    }
}

impl Matrix {
    fn cells<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Cell> {
        self.cells.iter().filter(move |cell| cell.path == path)
    }
}

/// Whether the kernel's own truth can be had: a complaint of this kind is what a skip is made of.
fn truth_is_possible(bench: &Bench) -> bool {
    bench.backend != Some(Backend::Tracepoint) || kernel::has(Since::SendTracepoint)
}

fn matrix(bench: &Bench, args: &[&str]) -> Command {
    let mut command = Command::new(&bench.zcscope);
    command.args(["matrix", "--repeat", "2", "--cell-duration", "10s", "--seed", "7", "--json"]);
    command.args(args);
    if let Some(backend) = bench.backend {
        command.args(["--backend", backend.name()]);
    }
    command
}

fn document(bench: &Bench, name: &str, output: &Output) -> anyhow::Result<Matrix> {
    if output.code != 0 {
        bail!("exit code {}: {}", output.code, output.complaint());
    }
    if let Some(directory) = &bench.keep {
        std::fs::write(directory.join(format!("{name}.json")), &output.stdout)?;
    }
    serde_json::from_str(&output.stdout)
        .with_context(|| format!("no document: {:?}; {}", output.stdout, output.complaint()))
}

/// What holds of every whole matrix here: all runs made, each with all its bytes.
fn whole(matrix: &Matrix, cells: usize, bytes: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |good: bool, complaint: String| {
        if !good {
            wrong.push(complaint);
        }
    };
    check(matrix.schema == "zcscope.matrix/1", format!("schema {:?}", matrix.schema));
    check(matrix.seed == 7, format!("seed {}", matrix.seed));
    check(matrix.partial.is_none(), format!("partial: {:?}", matrix.partial));
    check(matrix.setting.traced.is_some(), "not traced".into());
    check(
        cells == 0 || matrix.cells.len() == cells,
        format!("{} cells, expected {cells}", matrix.cells.len()),
    );
    for cell in &matrix.cells {
        let name = format!("{} {}", cell.path, cell.size);
        check(cell.errors.is_empty(), format!("{name}: {}", cell.errors.join("; ")));
        check(cell.runs.len() == 2, format!("{name}: {} runs", cell.runs.len()));
        for run in cell.runs.iter().chain(&cell.proof) {
            check(run.acked_bytes == bytes, format!("{name}: {} bytes, expected {bytes}", run.acked_bytes));
            check(run.kernel_missing.is_none(), format!("{name}: {:?}", run.kernel_missing));
        }
    }
    wrong
}

/// Complains about cells of a path with another verdict, or another source of it than the kernel. A traced run that was
/// told something else than the others speaks for itself only; then their telling decides.
fn verdicts(matrix: &Matrix, path: &str, verdict: &str) -> Vec<String> {
    let cells = || matrix.cells(path);
    let source = |cell: &Cell| if cell.told_otherwise() { "told" } else { "kernel" };
    let mut wrong: Vec<String> = cells()
        .filter(|cell| cell.verdict != verdict || cell.verdict_source.as_deref() != Some(source(cell)))
        .map(|cell| {
            format!(
                "{path} {}: {} by {:?}, expected {verdict} by {} ({:?}, told {:?}; traced: {:?})",
                cell.size,
                cell.verdict,
                cell.verdict_source,
                source(cell),
                cell.kernel,
                cell.told,
                cell.proof
            )
        })
        .collect();
    if cells().count() == 0 {
        wrong.push(format!("no cell of {path}"));
    }
    wrong
}

fn verdict(wrong: Vec<String>) -> Verdict {
    if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) }
}

/// Loopback: `msg_zerocopy` is copied, all of it, by both accounts; nothing is claimed of the rest.
fn loopback(bench: &Bench) -> anyhow::Result<Verdict> {
    if !truth_is_possible(bench) {
        return Ok(Verdict::Skipped("before Linux 6.16 tracepoints do not see copies".into()));
    }
    let netns = Netns::new()?;
    let args = ["--paths", "copy,msg_zerocopy,sendfile", "--sizes", "16K,64K", "--cell-bytes", "4M"];
    let output = netns.start(&mut matrix(bench, &args))?.finish(Duration::from_secs(120))?;
    let matrix = document(bench, "matrix_lo", &output)?;
    let mut wrong = whole(&matrix, 6, 4 << 20);
    wrong.extend(verdicts(&matrix, "msg_zerocopy", "copied"));
    wrong.extend(verdicts(&matrix, "sendfile", "zero_copy"));
    for cell in matrix.cells("msg_zerocopy") {
        // One run is traced, two are not.
        for (who, copied, bytes) in [("kernel", cell.kernel, 4 << 20), ("told", cell.told, 8 << 20)] {
            let all =
                copied.is_some_and(|c| c.requested_bytes == bytes && c.copied_bytes == c.requested_bytes);
            if !all {
                wrong.push(format!("{who} of msg_zerocopy {}: {copied:?}, expected {bytes}", cell.size));
            }
        }
    }
    if matrix.setting.link != "loopback" || matrix.setting.functional_only.is_none() {
        wrong.push(format!("not called functional only: {:?}", matrix.setting));
    }
    let expected = [("msg_zerocopy", "copied"), ("sendfile", "too_few_runs")];
    let found: Vec<_> =
        matrix.break_even.iter().map(|b| (b.path.as_str(), b.machine_s_per_gb.outcome.as_str())).collect();
    if found != expected {
        wrong.push(format!("break-even {found:?}, expected {expected:?}"));
    }
    Ok(verdict(wrong))
}

/// Ctrl-C: what was measured until then is reported, and marked.
fn interrupted(bench: &Bench) -> anyhow::Result<Verdict> {
    let netns = Netns::new()?;
    let args = [
        "--paths",
        "copy",
        "--sizes",
        "16K,64K",
        "--repeat",
        "900",
        "--cell-duration",
        "100ms",
        "--no-trace",
    ];
    let mut command = Command::new(&bench.zcscope);
    command.args(["matrix", "--json", "--seed", "7"]).args(args);
    let running = netns.start(&mut command)?;
    std::thread::sleep(Duration::from_secs(4));
    let pid = nix::unistd::Pid::from_raw(running.pid().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT)?;
    let matrix = document(bench, "matrix_interrupted", &running.finish(Duration::from_secs(20))?)?;
    let mut wrong = Vec::new();
    if !matrix.partial.as_ref().is_some_and(|why| why.contains("signal")) {
        wrong.push(format!("not marked partial: {:?}", matrix.partial));
    }
    if matrix.cells.len() != 2 || matrix.cells.iter().any(|cell| cell.runs.is_empty()) {
        wrong.push(format!("runs are missing: {:?}", matrix.cells));
    }
    Ok(verdict(wrong))
}

/// A result compared with itself is the same; exit codes say what they should.
fn compared(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let (result, other) = (files.path().join("a.json"), files.path().join("b.json"));
    let mut command = Command::new(&bench.zcscope);
    command.args([
        "matrix",
        "--paths",
        "copy",
        "--sizes",
        "64K",
        "--cell-bytes",
        "1M",
        "--no-trace",
        "--json",
    ]);
    let output = netns.start(command.arg(&result))?.finish(Duration::from_secs(60))?;
    if output.code != 0 || !output.stdout.contains("FUNCTIONAL ONLY") {
        bail!("exit code {}: {} {}", output.code, output.stdout, output.complaint());
    }
    std::fs::write(&other, "no document")?;
    let mut wrong = Vec::new();
    for (second, code) in [(&result, 0), (&other, 2)] {
        let mut command = Command::new(&bench.zcscope);
        let output = process::run(command.args(["matrix", "diff"]).args([&result, second]))?;
        if output.code != code {
            wrong.push(format!("diff ended with {}, expected {code}: {}", output.code, output.complaint()));
        }
    }
    Ok(verdict(wrong))
}

/// Two cards on one wire: what they do with user pages is what every zero-copy cell says.
fn cable(bench: &Bench, driver: &str, expected: &str) -> anyhow::Result<Verdict> {
    let names = nic::of_driver(driver);
    let [first, second, ..] = names.as_slice() else {
        return Ok(Verdict::Skipped(format!("there are no two {driver} cards in this machine")));
    };
    if !truth_is_possible(bench) {
        return Ok(Verdict::Skipped("before Linux 6.16 tracepoints do not see copies".into()));
    }
    let link = format!("{first},{second}");
    // Everything where it is fast; a link that copies takes minutes for all of them.
    let paths = if expected == "copied" { "copy,msg_zerocopy,sendfile" } else { "all" };
    let args = ["--cable", &link, "--paths", paths, "--sizes", "64K", "--cell-bytes", "1M", "--warm-up", "0"];
    let output = process::start(&mut matrix(bench, &args))?.finish(Duration::from_secs(600))?;
    let matrix = document(bench, &format!("matrix_cable_{driver}"), &output)?;
    let mut wrong = whole(&matrix, 0, 1 << 20);
    for path in ["msg_zerocopy", "sendfile"] {
        wrong.extend(verdicts(&matrix, path, expected));
    }
    for cell in matrix.cells("msg_zerocopy").filter(|_| expected == "copied") {
        let kernel = cell.proof.as_ref().and_then(|run| run.kernel);
        if !kernel.is_some_and(|c| c.requested_bytes > 0 && c.copied_bytes == c.requested_bytes) {
            wrong.push(format!("msg_zerocopy {}: {kernel:?}, expected every byte copied", cell.size));
        }
    }
    let setting = &matrix.setting;
    let named = setting.device.as_ref().and_then(|device| device.driver.as_deref()) == Some(driver);
    if setting.link != "cable" || setting.functional_only.is_some() || !named {
        wrong.push(format!("not called a cable of {driver}: {setting:?}"));
    }
    if nic::of_driver(driver) != names {
        wrong.push("the cards were not given back".into());
    }
    Ok(verdict(wrong))
}
