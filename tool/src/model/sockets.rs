//! Every socket in detail: the living ones, and the ten thousand that ended last.

use std::collections::VecDeque;
use std::sync::Arc;

use zcscope_common::{Hist, Path};

use super::account::{Account, View};
use super::copies::Row;
use super::distributions::percentiles;
use super::gauges::SocketGauges;
use super::hash::ById;
use super::places::PlaceIds;
use super::sample::SocketSample;
use super::snapshot::{Percentiles, Place, SocketFigures, SocketIdentity};
use super::sparse::SparseHist;

/// Ended sockets kept in detail; older ones stand in their process and in the totals.
pub(super) const MAX_ENDED: usize = 10_000;

/// Samples after its end in which a socket's copy rows may still come.
const GRACE: u64 = 2;

/// Release latency of a socket on one path. Whole histograms of ten thousand sockets would take 33 MB.
#[derive(Clone, Debug)]
struct Release {
    path: Path,
    percentiles: Percentiles,
    durations: Arc<SparseHist>,
}

/// One socket.
#[derive(Clone, Debug)]
pub(super) struct Socket {
    /// Who and where; its figures as of sample `built`.
    figures: Arc<SocketFigures>,
    /// Its counters.
    pub(super) account: Account,
    /// Its copy rows as last seen.
    pub(super) rows: Vec<Row>,
    /// What it holds, once it has sent with notifications.
    pub(super) gauges: Option<SocketGauges>,
    /// Where it lives.
    pub(super) place: PlaceIds,
    /// Release latency per path.
    release: Vec<Release>,
    /// Bytes over all paths.
    bytes: u64,
    /// Sample of the last change.
    changed: u64,
    /// Sample the figures were built for.
    built: u64,
}

impl Socket {
    fn new(sample: &SocketSample) -> Self {
        let identity = SocketIdentity {
            id: sample.id,
            cookie: sample.cookie,
            pid: sample.pid,
            comm: sample.comm.clone(),
            local: sample.local,
            remote: sample.remote,
            dev: sample.dev.clone(),
            uid: sample.uid,
            place: Place::default(),
        };
        let figures =
            SocketFigures { identity: Arc::new(identity), gauges: None, alive: true, paths: Vec::new() };
        Self {
            figures: Arc::new(figures),
            account: Account::default(),
            rows: Vec::new(),
            gauges: None,
            place: PlaceIds::default(),
            release: Vec::new(),
            bytes: 0,
            changed: 0,
            built: 0,
        }
    }

    /// Process of the socket.
    pub(super) fn pid(&self) -> u32 {
        self.figures.pid
    }

    /// Device of its route.
    pub(super) fn dev(&self) -> Option<&str> {
        self.figures.dev.as_deref()
    }

    /// False once it has ended.
    pub(super) fn alive(&self) -> bool {
        self.figures.alive
    }

    /// True when copy rows of it can come: it asked for zero-copy, or has some.
    fn may_have_copies(&self) -> bool {
        !self.rows.is_empty() || self.account.paths().any(Path::wants_zerocopy)
    }

    /// Something about it changed in sample `tick`.
    pub(super) fn touch(&mut self, tick: u64) {
        self.changed = tick;
        self.bytes = self.account.bytes();
    }

    /// It is routed over another device from sample `tick` on.
    pub(super) fn move_to(&mut self, dev: Option<String>, tick: u64) {
        Arc::make_mut(&mut self.figures).dev = dev;
        self.changed = tick;
    }

    /// Later facts: the cookie appears when somebody asks the kernel for it.
    pub(super) fn learn(&mut self, sample: &SocketSample, tick: u64) {
        if self.figures.cookie.is_none() && sample.cookie.is_some() {
            Arc::make_mut(&mut self.figures).cookie = sample.cookie;
            self.changed = tick;
        }
    }

    /// It lives there, as far as is known in sample `tick`.
    pub(super) fn settle(&mut self, ids: PlaceIds, place: Place, tick: u64) {
        self.place = ids;
        if self.figures.place != place {
            Arc::make_mut(&mut self.figures).place = place;
            self.changed = tick;
        }
    }

    /// Releases measured on a path so far.
    pub(super) fn releases(&self, path: Path) -> u64 {
        self.release
            .iter()
            .find(|release| release.path == path)
            .map_or(0, |release| release.percentiles.count)
    }

    /// Newer release latency.
    pub(super) fn released(&mut self, path: Path, hist: &Hist, tick: u64) {
        let Some(percentiles) = percentiles(hist) else { return };
        let new = Release { path, percentiles, durations: Arc::new(SparseHist::of(hist)) };
        match self.release.iter_mut().find(|release| release.path == path) {
            Some(old) => *old = new,
            None => self.release.push(new),
        }
        self.changed = tick;
    }

    /// Figures built while nothing changed hold until something changes; those with a rate only for one sample.
    fn refresh(&mut self, view: &View<'_>) -> &Arc<SocketFigures> {
        let current = self.built == view.tick || (self.built > 0 && self.changed < self.built);
        if !current {
            let mut paths = self.account.figures(view);
            for release in &self.release {
                let of_path = paths.iter_mut().filter(|figures| figures.path == release.path);
                for completions in of_path.filter_map(|figures| figures.completions.as_mut()) {
                    completions.latency = Some(release.percentiles);
                    completions.release = Some(Arc::clone(&release.durations));
                }
            }
            let gauges = self.gauges.map(|gauges| Box::new(gauges.figures(self.figures.alive, view.known)));
            match Arc::get_mut(&mut self.figures) {
                Some(figures) => (figures.paths, figures.gauges) = (paths, gauges),
                // Somebody still reads those of another moment.
                None => {
                    let SocketFigures { identity, alive, .. } = &*self.figures;
                    let (identity, alive) = (Arc::clone(identity), *alive);
                    self.figures = Arc::new(SocketFigures { identity, gauges, alive, paths });
                }
            }
            self.built = view.tick;
        }
        &self.figures
    }
}

/// Where a socket stands among the others, by what it is sorted by: comparing does not reach for the sockets themselves.
#[derive(Clone, Copy, Debug)]
struct Rank {
    bytes: u64,
    id: u64,
    slot: u32,
}

/// All sockets kept in detail.
#[derive(Clone, Debug, Default)]
pub(super) struct Sockets {
    slots: Vec<Option<Socket>>,
    free: Vec<u32>,
    index: ById<u32>,
    /// Most bytes first as of the last snapshot: nearly sorted the next time.
    order: Vec<Rank>,
    /// Whether a slot stands in `order`, also an empty one.
    listed: Vec<bool>,
    /// Slots of ended sockets with the sample they ended in, oldest first.
    ended: VecDeque<(u64, u32)>,
    /// Slots have been emptied since the last [`Sockets::tidy`].
    emptied: bool,
}

impl Sockets {
    /// The socket with this id.
    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Socket> {
        let slot = *self.index.get(&id)?;
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// Every socket kept.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Socket> {
        self.slots.iter_mut().flatten()
    }

    /// Adds a socket that is not there yet.
    pub(super) fn add(&mut self, sample: &SocketSample) -> Option<&mut Socket> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.listed.push(false);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        self.index.insert(sample.id, slot);
        if let Some(listed) = self.listed.get_mut(slot as usize)
            && !std::mem::replace(listed, true)
        {
            self.order.push(Rank { bytes: 0, id: sample.id, slot });
        }
        let place = self.slots.get_mut(slot as usize)?;
        Some(place.insert(Socket::new(sample)))
    }

    /// Marks a socket as ended in sample `tick`; false when it already was.
    pub(super) fn end(&mut self, id: u64, tick: u64) -> bool {
        let Some(slot) = self.index.get(&id).copied() else { return false };
        let Some(Some(socket)) = self.slots.get_mut(slot as usize) else { return false };
        if !socket.figures.alive {
            return false;
        }
        Arc::make_mut(&mut socket.figures).alive = false;
        socket.changed = tick;
        self.ended.push_back((tick, slot));
        true
    }

    /// Lets go of the detail of the oldest ended sockets beyond the limit. Those that ended just now stay until
    /// their last copy rows have come, if any can come. Called for each that ends: tens of thousands may, in one sample.
    pub(super) fn fold(&mut self, tick: u64) {
        while self.ended.len() > MAX_ENDED {
            let Some((ended, slot)) = self.ended.front().copied() else { break };
            let socket = self.slots.get(slot as usize).and_then(Option::as_ref);
            if ended + GRACE > tick && socket.is_some_and(Socket::may_have_copies) {
                break;
            }
            self.ended.pop_front();
            self.emptied = true;
            if let Some(socket) = self.slots.get_mut(slot as usize).and_then(Option::take) {
                self.index.remove(&socket.figures.id);
            }
            self.free.push(slot);
        }
    }

    /// Takes empty slots out of the order.
    pub(super) fn tidy(&mut self) {
        if std::mem::take(&mut self.emptied) {
            let (slots, listed) = (&self.slots, &mut self.listed);
            self.order.retain(|Rank { slot, .. }| {
                let holds = slots.get(*slot as usize).is_some_and(Option::is_some);
                if let Some(listed) = listed.get_mut(*slot as usize) {
                    *listed = holds;
                }
                holds
            });
        }
    }

    /// The figures of every socket, most bytes first.
    pub(super) fn figures(&mut self, view: &View<'_>) -> Vec<Arc<SocketFigures>> {
        for rank in &mut self.order {
            if let Some(Some(socket)) = self.slots.get_mut(rank.slot as usize) {
                (rank.bytes, rank.id) = (socket.bytes, socket.refresh(view).id);
            }
        }
        self.order.sort_by_key(|rank| (std::cmp::Reverse(rank.bytes), rank.id));
        let socket = |rank: &Rank| self.slots.get(rank.slot as usize)?.as_ref();
        self.order.iter().filter_map(|rank| Some(Arc::clone(&socket(rank)?.figures))).collect()
    }
}
