//! What the two sides say once they trust each other. Pure types; on the wire they are JSON.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::load::sink::result::{Figures, FirstMismatch};
use crate::units::{bytes, duration, exact, percent};

/// From the load.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Get ready for this run.
    Prepare(Ask),
    /// All connections are made, from these addresses of the load: receive.
    Begin {
        /// Local addresses of the load.
        locals: Vec<SocketAddr>,
    },
    /// All is sent and the connections are closed: report.
    Finish,
}

/// From the sink.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// To `Prepare`: connect.
    Ready,
    /// To `Begin`: every connection is received; send.
    Go,
    /// To `Finish`.
    Report(Box<PeerReport>),
    /// To anything: no, and why. The run is over.
    Refused {
        /// One sentence.
        why: String,
    },
}

/// What a load asks of the sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Ask {
    /// Receive mode by name; the one the sink was started with when `None`.
    pub mode: Option<String>,
    /// Compare every byte with the pattern.
    pub verify: bool,
    /// The load sends TLS records (with fixed keys).
    pub tls: bool,
    /// Connections.
    pub streams: u64,
    /// Bytes per send, to name the send a wrong byte was in.
    pub send_size: u64,
    /// Longest time the load will send, ns.
    pub duration_ns: u64,
    /// Bytes the load means to send, warm-up not counted; only its time ends it when `None`.
    pub bytes: Option<u64>,
}

/// What the sink's owner lets one load use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest time of one load.
    pub duration: Duration,
    /// Most bytes of one load.
    pub bytes: u64,
    /// Most connections of one load.
    pub streams: u64,
}

impl Limits {
    /// The most bytes this load is let send, warm-up included.
    ///
    /// # Errors
    /// It asks for more than is allowed; the text says what to change.
    pub fn grant(&self, ask: &Ask) -> Result<u64, String> {
        let longest = u64::try_from(self.duration.as_nanos()).unwrap_or(u64::MAX);
        let meant = ask.bytes.unwrap_or(0);
        if ask.duration_ns > longest {
            return Err(format!(
                "its owner allows {} a load and this one asks for {}; use a shorter --duration, or start the sink \
                 with a larger --load-time",
                duration(longest),
                duration(ask.duration_ns)
            ));
        }
        if meant > self.bytes {
            return Err(format!(
                "its owner allows {} a load and this one asks for {}; use fewer --bytes, or start the sink with \
                 larger --load-bytes",
                bytes(self.bytes),
                bytes(meant)
            ));
        }
        if ask.streams > self.streams || ask.streams == 0 {
            return Err(format!(
                "it takes 1 to {} connections and this load asks for {}; use fewer --streams",
                self.streams, ask.streams
            ));
        }
        Ok(self.bytes)
    }
}

/// What the receiver of a run counted: the JSON key `peer` of `zcscope.load/1`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct PeerReport {
    /// Control address of the sink.
    #[serde(default)]
    pub control: String,
    /// Version of zcscope there.
    pub version: String,
    /// Kernel release there.
    pub kernel_release: String,
    /// Receive mode.
    pub mode: String,
    /// Whether every byte was compared with the pattern.
    pub verify: bool,
    /// Whether it received TLS records.
    pub tls: bool,
    /// `finished`, or the sink's limit that ended the run: `limit_time`, `limit_bytes`.
    pub end: String,
    /// Connections.
    pub connections: u64,
    /// Bytes received, warm-up included.
    pub bytes: u64,
    /// How they were received and whether they were right.
    #[serde(flatten)]
    pub figures: Figures,
    /// The first wrong byte of the connection that has the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_mismatch: Option<FirstMismatch>,
    /// From the first byte to the last of the connection that took longest, ns.
    pub duration_ns: u64,
    /// CPU time of the receiving threads, ns.
    pub thread_ns: u64,
    /// CPU time of the sink's whole machine, from `go` to the last connection's end, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_ns: Option<u64>,
    /// Errors of connections there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

impl PeerReport {
    /// What is wrong with the run as the receiver saw it, in one sentence.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let limit = |what| Some(format!("the sink's owner's limit on {what} ended the run"));
        match self.end.as_str() {
            "limit_time" => return limit("time (--load-time)"),
            "limit_bytes" => return limit("bytes (--load-bytes)"),
            _ => {}
        }
        let wrong = self.figures.mismatches.filter(|n| *n > 0)?;
        let first = self.first_mismatch.as_ref().map(|first| format!("; {first}")).unwrap_or_default();
        Some(format!("the sink received {} wrong bytes{first}", exact(wrong)))
    }
}

/// The row `peer` of a load's text.
impl std::fmt::Display for PeerReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tls = if self.tls { " of TLS records" } else { "" };
        write!(
            f,
            "{}{tls} at {}: {} ({} B) over {} connection{}",
            self.mode,
            self.control,
            bytes(self.bytes),
            exact(self.bytes),
            self.connections,
            if self.connections == 1 { "" } else { "s" }
        )?;
        if let Some(mapped) = self.figures.mapped_bytes {
            write!(f, ", {} of it mapped", percent(mapped, self.bytes))?;
        }
        write!(f, "\nreceiving threads {}", duration(self.thread_ns))?;
        if let Some(machine) = self.machine_ns {
            write!(f, ", its whole machine {}", duration(machine))?;
        }
        match (self.figures.verified_bytes, self.figures.mismatches) {
            (Some(right), Some(0)) => write!(f, "\nverified: all {} B are right", exact(right))?,
            (Some(_), Some(wrong)) => write!(f, "\nNOT what was sent: {} B are wrong", exact(wrong))?,
            _ => {}
        }
        if let Some(first) = &self.first_mismatch {
            write!(f, "\n{first}")?;
        }
        for error in &self.errors {
            write!(f, "\nerror there: {error}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { duration: Duration::from_secs(60), bytes: 1 << 30, streams: 8 };

    fn ask() -> Ask {
        Ask { streams: 1, duration_ns: 10_000_000_000, ..Ask::default() }
    }

    #[test]
    fn a_load_may_ask_for_less_never_for_more() {
        assert_eq!(LIMITS.grant(&ask()), Ok(1 << 30));
        assert_eq!(LIMITS.grant(&Ask { bytes: Some(1 << 30), ..ask() }), Ok(1 << 30));
        let refused = |ask: Ask| LIMITS.grant(&ask).unwrap_err();
        let text = refused(Ask { duration_ns: 61_000_000_000, ..ask() });
        assert!(text.contains("--load-time"), "{text}");
        let text = refused(Ask { bytes: Some((1 << 30) + 1), ..ask() });
        assert!(text.contains("--load-bytes"), "{text}");
        for streams in [0, 9] {
            let text = refused(Ask { streams, ..ask() });
            assert!(text.contains("1 to 8 connections"), "{text}");
        }
    }

    #[test]
    fn messages_survive_the_wire() {
        let request = Request::Begin { locals: vec!["[::1]:4".parse().unwrap()] };
        let json = serde_json::to_vec(&request).unwrap();
        assert_eq!(serde_json::from_slice::<Request>(&json).unwrap(), request);
        let figures = Figures { verified_bytes: Some(1), ..Figures::default() };
        let answer = Answer::Report(Box::new(PeerReport { bytes: 7, figures, ..PeerReport::default() }));
        let json = serde_json::to_vec(&answer).unwrap();
        assert_eq!(serde_json::from_slice::<Answer>(&json).unwrap(), answer);
    }

    #[test]
    fn wrong_bytes_and_limits_are_complaints() {
        let good = PeerReport { end: "finished".into(), ..PeerReport::default() };
        assert_eq!(good.complaint(), None);
        let figures = Figures { mismatches: Some(3), ..Figures::default() };
        let text = PeerReport { figures, ..good.clone() }.complaint().unwrap();
        assert!(text.contains("3 wrong bytes"), "{text}");
        let text = PeerReport { end: "limit_time".into(), ..good }.complaint().unwrap();
        assert!(text.contains("--load-time"), "{text}");
    }
}
