//! The same in a guest: this very program is packed into it and prints what it measured as JSON.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::super::machine::Machine;
use super::{Args, Outcome, hand_out, options};
use crate::lab::{Guest, Sink};
use crate::{sh, tools};

/// What the guest has besides busybox and the programs of every guest, and where.
const PROGRAMS: [&str; 3] = ["bpftrace", "setpriv", "setsid"];
/// bpftrace and the libraries it loads take 200 MB, once packed and once unpacked.
const MEMORY_MIB: u32 = 3_072;
/// The guest is ended after this in any case.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Rounds: an emulated processor takes its time to start tracers.
const ROUNDS: [u32; 2] = [2, 1];

/// What the inner run prints.
#[derive(Debug, Deserialize)]
struct Printed {
    machine: Machine,
    #[serde(flatten)]
    outcome: Outcome,
}

/// Keeps what the guest prints, and hands on what it says besides.
#[derive(Default)]
struct Kept(Vec<u8>);

impl Sink for Kept {
    fn stdout(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn stderr(&mut self, bytes: &[u8]) {
        eprint!("{}", String::from_utf8_lossy(bytes));
    }
}

/// Boots a guest of this kernel series and measures there.
pub(super) fn run(args: &Args, kernel: &str) -> Result<u8> {
    tools::need(&super::PROGRAMS)?;
    let rounds = args.common.rounds(ROUNDS[0], ROUNDS[1]);
    let mut guest = Guest::new(kernel);
    guest.prepare()?;
    (guest.memory_mib, guest.timeout) = (MEMORY_MIB, TIMEOUT);
    // One processor: with several, each one's clock would go on while another one's turn is emulated.
    (guest.cpus, guest.counts_instructions) = (1, true);
    guest.files = vec![
        (args.common.built()?, "/usr/bin/zcscope".into()),
        (std::env::current_exe()?, "/usr/bin/xtask".into()),
    ];
    for name in PROGRAMS {
        let path: PathBuf = sh::find(name).with_context(|| format!("{name} is not installed"))?;
        guest.files.push((path, format!("/usr/local/bin/{name}")));
    }
    guest.environment.push(("PATH".into(), "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()));
    let (ms, rounds) = (args.ms().to_string(), rounds.to_string());
    let command = ["xtask", "bench", "overhead", "--inside", "--zcscope", "/usr/bin/zcscope", "--json"];
    let options_inside = ["--backend", args.backend.name(), "--ms", &ms, "--rounds", &rounds];
    let command: Vec<String> = command.iter().chain(&options_inside).map(|&word| word.to_owned()).collect();
    let mut kept = Kept::default();
    let code = guest.run(&command, &mut kept)?;
    if code != 0 {
        bail!("the benchmark failed in the guest ({code}); its message stands above");
    }
    let printed: Printed = serde_json::from_slice(&kept.0).context("the guest printed no JSON")?;
    let name = format!("overhead {kernel} {}", args.backend.name());
    let command = format!("cargo xtask bench overhead{} --rounds {rounds}", options(args));
    hand_out(args, &name, &printed.machine, &command, &printed.outcome)
}
