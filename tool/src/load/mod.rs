//! The load generator and its sink: bounded TCP traffic over one send path, and what the application was told.
//!
//! One file per send path behind [`paths::SendPath`]; [`engine`] runs them on plain threads, one per stream or fewer (`crew`), [`result`] holds what
//! comes out. Send and receive loops never allocate, lock or wait for anything but the socket.

pub mod control;
pub mod cpu;
pub mod device;
pub mod engine;
pub mod interrupt;
pub mod knobs;
pub mod memory;
pub mod pace;
pub mod paths;
pub mod pattern;
pub mod place;
pub mod placement;
pub mod result;
pub mod schedule;
pub mod sink;
pub mod target;
pub mod text;
pub mod warmup;

mod account;
mod connect;
mod crew;
mod errqueue;
mod lap;
mod latency;
mod lead;
mod orders;
mod poller;
mod rounds;
mod settle;
mod shared;
mod stream;
mod sys;
mod text_knobs;
mod text_levels;
mod tls;
mod uring;
mod window;

pub use connect::{Family, resolve};

/// Why a load or a sink could not start. The text is one sentence: what happened, why, what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The request makes no sense here (unknown device, too much memory).
    #[error("{0}")]
    Usage(String),
    /// The host or the network refused.
    #[error("{0}")]
    Failed(String),
}

impl LoadError {
    /// A refusal with its cause: `what: why`.
    fn failed(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::Failed(format!("{what}: {why}"))
    }
}

/// From now on the kernel decrypts what is received on this connection, sent by the paths `ktls` and `ktls_sendfile`.
///
/// # Errors
/// The kernel has no TLS sockets.
pub fn receive_tls(socket: &impl std::os::fd::AsFd) -> std::io::Result<()> {
    tls::decrypt(socket.as_fd())
}
