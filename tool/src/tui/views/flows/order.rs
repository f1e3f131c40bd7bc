//! The rows in their order: groups, and below the open ones their members. Groups are ordered once a frame, members only
//! where they are looked at: ten thousand sockets cost what ten do, but for one pass over them.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use super::columns::{About, SortKey};
use super::group::{Group, Grouping, Key, Listing};
use super::subject::{Member, Subject};
use crate::model::snapshot::SocketFigures;
use crate::tui::order;

/// The order of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) by: About,
    /// The other way round than the column begins with.
    pub(super) reverse: bool,
}

impl Sort {
    pub(super) const fn descends(self) -> bool {
        self.by.descends() != self.reverse
    }
}

/// What stands on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The group at this place of the listing.
    Group(usize),
    /// That group's member at this place in it; true for the last one shown.
    Member(usize, usize, bool),
}

/// Who stands on a row, whatever its place: the cursor stays with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RowId {
    Group(Key),
    /// A socket by zcscope's number, in a group.
    Socket(Key, u64),
}

/// What a row is ordered by, and what settles ties: the same row after row, frame after frame.
type Ranked<'a> = (Option<SortKey<'a>>, u64);

/// See the module.
pub(super) struct Rows<'a> {
    sockets: &'a [Arc<SocketFigures>],
    listing: &'a Listing,
    sort: Sort,
    /// Groups in their order: place in the listing, its first row, and its rows.
    order: Vec<(usize, usize, usize)>,
    len: usize,
}

impl<'a> Rows<'a> {
    /// `open` says whether a group's members are shown.
    pub(super) fn new(
        sockets: &'a [Arc<SocketFigures>],
        listing: &'a Listing,
        sort: Sort,
        open: impl Fn(&Key) -> bool,
    ) -> Self {
        let mut rows = Self { sockets, listing, sort, order: Vec::new(), len: 0 };
        for at in rows.ordered_groups() {
            let group = &listing.groups[at];
            let members = group.members.len();
            let count = match (rows.flat(), open(&group.key)) {
                (true, _) => members,
                (false, true) => members + 1,
                (false, false) => 1,
            };
            rows.order.push((at, rows.len, count));
            rows.len += count;
        }
        rows
    }

    /// True when there are no groups to head the rows.
    pub(super) fn flat(&self) -> bool {
        self.listing.grouping == Grouping::Sockets
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn group(&self, at: usize) -> &'a Group {
        &self.listing.groups[at]
    }

    /// A group's name on screen, and who it is.
    pub(super) fn label(&self, at: usize) -> (String, &'a Key) {
        (self.group(at).label(self.sockets), &self.group(at).key)
    }

    fn ordered_groups(&self) -> Vec<usize> {
        let groups = &self.listing.groups;
        let labels: Vec<String> = match self.sort.by {
            About::Group => groups.iter().map(|group| group.label(self.sockets)).collect(),
            _ => Vec::new(),
        };
        let mut keys: Vec<(Option<SortKey<'_>>, &Key, usize)> = groups
            .iter()
            .enumerate()
            .map(|(at, group)| {
                let key = match labels.get(at) {
                    Some(label) => Some(SortKey::Text(label)),
                    None => self.sort.by.key(&Subject::of(self.sockets, &group.members)),
                };
                (key, &group.key, at)
            })
            .collect();
        keys.sort_unstable_by(|a, b| self.compare(&a.0, &b.0).then_with(|| a.1.cmp(b.1)));
        keys.into_iter().map(|(.., at)| at).collect()
    }

    /// What is not known comes last either way.
    fn compare(&self, a: &Option<SortKey<'_>>, b: &Option<SortKey<'_>>) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) if self.sort.descends() => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            (a, b) => Reverse(a.is_some()).cmp(&Reverse(b.is_some())),
        }
    }

    fn ranked(&self, member: &'a Member) -> Ranked<'a> {
        let subject = Subject::of(self.sockets, std::slice::from_ref(member));
        (self.sort.by.key(&subject), subject.first().map_or(0, |socket| socket.id))
    }

    fn compare_ranked(&self, a: &Ranked<'_>, b: &Ranked<'_>) -> Ordering {
        self.compare(&a.0, &b.0).then_with(|| a.1.cmp(&b.1))
    }

    /// Members `first..first + count` of a group in their order, by their place in it, in time linear in their number.
    fn members(&self, group: &'a Group, first: usize, count: usize) -> Vec<usize> {
        let members = group.members.iter().enumerate();
        let keys: Vec<(Ranked<'_>, usize)> = members.map(|(at, m)| (self.ranked(m), at)).collect();
        let shown = order::visible_by(keys, first, count, |a, b| self.compare_ranked(&a.0, &b.0));
        shown.into_iter().map(|(_, member)| member).collect()
    }

    /// What stands on rows `first..first + count`.
    pub(super) fn window(&self, first: usize, count: usize) -> Vec<Place> {
        let end = first.saturating_add(count).min(self.len);
        let begin = self.order.partition_point(|(_, start, rows)| start + rows <= first);
        let mut places = Vec::with_capacity(end.saturating_sub(first));
        for (at, start, rows) in &self.order[begin.min(self.order.len())..] {
            if *start >= end {
                break;
            }
            let (from, to) = (first.max(*start) - start, (end - start).min(*rows));
            self.part(*at, from, to, &mut places);
        }
        places
    }

    /// Rows `from..to` of one group.
    fn part(&self, at: usize, from: usize, to: usize, places: &mut Vec<Place>) {
        let group = self.group(at);
        let head = usize::from(!self.flat());
        if from < head {
            places.push(Place::Group(at));
        }
        let (from, to) = (from.saturating_sub(head), to.saturating_sub(head));
        if from < to {
            for (i, member) in self.members(group, from, to - from).into_iter().enumerate() {
                places.push(Place::Member(at, member, from + i + 1 == group.members.len()));
            }
        }
    }

    /// What stands on a row, to ask for its figures.
    pub(super) fn subject(&self, place: Place) -> Subject<'a> {
        let members = match place {
            Place::Group(at) => self.group(at).members.as_slice(),
            Place::Member(at, member, _) => std::slice::from_ref(&self.group(at).members[member]),
        };
        Subject::of(self.sockets, members)
    }

    /// Who stands on this row.
    pub(super) fn id(&self, row: usize) -> Option<RowId> {
        Some(self.id_of(*self.window(row, 1).first()?))
    }

    pub(super) fn id_of(&self, place: Place) -> RowId {
        match place {
            Place::Group(at) => RowId::Group(self.group(at).key.clone()),
            Place::Member(at, ..) => {
                let id = self.subject(place).first().map_or(0, |socket| socket.id);
                RowId::Socket(self.group(at).key.clone(), id)
            }
        }
    }

    /// The row somebody stands on; a member of a closed group stands on the group's.
    pub(super) fn row_of(&self, id: &RowId) -> Option<usize> {
        let (RowId::Group(key) | RowId::Socket(key, _)) = id;
        let (at, start, rows) = self.order.iter().find(|(at, ..)| self.group(*at).key == *key)?;
        let RowId::Socket(_, wanted) = id else { return Some(*start) };
        let group = self.group(*at);
        let head = usize::from(!self.flat());
        if *rows <= head {
            return Some(*start);
        }
        let is_it = |m: &&Member| self.sockets.get(m.socket as usize).is_some_and(|s| s.id == *wanted);
        let mine = self.ranked(group.members.iter().find(is_it)?);
        let before = |m: &&Member| self.compare_ranked(&self.ranked(m), &mine) == Ordering::Less;
        Some(start + head + group.members.iter().filter(before).count())
    }
}
