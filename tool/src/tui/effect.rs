//! What the screen's own state cannot do itself: it asks, the loop does it.

use super::app::App;
use super::generator::{Generator, LoadSettings};
use super::shown::Shown;
use crate::model::snapshot::Snapshot;

/// Something for the loop to do, in the order asked for.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// Move the cursor in time, or change how time goes.
    Time(TimeMove),
    /// Give this text to the terminal's clipboard; `what` is its name in the answer, as in "row".
    Copy { what: String, text: String },
    /// The same with the screen as it is drawn.
    CopyScreen,
    /// Save what is shown.
    Save,
    /// Begin or end a recording.
    Record,
    /// Start a load.
    StartLoad(LoadSettings),
    /// End the load that runs.
    StopLoad,
    /// Show this line for some seconds.
    Say(String),
    /// Draw everything anew.
    Redraw,
    /// Hand the terminal back to the shell until it is wanted again.
    Suspend,
    /// Look into the past: hand each snapshot nearest at or before these times (ns since tracing began, ascending) to
    /// `each`. Times of which nothing is kept are left out.
    #[allow(dead_code, reason = "asked by pages that show the past of one row")]
    Recall { times_ns: Vec<u64>, each: fn(&mut App, &Snapshot) },
}

/// A move of the cursor in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeMove {
    /// Stand still, or go on.
    Toggle,
    /// By so many ns.
    By(i64),
    /// To this moment, ns since tracing began.
    #[allow(dead_code, reason = "asked by views that list moments")]
    To(u64),
    /// By so many snapshots.
    Frames(isize),
    /// To the newest; live, follow it.
    Newest,
    /// To the oldest.
    Oldest,
    /// A recording: so many speeds up or down.
    Speed(isize),
    /// Count from here on, or from the begin of tracing again.
    Mark,
}

/// A line that says what came of an effect; shown for some seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Toast {
    /// One line.
    pub(super) text: String,
    /// True when it did not work.
    pub(super) failed: bool,
}

/// What the screen can ask of its program. Every answer is one sentence, shown for some seconds.
pub trait Actions {
    /// Saves what is shown, and says where.
    ///
    /// # Errors
    /// It cannot be written.
    fn save(&mut self, shown: &Shown) -> anyhow::Result<String> {
        let _ = shown;
        anyhow::bail!("nothing can be saved here")
    }

    /// Begins a recording, or ends the one that runs, and says which.
    ///
    /// # Errors
    /// It cannot be begun or ended.
    fn record(&mut self) -> anyhow::Result<String> {
        anyhow::bail!("nothing can be recorded here")
    }

    /// Sees every snapshot of a live source, also while the screen is frozen.
    fn observe(&mut self, snapshot: &Snapshot) {
        let _ = snapshot;
    }

    /// What a running recording has written, in few words for the header; `None` when none runs.
    fn recording(&self) -> Option<String> {
        None
    }

    /// The load generator; `None` where nothing can be started, as in a recording.
    fn generator(&mut self) -> Option<&mut dyn Generator> {
        None
    }
}

/// A program that can do nothing for the screen.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoActions;

impl Actions for NoActions {}
