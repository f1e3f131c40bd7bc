//! Processes in the background, and what the kernel says they used.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_micros(500);
/// State of a listening socket in /proc/net/tcp.
const LISTEN: &str = "0A";

/// A process that is killed when dropped.
pub(super) struct Background {
    name: &'static str,
    child: Child,
}

impl Background {
    /// Starts it without input.
    pub(super) fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child })
    }

    /// Starts it with a terminal as its input.
    pub(super) fn in_terminal(name: &'static str, command: &mut Command, terminal: OwnedFd) -> Result<Self> {
        let child = command.stdin(terminal).spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child })
    }

    /// Starts it and keeps its pipes.
    pub(super) fn conversing(name: &'static str, command: &mut Command) -> Result<(Self, Conversation)> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let input = child.stdin.take().context("no pipe")?;
        let output = BufReader::new(child.stdout.take().context("no pipe")?);
        Ok((Self { name, child }, Conversation { input, output }))
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a condition holds; an error when the process ends before, or after this time.
    pub(super) fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut holds: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let start = Instant::now();
        while !holds()? {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended before it {what} ({status})", self.name);
            }
            if start.elapsed() > limit {
                bail!("{} has not {what} within {} s", self.name, limit.as_secs());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Waits for its end.
    pub(super) fn wait_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if start.elapsed() > limit {
                bail!("{} did not end within {} s", self.name, limit.as_secs());
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends it as Ctrl-C does.
    pub(super) fn interrupt(&mut self, limit: Duration) -> Result<ExitStatus> {
        kill(pid(self.id()), Signal::SIGINT).with_context(|| format!("cannot stop {}", self.name))?;
        self.wait_end(limit)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Lines to and from a process.
pub(super) struct Conversation {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Conversation {
    /// The next line it prints.
    pub(super) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("a program ended before it answered; its message stands above");
        }
        Ok(line.trim_end().to_owned())
    }

    /// Asks with an empty line, and takes the answer.
    pub(super) fn ask(&mut self) -> Result<String> {
        self.input.write_all(b"\n")?;
        self.line()
    }
}

/// A process number as the system calls want it.
pub(super) fn pid(id: u32) -> Pid {
    Pid::from_raw(id.cast_signed())
}

/// What a process has used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// CPU time, s.
    pub(super) cpu_s: f64,
    /// Resident memory, bytes.
    pub(super) rss: u64,
}

impl Usage {
    /// Of a living process.
    pub(super) fn of(id: u32) -> Result<Self> {
        let read = |file: &str| {
            std::fs::read_to_string(format!("/proc/{id}/{file}"))
                .with_context(|| format!("process {id} has ended"))
        };
        let ticks = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100) as f64;
        Self::parse(&read("stat")?, &read("status")?, ticks).context("/proc/PID/stat is not as expected")
    }

    /// Of `stat` and `status` of its directory in /proc.
    fn parse(stat: &str, status: &str, ticks: f64) -> Option<Self> {
        // The name stands in brackets and may hold anything.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace().skip(11);
        let mut time = || fields.next()?.parse::<f64>().ok();
        let cpu_s = (time()? + time()?) / ticks;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let rss = rss.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024;
        Some(Self { cpu_s, rss })
    }
}

/// Whether somebody listens on the port in this network namespace.
pub(super) fn listens(port: u16) -> Result<bool> {
    let port = format!(":{port:04X}");
    let text = std::fs::read_to_string("/proc/thread-self/net/tcp")?;
    Ok(text.lines().skip(1).any(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        columns.next().is_some_and(|local| local.ends_with(&port)) && columns.nth(1) == Some(LISTEN)
    }))
}

/// CPU seconds of all children that were waited for.
pub(super) fn children_cpu() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_proc() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 900 0 0 0 150 50 3 4 20 0 9 0 1000 1 2";
        let status = "Name:\ta ) b\nVmHWM:\t 9000 kB\nVmRSS:\t    2048 kB\n";
        assert_eq!(Usage::parse(stat, status, 100.0), Some(Usage { cpu_s: 2.0, rss: 2 << 20 }));
        assert_eq!(Usage::parse("7 (a", status, 100.0), None);
        assert!(Usage::of(std::process::id()).unwrap().rss > 0);
    }
}
