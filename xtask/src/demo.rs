//! `cargo xtask demo`: builds zcscope and runs `zcscope demo`, here (as root) or in a guest kernel on emulated cards.

use anyhow::Result;

use crate::lab::{self, Guest, Nic};
use crate::sh;

/// Arguments of `demo`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Run in a guest of this kernel series (6.1 or 6.12) on a cable between two emulated cards.
    #[arg(long, value_name = "SERIES")]
    guest: Option<String>,
    /// The card at both ends of the guest's cable.
    #[arg(long, value_enum, default_value = "vmxnet3", requires = "guest")]
    nic: Nic,
    /// Build with optimization: full rates, but minutes instead of seconds to build.
    #[arg(long, conflicts_with = "guest")]
    release: bool,
    /// Arguments of `zcscope demo`.
    #[arg(last = true)]
    args: Vec<String>,
}

/// The task `demo`: ends with the status of `zcscope demo`.
pub(crate) fn run(args: &Args) -> Result<u8> {
    match &args.guest {
        Some(series) => in_guest(args, series),
        None => here(args),
    }
}

fn here(args: &Args) -> Result<u8> {
    let profile: &[&str] = if args.release { &["--release"] } else { &[] };
    sh::run(&mut sh::cargo(&[&["build", "-p", "zcscope"], profile].concat()))?;
    let dir = if args.release { "release" } else { "debug" };
    let mut command = sh::as_root(sh::workspace().join("target").join(dir).join("zcscope"));
    let status = command.arg("demo").args(&args.args).status()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn in_guest(args: &Args, series: &str) -> Result<u8> {
    sh::run(&mut sh::cargo(&["build", "-p", "zcscope", "-p", "zcscope-tests"]))?;
    let mut guest = Guest::new(series).with_programs();
    guest.timeout = std::time::Duration::from_secs(24 * 3600);
    let mut command = vec!["zcscope".to_owned(), "demo".to_owned()];
    if args.nic != Nic::None {
        guest.cables = vec![args.nic];
        command.extend(["--link".to_owned(), "eth0,eth1".to_owned()]);
    }
    command.extend(args.args.iter().cloned());
    // A report needs no terminal; it comes out of the guest as it is.
    if !args.args.iter().any(|word| word == "--headless") {
        lab::interactive(&mut guest)?;
    }
    guest.run_on_terminal(&command)
}
