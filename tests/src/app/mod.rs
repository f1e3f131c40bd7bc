//! The reference application: small, independent of zcscope's own load generator, and honest about its counters.

mod bundle;
mod errqueue;
mod file;
mod handover;
mod paced;
mod pump;
mod recv;
mod send;
mod sink;
mod sockmap;
mod stall;
mod sys;
mod tap;
mod tls;
mod uring;
mod web;

use nix::unistd::alarm;

/// A part to play.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Role {
    /// Send an exact number of calls of an exact size and print the counters as one JSON line.
    Send(send::Args),
    /// Send a file and print the counters as one JSON line per process.
    File(file::Args),
    /// Send on one socket from two processes by turns.
    Handover(handover::Args),
    /// Send without a copy to a peer that takes nothing, and stay there for a while.
    Stall(stall::Args),
    /// Send without a copy, one by one.
    Paced(paced::Args),
    /// Send many buffers with each request of io_uring.
    Bundle(bundle::Args),
    /// Accept connections, read each to its end and print the bytes.
    Sink(sink::Args),
    /// Hold a packet socket open, as tcpdump does.
    Tap(tap::Args),
    /// Carry packets between two tun devices.
    Pump(pump::Args),
    /// Serve a file over HTTP.
    Serve(web::Serve),
    /// Fetch it, again and again.
    Fetch(web::Fetch),
}

/// Plays the part. Every part ends by itself: SIGALRM after its `--limit`.
pub(crate) fn run(role: &Role) -> anyhow::Result<()> {
    let limit = match role {
        Role::Send(args) => args.limit,
        Role::File(args) => args.limit,
        Role::Handover(args) => args.limit,
        Role::Stall(args) => args.limit,
        Role::Paced(args) => args.limit,
        Role::Bundle(args) => args.limit,
        Role::Sink(args) => args.limit,
        Role::Tap(args) => args.limit,
        Role::Pump(args) => args.limit,
        Role::Serve(args) => args.limit,
        Role::Fetch(args) => args.limit,
    };
    alarm::set(limit.max(1));
    match role {
        Role::Send(args) => send::run(args),
        Role::File(args) => file::run(args),
        Role::Handover(args) => handover::run(args),
        Role::Stall(args) => stall::run(args),
        Role::Paced(args) => paced::run(args),
        Role::Bundle(args) => bundle::run(args),
        Role::Sink(args) => sink::run(args),
        Role::Tap(args) => tap::run(args),
        Role::Pump(args) => pump::run(args),
        Role::Serve(args) => web::serve(args),
        Role::Fetch(args) => web::fetch(args),
    }
}
