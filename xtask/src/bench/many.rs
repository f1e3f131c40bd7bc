//! Traffic of many sockets, connections or processes: `examples/many.rs`.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::arena::{Arena, dependent};
use super::process::{Background, Conversation};

/// From the end of its time to the end of the process.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to make.
#[derive(Clone, Copy, Debug)]
pub(super) enum Crowd {
    /// So many processes hold so many sockets each, send on one after the other with this pause, and read what comes
    /// if told to.
    Hold { processes: u32, sockets: u32, pause_us: u64, reads: bool },
    /// So many connections one after the other, one send each.
    Churn { connections: u32 },
}

/// Bytes per send.
const SIZE: &str = "1024";

/// It has sent once on each socket and goes on; killed when dropped.
pub(super) struct Traffic {
    program: Background,
    pipes: Conversation,
}

/// What it did after it was ready.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) sends: f64,
    /// CPU time of all its processes, s.
    pub(super) cpu_s: f64,
}

impl Crowd {
    /// Sockets that send once and then no more.
    pub(super) const fn idle(processes: u32, sockets: u32) -> Self {
        Self::Hold { processes, sockets, pause_us: u32::MAX as u64, reads: true }
    }

    /// Starts it for this long, and waits until all sockets are there.
    pub(super) fn start(self, arena: &Arena, time: Duration) -> Result<Traffic> {
        let mut command = dependent(arena.example("many")?);
        match self {
            Self::Hold { processes, sockets, pause_us, reads } => {
                command.args(["processes", &processes.to_string(), &sockets.to_string()]);
                command.args([&time.as_secs().to_string(), &pause_us.to_string(), SIZE]);
                command.args((!reads).then_some("unread"));
            }
            Self::Churn { connections } => {
                command.args(["churn", &connections.to_string(), SIZE]);
            }
        }
        let (program, mut pipes) = Background::conversing("examples/many", &mut command)?;
        // "ready"
        pipes.line()?;
        Ok(Traffic { program, pipes })
    }
}

impl Traffic {
    /// Waits for its end.
    pub(super) fn end(mut self) -> Result<Done> {
        let done = done(&self.pipes.line()?).context("examples/many printed no figures")?;
        self.program.wait_end(PATIENCE)?;
        Ok(done)
    }
}

fn done(line: &str) -> Option<Done> {
    let figures: Value = serde_json::from_str(line).ok()?;
    Some(Done { sends: figures["sends"].as_f64()?, cpu_s: figures["cpu_ns"].as_f64()? / 1e9 })
}

impl Done {
    /// CPU time of a send and its receive, ns.
    pub(super) fn ns_per_send(&self) -> f64 {
        self.cpu_s * 1e9 / self.sends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_figures_are_understood() {
        let done = done(r#"{"bytes":2048,"cpu_ns":3000,"sends":2}"#).unwrap();
        assert!((done.ns_per_send() - 1_500.0).abs() < 1e-6);
        assert!(super::done("ready").is_none());
    }
}
