//! The screen in a terminal of our own: what a person would see of a finding.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};

use crate::kernel;
use crate::scenario::Bench;

const SIZE: Winsize = Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
/// Only what is never shown takes so long; emulated processors are slow.
const HANG: Duration = Duration::from_secs(60);
/// Of a person who quits.
const BYE: Duration = Duration::from_secs(10);

/// A program in a terminal, killed when dropped.
struct Terminal {
    master: File,
    emulator: vt100::Parser,
    child: Child,
}

impl Terminal {
    fn start(words: &[String]) -> anyhow::Result<Self> {
        let pty = openpty(Some(&SIZE), None).context("no terminal can be made")?;
        let end = || pty.slave.try_clone().map(Stdio::from);
        let mut command = Command::new("setsid");
        command.arg("--ctty").args(words).env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        let child = command.stdin(end()?).stdout(end()?).stderr(end()?).spawn()?;
        let emulator = vt100::Parser::new(SIZE.ws_row, SIZE.ws_col, 0);
        Ok(Terminal { master: File::from(pty.master), emulator, child })
    }

    /// Reads what comes within a moment; false when the program has gone.
    fn read(&mut self) -> anyhow::Result<bool> {
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(50_u16))? == 0 {
            return Ok(self.child.try_wait()?.is_none());
        }
        let mut bytes = [0; 16 << 10];
        // A terminal whose program has gone is an error to read.
        let Ok(read) = self.master.read(&mut bytes) else { return Ok(false) };
        self.emulator.process(bytes.get(..read).unwrap_or_default());
        Ok(true)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Complains when `top`, following this process, does not show these words.
pub(super) fn shows(bench: &Bench, pid: u32, words: &str) -> anyhow::Result<Option<String>> {
    if !kernel::has_program("setsid") {
        return Ok(None);
    }
    let mut line = vec![bench.zcscope.display().to_string(), "top".into(), "-p".into(), pid.to_string()];
    if let Some(backend) = bench.backend {
        line.extend(["--backend".into(), backend.name().into()]);
    }
    let mut terminal = Terminal::start(&line)?;
    let began = Instant::now();
    let seen = |terminal: &Terminal| terminal.emulator.screen().contents().contains(words);
    while !seen(&terminal) && began.elapsed() < HANG && terminal.read()? {}
    let text = terminal.emulator.screen().contents();
    if !text.contains(words) {
        return Ok(Some(format!("the screen does not show {words:?}:\n{text}")));
    }
    if bench.keep.is_some() {
        println!("  {words:?} stands on the screen {:.1} s after its start", began.elapsed().as_secs_f64());
    }
    terminal.master.write_all(b"q")?;
    let began = Instant::now();
    while began.elapsed() < BYE && terminal.child.try_wait()?.is_none() {
        terminal.read()?;
    }
    Ok(None)
}
