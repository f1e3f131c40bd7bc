//! The terminal: taken (raw mode, alternate screen, hidden cursor) and always given back, by `Drop` and, when
//! something panics, before the message is printed.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};
use std::mem::ManuallyDrop;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};

/// True while the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// There is nothing to draw on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the live screen needs a terminal on standard output; `zcscope stat` reports without one")]
pub struct NotATerminal;

/// Checks that standard output is a terminal that can be drawn on.
///
/// # Errors
/// [`NotATerminal`] when it is a file or a pipe, or a terminal that cannot move its cursor (`TERM=dumb`).
pub fn require() -> Result<(), NotATerminal> {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if io::stdout().is_terminal() && !dumb { Ok(()) } else { Err(NotATerminal) }
}

/// True when an error means that the terminal itself has gone (closed window, broken connection): the end, no failure.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO) || error.kind() == io::ErrorKind::BrokenPipe
}

/// The terminal, ours until dropped.
pub(super) struct Screen {
    // Never dropped: its own `Drop` prints an error when the terminal has gone, and panics when standard error has
    // gone with it. Everything it would do, `restore` does.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<BufWriter<Stdout>>>>,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        HOOK.call_once(install_panic_hook);
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        // From here on a failure must give it back.
        let open = || {
            let mut out = BufWriter::with_capacity(64 * 1024, io::stdout());
            execute!(out, EnterAlternateScreen, Hide)?;
            Terminal::new(CrosstermBackend::new(out))
        };
        match open() {
            Ok(terminal) => Ok(Self { terminal: ManuallyDrop::new(terminal) }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Draws one frame in one piece.
    pub(super) fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(render)?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }

    /// True when a panic on another thread has given the terminal back behind our back.
    pub(super) fn is_lost(&self) -> bool {
        !TAKEN.load(Ordering::SeqCst)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, once. Nothing can be done about a failure: the terminal is gone then.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = execute!(out, EndSynchronizedUpdate, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        let _ = out.flush();
    }
}

/// Puts giving back the terminal in front of whatever the panic hook was.
fn install_panic_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        before(info);
    }));
}
