//! What the view remembers, and how keys change it.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;

use super::group::{Grouping, Key, Listing};
use super::order::{RowId, Rows, Sort};
use super::page::{Of, Page};
use super::{columns, columns::Columns};
use crate::query::{self, Query};
use crate::tui::app::Scroll;
use crate::tui::shown::Shown;
use crate::tui::views::input::Input;

/// What a listing was made of. The same again means the same listing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    at_ns: u64,
    sockets: usize,
    list: usize,
    grouping: Grouping,
    filter: String,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct State {
    pub(super) grouping: Grouping,
    /// Groups are open unless they were folded; otherwise closed unless they were unfolded.
    pub(super) tree: bool,
    turned: HashSet<Key>,
    pub(super) sort: Sort,
    /// Where the cursor stands; `None` is the first row, whoever that is.
    cursor: Option<RowId>,
    /// The row it stood on last: where it stays when who stood there is gone.
    last_row: Cell<usize>,
    /// The first visible row.
    first: Cell<usize>,
    pub(super) input: Input,
    /// The last text that was a filter.
    pub(super) query: Query,
    /// Why the text at hand is none.
    pub(super) error: Option<query::Error>,
    /// Where the page about filters is scrolled to.
    pub(super) reference: Scroll,
    pub(super) page: Option<Page>,
    kept: RefCell<Option<(Made, Arc<Listing>)>>,
}

impl State {
    pub(super) const fn columns(&self) -> &'static Columns {
        match self.grouping {
            Grouping::Sockets => &columns::FLAT,
            _ => &columns::GROUPED,
        }
    }

    /// What passes the filter, in groups; made anew only when something changed.
    pub(super) fn listing(&self, shown: &Shown) -> Arc<Listing> {
        let sockets = &shown.snapshot.sockets;
        let made = Made {
            at_ns: shown.snapshot.duration_ns,
            sockets: sockets.as_ptr() as usize,
            list: sockets.len(),
            grouping: self.grouping,
            filter: self.query.text().to_owned(),
        };
        let mut kept = self.kept.borrow_mut();
        if let Some((of, listing)) = kept.as_ref()
            && *of == made
        {
            return Arc::clone(listing);
        }
        let listing = Arc::new(Listing::build(sockets, &self.query, self.grouping));
        *kept = Some((made, Arc::clone(&listing)));
        listing
    }

    pub(super) fn is_open(&self, key: &Key) -> bool {
        self.tree != self.turned.contains(key)
    }

    pub(super) fn rows<'a>(&self, shown: &'a Shown, listing: &'a Listing) -> Rows<'a> {
        Rows::new(&shown.snapshot.sockets, listing, self.sort, |key| self.is_open(key))
    }

    /// The row of the cursor.
    pub(super) fn row(&self, rows: &Rows<'_>) -> usize {
        let row = match &self.cursor {
            None => 0,
            Some(id) => rows.row_of(id).unwrap_or(self.last_row.get()),
        };
        let row = row.min(rows.len().saturating_sub(1));
        self.last_row.set(row);
        row
    }

    /// The first visible row when `visible` fit and the cursor must be among them.
    pub(super) fn first(&self, row: usize, rows: usize, visible: usize) -> usize {
        let lowest = (row + 1).saturating_sub(visible.max(1));
        let first = self.first.get().clamp(lowest, row.max(lowest)).min(rows.saturating_sub(visible));
        self.first.set(first);
        first
    }

    /// Who the cursor stands on.
    pub(super) fn current(&self, shown: &Shown) -> Option<RowId> {
        let listing = self.listing(shown);
        let rows = self.rows(shown, &listing);
        rows.id(self.row(&rows))
    }

    /// Moves the cursor; to the first row means to stay there, whoever comes to stand on it.
    pub(super) fn scroll(&mut self, shown: &Shown, by: isize) {
        let listing = self.listing(shown);
        let rows = self.rows(shown, &listing);
        self.stand(&rows, self.row(&rows).saturating_add_signed(by));
    }

    /// Puts the cursor on a row.
    pub(super) fn stand(&mut self, rows: &Rows<'_>, row: usize) {
        let row = row.min(rows.len().saturating_sub(1));
        self.cursor = if row == 0 { None } else { rows.id(row) };
    }

    /// Puts the cursor on a row; true when it stood there already.
    pub(super) fn pick(&mut self, shown: &Shown, row: usize) -> bool {
        let listing = self.listing(shown);
        let rows = self.rows(shown, &listing);
        let there = self.row(&rows) == row;
        self.stand(&rows, row);
        there
    }

    /// Folds or unfolds the group at the cursor. Folding a member folds its group.
    pub(super) fn fold(&mut self, shown: &Shown, open: bool) -> bool {
        if self.grouping == Grouping::Sockets {
            return false;
        }
        let Some(current) = self.current(shown) else { return true };
        let (RowId::Group(key) | RowId::Socket(key, _)) = current.clone();
        if self.is_open(&key) != open {
            self.turn(&key);
            self.cursor = Some(RowId::Group(key));
        } else if open && matches!(current, RowId::Group(_)) {
            self.scroll(shown, 1);
        }
        true
    }

    pub(super) fn turn(&mut self, key: &Key) {
        if !self.turned.remove(key) {
            self.turned.insert(key.clone());
        }
    }

    /// All groups open, or all closed.
    pub(super) fn turn_all(&mut self) {
        self.tree = !self.tree;
        self.turned.clear();
    }

    pub(super) fn next_grouping(&mut self) {
        self.grouping = self.grouping.next();
        self.turned.clear();
        self.cursor = None;
        if self.columns().title(self.sort.by).is_empty() {
            self.sort = Sort::default();
        }
    }

    /// The text of the line is another one.
    pub(super) fn typed(&mut self) {
        match Query::parse(self.input.text()) {
            Ok(query) => (self.query, self.error) = (query, None),
            Err(error) => self.error = Some(error),
        }
    }

    /// Enter: a text that is no filter gives way to the last one that was.
    pub(super) fn accept(&mut self) {
        if self.error.take().is_some() {
            let text = self.query.text().to_owned();
            self.input.set(&text);
        }
    }

    /// Puts what can stand at the cursor there, as far as there is only one way on.
    pub(super) fn complete(&mut self) {
        let text = self.input.text();
        let found = query::complete(text, self.input.cursor());
        let Some(more) = common(&found.words) else { return };
        if let (Some(before), Some(behind)) = (text.get(..found.at.start), text.get(found.at.end..)) {
            let whole = format!("{before}{more}{behind}");
            self.input.set(&whole);
            self.typed();
        }
    }

    pub(super) fn clear_filter(&mut self) -> bool {
        let active = !self.query.is_empty();
        self.input.set("");
        self.typed();
        active
    }

    /// Opens the page of whoever the cursor stands on; a group without a page is unfolded.
    pub(super) fn open(&mut self, shown: &Shown) {
        match self.current(shown) {
            Some(RowId::Socket(_, id)) => self.page = Some(Page::new(Of::Socket(id))),
            Some(RowId::Group(Key::Process(pid))) => self.page = Some(Page::new(Of::Process(pid))),
            Some(RowId::Group(key)) => self.turn(&key),
            None => {}
        }
    }
}

/// The longest begin all words share.
fn common(words: &[String]) -> Option<String> {
    let (first, others) = words.split_first()?;
    let mut shared = first.as_str();
    for word in others {
        let same = shared.char_indices().zip(word.chars()).find(|((_, a), b)| a != b);
        let end = same.map_or(shared.len().min(word.len()), |((at, _), _)| at);
        shared = &shared[..end];
    }
    Some(shared.to_owned())
}
