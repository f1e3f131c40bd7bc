//! What a step says and leaves behind: its verdict, its counts, and the log of what it ran.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::sh;

/// Log lines shown when a step fails.
const SHOWN_LINES: usize = 80;

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl Tally {
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    pub(crate) const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// `12 passed`, with failures and skips if there are any.
    pub(crate) fn text(self) -> String {
        let parts = [(self.passed, "passed"), (self.failed, "failed"), (self.skipped, "skipped")];
        let parts = parts.iter().filter(|(count, word)| *count > 0 || *word == "passed");
        parts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    }
}

/// How a step ended, when it did not break off.
pub(crate) enum Outcome {
    /// It ran: a short description and its counts.
    Done(String, Tally),
    /// This machine cannot do it: why.
    Impossible(String),
}

impl Outcome {
    /// One check, passed.
    pub(crate) fn passed(detail: impl Into<String>) -> Self {
        Self::Done(detail.into(), Tally::PASSED)
    }
}

/// The output of one step, in `target/test/STEP.log`; shown only when the step fails.
pub(crate) struct Log {
    path: PathBuf,
}

impl Log {
    pub(crate) fn new(step: &str) -> Self {
        let name: String =
            step.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        let dir = sh::workspace().join("target/test");
        fs::create_dir_all(&dir).ok();
        let path = dir.join(format!("{name}.log"));
        fs::write(&path, "").ok();
        Self { path }
    }

    /// Runs a command with its output in the log. The error says that it failed or took too long.
    pub(crate) fn run(&mut self, command: &mut Command, limit: Duration) -> Result<()> {
        let line = sh::line(command);
        self.write(format!("$ {line}\n").as_bytes());
        let file = self.open()?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut child = command.spawn().with_context(|| format!("cannot run `{line}`"))?;
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().ok();
                child.wait().ok();
                bail!("`{line}` was ended after {} s", limit.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if status.success() { Ok(()) } else { bail!("`{line}` failed ({status})") }
    }

    /// Adds to the log.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.open().and_then(|mut file| Ok(file.write_all(bytes)?)).ok();
    }

    /// Everything logged so far.
    pub(crate) fn text(&self) -> String {
        let mut bytes = Vec::new();
        File::open(&self.path).and_then(|mut file| file.read_to_end(&mut bytes)).ok();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Prints the end of the log, without the scenarios that were as they should be.
    pub(crate) fn show(&self) {
        let text = self.text();
        let quiet = |line: &&str| !line.starts_with("ok ") && !line.starts_with("skip ");
        let lines: Vec<_> = text.lines().filter(quiet).collect();
        let from = lines.len().saturating_sub(SHOWN_LINES);
        if from > 0 {
            println!("    | ... the whole log is in {}", self.path.display());
        }
        lines[from..].iter().for_each(|line| println!("    | {line}"));
    }

    fn open(&self) -> Result<File> {
        let file = File::options().append(true).create(true).open(&self.path);
        file.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let mut log = Log::new("xtask unit test");
        let start = Instant::now();
        let error = log.run(Command::new("sleep").arg("20"), Duration::from_millis(50)).unwrap_err();
        assert!(
            start.elapsed() < Duration::from_secs(5) && error.to_string().contains("sleep 20"),
            "{error}"
        );
        assert!(
            log.run(Command::new("sh").args(["-c", "echo out; exit 3"]), Duration::from_secs(9)).is_err()
        );
        assert!(log.text().ends_with("out\n"), "{}", log.text());
    }

    #[test]
    fn zeroes_are_left_out_of_the_text() {
        assert_eq!(Tally { passed: 0, failed: 2, skipped: 0 }.text(), "0 passed, 2 failed");
        assert_eq!(Tally::PASSED.text(), "1 passed");
    }
}
