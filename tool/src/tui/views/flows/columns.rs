//! The columns of the table: what each is sorted by and what it shows.

use std::net::SocketAddr;

use ratatui::style::Style;

use super::subject::{Figure, Subject};
use crate::model::snapshot::SocketFigures;
use crate::tui::table::{Column, figures, hungry, names};
use crate::tui::text;
use crate::tui::totals::Totals;
use crate::tui::views::Scene;
use crate::units;

/// What a column is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum About {
    Group,
    Sockets,
    Pid,
    Name,
    Local,
    Remote,
    Dev,
    Path,
    Way,
    #[default]
    Rate,
    Bytes,
    Copied,
    CopiedBytes,
    Silent,
    Reason,
    Held,
    Pinned,
    Refused,
    RunsIn,
}

/// Columns, and what each is about, in the same order.
pub(super) struct Columns {
    pub(super) table: &'static [Column],
    pub(super) about: &'static [About],
}

/// One row per socket.
pub(super) static FLAT: Columns = Columns {
    table: &[
        figures("pid", 7, 6),
        names("name", 8, 16, 7),
        hungry("local", 13, 47, 2, 2),
        hungry("remote", 13, 47, 2, 5),
        names("dev", 6, 15, 1),
        names("path", 13, 21, 5),
        names("way", 4, 4, 0),
        figures("rate", 11, 9),
        figures("bytes", 8, 3),
        figures("copied", 7, 8),
        figures("cp bytes", 9, 1),
        figures("silent", 8, 2),
        names("top reason", 16, 24, 4),
        figures("held p99", 9, 3),
        figures("pinned", 7, 0),
        figures("refused", 8, 0),
        names("runs in", 16, 32, 0),
    ],
    about: &[
        About::Pid,
        About::Name,
        About::Local,
        About::Remote,
        About::Dev,
        About::Path,
        About::Way,
        About::Rate,
        About::Bytes,
        About::Copied,
        About::CopiedBytes,
        About::Silent,
        About::Reason,
        About::Held,
        About::Pinned,
        About::Refused,
        About::RunsIn,
    ],
};

/// One row per group, and those of its sockets below.
pub(super) static GROUPED: Columns = Columns {
    table: &[
        hungry("flow", 22, 80, 4, 10),
        figures("sockets", 8, 5),
        names("path", 13, 21, 5),
        names("way", 4, 4, 0),
        figures("rate", 11, 9),
        figures("bytes", 8, 4),
        figures("copied", 7, 8),
        figures("cp bytes", 9, 2),
        figures("silent", 8, 3),
        names("top reason", 16, 24, 4),
        figures("held p99", 9, 3),
        figures("pinned", 7, 1),
        figures("refused", 8, 1),
    ],
    about: &[
        About::Group,
        About::Sockets,
        About::Path,
        About::Way,
        About::Rate,
        About::Bytes,
        About::Copied,
        About::CopiedBytes,
        About::Silent,
        About::Reason,
        About::Held,
        About::Pinned,
        About::Refused,
    ],
};

impl Columns {
    /// The column after this one, for the key that sorts.
    pub(super) fn after(&self, about: About) -> About {
        let at = self.about.iter().position(|a| *a == about).map_or(0, |at| at + 1);
        self.about[at % self.about.len()]
    }

    /// The heading of a column; empty when it is not in this table.
    pub(super) fn title(&self, about: About) -> &'static str {
        let at = self.about.iter().position(|a| *a == about);
        at.and_then(|at| self.table.get(at)).map_or("", |column| column.title)
    }
}

/// What rows are ordered by; `None` stands for what is not known, and comes last either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortKey<'a> {
    Number(u64),
    Long(u128, u16),
    Text(&'a str),
}

impl About {
    /// Figures begin with the most, names with the first letter.
    pub(super) const fn descends(self) -> bool {
        !matches!(
            self,
            About::Group
                | About::Pid
                | About::Name
                | About::Local
                | About::Remote
                | About::Dev
                | About::Path
                | About::Way
                | About::Reason
                | About::RunsIn
        )
    }

    /// What a row is ordered by. Groups are named by whoever knows their names.
    pub(super) fn key<'a>(self, subject: &Subject<'a>) -> Option<SortKey<'a>> {
        let socket = || subject.first();
        let number = |n: u64| Some(SortKey::Number(n));
        match self {
            About::Group | About::Name => Some(SortKey::Text(&socket()?.comm)),
            About::Sockets => number(subject.len() as u64),
            About::Pid => number(socket()?.pid.into()),
            About::Local => Some(address(socket()?.local)),
            About::Remote => Some(address(socket()?.remote)),
            About::Dev => Some(SortKey::Text(socket()?.dev.as_deref()?)),
            About::Path => Some(SortKey::Text(subject.main_path()?.0.name())),
            About::Way => Some(SortKey::Text(way(subject))),
            About::Rate => number(subject.bytes_per_s()),
            About::Bytes => number(subject.bytes()),
            About::Copied => {
                let totals = subject.totals();
                share(totals.copied.filter(|_| totals.has_ledger)?, totals.requested)
            }
            About::CopiedBytes => {
                let totals = subject.totals();
                number(totals.copied.filter(|_| totals.has_ledger)?)
            }
            About::Silent => {
                let totals = subject.totals();
                number(totals.silent.filter(|_| totals.has_ledger)?)
            }
            About::Reason => Some(SortKey::Text(subject.top_reason()?.0.name())),
            About::Held => number(subject.held_p99().known()?),
            About::Pinned => number(subject.pinned().known()?),
            About::Refused => number(subject.refused()),
            About::RunsIn => Some(SortKey::Text(place(socket()?)?)),
        }
    }

    /// What a row shows. `text` is the style of what is nothing special.
    pub(super) fn cell(self, scene: Scene<'_>, row: &Row<'_>, width: usize) -> (String, Style) {
        let (theme, subject, text) = (scene.theme, &row.subject, row.style);
        let socket = || subject.first();
        let copied = || theme.copied(row.totals.copied, row.totals.requested).unwrap_or(text);
        let of = |about: fn(&SocketFigures, usize) -> String| {
            socket().map_or_else(String::new, |s| about(s, width))
        };
        let cell = match self {
            About::Group => row.label.text(width),
            About::Sockets if row.group => units::count_short(subject.len() as u64),
            About::Sockets => String::new(),
            About::Pid => of(|s, _| s.pid.to_string()),
            About::Name => of(|s, _| s.comm.clone()),
            About::Local => of(|s, width| text::address(s.local, width)),
            About::Remote => of(|s, width| text::address(s.remote, width)),
            About::Dev => of(|s, _| s.dev.clone().unwrap_or_else(|| units::UNKNOWN.into())),
            About::Path => path(subject, width),
            About::Way => way(subject).into(),
            About::Rate if !subject.alive() => "ended".into(),
            About::Rate => scene.rate(row.totals.bytes_per_s),
            About::Bytes => units::bytes(row.totals.bytes),
            About::Copied => return (row.totals.copied_share(), copied()),
            About::CopiedBytes => return (part(&row.totals, row.totals.copied), copied()),
            About::Silent => {
                let style = if row.totals.silent > Some(0) { theme.alarm } else { text };
                return (part(&row.totals, row.totals.silent), style);
            }
            About::Reason => {
                let reason = subject.top_reason();
                let mark = |inferred| if inferred { "~" } else { "" };
                let name = reason
                    .map_or_else(String::new, |(r, inferred)| format!("{}{}", mark(inferred), r.name()));
                return (name, copied());
            }
            About::Held => figure(subject.held_p99(), units::duration),
            About::Pinned => figure(subject.pinned(), units::count_short),
            About::Refused => {
                let refused = subject.refused();
                let style = if refused > 0 { theme.warn } else { text };
                return (units::count_short(refused), style);
            }
            About::RunsIn => return (of(|s, _| place(s).unwrap_or_default().to_owned()), theme.dim),
        };
        (cell, text)
    }
}

/// One row with what all its cells need.
pub(super) struct Row<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) totals: Totals,
    /// The first column of a grouped table, with its place in the tree.
    pub(super) label: Label,
    pub(super) group: bool,
    pub(super) style: Style,
}

/// The first column of a grouped table: a name, or who it is and whom it talks to.
pub(super) struct Label {
    pub(super) name: String,
    pub(super) remote: Option<SocketAddr>,
}

impl Label {
    /// The port of the remote address is what stays when there is little room.
    fn text(&self, width: usize) -> String {
        match self.remote {
            None => self.name.clone(),
            Some(remote) => {
                let room = width.saturating_sub(text::width(&self.name));
                format!("{}{}", self.name, text::address(remote, room))
            }
        }
    }
}

fn address(address: SocketAddr) -> SortKey<'static> {
    let ip = match address.ip().to_canonical() {
        std::net::IpAddr::V4(ip) => u32::from(ip).into(),
        std::net::IpAddr::V6(ip) => u128::from(ip),
    };
    SortKey::Long(ip, address.port())
}

/// In millionths of the whole; the exact bytes break no tie that a reader could see.
fn share(part: u64, whole: u64) -> Option<SortKey<'static>> {
    let share = (u128::from(part) * 1_000_000).checked_div(whole.into())?;
    Some(SortKey::Number(u64::try_from(share).unwrap_or(u64::MAX)))
}

fn figure(figure: Figure<u64>, show: fn(u64) -> String) -> String {
    match figure {
        Figure::Known(value) => show(value),
        Figure::Unknown => units::UNKNOWN.into(),
        Figure::NotApplicable => units::NOT_APPLICABLE.into(),
    }
}

/// A part of the ledger, where there is one.
fn part(totals: &Totals, bytes: Option<u64>) -> String {
    if totals.has_ledger { units::bytes_or_unknown(bytes) } else { units::NOT_APPLICABLE.into() }
}

/// The path with most bytes, and how many others.
fn path(subject: &Subject<'_>, width: usize) -> String {
    match subject.main_path() {
        None => String::new(),
        Some((main, 0)) => main.name().into(),
        Some((main, others)) => {
            let others = format!("+{others}");
            text::cut(main.name(), width.saturating_sub(others.len())).0 + &others
        }
    }
}

/// Whether it sends or receives; with `+` it does the other as well.
fn way(subject: &Subject<'_>) -> &'static str {
    match (subject.receives(), subject.both_ways()) {
        (false, false) => "out",
        (false, true) => "out+",
        (true, false) => "in",
        (true, true) => "in+",
    }
}

/// Its container, or its network namespace or cgroup.
fn place(socket: &SocketFigures) -> Option<&str> {
    let place = &socket.place;
    // Of a cgroup's path the end tells most.
    let cgroup = place.cgroup.as_deref().and_then(|path| path.rsplit('/').next());
    place.container.as_deref().or(place.netns_name.as_deref()).or(cgroup)
}
