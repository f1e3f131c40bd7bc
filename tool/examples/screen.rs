//! Shows the live screen with made-up figures that move: for looking at the screen without a kernel to trace.
//! `cargo run --example screen [SOCKETS] [panic]`; with `panic` it fails after two seconds on purpose.

use zcscope::model;
use zcscope::tui;

#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use the rest")]
#[path = "../src/tui/fixtures.rs"]
mod fixtures;

struct Moving {
    tick: u64,
    sockets: u64,
    fails: bool,
}

impl tui::Feed for Moving {
    fn next(&mut self) -> anyhow::Result<model::snapshot::Snapshot> {
        self.tick += 1;
        assert!(!self.fails || self.tick < 8, "asked to fail");
        Ok(fixtures::moving(self.tick, self.sockets))
    }
}

fn main() -> anyhow::Result<()> {
    let argument = |n| std::env::args().nth(n);
    let sockets = argument(1).and_then(|n| n.parse().ok()).unwrap_or(20);
    let fails = argument(2).is_some_and(|word| word == "panic");
    let mut feed = Moving { tick: 0, sockets, fails };
    tui::run(tui::Source::Live(&mut feed), &mut tui::NoActions, &tui::Options::default())
}
