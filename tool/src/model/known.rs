//! Which facts this session can know; a figure that rests on a missing fact is `None`.

use zcscope_common::Path;

use super::snapshot::Session;

/// Facts known here. The field names are the names of the facts in [`Session::missing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) attach: bool,
    pub(super) frags: bool,
    pub(super) splice_frags: bool,
    pub(super) refused: bool,
    pub(super) completion: bool,
    pub(super) told: bool,
    pub(super) copy: bool,
    pub(super) uring_completion: bool,
}

impl Known {
    pub(super) fn of(session: &Session) -> Self {
        let known = |fact: &str| !session.missing.iter().any(|m| m.fact == fact);
        Self {
            attach: known("attach"),
            frags: known("frags"),
            splice_frags: known("splice_frags"),
            refused: known("refused"),
            completion: known("completion"),
            told: known("told"),
            copy: known("copy"),
            uring_completion: known("uring_completion"),
        }
    }

    /// True when new frags are counted on this path.
    pub(super) fn frags_of(&self, path: Path) -> bool {
        let spliced = matches!(path, Path::Sendfile | Path::Splice | Path::Vmsplice | Path::Kernel);
        self.frags && (self.splice_frags || !spliced) && !path.receives()
    }

    /// True when the ends of sends on this path are seen.
    pub(super) fn completions_of(&self, path: Path) -> bool {
        let source = if is_uring(path) { self.uring_completion } else { self.completion };
        path.has_completion() && source
    }

    /// True when the copied bytes of this path are known. With completion units they are settled at the end of a
    /// send, so they need both facts.
    pub(super) fn copies_of(&self, path: Path) -> bool {
        // Told by the call itself; without that fact the path does not appear.
        if path.receives() {
            return true;
        }
        self.copy && (!path.has_completion() || self.completions_of(path))
    }
}

/// True for the io_uring zero-copy sends, whose notifications do not pass the error queue.
pub(super) const fn is_uring(path: Path) -> bool {
    matches!(path, Path::UringSendZc | Path::UringSendZcFixed | Path::UringSendmsgZc)
}
