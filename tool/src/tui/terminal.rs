//! The terminal: taken (raw mode, alternate screen, hidden cursor) and always given back, by `Drop` and, when
//! something panics, before the message is printed.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{Command, execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
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
    // Reading and writing it fail with EIO then, and opening `/dev/tty`, which crossterm does, with ENXIO.
    matches!(error.raw_os_error(), Some(libc::EIO | libc::ENXIO)) || error.kind() == io::ErrorKind::BrokenPipe
}

/// The terminal, ours until dropped.
pub(super) struct Screen {
    // Never dropped: its own `Drop` prints an error when the terminal has gone, and panics when standard error has
    // gone with it. Everything it would do, `restore` does.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Out>>>,
    out: Out,
    /// True while it is handed back for a time.
    lent: bool,
    /// True while clicks are reported to us.
    mouse: bool,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        HOOK.call_once(install_panic_hook);
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        // From here on a failure must give it back.
        let open = || {
            let mut out = Out::default();
            execute!(out, EnterAlternateScreen, Hide, EnableBracketedPaste)?;
            Ok((Terminal::new(CrosstermBackend::new(out.clone()))?, out))
        };
        match open() {
            Ok((terminal, out)) => {
                Ok(Self { terminal: ManuallyDrop::new(terminal), out, lent: false, mouse: false })
            }
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Draws one frame in one piece; where no cell is another one, nothing is written. `mouse`: clicks and the wheel are
    /// ours.
    pub(super) fn draw(&mut self, mouse: bool, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if self.mouse != mouse {
            execute!(self.terminal.backend_mut(), Mouse(mouse))?;
            self.mouse = mouse;
        }
        self.out.hold();
        let drawn = self.terminal.draw(render).map(drop);
        self.out.release().and(drawn)
    }

    /// The screen as text, drawn once more.
    pub(super) fn text(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<String> {
        Ok(as_text(self.terminal.draw(render)?.buffer))
    }

    /// Asks the terminal to put this text on its clipboard (OSC 52), which works over ssh as well. Terminals do not
    /// say whether they did.
    pub(super) fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(self.terminal.backend_mut(), CopyToClipboard::to_clipboard_from(text))
    }

    /// Hands the terminal back for a time.
    pub(super) fn give_back(&mut self) {
        self.lent |= !self.is_lost();
        restore();
    }

    /// Takes it again and forgets what was drawn, whatever others have made of it since. Not after a panic.
    pub(super) fn retake(&mut self) -> io::Result<()> {
        if self.is_lost() && !self.lent {
            return Ok(());
        }
        self.lent = false;
        // Raw mode is remembered, not looked up: the shell may have ended it while we were stopped.
        if !self.is_lost() {
            disable_raw_mode()?;
        }
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        execute!(self.terminal.backend_mut(), EnterAlternateScreen, Hide, EnableBracketedPaste)?;
        self.mouse = false;
        // Not `clear`, which asks the terminal where the cursor is and waits for the answer.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((ratatui::layout::Position::ORIGIN, size)))
    }

    /// True when a panic on another thread has given the terminal back behind our back.
    pub(super) fn is_lost(&self) -> bool {
        !TAKEN.load(Ordering::SeqCst)
    }
}

/// Standard output, whose writes can be held back until a frame is whole.
#[derive(Clone, Default)]
struct Out(Rc<RefCell<Held>>);

#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    holds: bool,
}

impl Out {
    fn hold(&self) {
        self.0.borrow_mut().holds = true;
    }

    /// Writes the frame at once, or nothing if no cell was drawn.
    fn release(&self) -> io::Result<()> {
        let mut held = self.0.borrow_mut();
        held.holds = false;
        let frame = std::mem::take(&mut held.bytes);
        if !draws(&frame) {
            return Ok(());
        }
        queue!(held.bytes, BeginSynchronizedUpdate)?;
        held.bytes.extend(frame);
        queue!(held.bytes, EndSynchronizedUpdate)?;
        held.write()
    }
}

/// True when a cell is drawn: every run of cells begins with a move of the cursor, which ends in `H`. A frame without
/// only resets colours and hides the cursor again.
fn draws(frame: &[u8]) -> bool {
    frame.contains(&b'H')
}

impl Held {
    fn write(&mut self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let written = out.write_all(&self.bytes).and_then(|()| out.flush());
        self.bytes.clear();
        written
    }
}

impl io::Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut held = self.0.borrow_mut();
        if held.holds { Ok(()) } else { held.write() }
    }
}

/// Reports of clicks and of the wheel on or off, in the form that has no end at column 223. Movements are not asked for.
struct Mouse(bool);

impl Command for Mouse {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str(if self.0 { "\x1b[?1000h\x1b[?1006h" } else { "\x1b[?1006l\x1b[?1000l" })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// What a person sees, line by line, without the blanks at the ends.
fn as_text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let mut line = String::new();
        let mut x = buffer.area.left();
        while x < buffer.area.right() {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            // A wide character covers the cells behind it.
            x += (super::text::width(symbol) as u16).max(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Gives the terminal back, once. Nothing can be done about a failure: the terminal is gone then.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = execute!(
            out,
            EndSynchronizedUpdate,
            Mouse(false),
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        );
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

#[cfg(test)]
mod tests {
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn a_frame_without_a_new_cell_is_not_written() {
        let out = Out::default();
        out.hold();
        let backend = CrosstermBackend::new(out.clone());
        let viewport = ratatui::Viewport::Fixed(Rect::new(0, 0, 8, 2));
        let options = ratatui::TerminalOptions { viewport };
        let mut terminal = Terminal::with_options(backend, options).expect("nothing is written yet");
        let mut frame = |text: &str| {
            let draw = |frame: &mut Frame<'_>| {
                frame.buffer_mut().set_string(0, 0, text, Style::new());
            };
            terminal.draw(draw).expect("what is held is never refused");
            draws(&std::mem::take(&mut out.0.borrow_mut().bytes))
        };
        assert_eq!(["a", "a", "b", "b"].map(&mut frame), [true, false, true, false]);
    }

    #[test]
    fn text_of_the_screen_has_no_blanks_at_the_ends_and_each_wide_character_once() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 2));
        buffer.set_string(1, 0, "数 is wide", Style::new());
        assert_eq!(as_text(&buffer), " 数 is wide\n\n");
    }
}
