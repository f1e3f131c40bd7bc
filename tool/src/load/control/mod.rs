//! Two hosts: one control connection by which a load asks a sink to receive its run, and gets the receiver's figures.
//!
//! Both sides hold the same token. Each proves that it knows it without sending it (challenge and response with fresh
//! random numbers, HMAC-SHA256), and every later message carries a MAC over a sequence number, so nobody else can
//! command the sink, and nobody on the way can alter, repeat or leave out a command. Nothing is encrypted: there is
//! nothing secret in it. What a load may use is limited by the sink's owner.
//!
//! `wire` cuts frames, `seal` proves and seals, `handshake` is who speaks when; all three are pure, as is
//! `door`, the sink's side. [`client`] is the load's side and the only one here that does I/O.

pub mod client;
pub mod message;
pub mod token;

pub(super) mod agreement;
pub(super) mod door;

mod handshake;
mod seal;
mod wire;

/// The protocol both sides must speak. Changes with every change of a message's meaning.
pub(crate) const PROTOCOL: u32 = 1;
