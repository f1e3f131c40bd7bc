//! A terminal that hangs up: its window was closed, its connection broke. Every read of it answers at once then, and
//! crossterm 0.29 goes on reading inside one look at its events (`UnixInternalEventSource::try_read`): whoever looked, the
//! loop of the screen or crossterm's thread, never comes back, and a CPU is busy for ever. So a thread of ours waits for the
//! hang-up, puts a pipe nobody writes to in the place of standard input, whose reads end a look, and wakes the loop.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{dup2_stdin, pipe2};
use tokio::sync::Notify;

/// What the loop may still take, to close a recording for one. Whoever waits longer waits for what will never come.
const PATIENCE: Duration = Duration::from_secs(10);
/// 128 + SIGHUP.
const STATUS: i32 = 129;

/// Waits for the hang-up until dropped.
pub(super) struct HangUp {
    told: Arc<Notify>,
    over: Arc<AtomicBool>,
}

impl HangUp {
    /// Begins to wait, once standard input is the terminal that crossterm will read.
    pub(super) fn watch() -> io::Result<Self> {
        if !io::stdin().is_terminal()
            && let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty")
        {
            dup2_stdin(terminal)?;
        }
        let watch = Self { told: Arc::default(), over: Arc::default() };
        let (told, over) = (Arc::clone(&watch.told), Arc::clone(&watch.over));
        // The writing end stays open as long: without one, reading would be the same end of file again.
        let pipe = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        let thread = std::thread::Builder::new().name("hang-up".into());
        thread.spawn(move || wait(&pipe, &told, &over))?;
        Ok(watch)
    }

    /// The terminal has hung up.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// Waits for the hang-up, and ends what does not end by itself.
fn wait((silence, _held): &(OwnedFd, OwnedFd), told: &Notify, over: &AtomicBool) {
    let stdin = io::stdin();
    // Nothing is asked for: a hang-up is always told.
    let mut terminal = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    while let Err(nix::errno::Errno::EINTR) = poll(&mut terminal, PollTimeout::NONE) {}
    if over.load(Ordering::SeqCst) || dup2_stdin(silence).is_err() {
        return;
    }
    told.notify_one();
    std::thread::sleep(PATIENCE);
    if !over.load(Ordering::SeqCst) {
        std::process::exit(STATUS);
    }
}
