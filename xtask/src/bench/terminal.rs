//! A program in a terminal of its own: a pty and an emulator that shows what a person would see. A thread stamps what
//! the program writes when it comes, so that nothing waits for our drawing.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::pty::{Winsize, openpty};

use super::arena::dependent;
use super::process::Background;

const ROWS: u16 = 40;
const COLUMNS: u16 = 120;

/// The terminal and the program in it, which is killed when dropped.
pub(super) struct Terminal {
    keyboard: File,
    written: Receiver<(Instant, Vec<u8>)>,
    emulator: vt100::Parser,
    started: Instant,
    pub(super) program: Background,
}

impl Terminal {
    /// Starts a program as the leader of a session of its own.
    pub(super) fn start(name: &'static str, program: &Path, arguments: &[&str]) -> Result<Self> {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).context("cannot make a terminal")?;
        let mut command = dependent("setsid");
        command.arg("--ctty").arg(program).args(arguments);
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8").env_remove("NO_COLOR");
        command.stdout(pty.slave.try_clone()?).stderr(pty.slave.try_clone()?);
        let started = Instant::now();
        let program = Background::in_terminal(name, &mut command, pty.slave)?;
        let (keyboard, mut screen) = (File::from(pty.master.try_clone()?), File::from(pty.master));
        let (sender, written) = channel();
        // Ends with the program: then the terminal has no other end.
        std::thread::spawn(move || {
            let mut bytes = vec![0; 64 << 10];
            while let Ok(n) = screen.read(&mut bytes)
                && n > 0
                && sender.send((Instant::now(), bytes.get(..n).unwrap_or_default().to_vec())).is_ok()
            {
            }
        });
        let emulator = vt100::Parser::new(ROWS, COLUMNS, 0);
        Ok(Self { keyboard, written, emulator, started, program })
    }

    /// Types, and tells when.
    pub(super) fn send(&mut self, keys: &str) -> Result<Instant> {
        let now = Instant::now();
        self.keyboard.write_all(keys.as_bytes()).context("the terminal is gone")?;
        Ok(now)
    }

    /// Reads until the screen is as wanted; when it became so.
    pub(super) fn until(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&vt100::Screen) -> bool,
    ) -> Result<Instant> {
        let (begin, mut last) = (Instant::now(), Instant::now());
        while !wanted(self.emulator.screen()) {
            let left = limit.saturating_sub(begin.elapsed());
            match self.written.recv_timeout(left) {
                Ok((at, bytes)) => {
                    self.emulator.process(&bytes);
                    last = at;
                }
                Err(error) => {
                    let why = if error == RecvTimeoutError::Timeout {
                        "is not on the screen"
                    } else {
                        "the program ended"
                    };
                    bail!("{what}: {why}; the screen:\n{}", self.emulator.screen().contents());
                }
            }
        }
        Ok(last)
    }

    /// Waits for the first complete frame of the dashboard; how long it took since the start.
    pub(super) fn until_frame(&mut self, limit: Duration) -> Result<Duration> {
        let at = self.until("the first frame", limit, is_complete)?;
        Ok(at - self.started)
    }

    /// Takes what has been written so far.
    pub(super) fn drain(&mut self) {
        while let Ok((_, bytes)) = self.written.try_recv() {
            self.emulator.process(&bytes);
        }
    }
}

/// Header, tabs and the last row, the footer, are drawn.
fn is_complete(screen: &vt100::Screen) -> bool {
    let rows: Vec<String> = screen.rows(0, COLUMNS).collect();
    let has = |row: usize, text: &str| rows.get(row).is_some_and(|row| row.contains(text));
    screen.alternate_screen() && has(0, "zcscope") && has(1, "Overview") && has(rows.len() - 1, "quit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_complete_with_its_last_row() {
        let mut emulator = vt100::Parser::new(ROWS, COLUMNS, 0);
        emulator.process(b"\x1b[?1049hzcscope\r\n[1 Overview]");
        assert!(!is_complete(emulator.screen()));
        emulator.process(format!("\x1b[{ROWS};1Hq quit").as_bytes());
        assert!(is_complete(emulator.screen()));
    }
}
