//! What a sink reports: pure types; their serde form is the JSON `zcscope.sink/1`.
//!
//! Bytes and nanoseconds are integers. A key that is absent is not known here.

use serde::{Deserialize, Serialize};

/// Schema of [`SinkReport`].
pub const SINK_SCHEMA: &str = "zcscope.sink/1";

/// One run of the sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkReport {
    /// [`SINK_SCHEMA`].
    pub schema: String,
    /// Version of zcscope.
    pub version: String,
    /// Address listened on.
    pub listen: String,
    /// How bytes were discarded: `recv` or `trunc`.
    pub mode: String,
    /// What ended the run.
    pub ended_by: SinkEndedBy,
    /// From listening to the end, ns.
    pub duration_ns: u64,
    /// Bytes received over all connections.
    pub bytes: u64,
    /// CPU time of the receiving threads, ns.
    pub thread_ns: u64,
    /// Connections turned away because too many were open.
    pub turned_away: u64,
    /// Every connection, in the order they ended.
    pub connections: Vec<Connection>,
}

/// What ended a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkEndedBy {
    /// The first set of connections had closed (`--once`).
    Once,
    /// The most bytes allowed had come (`--max-bytes`).
    Bytes,
    /// The time was up.
    Duration,
    /// Ctrl-C or SIGTERM.
    Signal,
}

/// One connection of a sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// The peer's address.
    pub peer: String,
    /// Bytes received.
    pub bytes: u64,
    /// Calls that received something.
    pub calls: u64,
    /// From the first byte to the last, ns.
    pub duration_ns: u64,
    /// Bits per ns over that span; absent when there is no span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gbit_s: Option<f64>,
    /// CPU time of its thread, ns.
    pub thread_ns: u64,
    /// How it ended: `closed` by the peer, `stopped` by us, or the error.
    pub end: String,
}
