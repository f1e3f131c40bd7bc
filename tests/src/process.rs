//! Children that cannot outlive their welcome: every wait has an end, and a dropped child is killed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// What a finished child left behind.
#[derive(Debug)]
pub(crate) struct Output {
    /// Exit code, or 128 + signal.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Output {
    /// The last lines of standard error in one line, for a report.
    pub(crate) fn complaint(&self) -> String {
        let lines: Vec<_> = self.stderr.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join(" | ")
    }
}

/// A running child; killed and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    name: String,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
    first_line: Option<mpsc::Receiver<String>>,
}

/// Starts a command with its output captured.
pub(crate) fn start(command: &mut Command) -> anyhow::Result<Running> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let (first_sender, first_line) = mpsc::channel();
    let (out_sender, stdout) = mpsc::channel();
    let (err_sender, stderr) = mpsc::channel();
    if let Some(pipe) = child.stdout.take() {
        std::thread::spawn(move || read_stdout(pipe, &first_sender, &out_sender));
    }
    if let Some(mut pipe) = child.stderr.take() {
        std::thread::spawn(move || {
            let mut all = Vec::new();
            let _ = pipe.read_to_end(&mut all);
            let _ = err_sender.send(String::from_utf8_lossy(&all).into_owned());
        });
    }
    Ok(Running { child, name, stdout, stderr, first_line: Some(first_line) })
}

fn read_stdout(pipe: ChildStdout, first: &mpsc::Sender<String>, all: &mpsc::Sender<String>) {
    let mut reader = BufReader::new(pipe);
    let mut line = String::new();
    let _ = reader.read_line(&mut line);
    let _ = first.send(line.trim_end().to_owned());
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest);
    line.push_str(&String::from_utf8_lossy(&rest));
    let _ = all.send(line);
}

impl Running {
    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The first line the child prints.
    pub(crate) fn first_line(&mut self, within: Duration) -> anyhow::Result<String> {
        let Some(lines) = self.first_line.take() else { bail!("the first line was read already") };
        match lines.recv_timeout(within) {
            Ok(line) if !line.is_empty() => Ok(line),
            _ => {
                self.kill();
                let complaint = self.stderr.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
                bail!("{} said nothing within {within:?}; {}", self.name, complaint.trim())
            }
        }
    }

    /// True while the child runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills with SIGKILL; no error when it has ended already.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for the end; a child that is late is killed, and that is an error.
    pub(crate) fn finish(mut self, within: Duration) -> anyhow::Result<Output> {
        let deadline = Instant::now() + within;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                self.kill();
                let complaint = self.stderr.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
                bail!("{} did not end within {within:?} and was killed; {}", self.name, complaint.trim());
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        // A grandchild may hold the pipes open; what arrived until then is enough.
        let patience = Duration::from_secs(2);
        Ok(Output {
            code: code_of(status),
            stdout: self.stdout.recv_timeout(patience).unwrap_or_default(),
            stderr: self.stderr.recv_timeout(patience).unwrap_or_default(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn code_of(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Runs a command to its end, at most 60 s.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Output> {
    start(command)?.finish(Duration::from_secs(60))
}

/// Waits until `test` holds; false when it does not within the time.
pub(crate) fn wait_until(within: Duration, mut test: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if test() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_code_and_first_line_come_back() {
        let mut child = start(Command::new("sh").args(["-c", "echo a; echo b; echo c >&2; exit 7"])).unwrap();
        assert_eq!(child.first_line(Duration::from_secs(5)).unwrap(), "a");
        let output = child.finish(Duration::from_secs(5)).unwrap();
        assert_eq!((output.code, output.stdout.as_str(), output.complaint().as_str()), (7, "a\nb\n", "c"));
    }

    #[test]
    fn a_late_child_is_killed() {
        let child = start(Command::new("sleep").arg("30")).unwrap();
        let began = Instant::now();
        assert!(child.finish(Duration::from_millis(50)).is_err());
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}
