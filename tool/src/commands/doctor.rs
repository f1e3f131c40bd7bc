//! The verb `doctor`: what this kernel lets zcscope know, what zero-copy can do on a route, what every path will do
//! there and, with `--prove`, whether that is so. Changes nothing on the host.

mod gather;
mod prove;
mod targets;
mod tracing;

use std::net::IpAddr;
use std::os::fd::AsFd;

use super::load::write_out;
use super::{Failure, Outcome};
use crate::doctor::document::Document;
use crate::host::netns::Namespace;
use crate::load::interrupt::Interrupt;
use crate::load::place::parse_cable;
use crate::probe::Backend;
use crate::report;

/// Arguments of `doctor`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// What would become of bytes sent to this host; with a port, of a sink that listens there (for --prove).
    #[arg(long, value_name = "HOST[:PORT]")]
    to: Option<String>,
    /// Through this device, whatever the routing table says.
    #[arg(short = 'i', long = "interface", value_name = "DEV")]
    dev: Option<String>,
    /// With the limits and the network namespace of this process.
    #[arg(short = 'p', long, value_name = "PID", conflicts_with = "prove")]
    pid: Option<u32>,
    /// Send 256 KiB over each path and compare: to the sink of --to, or else over loopback and a veth pair of its own.
    /// Exit code 1 when something differs. What is predicted of receiving is not tried.
    #[arg(long)]
    prove: bool,
    /// With --prove: over a cable between two spare ports of this host, each lent to a namespace of its own.
    #[arg(long, value_name = "IF1,IF2", value_parser = parse_cable, requires = "prove", conflicts_with_all = ["to", "dev"])]
    cable: Option<(String, String)>,
    /// Report as JSON (schema zcscope.doctor/1).
    #[arg(long)]
    json: bool,
    /// Force one tracing back end.
    #[arg(long, value_enum, default_value_t, value_name = "BACKEND")]
    backend: Backend,
}

/// Runs it.
///
/// # Errors
/// [`Failure::Usage`] when there is no such process, device or host; [`Failure::Failed`] when an observation differs
/// from its prediction; [`Failure::CannotTrace`] with `--prove` where tracing is not possible.
#[allow(clippy::needless_pass_by_value, reason = "every verb takes its arguments the same way")]
pub fn run(args: Args) -> Outcome {
    let target = args.to.as_deref().map(targets::Target::parse).transpose()?;
    let mut document = gather::frame(&args)?;
    if args.prove {
        // First: a signal must not find devices borrowed and nobody to give them back.
        let interrupt = Interrupt::new().map_err(anyhow::Error::from)?;
        prove::prove(&args, target.as_ref(), interrupt.as_fd(), &mut document)?;
    } else {
        document.tracing = tracing::try_all(args.backend);
        let mut look = || gather::routes(&mut document, args.dev.as_deref(), target.as_ref().map(|t| t.ip));
        match args.pid {
            Some(pid) => namespace_of(pid)?.enter(look).map_err(|error| cannot_enter(pid, &error))??,
            None => look()?,
        }
    }
    print(&document, args.json)?;
    match &document.proof {
        Some(proof) if !proof.agrees => Err(Failure::Failed(format!(
            "{} of {} predictions were not what was observed",
            proof.tried - proof.as_predicted,
            proof.tried
        ))),
        _ => Ok(0),
    }
}

fn namespace_of(pid: u32) -> Result<Namespace, Failure> {
    Namespace::of_process(pid).map_err(|error| cannot_enter(pid, &error))
}

fn cannot_enter(pid: u32, error: &std::io::Error) -> Failure {
    Failure::Usage(format!(
        "the network namespace of process {pid} cannot be looked into ({error}); is it running, and are you root?"
    ))
}

fn print(document: &Document, json: bool) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string(document).map_err(anyhow::Error::from)? + "\n"
    } else {
        report::doctor::render(document)
    };
    write_out(&text)
}

/// A host without brackets and port.
fn as_ip(text: &str) -> Option<IpAddr> {
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}
