//! The screen in a real terminal: started, driven by every key, resized, suspended, stopped in every way; whatever
//! happens, the terminal is as it was before. Needs no rights: the figures are those of `examples/screen.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod pty;

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pty::Pty;

/// The example; built if nobody has.
fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = PathBuf::from(env!("CARGO_BIN_EXE_zcscope")).with_file_name("examples").join("screen");
        if !path.exists() {
            let mut cargo = Command::new(env!("CARGO"));
            let built = cargo.args(["build", "-q", "-p", "zcscope", "--example", "screen"]).status();
            assert!(built.unwrap().success(), "the example cannot be built");
        }
        path.to_str().unwrap().to_owned()
    })
}

fn start(columns: u16, rows: u16) -> Pty {
    let mut pty = Pty::start(&[program()], columns, rows);
    pty.until_taken();
    pty
}

fn quit(mut pty: Pty) {
    pty.send(b"q");
    assert!(pty.end().0.success());
}

#[test]
fn starts_and_ends_at_every_size() {
    for (columns, rows) in [(80, 24), (120, 40), (200, 60), (40, 12), (20, 5)] {
        quit(start(columns, rows));
    }
}

#[test]
fn no_key_brings_it_down() {
    let mut pty = start(100, 30);
    // Everything a keyboard sends, except what quits or suspends; Esc leaves whatever a key has opened.
    let plain = (b' '..=b'~').filter(|key| *key != b'q').map(|key| vec![key]);
    let special: [&[u8]; 14] = [
        b"\t",
        b"\r",
        b"\x0c",
        b"\x7f",
        b"\x1b[A",
        b"\x1b[B",
        b"\x1b[C",
        b"\x1b[D",
        b"\x1b[5~",
        b"\x1b[6~",
        b"\x1b[H",
        b"\x1b[F",
        b"\x1b[Z",
        b"\x1b[1;2D",
    ];
    for key in plain.chain(special.map(<[u8]>::to_vec)) {
        pty.send(&key);
        pty.read(Duration::from_millis(20));
        pty.send(b"\x1b");
        // An Esc is one when nothing follows at once.
        pty.read(Duration::from_millis(50));
        pty.read(Duration::from_millis(50));
    }
    pty.send(b"\x03");
    assert!(pty.end().0.success());
}

#[test]
fn a_storm_of_resizes_ends_in_the_last_size() {
    let mut pty = start(120, 40);
    for step in 0..200_u16 {
        pty.resize(20 + step, 5 + step % 60);
    }
    pty.resize(100, 30);
    pty.send(b"\x0c");
    pty.until("tabs and hints at the last size", |screen| {
        let rows: Vec<String> = screen.rows(0, 100).collect();
        rows.len() == 30
            && rows[0].starts_with("zcscope")
            && rows[1].contains("Overview")
            && rows[29].contains("quit")
    });
    quit(pty);
}

#[test]
fn frozen_while_data_flows_on() {
    let mut pty = start(120, 40);
    pty.send(b" ");
    pty.until_text("FROZEN");
    pty.until_text("(-2 s)");
    pty.send(b" ");
    pty.until_gone("FROZEN");
    quit(pty);
}

#[test]
fn back_in_time_and_to_the_newest_again() {
    let mut pty = start(120, 40);
    pty.until_text("00:03");
    pty.send(b"0");
    pty.until_text("FROZEN 00:00");
    pty.send(b"]");
    pty.until_text("FROZEN 00:01");
    pty.send(b"e");
    pty.until_gone("FROZEN");
    pty.send(b"[");
    pty.until_text("FROZEN");
    quit(pty);
}

#[test]
fn a_mark_is_set_and_taken_away() {
    let mut pty = start(120, 40);
    pty.send(b"b");
    pty.until_text("since 00:0");
    pty.send(b"b");
    pty.until_gone("since 00:0");
    quit(pty);
}

#[test]
fn the_screen_goes_to_the_clipboard() {
    let mut pty = start(80, 24);
    pty.send(b"Y");
    pty.until_text("clipboard: 24 lines");
    // `zcs` in base64, at the begin of the first line.
    assert!(pty.clipboard().starts_with(b"emNz"), "{:?}", String::from_utf8_lossy(pty.clipboard()));
    quit(pty);
}

#[test]
fn signals_end_it_and_the_terminal_is_given_back() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let pty = start(80, 24);
        pty.signal(signal);
        assert!(pty.end().0.success(), "{signal}");
    }
}

#[test]
fn a_panic_gives_the_terminal_back_first() {
    let mut pty = Pty::start(&[program(), "5", "panic"], 100, 30);
    pty.until_taken();
    let (status, text) = pty.end();
    assert_eq!(status.code(), Some(101));
    assert!(text.contains("asked to fail"), "{text}");
}

/// The children of a shell.
fn children(shell: Pid) -> Vec<Pid> {
    let list = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    list.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect()
}

#[test]
fn suspended_by_key_by_signal_and_by_force_and_continued() {
    let mut pty = Pty::start(&["bash", "--norc", "--noprofile", "-i"], 100, 30);
    pty.until_text("ready>");
    pty.send(program().as_bytes());
    pty.send(b"\n");
    pty.until_taken();

    pty.send(b"\x1a");
    pty.until_given_back();
    pty.until_text("Stopped");
    pty.send(b"clear; fg\n");
    pty.until_taken();

    let screen = children(pty.pid())[0];
    kill(screen, Signal::SIGTSTP).unwrap();
    pty.until_given_back();
    pty.until_text("Stopped");
    pty.send(b"clear; fg\n");
    pty.until_taken();

    // Nobody can catch this one: the terminal stays as it is until the screen goes on, and then all is drawn anew.
    kill(screen, Signal::SIGSTOP).unwrap();
    pty.until_text("Stopped");
    pty.send(b"fg\n");
    pty.until_gone("Stopped");
    pty.until_taken();

    pty.send(b"q");
    pty.until_given_back();
    pty.send(b"exit\n");
    assert!(pty.end().0.success());
}

#[test]
fn ctrl_z_does_not_hang_where_nobody_could_continue_it() {
    let mut pty = start(80, 24);
    pty.send(b"\x1a");
    // It is back at once; a key is answered.
    pty.send(b" ");
    pty.until_text("FROZEN");
    pty.until_taken();
    quit(pty);
}

#[test]
fn a_window_that_closes_ends_it_also_beside_a_key() {
    for keys in [&b""[..], b"j", b"\x1b[B", b"3", b"j", b"\x1b[B", b"3", b"j"] {
        let mut pty = start(80, 24);
        pty.send(keys);
        let status = pty.hang_up();
        assert!(status.success(), "{status}, keys {keys:?}");
    }
}

#[test]
fn one_that_stands_still_does_not_outlive_its_window() {
    let mut pty = Pty::start(&[program(), "5", "stuck"], 80, 24);
    pty.until_taken();
    // It stands still two seconds after its begin.
    std::thread::sleep(Duration::from_secs(3));
    // 128 + SIGHUP.
    assert_eq!(pty.hang_up().code(), Some(129));
}
