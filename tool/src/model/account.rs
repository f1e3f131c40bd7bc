//! An account: the counters of one subject (all traffic, a process, a socket, a device) per path, with rates.

use zcscope_common::{FlowCounters, Path};

use super::copies::{Growth, Kinds, Seen};
use super::known::Known;
use super::ledger::{self, Sums};
use super::snapshot::{CopyFigures, PathFigures};

/// What turning accounts into figures needs to know.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// Facts known here.
    pub(super) known: &'a Known,
    /// Kinds of copies.
    pub(super) kinds: &'a Kinds,
    /// Number of the latest sample.
    pub(super) tick: u64,
    /// Nanoseconds between the two latest samples.
    pub(super) interval_ns: u64,
}

/// A growing number that remembers its value one sample ago.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    tick: u64,
    before: u64,
}

impl Mark {
    /// Call before the number changes in sample `tick`.
    fn touch(&mut self, tick: u64, value: u64) {
        if self.tick != tick {
            *self = Mark { tick, before: value };
        }
    }

    fn per_second(&self, value: u64, view: &View<'_>) -> u64 {
        if self.tick == view.tick { rate(value.saturating_sub(self.before), view.interval_ns) } else { 0 }
    }
}

/// `amount` in `ns`, per second; 0 when no time has passed.
pub(super) fn rate(amount: u64, ns: u64) -> u64 {
    let per_second = (u128::from(amount) * 1_000_000_000).checked_div(u128::from(ns)).unwrap_or(0);
    u64::try_from(per_second).unwrap_or(u64::MAX)
}

/// Most sockets use one path and know one kind of copy: the first element comes without spare room.
fn make_room<T>(list: &mut Vec<T>) {
    if list.is_empty() {
        list.reserve_exact(1);
    }
}

/// Of most sockets nothing grows but these; all that can be counted takes half a kilobyte, so it is there only where it
/// is not all zeroes.
#[derive(Clone, Debug)]
struct PathAccount {
    path: Path,
    calls: u64,
    bytes: u64,
    timed_calls: u64,
    timed_bytes: u64,
    timed_ns: u64,
    /// All others; those above are 0 in it.
    others: Option<Box<Sums>>,
    mark: Mark,
}

impl PathAccount {
    fn new(path: Path) -> Self {
        Self {
            path,
            calls: 0,
            bytes: 0,
            timed_calls: 0,
            timed_bytes: 0,
            timed_ns: 0,
            others: None,
            mark: Mark::default(),
        }
    }

    fn sums(&self) -> Sums {
        let Self { calls, bytes, timed_calls, timed_bytes, timed_ns, .. } = *self;
        let mut sums = self.others.as_deref().copied().unwrap_or_default();
        sums.c = FlowCounters { calls, bytes, timed_calls, timed_bytes, timed_ns, ..sums.c };
        sums
    }

    fn set(&mut self, mut sums: Sums) {
        let c = &mut sums.c;
        self.calls = std::mem::take(&mut c.calls);
        self.bytes = std::mem::take(&mut c.bytes);
        self.timed_calls = std::mem::take(&mut c.timed_calls);
        self.timed_bytes = std::mem::take(&mut c.timed_bytes);
        self.timed_ns = std::mem::take(&mut c.timed_ns);
        match &mut self.others {
            Some(others) => **others = sums,
            None if sums == Sums::default() => {}
            None => self.others = Some(Box::new(sums)),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct CopyAccount {
    count: u64,
    bytes: u64,
    mark: Mark,
    seen: Seen,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    /// In the order of [`Path`].
    paths: Vec<PathAccount>,
    /// By path and number of the kind, in that order.
    copies: Vec<((Path, u32), CopyAccount)>,
}

impl Account {
    /// What stands on a path so far.
    pub(super) fn sums(&self, path: Path) -> Option<Sums> {
        self.of(path).map(PathAccount::sums)
    }

    /// Calls and bytes of a path so far.
    pub(super) fn calls_and_bytes(&self, path: Path) -> (u64, u64) {
        self.of(path).map_or((0, 0), |p| (p.calls, p.bytes))
    }

    fn of(&self, path: Path) -> Option<&PathAccount> {
        self.paths.iter().find(|p| p.path == path)
    }

    /// Bytes over all paths.
    pub(super) fn bytes(&self) -> u64 {
        self.paths.iter().map(|p| p.bytes).sum()
    }

    /// Every path.
    pub(super) fn paths(&self) -> impl Iterator<Item = Path> {
        self.paths.iter().map(|p| p.path)
    }

    /// Every path with its sums.
    pub(super) fn flows(&self) -> impl Iterator<Item = (Path, Sums)> {
        self.paths.iter().map(|p| (p.path, p.sums()))
    }

    /// Bytes of one path per second over the latest interval.
    pub(super) fn rates(&self, view: &View<'_>) -> impl Iterator<Item = (Path, u64)> {
        self.paths.iter().map(move |p| (p.path, p.mark.per_second(p.bytes, view)))
    }

    /// One part of this account went from `old` to `new` in sample `tick`.
    pub(super) fn flow(&mut self, tick: u64, path: Path, old: &Sums, new: &Sums) {
        let account = self.path_mut(path);
        account.mark.touch(tick, account.bytes);
        let mut sums = account.sums();
        sums.replace(old, new);
        account.set(sums);
    }

    /// Plain calls were made on a path in sample `tick`.
    pub(super) fn plain(&mut self, tick: u64, path: Path, calls: u64, bytes: u64) {
        let account = self.path_mut(path);
        account.mark.touch(tick, account.bytes);
        account.calls += calls;
        account.bytes += bytes;
    }

    /// Copy events grew in sample `tick`.
    pub(super) fn copied(&mut self, tick: u64, growth: Growth) {
        self.path_mut(growth.path);
        let key = (growth.path, growth.kind);
        let at = self.copies.binary_search_by_key(&key, |(key, _)| *key).unwrap_or_else(|at| {
            make_room(&mut self.copies);
            self.copies.insert(at, (key, CopyAccount { seen: growth.seen, ..CopyAccount::default() }));
            at
        });
        let account = &mut self.copies[at].1;
        account.mark.touch(tick, account.bytes);
        account.count += growth.count;
        account.bytes += growth.bytes;
        account.seen = account.seen.and(growth.seen);
    }

    fn path_mut(&mut self, path: Path) -> &mut PathAccount {
        let at = match self.paths.binary_search_by_key(&path, |p| p.path) {
            Ok(at) => at,
            Err(at) => {
                make_room(&mut self.paths);
                self.paths.insert(at, PathAccount::new(path));
                at
            }
        };
        &mut self.paths[at]
    }

    /// The figures per path, in table order.
    pub(super) fn figures(&self, view: &View<'_>) -> Vec<PathFigures> {
        self.paths.iter().map(|p| self.path_figures(p, view)).collect()
    }

    fn path_figures(&self, account: &PathAccount, view: &View<'_>) -> PathFigures {
        let (path, known) = (account.path, view.known);
        let zerocopy = path.wants_zerocopy();
        if !zerocopy && account.others.is_none() {
            return self.plain_figures(account, view);
        }
        let sums = &account.sums();
        PathFigures {
            path,
            calls: sums.c.calls,
            errors: ledger::errors(path, sums),
            bytes: sums.c.bytes,
            bytes_per_s: account.mark.per_second(sums.c.bytes, view),
            attached_bytes: (zerocopy && (known.attach || path.receives())).then_some(sums.c.attached_bytes),
            frags: (zerocopy && known.frags_of(path)).then_some(sums.c.frags),
            pages: (zerocopy && known.frags_of(path)).then_some(sums.c.pages),
            notes: ledger::notes(path, sums, known),
            skip_hint_bytes: (path == Path::RecvZerocopy).then_some(sums.c.skip_hint_bytes),
            ledger: ledger::ledger(path, sums, known),
            copies: self.copy_figures(path, view),
            refused: ledger::refused(sums, known),
            completions: ledger::completions(path, sums, known).map(Box::new),
            in_flight: ledger::in_flight(path, sums, known),
            send_ns_per_kib: ledger::ns_per_kib(sums.c.timed_bytes, sums.c.timed_ns, known),
            // Distributions are kept per path only.
            ..PathFigures::nothing(path)
        }
    }

    /// The same of a path that never asked for zero-copy and on which nothing failed: there are thousands of them.
    fn plain_figures(&self, account: &PathAccount, view: &View<'_>) -> PathFigures {
        let PathAccount { path, calls, bytes, timed_bytes, timed_ns, .. } = *account;
        PathFigures {
            calls,
            bytes,
            bytes_per_s: account.mark.per_second(bytes, view),
            copies: self.copy_figures(path, view),
            send_ns_per_kib: ledger::ns_per_kib(timed_bytes, timed_ns, view.known),
            ..PathFigures::nothing(path)
        }
    }

    fn copy_figures(&self, path: Path, view: &View<'_>) -> Vec<CopyFigures> {
        let mut figures: Vec<_> = self
            .copies
            .iter()
            .filter(|((of, _), _)| *of == path)
            .filter_map(|((_, kind), account)| {
                Some(CopyFigures {
                    kind: view.kinds.get(*kind)?.clone(),
                    count: account.count,
                    bytes: account.bytes,
                    bytes_per_s: account.mark.per_second(account.bytes, view),
                    first_ns: account.seen.first_ns,
                    last_ns: account.seen.last_ns,
                })
            })
            .collect();
        figures.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.kind.cmp(&b.kind)));
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::Session;
    use super::*;

    #[test]
    fn a_plain_path_has_the_same_figures_either_way() {
        let (known, kinds) = (Known::of(&Session::default()), Kinds::default());
        let view = View { known: &known, kinds: &kinds, tick: 3, interval_ns: 500_000_000 };
        let c = FlowCounters {
            calls: 7,
            bytes: 4_096,
            timed_calls: 2,
            timed_bytes: 2_048,
            timed_ns: 900,
            ..FlowCounters::default()
        };
        for path in Path::ALL.iter().copied().filter(|path| !path.wants_zerocopy()) {
            let mut account = Account::default();
            account.flow(3, path, &Sums::default(), &Sums::of_socket(path, &c));
            assert!(account.paths[0].others.is_none());
            let short = account.figures(&view);
            account.paths[0].others = Some(Box::default());
            assert_eq!((short[0].bytes_per_s, &short), (8_192, &account.figures(&view)));
        }
    }
}
