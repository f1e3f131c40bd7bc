//! Which CPU each sending thread runs on.
//!
//! The kernel handles a flow's acknowledgements on one CPU (`SO_INCOMING_CPU`): where the device's receive queue
//! interrupts, or where RPS or RFS steers them. Sending from the same CPU saves moving cache lines, sending from
//! another one lets both work at once; so it is told which one was measured.

use std::io;
use std::str::FromStr;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use socket2::Socket;

/// Where sending threads run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Wherever the scheduler puts them.
    Free,
    /// Thread `n` stays on the `n`-th allowed CPU, starting over when there are more threads.
    #[default]
    Spread,
    /// The same over these CPUs.
    Cpus(Vec<usize>),
    /// On the CPU that handles the flow's acknowledgements.
    SameCore,
    /// On the next allowed CPU that does not.
    OtherCore,
}

impl Placement {
    /// Name in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Placement::Free => "free",
            Placement::Spread => "spread",
            Placement::Cpus(_) => "cpus",
            Placement::SameCore => "same_core",
            Placement::OtherCore => "other_core",
        }
    }

    /// The CPU of thread `index`, when it does not depend on the flow.
    pub(super) fn fixed(&self, index: usize, allowed: &[usize]) -> Option<usize> {
        let from = match self {
            Placement::Spread => allowed,
            Placement::Cpus(list) => list,
            Placement::Free | Placement::SameCore | Placement::OtherCore => return None,
        };
        (!from.is_empty()).then(|| from[index % from.len()])
    }

    /// The CPU of thread `index`, when the flow's acknowledgements are handled on `incoming`.
    pub(super) fn relative(&self, incoming: usize, index: usize, allowed: &[usize]) -> Option<usize> {
        match self {
            Placement::SameCore => allowed.contains(&incoming).then_some(incoming),
            Placement::OtherCore => {
                let others: Vec<usize> = allowed.iter().copied().filter(|cpu| *cpu != incoming).collect();
                let after = others.iter().position(|cpu| *cpu > incoming).unwrap_or(0);
                (!others.is_empty()).then(|| others[(after + index) % others.len()])
            }
            Placement::Free | Placement::Spread | Placement::Cpus(_) => None,
        }
    }
}

/// A list of CPUs as people write it: `0,2-3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(pub Vec<usize>);

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a list of CPUs; write for example 0,2-3");
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.trim().parse().map_err(|_| wrong())?;
            let last: usize = last.trim().parse().map_err(|_| wrong())?;
            if first > last || last >= CpuSet::count() {
                return Err(wrong());
            }
            cpus.extend(first..=last);
        }
        Ok(Self(cpus))
    }
}

/// The CPUs this process may use; empty when that is not known.
#[must_use]
pub fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect()
}

/// Keeps the calling thread on `cpu`.
pub(super) fn stay_on(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// The CPU that last handled packets of `socket`, as a rule acknowledgements.
pub(super) fn incoming_cpu(socket: &Socket) -> Option<usize> {
    // The kernel says -1 before anything has come in.
    socket.cpu_affinity().ok().filter(|cpu| *cpu < CpuSet::count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!("0".parse(), Ok(CpuList(vec![0])));
        assert_eq!("0,2-4,1".parse(), Ok(CpuList(vec![0, 2, 3, 4, 1])));
        for text in ["", "x", "3-1", "1-", "0,,1", "99999999"] {
            assert!(text.parse::<CpuList>().unwrap_err().contains("not a list of CPUs"), "{text}");
        }
    }

    #[test]
    fn threads_take_turns() {
        let on = |p: &Placement, index| p.fixed(index, &[0, 1]);
        assert_eq!([0, 1, 2].map(|i| on(&Placement::Spread, i)), [Some(0), Some(1), Some(0)]);
        assert_eq!(on(&Placement::Cpus(vec![3]), 5), Some(3));
        assert_eq!(on(&Placement::Free, 0), None);
        assert_eq!(Placement::Spread.fixed(0, &[]), None, "unknown CPUs pin nobody");
    }

    #[test]
    fn same_and_other_follow_the_flow() {
        let allowed = [0, 1, 2, 3];
        assert_eq!(Placement::SameCore.relative(2, 0, &allowed), Some(2));
        assert_eq!(Placement::SameCore.relative(7, 0, &allowed), None, "not a CPU of ours");
        let other = |incoming, index| Placement::OtherCore.relative(incoming, index, &allowed);
        assert_eq!(
            [other(2, 0), other(2, 1), other(2, 2), other(3, 0)],
            [Some(3), Some(0), Some(1), Some(0)]
        );
        assert_eq!(Placement::OtherCore.relative(0, 0, &[0]), None, "there is no other");
    }
}
