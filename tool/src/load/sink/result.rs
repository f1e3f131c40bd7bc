//! What a sink reports: pure types; their serde form is the JSON `zcscope.sink/1`.
//!
//! Bytes and nanoseconds are integers. A key that is absent is not known here.

use serde::{Deserialize, Serialize};

use crate::units::exact;

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
    /// How bytes were received, where no load asked for another way.
    pub mode: String,
    /// Whether the kernel decrypted TLS records, where no load asked otherwise.
    #[serde(default)]
    pub tls: bool,
    /// What ended the run.
    pub ended_by: SinkEndedBy,
    /// From listening to the end, ns.
    pub duration_ns: u64,
    /// Bytes received over all connections.
    pub bytes: u64,
    /// How they were received and whether they were right, over all connections.
    #[serde(flatten)]
    pub figures: Figures,
    /// CPU time of the receiving threads, ns.
    pub thread_ns: u64,
    /// Connections turned away: too many were open, or no load had asked for them.
    pub turned_away: u64,
    /// Every connection, in the order they ended, the first [`MAX_LISTED`].
    pub connections: Vec<Connection>,
    /// Connections beyond those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub connections_omitted: u64,
    /// Every load that used the control port, the first [`MAX_LISTED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<LoadSeen>,
    /// Control connections that were not let in (wrong token, other version, silence, not allowed).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused_controls: u64,
}

impl SinkReport {
    /// The bytes it found wrong, in one sentence; `None` when it found none, or did not look.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let wrong = self.figures.mismatches.filter(|n| *n > 0)?;
        let first = self.connections.iter().find_map(|connection| connection.first_mismatch.as_ref());
        let first = first.map(|first| format!("; {first}")).unwrap_or_default();
        Some(format!("the sink received {} wrong bytes{first}", exact(wrong)))
    }
}

/// Most connections (and loads) listed one by one; the sums hold all of them.
pub const MAX_LISTED: usize = 20_000;

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What ended a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkEndedBy {
    /// The first set of connections had closed, or the first load had ended (`--once`).
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
    /// Calls that received something; with `uring_recv`, completions.
    pub calls: u64,
    /// How they were received and whether they were right.
    #[serde(flatten)]
    pub figures: Figures,
    /// The first byte that was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_mismatch: Option<FirstMismatch>,
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

/// Figures only some receive modes have, and those of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// `recv_zerocopy`: bytes mapped, not copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped_bytes: Option<u64>,
    /// `recv_zerocopy`: bytes the kernel copied in the same call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_bytes: Option<u64>,
    /// `recv_zerocopy`: bytes the kernel left to a plain read (`recv_skip_hint`), which copied them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_hint_bytes: Option<u64>,
    /// `uring_recv`: how often the kernel found every provided buffer in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_buffers: Option<u64>,
    /// Bytes compared with the pattern and right; absent without a check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_bytes: Option<u64>,
    /// Bytes compared with the pattern and wrong; absent without a check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mismatches: Option<u64>,
}

impl Figures {
    /// Adds another connection's.
    pub fn add(&mut self, other: &Figures) {
        let sum = |mine: &mut Option<u64>, theirs: Option<u64>| {
            if let Some(more) = theirs {
                *mine = Some(mine.unwrap_or(0) + more);
            }
        };
        sum(&mut self.mapped_bytes, other.mapped_bytes);
        sum(&mut self.copied_bytes, other.copied_bytes);
        sum(&mut self.skip_hint_bytes, other.skip_hint_bytes);
        sum(&mut self.out_of_buffers, other.out_of_buffers);
        sum(&mut self.verified_bytes, other.verified_bytes);
        sum(&mut self.mismatches, other.mismatches);
    }
}

/// The first byte of a stream that is not what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstMismatch {
    /// Offset in the connection's stream.
    pub offset: u64,
    /// What should be there.
    pub expected: u8,
    /// What came.
    pub found: u8,
    /// What kind of wrong it is.
    pub fault: Fault,
    /// Where in the stream the found bytes belong (`earlier_part`, `later_part`); the pattern repeats every 64 MiB,
    /// and this is the nearest such place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub belongs_at: Option<u64>,
    /// Which of the sender's sends it was in; only where a load told its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<SendPlace>,
}

/// The sender's send a byte was part of, if every send was taken whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendPlace {
    /// The how-many-th send, from 0.
    pub index: u64,
    /// Offset in it.
    pub offset: u64,
    /// Bytes per send.
    pub size: u64,
}

/// What kind of wrong a mismatch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The sender had overwritten its buffer before the kernel was done with it.
    Poison,
    /// Zeroes.
    Zeroes,
    /// A part of the stream that had come (or should have) before: doubled, reordered, or an old buffer.
    EarlierPart,
    /// A part of the stream that should come later: bytes were lost, reordered, or a buffer was filled anew too early.
    LaterPart,
    /// Bytes that are no part of the stream.
    Unknown,
}

impl Fault {
    /// In words, to follow "found".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Fault::Poison => {
                "poison: the sender had overwritten the buffer before the kernel was done with it"
            }
            Fault::Zeroes => "zeroes",
            Fault::EarlierPart => "an earlier part of the stream: doubled, reordered, or an old buffer",
            Fault::LaterPart => {
                "a later part of the stream: bytes lost, reordered, or a buffer filled anew too early"
            }
            Fault::Unknown => "bytes that are no part of the stream",
        }
    }
}

impl std::fmt::Display for FirstMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { offset, expected, found, fault, .. } = self;
        write!(f, "byte {offset}: expected 0x{expected:02x}, found 0x{found:02x} ({}", fault.words())?;
        if let Some(place) = self.belongs_at {
            write!(f, "; it belongs at {place}")?;
        }
        f.write_str(")")?;
        if let Some(SendPlace { index, offset, size }) = self.send {
            write!(f, ", at {offset} of send {index}, if all before it took {size} B")?;
        }
        Ok(())
    }
}

/// One load that used the control port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadSeen {
    /// Where it came from.
    pub peer: String,
    /// Receive mode it asked for.
    pub mode: String,
    /// Whether it asked for a check.
    pub verify: bool,
    /// Whether it sent TLS records.
    pub tls: bool,
    /// How it ended: `finished`, `limit_time`, `limit_bytes`, `vanished`, `stopped`, or why it was refused.
    pub end: String,
    /// Connections.
    pub connections: u64,
    /// Bytes received.
    pub bytes: u64,
    /// How they were received and whether they were right.
    #[serde(flatten)]
    pub figures: Figures,
    /// CPU time of the receiving threads, ns.
    pub thread_ns: u64,
    /// CPU time of this whole machine while they ran, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_ns: Option<u64>,
}
