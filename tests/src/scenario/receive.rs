//! Receive scenarios: the sink runs under zcscope, the sender beside it, and every byte is compared.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use super::Bench;
use super::queue::Needs;
use super::row::counters;
use super::table::{K4, K64, VMXNET3};
use crate::expect::Amount;
use crate::expect::recv::{self, Expect};
use crate::findings::blame;

use crate::fixture::{Fixture, Link, nic};
use crate::kernel;
use crate::process::Running;
use crate::report::Verdict;
use crate::stat_json::Stat;
use crate::truth::Received;
use crate::truth::RecvPath::{self, Peek, Recv, Splice, Trunc, Uring, Zerocopy};
use crate::truth::SendPath::{self, Copy, MsgZerocopy, Sendfile};

/// Something about a scenario that is not plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setup {
    Ipv6,
    /// So many connections, one after another.
    Connections(&'static str),
    /// Bytes of copy buffer when mapping.
    CopyBuffer(&'static str),
    /// Milliseconds between two sends.
    Pause(&'static str),
    /// With tracepoints, mapping is not asked for: it must be listed as missing.
    NotAskedFor,
}

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    link: Link,
    from: SendPath,
    calls: u32,
    size: u32,
    to: RecvPath,
    setup: &'static [Setup],
    expect: Expect,
}

/// Nothing is ever mapped.
const PLAIN: Expect = Expect { mapped: Amount::None, reason: None, tolerated: &[] };
/// Pages of a local sender are part of larger ones, or of a file.
const FOREIGN: Expect = Expect { reason: Some("rx_mapped_page"), tolerated: REST, ..PLAIN };
/// Pages of a local `MSG_ZEROCOPY` sender are copied into single pages on delivery: most can be mapped.
const RELAID: Expect = Expect { mapped: Amount::AtLeast(50), reason: None, tolerated: REST };
/// No more is queued than the copy buffer takes.
const SMALL: Expect = Expect { reason: Some("rx_small_queue"), ..PLAIN };
/// A card without header split: payload lies beside the headers, or does not fill pages.
const CARD: Expect = Expect {
    mapped: Amount::Any,
    reason: None,
    tolerated: &["rx_header_split_missing", "rx_unaligned", "rx_mapped_page", "rx_small_queue"],
};
/// The end of a stream is less than a page, packets' ends do not fill theirs, and now and then loopback delivers a
/// packet of 64 KiB in one linear piece.
const REST: &[&str] = &["rx_small_queue", "rx_unaligned", "rx_header_split_missing"];

const fn row(
    name: &'static str,
    link: Link,
    (from, calls, size): (SendPath, u32, u32),
    to: RecvPath,
    setup: &'static [Setup],
    expect: Expect,
) -> Row {
    Row { name, link, from, calls, size, to, setup, expect }
}

/// The rows.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("recv_lo",              Link::Lo,   (Copy, 64, K64),        Recv,   &[],                              PLAIN),
    row("recv_lo_ipv6",         Link::Lo,   (Copy, 64, 1000),       Recv,   &[Setup::Ipv6],                   PLAIN),
    row("recv_lo_many",         Link::Lo,   (Copy, 20000, 100),     Recv,   &[],                              PLAIN),
    row("recv_lo_sockets",      Link::Lo,   (Copy, 3, 9000),        Recv,   &[Setup::Connections("100")],     PLAIN),
    row("recv_lo_zerocopy_sender", Link::Lo, (MsgZerocopy, 64, K64), Recv,  &[],                              PLAIN),
    row("recv_lo_trunc",        Link::Lo,   (Copy, 64, K64),        Trunc,  &[],                              PLAIN),
    row("recv_lo_peek",         Link::Lo,   (Copy, 64, K4),         Peek,   &[],                              PLAIN),
    row("recv_lo_splice",       Link::Lo,   (Copy, 64, K64),        Splice, &[],                              PLAIN),
    row("recv_lo_uring",        Link::Lo,   (Copy, 64, K64),        Uring,  &[],                              PLAIN),
    row("recv_veth",            Link::Veth, (Copy, 64, K64),        Recv,   &[],                              PLAIN),
    row("recv_veth_splice",     Link::Veth, (Sendfile, 64, K64),    Splice, &[],                              PLAIN),
    row("recv_vmxnet3",         VMXNET3,    (Copy, 64, K64),        Recv,   &[],                              PLAIN),
    row("recv_vmxnet3_splice",  VMXNET3,    (Copy, 64, K64),        Splice, &[],                              PLAIN),

    row("recv_map_lo_copy",     Link::Lo,   (Copy, 64, K64),        Zerocopy, &[],                            FOREIGN),
    row("recv_map_lo_copy_buffer", Link::Lo, (Copy, 64, K64),       Zerocopy, &[Setup::CopyBuffer("8192")],   FOREIGN),
    row("recv_map_lo_sendfile", Link::Lo,   (Sendfile, 64, K64),    Zerocopy, &[],                            FOREIGN),
    row("recv_map_lo_msg_zerocopy", Link::Lo, (MsgZerocopy, 64, K64), Zerocopy, &[],                          RELAID),
    row("recv_map_lo_msg_zerocopy_buffer", Link::Lo, (MsgZerocopy, 64, K64), Zerocopy, &[Setup::CopyBuffer("8192")], RELAID),
    row("recv_map_lo_sockets",  Link::Lo,   (MsgZerocopy, 4, K64),  Zerocopy, &[Setup::Connections("20")],    RELAID),
    row("recv_map_lo_small",    Link::Lo,   (Copy, 8, 1000),        Zerocopy, &[Setup::CopyBuffer("65536"), Setup::Pause("2")], SMALL),
    row("recv_map_lo_tiny",     Link::Lo,   (Copy, 1, 1000),        Zerocopy, &[],                            SMALL),
    row("recv_map_lo_unasked",  Link::Lo,   (MsgZerocopy, 64, K64), Zerocopy, &[Setup::NotAskedFor],          RELAID),
    row("recv_map_veth_copy",   Link::Veth, (Copy, 64, K64),        Zerocopy, &[],                            FOREIGN),
    row("recv_map_veth_sendfile", Link::Veth, (Sendfile, 64, K64),  Zerocopy, &[],                            FOREIGN),
    row("recv_map_veth_msg_zerocopy", Link::Veth, (MsgZerocopy, 64, K64), Zerocopy, &[Setup::CopyBuffer("8192")], RELAID),
    row("recv_map_vmxnet3",     VMXNET3,    (Copy, 64, K64),        Zerocopy, &[],                            CARD),
    row("recv_map_vmxnet3_msg_zerocopy", VMXNET3, (MsgZerocopy, 64, K64), Zerocopy, &[Setup::CopyBuffer("8192")], CARD),
];

impl Row {
    fn has(&self, setup: Setup) -> bool {
        self.setup.contains(&setup)
    }

    fn connections(&self) -> &'static str {
        let wanted = self.setup.iter().find_map(|setup| match setup {
            Setup::Connections(number) => Some(*number),
            _ => None,
        });
        wanted.unwrap_or("1")
    }

    /// What it keeps other rows from.
    pub(super) fn needs(&self) -> Needs {
        match self.link {
            Link::Cable(driver) | Link::OnCable(_, driver) => Needs::Cards(driver),
            _ => Needs::Nothing,
        }
    }

    /// Why this kernel or machine cannot run it.
    fn impossible(&self, bench: &Bench) -> Option<String> {
        if let Link::Cable(driver) = self.link
            && nic::of_driver(driver).len() < 2
        {
            return Some(format!("there are no two {driver} cards"));
        }
        if self.has(Setup::NotAskedFor) && !bench.traces_by_tracepoint() {
            return Some("it is about tracepoints".into());
        }
        if self.to == Uring && io_uring::IoUring::new(2).is_err() {
            return Some("io_uring is not possible here".into());
        }
        (self.has(Setup::Ipv6) && !kernel::has_ipv6()).then(|| "no IPv6".into())
    }
}

/// Runs one row.
pub(super) fn run(row: &Row, bench: &Bench) -> anyhow::Result<Verdict> {
    if let Some(why) = row.impossible(bench) {
        return Ok(Verdict::Skipped(why));
    }
    let fixture = Fixture::build(row.link, row.has(Setup::Ipv6))?;
    let files = tempfile::tempdir()?;
    let report_file = files.path().join("stat.json");
    let (sink, to) = start_sink(row, bench, &fixture, &report_file)?;

    let mut command = bench.app("send");
    command.args([row.from.name(), "--to", &to.to_string(), "--connections", row.connections()]);
    command.args(["--calls", &row.calls.to_string(), "--size", &row.size.to_string()]);
    if let Some(pause) =
        row.setup.iter().find_map(|s| if let Setup::Pause(ms) = s { Some(*ms) } else { None })
    {
        command.args(["--pause", pause]);
    }
    let output = fixture.sender.start(&mut command)?.finish(Duration::from_secs(90))?;
    if output.code != 0 {
        bail!("the sender ended with {}: {}", output.code, output.complaint());
    }
    let sent = counters(&output.stdout)?.remove(0);
    let output = sink.finish(Duration::from_secs(30))?;
    let last = output.stdout.lines().last().unwrap_or_default();
    let received: Received = serde_json::from_str(last)
        .with_context(|| format!("the sink printed {last:?}; {}", output.complaint()))?;

    let mut wrong = recv::truth(&row.expect, &sent, &received);
    if !bench.truth_only {
        let text = std::fs::read_to_string(&report_file).context("zcscope wrote no report")?;
        if let Some(directory) = &bench.keep {
            std::fs::write(directory.join(format!("{}.json", row.name)), &text)?;
            std::fs::write(directory.join(format!("{}.app.json", row.name)), last)?;
        }
        let stat: Stat = serde_json::from_str(&text).context("the report is not of the schema")?;
        wrong.extend(recv::report(&row.expect, &received, &stat, bench.backend));
        wrong.extend(blame::of_sink(row.name, (row.expect.reason, row.expect.tolerated), &stat));
        let mapping_known = !bench.traces_by_tracepoint() || asks(row, bench);
        if stat.misses("recv_zerocopy") == mapping_known {
            wrong.push(format!("`recv_zerocopy` is known: {mapping_known}, but the report says otherwise"));
        }
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// With tracepoints zcscope follows mapping only when asked for it by name.
fn asks(row: &Row, bench: &Bench) -> bool {
    bench.traces_by_tracepoint() && row.to == Zerocopy && !row.has(Setup::NotAskedFor)
}

/// Starts the sink under zcscope; returns where it listens.
fn start_sink(
    row: &Row,
    bench: &Bench,
    fixture: &Fixture,
    report: &Path,
) -> anyhow::Result<(Running, SocketAddr)> {
    let listen = SocketAddr::new(fixture.address, 0);
    let mut command = bench.app("sink");
    if !bench.truth_only {
        command = bench.stat();
        if asks(row, bench) {
            command.args(["--path", "recv_zerocopy", "--path", "recv"]);
        }
        command.args(["--json", "-o"]).arg(report).arg("--").arg(&bench.this).args(["app", "sink"]);
    }
    command.args(["--listen", &listen.to_string(), "--connections", row.connections()]);
    command.args(["--mode", row.to.name()]);
    for setup in row.setup {
        if let Setup::CopyBuffer(bytes) = setup {
            command.args(["--copy-buffer", bytes]);
        }
    }
    let mut sink = fixture.sink.start(&mut command)?;
    let port = sink.first_line(Duration::from_secs(60))?.parse().context("the sink printed no port")?;
    Ok((sink, SocketAddr::new(fixture.address, port)))
}
