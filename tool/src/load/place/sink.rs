//! A `zcscope sink` as a child process for one run, so that its CPU time is told apart from the load's.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::sockets;
use crate::load::sink::Rules;
use crate::load::sink::result::SinkReport;

/// How long it may take until it listens.
const READY_WAIT: Duration = Duration::from_secs(10);
/// How long it may take to read what was sent and to end, once every connection has closed.
const END_WAIT: Duration = Duration::from_secs(10);
/// How long it may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(1);

/// The running sink, which ends when its first connections have closed. Killed when dropped.
#[derive(Debug)]
pub struct SinkChild {
    child: Child,
    report: File,
    words: File,
    /// Where it listens.
    pub address: SocketAddr,
}

impl SinkChild {
    /// Starts `command` (this program, in the right namespace) as a sink on a free port of `ip`, for `longest` at
    /// most, and waits until it listens.
    ///
    /// # Errors
    /// It does not start, or does not listen; its last words are in the text.
    pub fn start(mut command: Command, ip: IpAddr, rules: Rules, longest: Duration) -> anyhow::Result<Self> {
        // In memory: a pipe would have to be emptied, and a file would stay.
        let file = |name| -> io::Result<File> { Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC)?.into()) };
        let (report, words) = (file(c"zcscope-sink")?, file(c"zcscope-sink-words")?);
        let address = SocketAddr::new(ip, 0);
        command.args(["sink", "--once", "--json", "--listen", &address.to_string()]);
        command.args(["--mode", rules.mode.name(), "--duration", &format!("{}ms", longest.as_millis())]);
        command.args(rules.verify.then_some("--verify")).args(rules.tls.then_some("--tls"));
        command.stdin(Stdio::null()).stdout(report.try_clone()?).stderr(words.try_clone()?);
        // Ctrl-C on the terminal is for the load, which then ends its sink in order.
        command.process_group(0);
        let child = command.spawn().context("cannot start `zcscope sink`")?;
        let mut sink = SinkChild { child, report, words, address };
        sink.wait_ready()?;
        Ok(sink)
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            if let Ok(Some(address)) = sockets::listening(self.child.id()) {
                self.address = address;
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ({status})", self.last_words());
            }
            if start.elapsed() > READY_WAIT {
                bail!("it does not listen after {} s: {}", READY_WAIT.as_secs(), self.last_words());
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until it has read everything, or, when the run `failed`, asks it to end at once; returns its report.
    ///
    /// # Errors
    /// It does not end, or its report is none.
    pub fn finish(mut self, failed: bool) -> io::Result<SinkReport> {
        if failed || !self.ends_within(END_WAIT) {
            // Not reaped, so the pid is still its own.
            let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT);
        }
        if !self.ends_within(GRACE) {
            return Err(io::Error::other(format!("the sink did not end within {} s", GRACE.as_secs())));
        }
        serde_json::from_str(&text_of(&mut self.report)).map_err(|error| {
            io::Error::other(format!("the sink's report cannot be read ({error}): {}", self.last_words()))
        })
    }

    fn ends_within(&mut self, patience: Duration) -> bool {
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() >= patience {
                return false;
            }
            std::thread::sleep(PAUSE);
        }
        true
    }

    fn last_words(&mut self) -> String {
        let text = text_of(&mut self.words);
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it gave no reason").trim();
        last.strip_prefix("zcscope: ").unwrap_or(last).to_owned()
    }
}

fn text_of(file: &mut File) -> String {
    let mut text = String::new();
    // What cannot be read is treated as nothing.
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
    text
}

impl Drop for SinkChild {
    fn drop(&mut self) {
        // Both are harmless for a child that has already been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
