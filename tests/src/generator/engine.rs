//! What the generator does beyond one good connection: very many, a peer or a device that goes away, a kernel that
//! refuses, messages at a fixed rate. The receiving end is not zcscope's.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context;
use nix::sys::socket::Backlog;
use serde::Deserialize;

use crate::fixture::netns::Netns;
use crate::process::{Output, wait_until};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("load_streams_1000", |bench| many_streams(bench, "copy", STREAMS)),
    ("load_streams_1000_threads_2", two_threads),
    ("load_peer_gone", peer_gone),
    ("load_device_down", device_down),
    ("load_enobufs_storm", enobufs_storm),
    ("load_enobufs_always", enobufs_always),
    ("load_latency", latency),
];

const STREAMS: usize = 1000;
/// Bytes each of them sends: not more over all than the kernel of a small guest keeps in queues (`net.ipv4.tcp_mem`); it
/// would drop packets then, and connections could be silent for longer than the generator waits.
const EACH: u64 = 32 << 10;
const MESSAGE: u64 = 4 << 10;
/// A stream with a thread of its own, and several on one.
const ALONE_AND_SHARED: [&str; 2] = ["--streams 1", "--streams 4 --threads 1"];

/// What is used of the report `zcscope.load/1`.
#[derive(Debug, Deserialize)]
struct Load {
    threads: u64,
    bytes: u64,
    acked_bytes: u64,
    ended_by: String,
    error: Option<String>,
    errors: std::collections::BTreeMap<String, u64>,
    completions: Option<Completions>,
    open_loop: Option<OpenLoop>,
    per_stream: Vec<Stream>,
}

#[derive(Debug, Deserialize)]
struct Completions {
    sends: u64,
    outstanding: u64,
}

#[derive(Debug, Deserialize)]
struct Stream {
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct OpenLoop {
    max_per_s: Option<f64>,
    levels: Vec<Level>,
}

#[derive(Debug, Deserialize)]
struct Level {
    asked: String,
    offered: u64,
    sent: u64,
    kept: bool,
    accepted_ns: Count,
    accepted_raw_ns: Count,
    ended_ns: Option<Count>,
}

#[derive(Debug, Deserialize)]
struct Count {
    count: u64,
    p50: Option<u64>,
}

/// A receiving end of our own: a thread a connection, everything thrown away.
struct Drain {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Drain {
    /// In `netns`, on `address`; every connection is dropped after `limit` bytes, if any.
    fn start(netns: &Netns, address: &str, limit: Option<u64>) -> anyhow::Result<Self> {
        let listener = netns.enter(|| TcpListener::bind(address).context("the test cannot listen"))?;
        // The standard library's 128 are too few: what finds no room has to begin again, seconds later.
        nix::sys::socket::listen(&listener, Backlog::new(STREAMS as i32)?)?;
        let (address, bytes) = (listener.local_addr()?, Arc::new(AtomicU64::new(0)));
        let sum = Arc::clone(&bytes);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let sum = Arc::clone(&sum);
                let body = move || drain(stream, &sum, limit.unwrap_or(u64::MAX));
                let _ = std::thread::Builder::new().stack_size(256 << 10).spawn(body);
            }
        });
        Ok(Self { address, bytes })
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

fn drain(mut stream: TcpStream, sum: &AtomicU64, limit: u64) {
    let (mut buffer, mut mine) = (vec![0; 64 << 10], 0);
    while let Ok(n) = stream.read(&mut buffer) {
        sum.fetch_add(n as u64, Relaxed);
        mine += n as u64;
        if n == 0 || mine >= limit {
            return;
        }
    }
}

/// `zcscope load` with these words, to `drain`.
fn load(bench: &Bench, netns: &Netns, drain: &Drain, words: &str) -> anyhow::Result<(Output, Load)> {
    let output = netns.start(&mut command(bench, drain.address, words))?.finish(Duration::from_secs(60))?;
    parse(output)
}

fn command(bench: &Bench, to: SocketAddr, words: &str) -> Command {
    let mut command = Command::new(&bench.zcscope);
    command.args(["load", "--json", "--no-trace", "--to", &to.to_string()]).args(words.split_whitespace());
    command
}

fn parse(output: Output) -> anyhow::Result<(Output, Load)> {
    let report = serde_json::from_str(&output.stdout)
        .with_context(|| format!("no report: {:?}; {}", output.stdout, output.complaint()))?;
    Ok((output, report))
}

/// Collects what is wrong.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn unless(&mut self, good: bool, text: impl FnOnce() -> String) {
        if !good {
            self.0.push(text());
        }
    }

    fn same(&mut self, what: &str, one: u64, other: u64) {
        self.unless(one == other, || format!("{what}: {one}, expected {other}"));
    }

    fn verdict(self) -> Verdict {
        if self.0.is_empty() { Verdict::Ok } else { Verdict::Failed(self.0) }
    }

    /// A run that failed on the way: exit code 1, marked, with a sentence that has `words`.
    fn failed_run(&mut self, output: &Output, load: &Load, words: &[&str]) {
        self.same("exit code", u64::try_from(output.code).unwrap_or(u64::MAX), 1);
        self.unless(load.ended_by == "error", || format!("ended by {}", load.ended_by));
        let error = load.error.as_deref().unwrap_or_default();
        self.unless(words.iter().any(|word| error.contains(word)), || {
            format!("the error is {error:?}, expected one of {words:?}")
        });
        self.unless(output.stderr.contains(error), || "the error is not on stderr".into());
    }
}

/// Few threads for very many streams, with paths whose ends come through sockets and through rings.
fn two_threads(bench: &Bench) -> anyhow::Result<Verdict> {
    let mut wrong = Vec::new();
    for path in ["msg_zerocopy", "uring_send_zc"] {
        match many_streams(bench, path, 2)? {
            Verdict::Ok => {}
            Verdict::Failed(more) => wrong.extend(more.iter().map(|text| format!("{path}: {text}"))),
            skipped @ Verdict::Skipped(_) => return Ok(skipped),
        }
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// With few buffers each: those of the default depth would take as much memory as a guest has.
fn many_streams(bench: &Bench, path: &str, threads: usize) -> anyhow::Result<Verdict> {
    let netns = Netns::new()?;
    let drain = Drain::start(&netns, "127.0.0.1:0", None)?;
    let total = EACH * STREAMS as u64;
    let words = format!("{path} --streams {STREAMS} --threads {threads} --bytes {total} --size 4K --depth 8");
    let (output, load) = load(bench, &netns, &drain, &words)?;
    let mut wrong = Wrong::default();
    wrong.unless(output.code == 0, || output.complaint());
    wrong.same("bytes acknowledged", load.acked_bytes, total);
    wrong.same("bytes received", drain.bytes(), total);
    wrong.same("threads", load.threads, threads as u64);
    wrong.same("connections", load.per_stream.len() as u64, STREAMS as u64);
    wrong.unless(load.per_stream.iter().all(|stream| stream.bytes == EACH), || {
        "the bytes are not shared evenly".into()
    });
    Ok(wrong.verdict())
}

fn peer_gone(bench: &Bench) -> anyhow::Result<Verdict> {
    let netns = Netns::new()?;
    let mut wrong = Wrong::default();
    for path in ["copy", "msg_zerocopy", "sendfile"] {
        let drain = Drain::start(&netns, "127.0.0.1:0", Some(4 << 20))?;
        let words = format!("{path} --duration 20s --warm-up none");
        let (output, load) = load(bench, &netns, &drain, &words)?;
        wrong.failed_run(&output, &load, &["closed the connection"]);
        wrong.unless(load.bytes >= 4 << 20, || format!("{path}: only {} bytes are reported", load.bytes));
        if let Some(completions) = load.completions {
            wrong.same("sends without an end", completions.outstanding, 0);
        }
    }
    Ok(wrong.verdict())
}

/// The sender's device goes down in the middle: nobody acknowledges any more.
fn device_down(bench: &Bench) -> anyhow::Result<Verdict> {
    let (sender, receiver) = (Netns::new()?, Netns::new()?);
    sender.ip(&format!("link add here type veth peer name there netns {}", receiver.path()))?;
    for (netns, dev, address) in [(&sender, "here", "10.9.7.1/24"), (&receiver, "there", "10.9.7.2/24")] {
        netns.ip(&format!("address add {address} dev {dev}"))?;
        netns.ip(&format!("link set {dev} up"))?;
    }
    let drain = Drain::start(&receiver, "10.9.7.2:0", None)?;
    let words = "copy --duration 40s --warm-up none";
    let running = sender.start(&mut command(bench, drain.address, words))?;
    if !wait_until(Duration::from_secs(10), || drain.bytes() > 1 << 20) {
        return Ok(Verdict::Failed(vec!["nothing arrived".into()]));
    }
    sender.ip("link set here down")?;
    let (output, load) = parse(running.finish(Duration::from_secs(30))?)?;
    let mut wrong = Wrong::default();
    wrong.failed_run(&output, &load, &["stopped acknowledging", "no way to"]);
    wrong.unless(load.bytes > 1 << 20, || format!("only {} bytes are reported", load.bytes));
    Ok(wrong.verdict())
}

/// Too little memory for notifications, of this network namespace alone; false where the kernel has only one for all.
fn set_optmem(netns: &Netns, bytes: u32) -> bool {
    let file = "/proc/sys/net/core/optmem_max";
    netns.enter(|| Ok(std::fs::write(file, bytes.to_string())?)).is_ok()
}

fn no_optmem() -> Verdict {
    Verdict::Skipped("net.core.optmem_max is not of a network namespace before Linux 6.8".into())
}

/// Room for one notification: sends are refused again and again, and still every byte arrives.
fn enobufs_storm(bench: &Bench) -> anyhow::Result<Verdict> {
    let netns = Netns::new()?;
    if !set_optmem(&netns, 1000) {
        return Ok(no_optmem());
    }
    let mut wrong = Wrong::default();
    for streams in ALONE_AND_SHARED {
        let drain = Drain::start(&netns, "127.0.0.1:0", None)?;
        let words = format!("msg_zerocopy --bytes 64M --size 4K --depth 256 --reap-every 256 {streams}");
        let (output, load) = load(bench, &netns, &drain, &words)?;
        wrong.unless(output.code == 0, || output.complaint());
        wrong.same("bytes received", drain.bytes(), 64 << 20);
        wrong.unless(load.errors.get("ENOBUFS").is_some_and(|n| *n > 0), || {
            format!("no refusal is counted: {:?}", load.errors)
        });
        wrong.same("sends without an end", load.completions.map_or(0, |c| c.outstanding), 0);
    }
    Ok(wrong.verdict())
}

/// Room for none at all.
fn enobufs_always(bench: &Bench) -> anyhow::Result<Verdict> {
    let netns = Netns::new()?;
    if !set_optmem(&netns, 1) {
        return Ok(no_optmem());
    }
    let mut wrong = Wrong::default();
    for streams in ALONE_AND_SHARED {
        let drain = Drain::start(&netns, "127.0.0.1:0", None)?;
        let words = format!("msg_zerocopy --duration 20s {streams}");
        let (output, load) = load(bench, &netns, &drain, &words)?;
        wrong.failed_run(&output, &load, &["net.core.optmem_max"]);
    }
    Ok(wrong.verdict())
}

/// No message is lost or counted twice, and each is timed from both beginnings.
fn latency(bench: &Bench) -> anyhow::Result<Verdict> {
    let netns = Netns::new()?;
    let mut wrong = Wrong::default();
    for path in ["copy", "msg_zerocopy"] {
        let drain = Drain::start(&netns, "127.0.0.1:0", None)?;
        let words = format!(
            "{path} --latency --rate 200/s,301/s --duration 1s --size {MESSAGE} --streams 2 --warm-up none"
        );
        let (output, load) = load(bench, &netns, &drain, &words)?;
        wrong.unless(output.code == 0, || output.complaint());
        let levels = load.open_loop.as_ref().map(|open_loop| &open_loop.levels[..]).unwrap_or_default();
        wrong.same("levels", levels.len() as u64, 2);
        for (level, due) in levels.iter().zip([200, 301]) {
            check_level(&mut wrong, level, due, path == "msg_zerocopy");
        }
        wrong.same("bytes sent", load.bytes, 501 * MESSAGE);
        wrong.same("bytes received", drain.bytes(), load.bytes);
        if let Some(completions) = load.completions {
            wrong.unless(completions.sends >= 501, || format!("{} sends ended", completions.sends));
        }
    }
    let drain = Drain::start(&netns, "127.0.0.1:0", None)?;
    let words = "copy --latency --rate 10% --duration 500ms --size 64K --warm-up none";
    let (_, load) = load(bench, &netns, &drain, words)?;
    let max = load.open_loop.and_then(|open_loop| open_loop.max_per_s);
    wrong.unless(max.is_some_and(|max| max > 0.0), || "no maximum was measured".into());
    Ok(wrong.verdict())
}

fn check_level(wrong: &mut Wrong, level: &Level, due: u64, told: bool) {
    let asked = &level.asked;
    wrong.same(&format!("{asked}: messages due"), level.offered, due);
    // A busy machine may not keep a level; then it must say so.
    wrong.unless(level.sent == due || !level.kept, || format!("{asked}: kept with {} sent", level.sent));
    wrong.same(&format!("{asked}: messages timed"), level.accepted_ns.count, level.sent);
    wrong.same(&format!("{asked}: raw"), level.accepted_raw_ns.count, level.sent);
    let ended = level.ended_ns.as_ref();
    wrong.same(
        &format!("{asked}: ends"),
        ended.map_or(0, |ended| ended.count),
        if told { level.sent } else { 0 },
    );
    if let (Some(corrected), Some(raw)) = (level.accepted_ns.p50, level.accepted_raw_ns.p50) {
        wrong.unless(corrected >= raw, || format!("{asked}: sooner than sent: {corrected} < {raw}"));
    }
}
