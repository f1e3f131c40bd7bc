//! One row of the table: build the link, send under zcscope, compare.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use super::Bench;
use super::queue::Needs;
use crate::bpf::Xdp;
use crate::expect::{self, Amount, Backend, Expect};
use crate::findings::blame;
use crate::fixture::sysctl::Sysctl;
use crate::fixture::{Fixture, Link, nic};
use crate::kernel::{self, Since};
use crate::process::{Running, wait_until};
use crate::report::Verdict;
use crate::stat_json::Stat;
use crate::truth::{Received, SendPath, Sent};

/// Something about a scenario that is not plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// Over IPv6.
    Ipv6,
    /// `ethtool -K` on the sender's device.
    Offload(&'static str),
    /// `ethtool -K` on the sender's device after the handshake.
    OffloadLate(&'static str),
    /// `tc` with these words; `DEV` stands for the sender's device.
    Tc(&'static str),
    /// A tc program on the way out that pulls so many bytes of each packet into its linear part; all without a number.
    TcPull(Option<u32>),
    /// IPsec in transport mode between the two ends, ESP in software.
    Esp,
    /// An XDP program that lets everything pass, at the sink's device.
    Xdp(Xdp),
    /// After the handshake, frames reach nobody: the device transmits, no one receives.
    BlackHole,
    /// The same for the first packets only, which must be sent again.
    Blink,
    /// A packet socket in the sender's namespace hears all devices.
    TapAny,
    /// A packet socket bound to the sender's device.
    TapDevice,
    /// The same, deaf to outgoing packets.
    TapIncomingOnly,
    /// A packet socket in the sink's namespace.
    TapAtSink,
    /// `MSG_ZEROCOPY` without `SO_ZEROCOPY`.
    WithoutSoZerocopy,
    /// `net.core.optmem_max` too small, and no reading of notifications between the calls.
    Optmem(&'static str),
    /// An unprivileged sender with so many bytes of locked memory.
    Memlock(&'static str),
    /// Milliseconds between two calls.
    Pause(&'static str),
    /// After each call, one by this path on the same connection.
    And(SendPath),
    /// So many connections, one after another, each with all the calls.
    Connections(&'static str),
    /// The sender is a grandchild: `sh -c`.
    ViaShell,
    /// A second sender runs at the same time and is not traced.
    Bystander,
    /// `vmsplice(2)` with `SPLICE_F_GIFT`.
    Gift,
    /// `MSG_ZEROCOPY` where the path does not know it.
    AskZerocopy,
    /// `MSG_MORE` on every call.
    More,
    /// Each byte from a page of its own.
    Scattered,
    /// From huge pages.
    Huge,
    /// Before each call, one with memory that cannot be read.
    BadBuffer,
    /// No waiting for room, and a sink that begins to read late.
    Nonblocking,
    /// So many calls after the connection was shut for sending.
    AfterShutdown(&'static str),
    /// The first call connects, and its data travels with the SYN.
    Fastopen,
    /// The sender's socket is in a sockmap with a program for messages.
    Sockmap,
    /// A call that is refused is not tried again.
    NoRetry,
    /// Options of the sender that concern io_uring.
    Uring(&'static [&'static str]),
}

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) link: Link,
    pub(crate) path: SendPath,
    pub(crate) calls: u32,
    pub(crate) size: u32,
    pub(crate) setup: &'static [Setup],
    pub(crate) expect: Expect,
}

impl Row {
    pub(crate) fn has(&self, setup: Setup) -> bool {
        self.setup.contains(&setup)
    }

    fn is_tls(&self) -> bool {
        self.path.is_tls() || self.setup.iter().any(|s| matches!(s, Setup::And(path) if path.is_tls()))
    }

    /// True when something changes between the handshake and the first send.
    fn waits(&self) -> bool {
        self.setup
            .iter()
            .any(|setup| matches!(setup, Setup::BlackHole | Setup::Blink | Setup::OffloadLate(_)))
    }

    /// The expectation of zcscope's report on this kernel. Tracepoints do not see some copies at all; that they say so is checked with
    /// every report.
    fn expected(&self, backend: Option<Backend>) -> Expect {
        if self.link == Link::Routed && self.expect.copied == Amount::All {
            // The router copies what it forwards, until Linux 6.17.
            let later = kernel::has(Since::CopyOnDelivery);
            let reason = if later { "local_delivery" } else { "netns_forward" };
            return Expect { reason: Some(reason), tolerated: &[], ..self.expect };
        }
        let hidden = matches!(self.setup, [.., Setup::Xdp(Xdp::Native) | Setup::TcPull(_) | Setup::Esp]);
        if backend != Some(Backend::Tracepoint) || !hidden {
            return self.expect;
        }
        let tolerated = &["unknown_caller", "local_delivery"];
        Expect { copied: Amount::Any, silent: Amount::Any, reason: None, tolerated, ..self.expect }
    }

    pub(crate) fn connections(&self) -> &'static str {
        let wanted = self.setup.iter().find_map(|setup| match setup {
            Setup::Connections(number) => Some(*number),
            _ => None,
        });
        wanted.unwrap_or("1")
    }

    /// What it keeps other rows from.
    pub(super) fn needs(&self) -> Needs {
        match self.link {
            // The limit is the whole machine's on older kernels.
            _ if self.setup.iter().any(|setup| matches!(setup, Setup::Optmem(_))) => Needs::Alone,
            Link::Cable(driver) | Link::OnCable(_, driver) => Needs::Cards(driver),
            _ => Needs::Nothing,
        }
    }

    /// Why this kernel or machine cannot run it.
    fn impossible(&self, bench: &Bench) -> Option<String> {
        if self.is_tls() && !kernel::has_symbol("tls_sw_sendmsg") {
            return Some("the kernel has no TLS, or its module is not loaded".into());
        }
        if self.path == SendPath::Mptcp && !kernel::has_symbol("mptcp_sendmsg") {
            return Some("the kernel has no MPTCP".into());
        }
        if self.has(Setup::Fastopen) && self.size > 1400 && bench.traces_by_tracepoint() {
            return Some("tracepoints do not see why a send that opens its connection is copied".into());
        }
        if let Link::Cable(driver) | Link::OnCable(_, driver) = self.link
            && nic::of_driver(driver).len() < 2
        {
            return Some(format!("there are no two {driver} cards"));
        }
        self.setup.iter().find_map(|setup| match setup {
            Setup::Ipv6 if !kernel::has_ipv6() => Some("no IPv6".into()),
            Setup::Offload(_) if !kernel::has_program("ethtool") => Some("ethtool is not installed".into()),
            Setup::Huge if !kernel::has_huge_pages() => Some("no transparent huge pages".into()),
            Setup::Uring(options) if options.contains(&"--tls") && !kernel::has_tls() => {
                Some("no TLS sockets".into())
            }
            Setup::OffloadLate(_) if !kernel::has_program("ethtool") => {
                Some("ethtool is not installed".into())
            }
            Setup::Tc(_) | Setup::TcPull(_) if !kernel::has_program("tc") => {
                Some("tc is not installed".into())
            }
            Setup::BlackHole if !kernel::has(Since::CopyOnDelivery) => {
                Some("before Linux 6.17 a veth copies what it transmits".into())
            }
            _ => None,
        })
    }
}

/// Runs one row.
pub(crate) fn run(row: &Row, bench: &Bench) -> anyhow::Result<Verdict> {
    if let Some(why) = row.impossible(bench) {
        return Ok(Verdict::Skipped(why));
    }
    let built = Fixture::build(row.link, row.has(Setup::Ipv6))
        .and_then(|fixture| Ok((Stage::set(row, bench, &fixture)?, fixture)));
    let (mut stage, fixture) = match built {
        Ok(built) => built,
        Err(error) => return kernel_lacks(&error).map(Verdict::Skipped).ok_or(error),
    };
    let files = tempfile::tempdir()?;

    let (sink, to) = start_sink(bench, &fixture, row.connections(), &sink_words(row))?;
    let sender = sender_command(row, bench, to, files.path());
    let report_file = files.path().join("stat.json");
    let mut running = fixture.sender.start(&mut traced(row, bench, &sender, &report_file))?;
    if row.waits()
        && let Err(error) = change(row, &fixture, files.path())
    {
        let said = running.first_line(Duration::from_millis(10)).unwrap_or_else(|e| e.to_string());
        return Err(error.context(said));
    }
    let output = running.finish(Duration::from_secs(90))?;
    if output.code != 0 {
        bail!("exit code {}: {}", output.code, output.complaint());
    }
    let sent = counters(&output.stdout).with_context(|| format!("the sender said {}", output.complaint()))?;
    let received = if row.has(Setup::BlackHole) { None } else { Some(end_sink(sink)?) };
    stage.clear();

    let mut wrong = expect::truth(&row.expect, &sent, received);
    if !bench.truth_only {
        let text = std::fs::read_to_string(&report_file).context("zcscope wrote no report")?;
        if let Some(directory) = &bench.keep {
            std::fs::write(directory.join(format!("{}.json", row.name)), &text)?;
            std::fs::write(directory.join(format!("{}.app.json", row.name)), &output.stdout)?;
        }
        let stat: Stat = serde_json::from_str(&text).context("the report is not of the schema")?;
        let expect = row.expected(bench.backend);
        wrong.extend(expect::report(&expect, &sent, &fixture.device, &stat, bench.backend));
        wrong.extend(blame::of_row(row, &expect, &stat));
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// The sender's counters, one line per path.
pub(super) fn counters(stdout: &str) -> anyhow::Result<Vec<Sent>> {
    let lines: Result<Vec<Sent>, _> = stdout.lines().map(serde_json::from_str).collect();
    let sent = lines.with_context(|| format!("the sender printed {stdout:?}"))?;
    anyhow::ensure!(!sent.is_empty(), "the sender printed nothing");
    Ok(sent)
}

/// What stands around the traced sender, taken down when dropped.
struct Stage {
    _sysctls: Vec<Sysctl>,
    /// Programs attached as long as this is held.
    held: Vec<OwnedFd>,
    around: Vec<Running>,
}

impl Stage {
    fn set(row: &Row, bench: &Bench, fixture: &Fixture) -> anyhow::Result<Self> {
        let mut stage = Stage { _sysctls: Vec::new(), held: Vec::new(), around: Vec::new() };
        for setup in row.setup {
            let device = fixture.device.as_str();
            match setup {
                Setup::Offload(setting) => fixture.offload(setting)?,
                Setup::Optmem(bytes) => {
                    stage._sysctls.push(Sysctl::set(&fixture.sender, "net/core/optmem_max", bytes)?);
                }
                Setup::Fastopen => {
                    // Client and server, without cookies, for every listener.
                    for netns in [&fixture.sender, &fixture.sink] {
                        stage._sysctls.push(Sysctl::set(netns, "net/ipv4/tcp_fastopen", "1543")?);
                    }
                }
                Setup::Tc(words) => fixture.tc(words)?,
                Setup::TcPull(bytes) => fixture.tc_pull(*bytes)?,
                Setup::Esp => fixture.esp()?,
                Setup::Xdp(mode) => stage.held.push(fixture.xdp(*mode)?),
                Setup::TapAny => stage.tap(bench, fixture, &[])?,
                Setup::TapDevice => stage.tap(bench, fixture, &["-i", device])?,
                Setup::TapIncomingOnly => stage.tap(bench, fixture, &["-i", device, "--ignore-outgoing"])?,
                Setup::TapAtSink => {
                    let tap = fixture.sink.start(&mut bench.app("tap"))?;
                    stage.ready(tap)?;
                }
                Setup::Bystander => stage.bystander(bench, fixture)?,
                _ => {}
            }
        }
        Ok(stage)
    }

    fn tap(&mut self, bench: &Bench, fixture: &Fixture, args: &[&str]) -> anyhow::Result<()> {
        let tap = fixture.sender.start(bench.app("tap").args(args))?;
        self.ready(tap)
    }

    fn ready(&mut self, mut tap: Running) -> anyhow::Result<()> {
        tap.first_line(Duration::from_secs(10))?;
        self.around.push(tap);
        Ok(())
    }

    fn bystander(&mut self, bench: &Bench, fixture: &Fixture) -> anyhow::Result<()> {
        let (sink, to) = start_sink(bench, fixture, "1", &[])?;
        let mut command = bench.app("send");
        command.args(["msg_zerocopy", "--calls", "100000", "--size", "3000", "--pause", "1", "--to"]);
        let sender = fixture.sender.start(command.arg(to.to_string()))?;
        self.around.extend([sink, sender]);
        Ok(())
    }

    fn clear(&mut self) {
        self.around.clear();
    }
}

/// What the sink must know of the row.
fn sink_words(row: &Row) -> Vec<&'static str> {
    let mut words = Vec::new();
    if row.is_tls() {
        words.push("--tls");
    }
    if row.path == SendPath::Mptcp {
        words.push("--mptcp");
    }
    if row.has(Setup::Nonblocking) {
        words.extend(["--delay", "300"]);
    }
    words
}

fn start_sink(
    bench: &Bench,
    fixture: &Fixture,
    connections: &str,
    words: &[&str],
) -> anyhow::Result<(Running, SocketAddr)> {
    let listen = SocketAddr::new(fixture.address, 0);
    let mut command = bench.app("sink");
    command.args(["--listen", &listen.to_string(), "--connections", connections]).args(words);
    let mut sink = fixture.sink.start(&mut command)?;
    let port = sink.first_line(Duration::from_secs(10))?.parse().context("the sink printed no port")?;
    Ok((sink, SocketAddr::new(fixture.address, port)))
}

fn end_sink(sink: Running) -> anyhow::Result<Received> {
    let output = sink.finish(Duration::from_secs(20))?;
    let last = output.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("the sink printed {last:?}; {}", output.complaint()))
}

/// The sender's command line, as words.
fn sender_command(row: &Row, bench: &Bench, to: SocketAddr, files: &Path) -> Vec<String> {
    let mut words: Vec<String> = vec![bench.this.display().to_string()];
    let mut push = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
    push(&["app", "send", row.path.word(), "--to", &to.to_string()]);
    push(&["--calls", &row.calls.to_string(), "--size", &row.size.to_string()]);
    for setup in row.setup {
        match setup {
            Setup::WithoutSoZerocopy => push(&["--without-so-zerocopy"]),
            Setup::Optmem(_) => push(&["--no-retry"]),
            Setup::Memlock(bytes) => push(&["--no-retry", "--memlock", bytes]),
            Setup::And(path) => push(&["--and", path.word()]),
            Setup::Gift => push(&["--gift"]),
            Setup::AskZerocopy => push(&["--ask-zerocopy"]),
            Setup::More => push(&["--more"]),
            Setup::Scattered => push(&["--scattered"]),
            Setup::Huge => push(&["--huge"]),
            Setup::BadBuffer => push(&["--bad-buffer"]),
            Setup::Nonblocking => push(&["--nonblocking"]),
            Setup::AfterShutdown(calls) => push(&["--after-shutdown", calls]),
            Setup::Fastopen => push(&["--fastopen"]),
            Setup::Sockmap => push(&["--sockmap"]),
            Setup::NoRetry => push(&["--no-retry"]),
            Setup::Connections(number) => push(&["--connections", number]),
            Setup::Uring(options) => push(options),
            Setup::Pause(milliseconds) => push(&["--pause", milliseconds]),
            Setup::BlackHole => push(&["--user-timeout", "700", "--send-buffer", "4194304"]),
            _ => {}
        }
    }
    if row.waits() {
        {
            {
                push(&["--connected-file", &files.join("connected").display().to_string()]);
                push(&["--go-file", &files.join("go").display().to_string()]);
            }
        }
    }
    words
}

/// The command to start: the sender under `zcscope stat`, or alone.
fn traced(row: &Row, bench: &Bench, sender: &[String], report: &Path) -> Command {
    let mut words = sender.to_vec();
    if row.has(Setup::ViaShell) {
        // A second command keeps the shell from replacing itself with the first one.
        words = vec!["sh".into(), "-c".into(), format!("{}; true", sender.join(" "))];
    }
    if bench.truth_only {
        let mut command = Command::new(words.first().map_or("false", String::as_str));
        command.args(words.get(1..).unwrap_or_default());
        return command;
    }
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(report).arg("--").args(words);
    command
}

/// What a kernel says that was built without a device, a queueing discipline or a filter, as the reason to skip.
pub(crate) fn kernel_lacks(error: &anyhow::Error) -> Option<String> {
    const SAYINGS: [&str; 7] = [
        "Unknown device type",
        "unable to initialize cryptographic operations",
        "Requested AEAD algorithm not found",
        "not supported",
        "kind is unknown",
        "no /dev/net/tun",
        "Failed to load TC action",
    ];
    let text = format!("{error:#}");
    SAYINGS.iter().any(|saying| text.contains(saying)).then(|| format!("this kernel lacks something: {text}"))
}

/// What changes between connect and the first send: the peer's hardware address becomes nobody's, or offloads.
fn change(row: &Row, fixture: &Fixture, files: &Path) -> anyhow::Result<()> {
    let connected = files.join("connected");
    if !wait_until(Duration::from_secs(60), || connected.exists()) {
        bail!("the sender did not connect within 60 s");
    }
    for setup in row.setup {
        match setup {
            Setup::BlackHole | Setup::Blink => fixture.blind_peer()?,
            Setup::OffloadLate(setting) => fixture.offload(setting)?,
            _ => {}
        }
    }
    std::fs::write(files.join("go"), b"")?;
    if row.has(Setup::Blink) {
        if !wait_until(Duration::from_secs(30), || fixture.retransmissions().is_ok_and(|n| n > 0)) {
            bail!("nothing was sent again within 30 s");
        }
        fixture.see_peer()?;
    }
    Ok(())
}
