//! Ends of zero-copy sends: which sends a notification covers, how long the kernel held them, how much of them
//! was copied, and what the application was told.
//!
//! The record of a send lives from its id until its notification is read: accepted, released, queued, read. Each
//! step comes on whatever CPU it likes; `send_state` says which ones have been, and the later one books.
//!
//! One file a step: [`release`] with its parts [`outcome`] and [`settle`], [`queued`], [`told`]; [`landed`] is what
//! follows when a send is over. [`notices`] sees all of it where only tracepoints are. Functions named `zcscope_*`
//! are functions of the object, too, which the verifier checks one by one: the stacks of all that call each other
//! have 512 bytes together, and on the longest way none is left.

mod landed;
mod notices;
mod outcome;
mod queued;
mod release;
mod settle;
mod told;
mod wrong;

use zcscope_common::Path;

pub use self::{
    landed::{accepted, forget_unread, landed},
    notices::{consumed, error_report, overdue},
    release::callback,
    told::dequeued,
};
use crate::config::conf;

const PATH: u32 = Path::MsgZerocopy as u32;
/// No notification covers more sends whose records are kept.
const MOST_SENDS: u32 = 1 << 16;

/// True when the filter wants sends of `MSG_ZEROCOPY`.
#[inline(always)]
fn path_wanted() -> bool {
    let mask = conf!(filter.path_mask);
    mask == 0 || mask & (1 << PATH) != 0
}

/// True when `id` was taken before the first send seen (`SockEntry::first_send`).
#[inline(always)]
fn before_tracing(id: u32, first: u64) -> bool {
    first == 0 || (id.wrapping_sub(first.wrapping_sub(1) as u32) as i32) < 0
}
