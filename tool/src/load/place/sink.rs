//! A `zcscope sink` as a child in another network namespace, so that its CPU time is told apart from the load's.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::link::End;
use crate::host::sockets;

/// Where it listens; the namespace is its own.
pub(super) const PORT: u16 = 5201;
/// How long it may take until it listens.
const READY_WAIT: Duration = Duration::from_secs(10);
/// How long it may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(5);

/// The running sink. Killed when dropped.
#[derive(Debug)]
pub struct SinkChild {
    child: Child,
    report: File,
    words: File,
}

impl SinkChild {
    pub(super) fn start(far: &End, arguments: &[&str]) -> anyhow::Result<SinkChild> {
        // In memory: a pipe would have to be emptied, and a file would stay.
        let file = |name| -> io::Result<File> { Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC)?.into()) };
        let (report, words) = (file(c"zcscope-sink")?, file(c"zcscope-sink-words")?);
        let mut command = far.namespace.command(std::env::current_exe()?);
        let listen = std::net::SocketAddr::new(far.address(), PORT).to_string();
        command.args(["sink", "--json", "--listen", &listen]).args(arguments);
        command.stdin(Stdio::null()).stdout(report.try_clone()?).stderr(words.try_clone()?);
        // Ctrl-C on the terminal is for the load, which then ends its sink in order.
        command.process_group(0);
        let child = command.spawn().context("cannot start `zcscope sink`")?;
        let mut sink = SinkChild { child, report, words };
        sink.wait_ready()?;
        Ok(sink)
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        while !sockets::listens(self.child.id(), PORT).unwrap_or(false) {
            if let Some(status) = self.child.try_wait()? {
                bail!("{status}: {}", self.last_words());
            }
            if start.elapsed() > READY_WAIT {
                bail!("it does not listen after {} s: {}", READY_WAIT.as_secs(), self.last_words());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and returns its report (`zcscope.sink/1`); `None` when it did not end well.
    #[must_use]
    pub fn finish(mut self) -> Option<serde_json::Value> {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Not reaped, so the pid is still its own.
            let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT);
        }
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < GRACE {
            std::thread::sleep(PAUSE);
        }
        serde_json::from_str(&text_of(&mut self.report)).ok()
    }

    fn last_words(&mut self) -> String {
        let text = text_of(&mut self.words);
        text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it gave no reason").trim().to_owned()
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
