//! What the sentence is about: the bytes of the window, or of everything, and of each path.

use std::cmp::Reverse;

use zcscope_common::Path;

use super::{Answer, Moved, Shown, Snapshot, Totals, Window};
use crate::units;

/// What the sentence is about.
pub(super) struct Scope {
    pub(super) requested: u64,
    pub(super) copied: Option<u64>,
    pub(super) silent: Option<u64>,
    pub(super) refused: u64,
    /// What each path asked for, and how much of that was copied.
    pub(super) paths: Vec<(Path, u64, Option<u64>)>,
    /// In words, with a blank in front.
    pub(super) when: String,
    pub(super) recent: bool,
}

impl Scope {
    pub(super) fn new(shown: &Shown, window: &Window<'_>, totals: &Totals, moved: Option<Moved>) -> Self {
        let since = shown.since_ns();
        match moved {
            Some(moved) if since.is_none() && !window.is_everything() => Self {
                requested: moved.requested,
                copied: moved.copied,
                silent: moved.silent,
                refused: moved.refused,
                paths: window.asked(),
                when: format!(" in the last {}", window.name()),
                recent: true,
            },
            _ => Self {
                requested: totals.requested,
                copied: totals.copied,
                silent: totals.silent,
                refused: shown.snapshot.paths.iter().flat_map(|path| &path.refused).map(|(_, n)| n).sum(),
                paths: asked_ever(&shown.snapshot),
                when: match shown.timeline.range_ns() {
                    _ if since.is_some() => " since the mark".to_owned(),
                    Some(_) if moved.is_none() => {
                        format!(" earlier (nothing was asked for in the last {})", window.name())
                    }
                    _ => String::new(),
                },
                recent: false,
            },
        }
    }
}

/// What each send path asked for since tracing began, and how much of that was copied.
fn asked_ever(snapshot: &Snapshot) -> Vec<(Path, u64, Option<u64>)> {
    let send = snapshot.paths.iter().filter(|path| !path.path.receives());
    let asked = send.filter_map(|path| {
        path.ledger.map(|ledger| (path.path, ledger.requested_bytes, ledger.copied_bytes))
    });
    asked.filter(|(_, requested, _)| *requested > 0).collect()
}

/// The share of each path, where paths have different answers; most copied first.
pub(super) fn by_path(paths: &[(Path, u64, Option<u64>)]) -> String {
    let answer = |(_, requested, copied): &(Path, u64, Option<u64>)| {
        copied.map(|copied| Answer::of(copied, copied.max(*requested)))
    };
    if paths.windows(2).all(|pair| answer(&pair[0]) == answer(&pair[1])) {
        return String::new();
    }
    let mut paths = paths.to_vec();
    paths.sort_by_key(|(path, _, copied)| (Reverse(*copied), *path));
    let share = |(path, requested, copied): &(Path, u64, Option<u64>)| {
        let all = copied.map(|copied| copied.max(*requested));
        format!("{} {}", path.name(), units::percent_or_unknown(*copied, all))
    };
    let named: Vec<String> = paths.iter().take(PATHS_NAMED).map(share).collect();
    let more = if paths.len() > PATHS_NAMED { ", …" } else { "" };
    format!(" ({}{more})", named.join(", "))
}

/// Paths named in the sentence.
const PATHS_NAMED: usize = 3;
