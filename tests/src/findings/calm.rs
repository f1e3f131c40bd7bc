//! Where all is well nothing is found: ordinary traffic on a veth pair, and zero-copy over cards that can do it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::blame::Wanted;
use crate::fixture::{Fixture, Link, nic};
use crate::kernel;
use crate::process::{self, Running, wait_until};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};
use crate::stat_json::Stat;

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("calm_traffic", traffic),
    ("calm_cable_msg_zerocopy", |bench| cable(bench, "msg_zerocopy")),
    ("calm_cable_sendfile", |bench| cable(bench, "sendfile")),
];

/// Seconds of ordinary traffic; `ZCSCOPE_CALM_SECONDS` makes it longer.
const SECONDS: u32 = 10;
/// To start and to end.
const MARGIN: u32 = 50;
/// Port of the iperf3 server, and how the kernel writes it in its table of sockets.
const IPERF_PORT: &str = "5201";
const IPERF_LISTENING: &str = ":1451 ";
/// A page with its pictures.
const FILE: usize = 300_000;

/// Everything that goes on, ended when dropped.
struct Traffic(Vec<Running>);

impl Traffic {
    fn start(bench: &Bench, link: &Fixture, files: &Path, seconds: u32) -> anyhow::Result<Self> {
        let mut all = Traffic(Vec::new());
        let limit = (seconds + MARGIN).to_string();
        all.web(bench, link, files, &limit)?;
        all.keystrokes(bench, link, &limit)?;
        if kernel::has_program("iperf3") {
            all.iperf3(link, seconds + MARGIN)?;
        }
        Ok(all)
    }

    /// A web server with `sendfile`, and who asks it fifty times a second.
    fn web(&mut self, bench: &Bench, link: &Fixture, files: &Path, limit: &str) -> anyhow::Result<()> {
        let file = files.join("page.html");
        std::fs::write(&file, vec![b'x'; FILE])?;
        let mut command = bench.app("serve");
        command.args(["--listen", "10.77.0.1:0", "--limit", limit, "--file"]).arg(&file);
        let mut server = link.sender.start(&mut command)?;
        let to = format!("10.77.0.1:{}", server.first_line(Duration::from_secs(10))?);
        let fetch = ["--to", &to, "--pause", "20", "--limit", limit];
        self.0.extend([link.sink.start(bench.app("fetch").args(fetch))?, server]);
        Ok(())
    }

    /// Small plain sends, as a shell over the network makes them.
    fn keystrokes(&mut self, bench: &Bench, link: &Fixture, limit: &str) -> anyhow::Result<()> {
        let listen = format!("{}:0", link.address);
        let mut sink = link.sink.start(bench.app("sink").args(["--listen", &listen, "--limit", limit]))?;
        let to = format!("{}:{}", link.address, sink.first_line(Duration::from_secs(10))?);
        let words = ["copy", "--calls", "9999999", "--size", "52", "--pause", "20", "--limit", limit];
        self.0.extend([link.sender.start(bench.app("send").args(words).args(["--to", &to]))?, sink]);
        Ok(())
    }

    /// A measurement, not faster than a small machine can bear.
    fn iperf3(&mut self, link: &Fixture, seconds: u32) -> anyhow::Result<()> {
        let server = link.sink.start(Command::new("iperf3").args(["-s", "-1", "-p", IPERF_PORT]))?;
        let listens = || {
            let table = link.sink.command("cat", &["/proc/thread-self/net/tcp6"]);
            table.is_ok_and(|text| text.contains(IPERF_LISTENING))
        };
        ensure!(wait_until(Duration::from_secs(10), listens), "the iperf3 server does not listen");
        let (to, time) = (link.address.to_string(), seconds.to_string());
        let words = ["-c", &to, "-p", IPERF_PORT, "-b", "400M", "-t", &time];
        self.0.extend([link.sender.start(Command::new("iperf3").args(words))?, server]);
        Ok(())
    }
}

fn read(report: &Path) -> anyhow::Result<Stat> {
    let text = std::fs::read_to_string(report).context("zcscope wrote no report")?;
    serde_json::from_str(&text).context("the report is not of the schema")
}

fn verdict(wrong: Vec<String>) -> Verdict {
    if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) }
}

/// Nobody asks for zero-copy towards this host, so there is nothing to say.
fn traffic(bench: &Bench) -> anyhow::Result<Verdict> {
    let seconds = std::env::var("ZCSCOPE_CALM_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: u32 = seconds.unwrap_or(SECONDS);
    let (link, files) = (Fixture::build(Link::Veth, false)?, tempfile::tempdir()?);
    let mut traffic = Traffic::start(bench, &link, files.path(), seconds)?;
    let report = files.path().join("stat.json");
    let place = traffic.0.first().context("no traffic")?.pid();
    // The server's namespace: what is sent to clients, and what they ask for.
    let server = traffic.0.get(1).map_or(place, Running::pid);
    let mut command = bench.stat();
    command.args(["--netns", &server.to_string(), "--duration", &format!("{seconds}s"), "--json", "-o"]);
    let patience = Duration::from_secs(u64::from(seconds + MARGIN));
    let output = process::start(command.arg(&report))?.finish(patience)?;
    ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    if let Some(directory) = &bench.keep {
        std::fs::copy(&report, directory.join("calm_traffic.json"))?;
    }
    let stat = read(&report)?;
    let mut wrong = Wanted::only(&[]).judge(&stat);
    if !traffic.0.iter_mut().all(Running::is_alive) {
        wrong.push("some of the traffic ended before the trace did".into());
    }
    for path in ["copy", "sendfile", "recv"] {
        if !stat.paths.iter().any(|figures| figures.path == path && figures.bytes > 0) {
            wrong.push(format!("the traffic has nothing on the path {path}"));
        }
    }
    Ok(verdict(wrong))
}

/// What can be true of this link while the host does other things: ACKs come late; and a sender whose window is full for a
/// moment ends a packet in a few bytes of pages, which vmxnet3 pulls into its headers: the kernel flags all sends of that
/// packet's unit as copied, and zcscope rightly says that they were not.
const DISTURBED: [&str; 3] = ["delayed_ack", "told_copied_but_not", "merged_range"];
/// How often the host may disturb it.
const TRIES: u32 = 3;

/// 16 MiB without a copy over cards that can do it.
fn cable(bench: &Bench, path: &str) -> anyhow::Result<Verdict> {
    if nic::of_driver("vmxnet3").len() < 2 {
        return Ok(Verdict::Skipped("there are no two vmxnet3 cards".into()));
    }
    for number in 1..TRIES {
        let wrong = over_cable(bench, path)?;
        let disturbed = |complaint: &String| DISTURBED.iter().any(|id| complaint.starts_with(id));
        if wrong.is_empty() || !wrong.iter().all(disturbed) {
            return Ok(verdict(wrong));
        }
        println!("  try {number} of calm_cable_{path}: {}", wrong.join("; "));
    }
    over_cable(bench, path).map(verdict)
}

/// What is found there.
fn over_cable(bench: &Bench, path: &str) -> anyhow::Result<Vec<String>> {
    let (link, files) = (Fixture::build(Link::Cable("vmxnet3"), false)?, tempfile::tempdir()?);
    let mut sink = link.sink.start(bench.app("sink").args(["--listen", &format!("{}:0", link.address)]))?;
    let to = format!("{}:{}", link.address, sink.first_line(Duration::from_secs(10))?);
    let report = files.path().join("stat.json");
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(&report).arg("--").arg(&bench.this);
    command.args(["app", "send", path, "--calls", "256", "--size", "65536", "--to", &to]);
    let output = link.sender.start(&mut command)?.finish(Duration::from_secs(90))?;
    ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    if let Some(directory) = &bench.keep {
        std::fs::copy(&report, directory.join(format!("calm_cable_{path}.json")))?;
    }
    Ok(Wanted::only(&[]).judge(&read(&report)?))
}
