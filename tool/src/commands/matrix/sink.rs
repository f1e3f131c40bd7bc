//! The sink of one run: a child process, so that the receiver's CPU time is its own, with a directory for its address.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::load::sink::Rules;
use crate::load::sink::result::SinkReport;

/// How long the sink may take to listen, and to report once its connections have closed.
const START: Duration = Duration::from_secs(10);
const END: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(1);

/// A directory of our own, removed with what is in it.
pub(super) struct Room(PathBuf);

impl Room {
    /// Makes it.
    ///
    /// # Errors
    /// The place for temporary files cannot be written.
    pub(super) fn new() -> io::Result<Self> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let name = format!("zcscope-matrix-{}-{}", std::process::id(), since.as_nanos());
        let path = std::env::temp_dir().join(name);
        // Fails when somebody was there before: nobody else can be waiting in it.
        std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A sink that waits for one run. Killed when dropped.
pub(super) struct RunSink {
    child: Child,
    report: File,
    words: File,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl RunSink {
    /// Starts `command` (this program, in the right namespace) as a sink at `ip`, which ends by itself after
    /// `longest`.
    ///
    /// # Errors
    /// It does not start or does not listen; the text has its last words.
    pub(super) fn start(
        mut command: Command,
        ip: IpAddr,
        rules: Rules,
        longest: Duration,
        room: &Room,
    ) -> io::Result<Self> {
        let ready = room.0.join("sink");
        let _ = std::fs::remove_file(&ready);
        // In memory: pipes would have to be emptied.
        let report: File = memfd_create(c"zcscope-sink", MFdFlags::MFD_CLOEXEC)?.into();
        let words: File = memfd_create(c"zcscope-sink", MFdFlags::MFD_CLOEXEC)?.into();
        command.args(["sink", "--once", "--json", "--listen", &SocketAddr::new(ip, 0).to_string()]);
        command.args(["--mode", rules.mode.name(), "--duration", &format!("{}ms", longest.as_millis())]);
        command.args(rules.tls.then_some("--tls"));
        command.arg("--ready-file").arg(&ready);
        command.stdin(Stdio::null()).stdout(report.try_clone()?).stderr(words.try_clone()?);
        // Ctrl-C on the terminal is for the matrix, which ends its runs in order.
        command.process_group(0);
        let address = SocketAddr::new(ip, 0);
        let mut sink = Self { child: command.spawn()?, report, words, address };
        sink.address = sink.wait_for_address(&ready)?;
        Ok(sink)
    }

    fn wait_for_address(&mut self, ready: &std::path::Path) -> io::Result<SocketAddr> {
        let start = Instant::now();
        loop {
            if let Ok(text) = std::fs::read_to_string(ready) {
                return text.trim().parse().map_err(|error| io::Error::other(format!("{text:?}: {error}")));
            }
            let dead = self.child.try_wait()?.is_some();
            if dead || start.elapsed() > START {
                return Err(io::Error::other(format!("the sink does not listen: {}", self.last_words())));
            }
            std::thread::sleep(TICK);
        }
    }

    /// Waits for its report, now that every connection has closed.
    ///
    /// # Errors
    /// It does not end, or its report is none.
    pub(super) fn finish(mut self) -> io::Result<SinkReport> {
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > END {
                return Err(io::Error::other(format!("the sink did not end within {} s", END.as_secs())));
            }
            std::thread::sleep(TICK);
        }
        let mut text = String::new();
        self.report.rewind()?;
        self.report.read_to_string(&mut text)?;
        serde_json::from_str(&text).map_err(|error| {
            io::Error::other(format!("the sink's report cannot be read ({error}): {}", self.last_words()))
        })
    }

    fn last_words(&mut self) -> String {
        let mut text = String::new();
        let read = self.words.rewind().and_then(|()| self.words.read_to_string(&mut text));
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        match (read, last) {
            (Ok(_), Some(line)) => line.trim().to_owned(),
            _ => "it gave no reason".into(),
        }
    }
}

impl Drop for RunSink {
    fn drop(&mut self) {
        // Both are harmless for a child that has already been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
