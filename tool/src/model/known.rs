//! Which facts this session can know; a figure that rests on a missing fact is `None`.

use zcscope_common::Path;

use super::snapshot::Session;

/// Declares the facts figures rest on, each named once.
macro_rules! facts {
    ($($fact:ident),+ $(,)?) => {
        /// Facts known here. The field names are the names of the facts in [`Session::missing`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) struct Known {
            $(pub(super) $fact: bool,)+
            /// Whether bytes were copied is concluded from other events.
            pub(super) copy_inferred: bool,
        }

        impl Known {
            pub(super) fn of(session: &Session) -> Self {
                let mut known = Self {
                    $($fact: session.knows(stringify!($fact)),)+
                    copy_inferred: session.infers("copy"),
                };
                // Without the frags the pages of a send are only a guess from its size.
                known.pages &= known.frags;
                known
            }
        }
    };
}

facts! {
    attach, frags, splice_frags, pages, mixed_socket, refused, completion, uring_completion, uring_release, told,
    uring_told, queue_latency, read_latency, app_read_latency, send_time, copy, gauges, locked_pages,
    files, page_cache, copy_read, file_reads, dma_bounce,
}

impl Known {
    /// True when new frags are counted on this path.
    pub(super) fn frags_of(&self, path: Path) -> bool {
        let spliced = matches!(path, Path::Sendfile | Path::Splice | Path::Vmsplice | Path::Kernel);
        !path.receives() && self.frags && (self.splice_frags || !spliced)
    }

    /// True when it can be seen what the application is told on this path. An io_uring program takes its
    /// notifications from memory it shares with the kernel: what is seen there is that they are posted.
    pub(super) fn told_of(&self, path: Path) -> bool {
        if is_uring(path) { self.uring_told } else { self.told }
    }

    /// True when it can be seen when the kernel gives the buffers of this path back, apart from their notification.
    pub(super) fn releases_of(&self, path: Path) -> bool {
        !is_uring(path) || self.uring_release
    }

    /// True when the pages of sends in flight are counted on this path.
    pub(super) fn open_pages_of(&self, path: Path) -> bool {
        self.pages && !is_uring(path)
    }

    /// True when the ends of sends on this path are seen.
    pub(super) fn completions_of(&self, path: Path) -> bool {
        let source = if is_uring(path) { self.uring_completion } else { self.completion };
        path.has_completion() && source
    }

    /// True when the copied bytes of this path are known. With completion units they are settled at the end of a
    /// send, so they need both facts.
    pub(super) fn copies_of(&self, path: Path) -> bool {
        match path {
            // Told by the call itself; without that fact the path does not appear.
            Path::RecvZerocopy | Path::UringZcrx => true,
            // Which part lay in the packets' linear part, and was copied, is not followed.
            Path::RecvDevmem => false,
            _ => self.copy && (!path.has_completion() || self.completions_of(path)),
        }
    }
}

/// True for the io_uring zero-copy sends, whose notifications do not pass the error queue.
pub(super) const fn is_uring(path: Path) -> bool {
    matches!(path, Path::UringSendZc | Path::UringSendZcFixed | Path::UringSendmsgZc)
}
