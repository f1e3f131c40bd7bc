//! zcscope's sink: every way to receive checks what an independent sender sends, and two hosts (namespaces joined by
//! a veth pair) that share a token count the same, whoever of them is killed.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{TcpTlsTx, TcpUlp, TlsCryptoInfo};
use serde::Deserialize;

use crate::fixture::netns::Netns;
use crate::fixture::{Fixture, Link};
use crate::process::{Output, Running, wait_until};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// Bytes of one run.
const BYTES: u64 = 16 << 20;
/// The byte that is altered where one must be found.
const ALTERED: usize = 9_437_191;
const PATIENCE: Duration = Duration::from_secs(60);

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("sink_recv", |bench| mode(bench, "recv")),
    ("sink_trunc", |bench| mode(bench, "trunc")),
    ("sink_splice", |bench| mode(bench, "splice")),
    ("sink_recv_zerocopy", |bench| mode(bench, "recv_zerocopy")),
    ("sink_uring_recv", |bench| mode(bench, "uring_recv")),
    ("sink_tls", tls),
    ("sink_unavailable_modes", unavailable),
    ("two_hosts_agree", agree),
    ("two_hosts_wrong_token", wrong_token),
    ("two_hosts_sink_killed", sink_killed),
    ("two_hosts_load_killed", load_killed),
];

/// What is used of the report `zcscope.sink/1`.
#[derive(Debug, Deserialize)]
struct Sink {
    bytes: u64,
    verified_bytes: Option<u64>,
    mismatches: Option<u64>,
    mapped_bytes: Option<u64>,
    copied_bytes: Option<u64>,
    skip_hint_bytes: Option<u64>,
    connections: Vec<Connection>,
    #[serde(default)]
    loads: Vec<LoadSeen>,
    #[serde(default)]
    refused_controls: u64,
}

#[derive(Debug, Deserialize)]
struct Connection {
    first_mismatch: Option<Mismatch>,
}

#[derive(Debug, Deserialize)]
struct Mismatch {
    offset: u64,
}

#[derive(Debug, Deserialize)]
struct LoadSeen {
    end: String,
    bytes: u64,
}

/// What is used of the report `zcscope.load/1`.
#[derive(Debug, Deserialize)]
struct Load {
    bytes: u64,
    acked_bytes: u64,
    peer: Option<Peer>,
}

#[derive(Debug, Deserialize)]
struct Peer {
    bytes: u64,
    connections: u64,
    mode: String,
    end: String,
    thread_ns: u64,
}

/// The pattern, written down once more: word `i` of eight bytes is splitmix64 of `i` in a period of 64 MiB.
fn stream() -> Vec<u8> {
    let word = |i: u64| {
        let mut z = (i % (8 << 20) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    };
    (0..BYTES / 8).flat_map(word).collect()
}

/// A sink that has written where it listens.
struct Listening {
    sink: Running,
    data: String,
    control: String,
}

fn listen(bench: &Bench, netns: &Netns, files: &Path, args: &[&str]) -> anyhow::Result<Listening> {
    let ready = files.join("sink");
    let _ = std::fs::remove_file(&ready);
    let mut command = Command::new(&bench.zcscope);
    command.args(["sink", "--json", "--duration", "60s", "--ready-file"]).arg(&ready).args(args);
    let mut sink = netns.start(&mut command)?;
    let text = || std::fs::read_to_string(&ready).unwrap_or_default();
    if !wait_until(Duration::from_secs(10), || !text().is_empty() || !sink.is_alive()) || text().is_empty() {
        sink.kill();
        bail!("the sink does not listen: {}", sink.finish(Duration::from_secs(1))?.complaint());
    }
    let text = text();
    let mut lines = text.lines().map(str::to_owned);
    let (data, control) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    Ok(Listening { sink, data, control })
}

fn json_of<T: serde::de::DeserializeOwned>(output: &Output) -> anyhow::Result<T> {
    serde_json::from_str(&output.stdout)
        .with_context(|| format!("no report: {:?}; {}", output.stdout, output.complaint()))
}

/// Complaints about figures.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    #[allow(clippy::needless_pass_by_value, reason = "figures and short texts")]
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, one: T, other: T) {
        if one != other {
            self.0.push(format!("{what}: {one:?}, expected {other:?}"));
        }
    }

    fn says(&mut self, output: &Output, code: i32, text: &str) {
        self.same("exit code", output.code, code);
        if !output.stderr.contains(text) {
            self.0.push(format!("does not say {text:?}: {}", output.complaint()));
        }
    }

    fn verdict(self) -> Verdict {
        if self.0.is_empty() { Verdict::Ok } else { Verdict::Failed(self.0) }
    }
}

/// One mode, with the right bytes and with one that is altered.
fn mode(bench: &Bench, mode: &str) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let checks = mode != "trunc";
    let mut bytes = stream();
    let mut wrong = Wrong::default();
    for altered in [false, true] {
        let mut args = vec!["--listen", "127.0.0.1:0", "--once", "--mode", mode];
        args.extend(checks.then_some("--verify"));
        let listening = match listen(bench, &netns, files.path(), &args) {
            Err(error) if error.to_string().contains("is not available") => {
                return Ok(Verdict::Skipped(error.to_string()));
            }
            listening => listening?,
        };
        if altered {
            bytes[ALTERED] ^= 0x10;
        }
        netns.enter(|| {
            let mut socket = TcpStream::connect(&listening.data)?;
            Ok(socket.write_all(&bytes)?)
        })?;
        let output = listening.sink.finish(PATIENCE)?;
        let report: Sink = json_of(&output)?;
        wrong.same("exit code", output.code, i32::from(altered && checks));
        wrong.same("bytes", report.bytes, BYTES);
        let found = u64::from(altered);
        wrong.same("verified bytes", report.verified_bytes, checks.then_some(BYTES - found));
        wrong.same("wrong bytes", report.mismatches, checks.then_some(found));
        let first = report.connections.first().and_then(|c| c.first_mismatch.as_ref()).map(|m| m.offset);
        wrong.same("first wrong byte", first, (altered && checks).then_some(ALTERED as u64));
        if let (Some(mapped), Some(copied), Some(read)) =
            (report.mapped_bytes, report.copied_bytes, report.skip_hint_bytes)
        {
            wrong.same("mapped, copied and read", mapped + copied + read, BYTES);
        }
        wrong.same("tells what was mapped", report.mapped_bytes.is_some(), mode == "recv_zerocopy");
    }
    Ok(wrong.verdict())
}

/// The keys the sink decrypts with, written down once more.
fn keys() -> TlsCryptoInfo {
    TlsCryptoInfo::Aes128Gcm(libc::tls12_crypto_info_aes_gcm_128 {
        info: libc::tls_crypto_info {
            version: libc::TLS_1_2_VERSION,
            cipher_type: libc::TLS_CIPHER_AES_GCM_128,
        },
        iv: [1; 8],
        key: *b"zcscope load/1  ",
        salt: [2; 4],
        rec_seq: [0; 8],
    })
}

/// Every mode that takes TLS records verifies what was encrypted.
fn tls(bench: &Bench) -> anyhow::Result<Verdict> {
    let (netns, files) = (Netns::new()?, tempfile::tempdir()?);
    let bytes = stream();
    let mut wrong = Wrong::default();
    for mode in ["recv", "splice", "uring_recv"] {
        let args = ["--listen", "127.0.0.1:0", "--once", "--verify", "--tls", "--mode", mode];
        let listening = match listen(bench, &netns, files.path(), &args) {
            Err(error) if error.to_string().contains("TLS sockets") => {
                return Ok(Verdict::Skipped(error.to_string()));
            }
            listening => listening?,
        };
        netns.enter(|| {
            let mut socket = TcpStream::connect(&listening.data)?;
            setsockopt(&socket, TcpUlp::default(), b"tls")?;
            setsockopt(&socket, TcpTlsTx, &keys())?;
            Ok(socket.write_all(&bytes)?)
        })?;
        let report: Sink = json_of(&listening.sink.finish(PATIENCE)?)?;
        wrong.same(mode, (report.verified_bytes, report.mismatches), (Some(BYTES), Some(0)));
    }
    Ok(wrong.verdict())
}

/// Modes that no emulated card has say why.
fn unavailable(bench: &Bench) -> anyhow::Result<Verdict> {
    let netns = Netns::new()?;
    let mut wrong = Wrong::default();
    for mode in ["uring_zcrx", "devmem"] {
        let mut command = Command::new(&bench.zcscope);
        command.args(["sink", "--listen", "127.0.0.1:0", "--mode", mode]);
        let output = netns.start(&mut command)?.finish(PATIENCE)?;
        wrong.says(&output, 1, &format!("mode {mode} is not available: "));
        println!("  {}", output.complaint());
    }
    Ok(wrong.verdict())
}

fn token(files: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = files.join(name);
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    writeln!(file, "{text}")?;
    Ok(path)
}

/// Two hosts: a sink with a control port in one namespace; the other's load knows `token`.
struct TwoHosts {
    fixture: Fixture,
    files: tempfile::TempDir,
    listening: Listening,
}

impl TwoHosts {
    fn new(bench: &Bench) -> anyhow::Result<Self> {
        let (fixture, files) = (Fixture::build(Link::Veth, false)?, tempfile::tempdir()?);
        let token = token(files.path(), "token", "the token of both hosts")?;
        let address = format!("{}:0", fixture.address);
        let args = ["--listen", &address, "--control", &address, "--once", "--token-file"];
        let args: Vec<_> = args.into_iter().chain([token.to_str().unwrap_or_default()]).collect();
        let listening = listen(bench, &fixture.sink, files.path(), &args)?;
        Ok(Self { fixture, files, listening })
    }

    fn load(&self, bench: &Bench, path: &str, token: &str, args: &[&str]) -> anyhow::Result<Running> {
        let mut command = Command::new(&bench.zcscope);
        command.args(["load", path, "--to", &self.listening.data, "--control", &self.listening.control]);
        command.arg("--token-file").arg(self.files.path().join(token));
        command.args(["--json", "--no-trace"]).args(args);
        self.fixture.sender.start(&mut command)
    }
}

/// Every mode the load can ask for: both ends count the same bytes.
fn agree(bench: &Bench) -> anyhow::Result<Verdict> {
    let mut wrong = Wrong::default();
    for (path, mode) in [("copy", "recv"), ("sendfile", "splice"), ("msg_zerocopy", "trunc")] {
        let hosts = TwoHosts::new(bench)?;
        let args = ["--bytes", &BYTES.to_string(), "--streams", "3", "--sink-mode", mode];
        let output = hosts.load(bench, path, "token", &args)?.finish(PATIENCE)?;
        let load: Load = json_of(&output)?;
        let peer = load.peer.with_context(|| format!("no figures of the peer: {}", output.complaint()))?;
        wrong.same("exit code", output.code, 0);
        wrong.same("bytes sent and acknowledged", (load.bytes, load.acked_bytes), (BYTES, BYTES));
        wrong.same("bytes received, as the load is told", peer.bytes, load.bytes);
        wrong.same("connections", peer.connections, 3);
        wrong.same("mode", peer.mode.as_str(), mode);
        wrong.same("end", peer.end.as_str(), "finished");
        wrong.same("CPU time of the receivers is known", peer.thread_ns > 0, true);
        let sink: Sink = json_of(&hosts.listening.sink.finish(PATIENCE)?)?;
        wrong.same("bytes received, as the sink says", sink.bytes, load.bytes);
        wrong.same("of the load", sink.loads.first().map(|load| load.bytes), Some(BYTES));
    }
    Ok(wrong.verdict())
}

fn wrong_token(bench: &Bench) -> anyhow::Result<Verdict> {
    let hosts = TwoHosts::new(bench)?;
    let mut wrong = Wrong::default();
    token(hosts.files.path(), "other", "some other token than that")?;
    let output = hosts.load(bench, "copy", "other", &["--bytes", "1M"])?.finish(PATIENCE)?;
    wrong.says(&output, 1, "does not accept this token");
    let open = token(hosts.files.path(), "open", "the token of both hosts")?;
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    let output = hosts.load(bench, "copy", "open", &["--bytes", "1M"])?.finish(PATIENCE)?;
    wrong.says(&output, 2, "chmod 600");
    // The sink goes on for the load that knows it.
    let output = hosts.load(bench, "copy", "token", &["--bytes", "1M"])?.finish(PATIENCE)?;
    wrong.same("exit code with the right token", output.code, 0);
    let sink: Sink = json_of(&hosts.listening.sink.finish(PATIENCE)?)?;
    wrong.same("controls refused", sink.refused_controls, 1);
    wrong.same("bytes", sink.bytes, 1 << 20);
    Ok(wrong.verdict())
}

/// True once data flows over the veth pair.
fn flows(hosts: &TwoHosts) -> bool {
    let device = &hosts.fixture.device;
    wait_until(Duration::from_secs(20), || {
        let counter = hosts.fixture.sender.enter(|| {
            // A namespace's sysfs shows only in a mount of its own; /proc/net is the namespace's.
            let table = std::fs::read_to_string("/proc/thread-self/net/dev")?;
            let line = table.lines().find(|line| line.trim_start().starts_with(&format!("{device}:")));
            let sent =
                line.and_then(|line| line.split_whitespace().nth(9)).and_then(|n| n.parse::<u64>().ok());
            Ok(sent.unwrap_or(0))
        });
        counter.is_ok_and(|bytes| bytes > 1 << 20)
    })
}

fn sink_killed(bench: &Bench) -> anyhow::Result<Verdict> {
    let mut hosts = TwoHosts::new(bench)?;
    let load = hosts.load(bench, "copy", "token", &["--duration", "30s"])?;
    if !flows(&hosts) {
        bail!("nothing flows");
    }
    hosts.listening.sink.kill();
    let output = load.finish(PATIENCE)?;
    let mut wrong = Wrong::default();
    wrong.says(&output, 1, "the sink at");
    let load: Load = json_of(&output)?;
    wrong.same("bytes of the broken run are kept", load.bytes > 0, true);
    wrong.same("figures of a peer that is gone", load.peer.is_some(), false);
    Ok(wrong.verdict())
}

fn load_killed(bench: &Bench) -> anyhow::Result<Verdict> {
    let hosts = TwoHosts::new(bench)?;
    let mut load = hosts.load(bench, "copy", "token", &["--duration", "30s"])?;
    if !flows(&hosts) {
        bail!("nothing flows");
    }
    load.kill();
    let sink: Sink = json_of(&hosts.listening.sink.finish(PATIENCE)?)?;
    let mut wrong = Wrong::default();
    wrong.same("end of the load", sink.loads.first().map(|load| load.end.as_str()), Some("vanished"));
    wrong.same("bytes that came are counted", sink.bytes > 0, true);
    Ok(wrong.verdict())
}
