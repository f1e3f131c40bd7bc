//! Shows the live screen with made-up figures that move: for looking at the screen without a kernel to trace.
//! `cargo run --example screen [SOCKETS] [panic|stuck]`; after two seconds it fails or stands still, on purpose.

use zcscope::model;
use zcscope::tui;

#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use the rest")]
#[path = "../src/tui/fixtures.rs"]
mod fixtures;

struct Moving {
    tick: u64,
    sockets: u64,
    trouble: Option<String>,
}

impl tui::Feed for Moving {
    fn next(&mut self) -> anyhow::Result<model::snapshot::Snapshot> {
        self.tick += 1;
        let trouble = self.trouble.as_deref().filter(|_| self.tick >= 8);
        assert!(trouble != Some("panic"), "asked to fail");
        while trouble == Some("stuck") {
            std::thread::park();
        }
        Ok(fixtures::moving(self.tick, self.sockets))
    }
}

fn main() -> anyhow::Result<()> {
    let argument = |n| std::env::args().nth(n);
    let sockets = argument(1).and_then(|n| n.parse().ok()).unwrap_or(20);
    let mut feed = Moving { tick: 0, sockets, trouble: argument(2) };
    tui::run(tui::Source::Live(&mut feed), &mut tui::NoActions, &tui::Options::default())
}
