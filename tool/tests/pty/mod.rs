//! A terminal of our own: a pty with a program in it, and an emulator that shows what a person would see.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;

/// Longer than anything takes on the slowest machine: only a hang gets here.
const HANG: Duration = Duration::from_secs(120);

/// What the program asked the terminal to put on its clipboard, as sent.
#[derive(Default)]
pub(crate) struct Clipboard(pub(crate) Vec<u8>);

impl vt100::Callbacks for Clipboard {
    fn copy_to_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8], data: &[u8]) {
        self.0 = data.to_vec();
    }
}

/// The terminal and the program in it.
pub(crate) struct Pty {
    master: File,
    slave: OwnedFd,
    emulator: vt100::Parser<Clipboard>,
    /// Everything the program has written.
    pub(crate) written: usize,
    child: Child,
    before: Termios,
}

impl Pty {
    /// Starts a program in a terminal of this size, as the leader of a session of its own.
    pub(crate) fn start(program: &[&str], columns: u16, rows: u16) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        // A program that holds its own terminal open would never see it hang up.
        fcntl(&pty.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let before = tcgetattr(&pty.slave).unwrap();
        let child = Command::new("setsid")
            .arg("--ctty")
            .args(program)
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .env("PS1", "ready> ")
            .env("RUST_BACKTRACE", "0")
            .env_remove("NO_COLOR")
            .env_remove("TMUX")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let emulator = vt100::Parser::new_with_callbacks(rows, columns, 0, Clipboard::default());
        Self { master: File::from(pty.master), slave: pty.slave, emulator, written: 0, child, before }
    }

    /// Types.
    pub(crate) fn send(&mut self, keys: &[u8]) {
        self.master.write_all(keys).unwrap();
    }

    /// Makes the window another size.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.slave, size).unwrap();
        self.emulator.screen_mut().set_size(rows, columns);
    }

    /// Reads for at most so long; false when nothing came.
    pub(crate) fn read(&mut self, at_most: Duration) -> bool {
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, at_most.as_millis() as u16).unwrap() == 0 {
            return false;
        }
        let mut bytes = [0; 16 << 10];
        let n = self.master.read(&mut bytes).unwrap();
        self.written += n;
        self.emulator.process(&bytes[..n]);
        true
    }

    /// Reads until the screen is as wanted.
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let begin = Instant::now();
        while !wanted(self.emulator.screen()) {
            assert!(begin.elapsed() < HANG, "never seen: {what}; the screen:\n{}", self.text());
            self.read(Duration::from_millis(100));
        }
    }

    /// Reads until this stands somewhere.
    pub(crate) fn until_text(&mut self, text: &str) {
        self.until(text, |screen| screen.contents().contains(text));
    }

    /// Reads until this stands nowhere.
    pub(crate) fn until_gone(&mut self, text: &str) {
        self.until(&format!("{text} gone"), |screen| !screen.contents().contains(text));
    }

    /// Reads until the program has the terminal: the other screen, no cursor.
    pub(crate) fn until_taken(&mut self) {
        self.until("the dashboard", |screen| {
            screen.alternate_screen() && screen.hide_cursor() && screen.contents().contains("zcs")
        });
    }

    /// Reads until it has given it back.
    pub(crate) fn until_given_back(&mut self) {
        self.until("the terminal given back", |screen| !screen.alternate_screen() && !screen.hide_cursor());
    }

    /// What is on the screen.
    pub(crate) fn text(&self) -> String {
        self.emulator.screen().contents()
    }

    /// What was put on the clipboard last, as sent.
    pub(crate) fn clipboard(&self) -> &[u8] {
        &self.emulator.callbacks().0
    }

    /// The process in the terminal.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Closes the window, and waits for the program's end.
    pub(crate) fn hang_up(mut self) -> ExitStatus {
        self.master = File::open("/dev/null").unwrap();
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < HANG, "it does not end without its terminal");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end; then the terminal must be as it was before.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let begin = Instant::now();
        let status = loop {
            self.read(Duration::from_millis(20));
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < HANG, "it does not end; the screen:\n{}", self.text());
        };
        while self.read(Duration::ZERO) {}
        let screen = self.emulator.screen();
        assert!(!screen.alternate_screen(), "the other screen was left");
        assert!(!screen.hide_cursor(), "the cursor is shown");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is free");
        assert!(tcgetattr(&self.slave).unwrap() == self.before, "the line is as it was");
        (status, self.text())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // After a failed test nothing may stay behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
