//! Many sockets, short connections or processes for `cargo xtask bench`: both ends of every connection in one thread,
//! on the loopback device, so that the cost of a send can be told apart from everything else. Always ends by itself.
//!
//! `many hold SOCKETS SECONDS PAUSE_US SIZE [unread]`: opens the connections, sends once on each, prints `ready`; then
//! sends on one after the other with this pause (0: none; a pause longer than the time: never again).
//! `many churn CONNECTIONS SIZE`: connections one after the other, one send each.
//! `many processes PROCESSES SOCKETS SECONDS PAUSE_US SIZE [unread]`: as many processes that hold as many sockets each.
//! Each prints one line of JSON at the end: sends, their bytes, the CPU time they took.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use serde_json::json;

/// Connections to one address: its ports do not suffice for all.
const PER_ADDRESS: u64 = 20_000;
/// Beyond the time asked for, before SIGALRM ends it.
const PATIENCE_S: u32 = 60;
/// One end of each connection, the other, and what a process has besides.
const OPEN_FILES: u64 = 32;

/// Sends between two looks at the clock.
const LOOK: u64 = 64;
/// Shorter pauses are gathered: a sleep has a price of its own.
const GRAIN: Duration = Duration::from_millis(5);

/// Both ends of a connection.
struct Pair {
    from: TcpStream,
    to: TcpStream,
}

/// How to send.
#[derive(Clone, Copy)]
struct Pace {
    time: Duration,
    pause: Duration,
    size: usize,
    reads: bool,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize| -> anyhow::Result<u64> {
        let word = words.get(n).with_context(|| format!("argument {n} is missing"))?;
        word.parse().with_context(|| format!("{word} is no number"))
    };
    let pace = |from: usize| -> anyhow::Result<Pace> {
        Ok(Pace {
            time: Duration::from_secs(number(from)?),
            pause: Duration::from_micros(number(from + 1)?),
            size: usize::try_from(number(from + 2)?)?,
            reads: words.get(from + 3).is_none_or(|word| word != "unread"),
        })
    };
    match words.first().map(String::as_str) {
        Some("hold") => hold(number(1)?, pace(2)?),
        Some("churn") => churn(number(1)?, usize::try_from(number(2)?)?),
        Some("processes") => processes(number(1)?, pace(3)?, &words),
        _ => bail!("hold, churn or processes; see the first lines of examples/many.rs"),
    }
}

fn hold(sockets: u64, pace: Pace) -> anyhow::Result<()> {
    ensure!(sockets > 0, "no sockets");
    limit(pace.time);
    let (files, (_, most)) = (2 * sockets + OPEN_FILES, getrlimit(Resource::RLIMIT_NOFILE)?);
    setrlimit(Resource::RLIMIT_NOFILE, files, files.max(most)).with_context(|| {
        format!("{files} open files are needed, {most} allowed (ulimit -Hn): use more processes")
    })?;
    let mut buffer = vec![7; pace.size];
    let mut pairs = Vec::new();
    let mut listener = listen(0)?;
    for n in 0..sockets {
        if n % PER_ADDRESS == 0 {
            listener = listen(n / PER_ADDRESS)?;
        }
        let mut pair = connect(&listener)?;
        pair.exchange(&mut buffer, pace.reads)?;
        pairs.push(pair);
    }
    println!("ready");
    let (start, cpu) = (Instant::now(), cpu_ns()?);
    let sends = if pace.pause < pace.time { pace.send(&mut pairs, &mut buffer)? } else { 0 };
    std::thread::sleep(pace.time.saturating_sub(start.elapsed()));
    report(sends, pace.size, cpu_ns()? - cpu);
    Ok(())
}

impl Pace {
    /// Sends on one after the other until the time is over; the number of sends.
    fn send(self, pairs: &mut [Pair], buffer: &mut [u8]) -> anyhow::Result<u64> {
        let (start, mut sends) = (Instant::now(), 0_u64);
        loop {
            for pair in &mut *pairs {
                if sends.is_multiple_of(LOOK) && start.elapsed() > self.time {
                    return Ok(sends);
                }
                pair.exchange(buffer, self.reads)?;
                sends += 1;
                // Due by the clock, so that a late wake-up does not make the rate lower.
                let due = self.pause * u32::try_from(sends).unwrap_or(u32::MAX);
                if let Some(rest) = due.checked_sub(start.elapsed()).filter(|rest| *rest > GRAIN) {
                    std::thread::sleep(rest.min(self.time));
                }
            }
        }
    }
}

fn churn(connections: u64, size: usize) -> anyhow::Result<()> {
    limit(Duration::from_secs(60));
    let cpu = cpu_ns()?;
    let mut buffer = vec![7; size];
    let mut listener = listen(0)?;
    println!("ready");
    for n in 0..connections {
        if n % PER_ADDRESS == 0 {
            listener = listen(n / PER_ADDRESS)?;
        }
        connect(&listener)?.exchange(&mut buffer, true)?;
    }
    report(connections, size, cpu_ns()? - cpu);
    Ok(())
}

fn processes(count: u64, pace: Pace, words: &[String]) -> anyhow::Result<()> {
    limit(pace.time);
    let mut children = Vec::new();
    for _ in 0..count {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(std::env::current_exe()?).arg("hold");
        let mut child = command.args(words.get(2..).unwrap_or_default()).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().context("no pipe")?);
        children.push((child, output));
    }
    let mut line = String::new();
    for (_, output) in &mut children {
        output.read_line(&mut line)?;
    }
    println!("ready");
    let (mut sends, mut cpu_ns) = (0, 0);
    for (mut child, mut output) in children {
        line.clear();
        output.read_line(&mut line)?;
        ensure!(child.wait()?.success(), "a process failed");
        let last: serde_json::Value = serde_json::from_str(&line)?;
        let figure =
            |name: &str| last[name].as_u64().with_context(|| format!("a process reported no {name}"));
        (sends, cpu_ns) = (sends + figure("sends")?, cpu_ns + figure("cpu_ns")?);
    }
    report(sends, pace.size, cpu_ns);
    Ok(())
}

/// SIGALRM ends the process if nothing else does.
fn limit(time: Duration) {
    nix::unistd::alarm::set(u32::try_from(time.as_secs()).unwrap_or(600).min(600) + PATIENCE_S);
}

fn listen(address: u64) -> anyhow::Result<TcpListener> {
    let address = Ipv4Addr::new(127, 0, 0, u8::try_from(address + 2)?);
    TcpListener::bind(SocketAddrV4::new(address, 0)).context("listening on the loopback device")
}

fn connect(listener: &TcpListener) -> anyhow::Result<Pair> {
    let from = TcpStream::connect(listener.local_addr()?).context("connecting on the loopback device")?;
    Ok(Pair { from, to: listener.accept()?.0 })
}

impl Pair {
    /// One send, and what it sent received.
    fn exchange(&mut self, buffer: &mut [u8], reads: bool) -> std::io::Result<()> {
        self.from.write_all(buffer)?;
        if reads { self.to.read_exact(buffer) } else { Ok(()) }
    }
}

fn cpu_ns() -> anyhow::Result<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let ns =
        |time: nix::sys::time::TimeVal| time.tv_sec() as u64 * 1_000_000_000 + time.tv_usec() as u64 * 1_000;
    Ok(ns(usage.user_time()) + ns(usage.system_time()))
}

fn report(sends: u64, size: usize, cpu_ns: u64) {
    println!("{}", json!({"sends": sends, "bytes": sends * size as u64, "cpu_ns": cpu_ns}));
}
