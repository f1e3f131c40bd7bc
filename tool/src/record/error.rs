//! What can go wrong with recordings, as sentences.

/// Why a recording cannot be read or written. The text is one sentence: what happened, why, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("the recording {0} cannot be read: {1}")]
    Reading(String, #[source] std::io::Error),
    /// The file cannot be created or written.
    #[error("the recording {0} cannot be written: {1}")]
    Writing(String, #[source] std::io::Error),
    /// There is something else under this name.
    #[error("{0} exists and is no recording; name another file, or remove it")]
    InTheWay(String),
    /// It does not begin like a recording.
    #[error("{0} is no recording of zcscope: `zcscope record -o FILE` makes one")]
    NotARecording(String),
    /// A later major version of the format.
    #[error("{0} is a recording of format {1}, and this zcscope reads up to format {2}: use a newer one")]
    Newer(String, u16, u16),
    /// Not one whole block.
    #[error(
        "there is no snapshot in the recording {0}: it was cut before the first one was written, or is damaged"
    )]
    Empty(String),
    /// A figure that cannot be written down.
    #[error("a snapshot cannot be encoded: {0}")]
    Encoding(String),
    /// Bytes that are no frame.
    #[error("a frame cannot be decoded: {0}")]
    Decoding(String),
    /// A block that is not what was written.
    #[error("{0}")]
    Damaged(&'static str),
    /// The writing thread cannot be started, or has died.
    #[error("the recording cannot be written: {0}")]
    Thread(String),
}
