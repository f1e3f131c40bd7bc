//! `cargo xtask recording`: makes the recording that comes with zcscope (`zcscope demo --replay`), in a guest kernel, so
//! that nothing of the developer's machine is in it.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::lab::{Guest, Nic, Sink};
use crate::sh;

/// What runs in the guest.
const SCRIPT: &str = include_str!("recording.sh");
/// Where it goes; part of the program.
const FILE: &str = "tool/recordings/demo.zcr";

/// Arguments of `recording`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Kernel series of the guest.
    #[arg(long, default_value = "6.12")]
    kernel: String,
}

/// The task `recording`.
pub(crate) fn run(args: &Args) -> Result<u8> {
    sh::run(&mut sh::cargo(&["build", "-p", "zcscope", "-p", "zcscope-tests"]))?;
    let mut guest = Guest::new(&args.kernel).with_programs();
    guest.cables = vec![Nic::Vmxnet3, Nic::Virtio];
    let mut recording = Recording::default();
    let status = guest.run(&["sh".into(), "-c".into(), SCRIPT.into()], &mut recording)?;
    ensure!(status == 0, "the guest's script ended with status {status}");
    ensure!(!recording.0.is_empty(), "nothing was recorded");
    let file = sh::workspace().join(FILE);
    fs::write(&file, &recording.0).with_context(|| format!("{} cannot be written", file.display()))?;
    println!("{FILE}: {} bytes; now `cargo test -p zcscope demo::replay`", recording.0.len());
    Ok(0)
}

/// Keeps standard output; standard error is for the developer.
#[derive(Default)]
struct Recording(Vec<u8>);

impl Sink for Recording {
    fn stdout(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn stderr(&mut self, bytes: &[u8]) {
        eprint!("{}", String::from_utf8_lossy(bytes));
    }
}
