//! What is chosen for the next run: one row per setting, each a place in a list of values.

use std::time::Duration;

use crate::tui::generator::{LONGEST_LOAD, LoadPath, LoadSettings, LoadTarget};
use crate::tui::views::input::Input;
use crate::units::size;

/// Bytes per send.
const SIZES: [u64; 13] = {
    let mut sizes = [1 << 10; 13];
    let mut i = 1;
    while i < sizes.len() {
        sizes[i] = sizes[i - 1] * 2;
        i += 1;
    }
    sizes
};
/// 64 KiB.
const FIRST_SIZE: usize = 6;
const STREAMS: [u32; 5] = [1, 2, 4, 8, 16];
/// Seconds.
const DURATIONS: [u64; 6] = [2, 5, 10, 20, 30, LONGEST_LOAD.as_secs()];
const FIRST_DURATION: usize = 2;
/// The path people ask about.
const FIRST_PATH: &str = "msg_zerocopy";

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Path,
    Size,
    Streams,
    Duration,
    Target,
}

impl Row {
    pub(super) const ALL: [Row; 5] = [Row::Path, Row::Size, Row::Streams, Row::Duration, Row::Target];

    pub(super) const fn name(self) -> &'static str {
        ["path", "size", "streams", "duration", "target"][self as usize]
    }
}

/// Kinds of targets; the last one is written.
const TARGETS: usize = 3;

/// What is chosen.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    paths: Vec<LoadPath>,
    path: usize,
    size: usize,
    streams: usize,
    duration: usize,
    target: usize,
    /// `HOST:PORT` of the last kind of target.
    pub(super) host: Input,
    /// The selected row, an index into [`Row::ALL`].
    selected: usize,
}

impl Choice {
    /// The defaults; `None` when there is no path.
    pub(super) fn of(paths: Vec<LoadPath>) -> Option<Self> {
        let path = paths.iter().position(|path| path.name == FIRST_PATH).unwrap_or(0);
        (!paths.is_empty()).then(|| Self {
            paths,
            path,
            size: FIRST_SIZE,
            streams: 0,
            duration: FIRST_DURATION,
            target: 0,
            host: Input::default(),
            selected: 0,
        })
    }

    pub(super) const fn selected(&self) -> Row {
        Row::ALL[self.selected]
    }

    /// Moves the selection; stops at both ends.
    pub(super) fn select_by(&mut self, rows: isize) {
        self.selected = self.selected.saturating_add_signed(rows).min(Row::ALL.len() - 1);
    }

    /// Changes the selected setting. Lists of names go round, amounts stop at both ends. A target that has to be
    /// written is asked for.
    pub(super) fn adjust(&mut self, by: isize) {
        match self.selected() {
            Row::Path => self.path = round(self.path, by, self.paths.len()),
            Row::Size => self.size = step(self.size, by, SIZES.len()),
            Row::Streams => self.streams = step(self.streams, by, STREAMS.len()),
            Row::Duration => self.duration = step(self.duration, by, DURATIONS.len()),
            Row::Target => {
                self.target = round(self.target, by, TARGETS);
                if self.target == TARGETS - 1 {
                    self.host.open();
                }
            }
        }
    }

    fn target(&self) -> LoadTarget {
        match self.target {
            0 => LoadTarget::Veth,
            1 => LoadTarget::Loopback,
            _ => LoadTarget::Sink(self.host.text().trim().to_owned()),
        }
    }

    /// What to run.
    ///
    /// # Errors
    /// What is written is no address; the line is open again, and the text says what belongs there.
    pub(super) fn settings(&mut self) -> Result<LoadSettings, String> {
        let target = self.target();
        if let LoadTarget::Sink(address) = &target
            && !is_address(address)
        {
            self.host.open();
            return Err("write where a sink listens, as HOST:PORT (zcscope sink --listen ADDR:PORT)".into());
        }
        Ok(LoadSettings {
            path: self.paths[self.path].name,
            size: SIZES[self.size],
            streams: STREAMS[self.streams],
            duration: Duration::from_secs(DURATIONS[self.duration]),
            target,
        })
    }

    /// The value of a setting as text, and what it means.
    pub(super) fn value(&self, row: Row) -> (String, &'static str) {
        match row {
            Row::Path => (self.paths[self.path].name.into(), self.paths[self.path].about),
            Row::Size => (size(SIZES[self.size]), "bytes per send"),
            Row::Streams => (STREAMS[self.streams].to_string(), "connections, one sending thread each"),
            Row::Duration => (format!("{} s", DURATIONS[self.duration]), "after a warm-up of at most 5 s"),
            Row::Target => match self.target() {
                LoadTarget::Veth => ("veth".into(), "two namespaces of its own; functional only"),
                LoadTarget::Loopback => ("loopback".into(), "a sink of its own on lo; functional only"),
                LoadTarget::Sink(address) => {
                    (if address.is_empty() { "HOST:PORT".into() } else { address }, "a sink you started")
                }
            },
        }
    }

    /// Whether a line of text belongs to the row of targets.
    pub(super) const fn is_written(&self) -> bool {
        self.target == TARGETS - 1
    }
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

const fn step(at: usize, by: isize, len: usize) -> usize {
    let to = at.saturating_add_signed(by);
    if to < len { to } else { len - 1 }
}

const fn round(at: usize, by: isize, len: usize) -> usize {
    (at as isize + by).rem_euclid(len as isize) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice() -> Choice {
        let paths = ["copy", "msg_zerocopy"].map(|name| LoadPath { name, about: "" });
        Choice::of(paths.into()).expect("paths")
    }

    #[test]
    fn careful_defaults() {
        assert_eq!(
            choice().settings(),
            Ok(LoadSettings {
                path: "msg_zerocopy",
                size: 64 << 10,
                streams: 1,
                duration: Duration::from_secs(10),
                target: LoadTarget::Veth,
            })
        );
        assert!(Choice::of(Vec::new()).is_none());
    }

    #[test]
    fn names_go_round_and_amounts_stop() {
        let mut choice = choice();
        choice.adjust(1);
        assert_eq!(choice.settings().expect("settings").path, "copy");
        for row in [Row::Size, Row::Streams, Row::Duration] {
            choice.select_by(1);
            assert_eq!(choice.selected(), row);
            (0..99).for_each(|_| choice.adjust(1));
        }
        let most = choice.settings().expect("settings");
        assert_eq!((most.size, most.streams, most.duration), (4 << 20, 16, LONGEST_LOAD));
        choice.select_by(isize::MIN);
        (0..3).for_each(|_| choice.select_by(1));
        (0..99).for_each(|_| choice.adjust(-1));
        assert_eq!(choice.settings().expect("settings").duration, Duration::from_secs(2));
        choice.select_by(isize::MAX);
        assert_eq!(choice.selected(), Row::Target);
    }

    #[test]
    fn a_sink_of_ones_own_has_to_be_written() {
        let mut choice = choice();
        choice.select_by(isize::MAX);
        choice.adjust(-1);
        assert!(choice.host.is_open());
        for wrong in ["", "host", "host:", ":5201", "host:0", "host:70000"] {
            choice.host.set(wrong);
            assert!(choice.settings().is_err(), "{wrong:?}");
        }
        for right in ["10.0.0.2:5201", " host:1 ", "[fe80::1]:5201"] {
            choice.host.set(right);
            let target = choice.settings().expect("settings").target;
            assert_eq!(target, LoadTarget::Sink(right.trim().into()));
        }
    }
}
