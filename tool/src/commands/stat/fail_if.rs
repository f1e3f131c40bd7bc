//! `--fail-if`: a verdict for CI. `FIGURE OP VALUE`, over all send paths that were traced.

use crate::commands::Failure;
use crate::model::snapshot::{Ledger, PathFigures, Snapshot};
use crate::units::{bytes, percent};

/// A figure a check can name.
#[derive(Debug)]
struct Figure {
    name: &'static str,
    /// Bytes may be given with a unit.
    in_bytes: bool,
    /// The facts it rests on, to say why it is not known.
    facts: &'static [&'static str],
    value: Of<Snapshot>,
    /// What 100 % is, with its name; without it the figure has no share.
    whole: Option<(&'static str, Of<Snapshot>)>,
}

/// Reads a figure; `None` when it is not known.
type Of<T> = fn(&T) -> Option<u64>;
/// Compares a figure with a limit.
type Compare = fn(f64, f64) -> bool;

/// A verdict is about what was sent: receive paths have figures of their own.
fn sends(snapshot: &Snapshot) -> impl Iterator<Item = &PathFigures> {
    snapshot.paths.iter().filter(|p| !p.path.receives())
}

fn over_ledgers(snapshot: &Snapshot, of: Of<Ledger>) -> Option<u64> {
    sends(snapshot).filter_map(|p| p.ledger.as_ref()).map(of).sum()
}

fn over_paths(snapshot: &Snapshot, of: Of<PathFigures>) -> Option<u64> {
    sends(snapshot).map(of).sum()
}

/// Over the paths whose ends the application is told of.
fn over_completions(snapshot: &Snapshot, of: Of<PathFigures>) -> Option<u64> {
    snapshot.paths.iter().filter(|p| p.path.has_completion()).map(of).sum()
}

fn requested(s: &Snapshot) -> Option<u64> {
    over_ledgers(s, |l| Some(l.requested_bytes))
}

fn calls(s: &Snapshot) -> Option<u64> {
    over_paths(s, |p| Some(p.calls))
}

fn told_sends(s: &Snapshot) -> Option<u64> {
    over_completions(s, |p| p.completions.as_ref()?.told_sends)
}

const REQUESTED: Option<(&str, Of<Snapshot>)> = Some(("bytes requested without a copy", requested));
const COPY_FACTS: &[&str] = &["copy", "completion", "uring_completion"];

/// Every figure there is.
static FIGURES: [Figure; 11] = [
    Figure {
        name: "copied",
        in_bytes: true,
        facts: COPY_FACTS,
        value: |s| over_ledgers(s, |l| l.copied_bytes),
        whole: REQUESTED,
    },
    Figure {
        name: "zerocopied",
        in_bytes: true,
        facts: COPY_FACTS,
        value: |s| over_ledgers(s, |l| l.zerocopied_bytes),
        whole: REQUESTED,
    },
    Figure {
        name: "silent",
        in_bytes: true,
        facts: COPY_FACTS,
        value: |s| over_ledgers(s, |l| l.silent_copied_bytes),
        whole: REQUESTED,
    },
    Figure {
        name: "clone",
        in_bytes: true,
        facts: COPY_FACTS,
        value: |s| over_ledgers(s, |l| l.clone_copied_bytes),
        whole: REQUESTED,
    },
    Figure { name: "requested", in_bytes: true, facts: &[], value: requested, whole: None },
    Figure {
        name: "in_flight",
        in_bytes: true,
        facts: &["completion", "uring_completion"],
        value: |s| over_completions(s, |p| Some(p.in_flight?.bytes)),
        whole: REQUESTED,
    },
    Figure {
        name: "bytes",
        in_bytes: true,
        facts: &[],
        value: |s| over_paths(s, |p| Some(p.bytes)),
        whole: None,
    },
    Figure { name: "calls", in_bytes: false, facts: &[], value: calls, whole: None },
    Figure {
        name: "errors",
        in_bytes: false,
        facts: &[],
        value: |s| over_paths(s, |p| Some(p.errors.values().sum())),
        whole: Some(("calls", calls)),
    },
    Figure {
        name: "told_copied",
        in_bytes: false,
        facts: &["told", "completion", "uring_completion"],
        value: |s| over_completions(s, |p| p.completions.as_ref()?.told_copied),
        whole: Some(("sends told of", told_sends)),
    },
    Figure { name: "lost", in_bytes: false, facts: &[], value: |s| Some(s.lost.total), whole: None },
];

/// Longer ones first, so that `>=` is not read as `>`.
static OPERATORS: [(&str, Compare); 4] =
    [(">=", |a, b| a >= b), ("<=", |a, b| a <= b), (">", |a, b| a > b), ("<", |a, b| a < b)];

static UNITS: [(&str, f64); 10] = [
    ("KiB", 1_024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("B", 1.0),
    ("", 1.0),
];

/// One parsed check.
#[derive(Clone, Debug)]
pub struct Check {
    text: String,
    figure: &'static Figure,
    holds: Compare,
    limit: f64,
    share: bool,
}

/// Parses `FIGURE OP VALUE`.
pub(super) fn parse(text: &str) -> Result<Check, String> {
    let found = OPERATORS.iter().find_map(|(op, holds)| Some((text.split_once(op)?, *holds)));
    let Some(((name, value), holds)) = found else {
        return Err("a check is FIGURE OP VALUE with one of > >= < <=, as in 'copied>1%'".into());
    };
    let (name, value) = (name.trim(), value.trim());
    let Some(figure) = FIGURES.iter().find(|f| f.name == name) else {
        let known: Vec<_> = FIGURES.iter().map(|f| f.name).collect();
        return Err(format!("there is no figure {name:?}; one of {}", known.join(", ")));
    };
    let (number, share, factor) = match value.strip_suffix('%') {
        Some(_) if figure.whole.is_none() => return Err(format!("{name:?} has no share in per cent")),
        Some(number) => (number, true, 1.0),
        None => {
            let units = UNITS.iter().filter(|(unit, _)| figure.in_bytes || unit.is_empty());
            let found = units.into_iter().find_map(|(unit, f)| Some((value.strip_suffix(unit)?, *f)));
            found.map_or((value, false, 1.0), |(number, factor)| (number, false, factor))
        }
    };
    let number = number.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let Some(number) = number else {
        return Err(format!(
            "{value:?} is no value for {name:?}: a number, with % or B, KiB, MiB, GiB, kB, MB, GB where it fits"
        ));
    };
    Ok(Check { text: text.to_owned(), figure, holds, limit: number * factor, share })
}

impl Check {
    /// The sentence to fail with, `None` when all is well.
    ///
    /// # Errors
    /// [`Failure::CannotTrace`] when the figure is not known here: no verdict is not a good verdict.
    pub(super) fn judge(&self, snapshot: &Snapshot) -> Result<Option<String>, Failure> {
        let value = (self.figure.value)(snapshot).ok_or_else(|| self.not_known(snapshot))?;
        let shown = if self.figure.in_bytes { bytes(value) } else { value.to_string() };
        let (compared, shown) = match self.figure.whole.filter(|_| self.share) {
            None => (value as f64, shown),
            Some((name, whole)) => {
                let whole = whole(snapshot).ok_or_else(|| self.not_known(snapshot))?;
                if whole == 0 {
                    return Ok(Some(format!(
                        "the check '{}' has no verdict: there were no {name}",
                        self.text
                    )));
                }
                (
                    value as f64 * 100.0 / whole as f64,
                    format!("{shown}, {} of the {name}", percent(value, whole)),
                )
            }
        };
        let violated = (self.holds)(compared, self.limit);
        Ok(violated
            .then(|| format!("the check failed because '{}': {} is {shown}", self.text, self.figure.name)))
    }

    fn not_known(&self, snapshot: &Snapshot) -> Failure {
        let missing = &snapshot.session.missing;
        let why = missing.iter().find(|m| self.figure.facts.contains(&m.fact.as_str()));
        let why = why.map_or_else(|| "not every path knows it".to_owned(), |m| m.why.clone());
        Failure::CannotTrace(format!("the check '{}' has no verdict: {}: {why}", self.text, self.figure.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::model::sample::{Sample, SocketSample};
    use crate::model::snapshot::{Missing, Session};
    use zcscope_common::{FlowCounters, Path};

    fn snapshot(missing: &[&str], bytes: u64) -> Snapshot {
        let missing =
            missing.iter().map(|f| Missing { fact: (*f).into(), why: "no kprobes".into() }).collect();
        let mut model = Model::new(Session { missing, ..Session::default() });
        let counters = FlowCounters {
            calls: 100,
            bytes,
            raw_wire_bytes: bytes / 50,
            errors: [2, 0, 0, 0, 0, 0, 0, 0, 0],
            ..Default::default()
        };
        let socket = SocketSample {
            id: 1,
            cookie: None,
            pid: 1,
            comm: "x".into(),
            local: "1.1.1.1:1".parse().unwrap(),
            remote: "1.1.1.1:2".parse().unwrap(),
            dev: None,
            netns: 0,
            cgroup: 0,
            uid: 0,
            gauges: zcscope_common::Gauges::default(),
            flows: vec![(Path::Sendfile, counters)],
        };
        model.absorb(Sample { at_ns: 1, sockets: vec![socket], ..Sample::default() });
        model.snapshot()
    }

    fn fails(check: &str) -> bool {
        parse(check).unwrap().judge(&snapshot(&[], 10_000_000)).unwrap().is_some()
    }

    #[test]
    fn checks_compare_what_they_say() {
        // 2 % are copied: 200,000 bytes.
        assert!(fails("copied>1%"));
        assert!(!fails("copied>2%"));
        assert!(fails("copied >= 2 %"));
        assert!(fails("copied>=200kB"));
        assert!(!fails("copied>=200KiB"));
        assert!(!fails("silent>0%"));
        assert!(fails("zerocopied<99%"));
        assert!(fails("errors>=2%"));
        assert!(fails("errors>1"));
        assert!(!fails("lost>0"));
        assert!(!fails("in_flight>0"));
        assert!(fails("bytes<=10MB"));
    }

    #[test]
    fn nonsense_is_refused_with_what_would_be_right() {
        for text in [
            "copied",
            "copied=1",
            "kopied>1",
            "copied>",
            "copied>x%",
            "lost>1%",
            "lost>1KiB",
            "copied>-1",
            "copied>1XB",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("kopied>1").unwrap_err().contains("zerocopied"));
    }

    #[test]
    fn no_verdict_is_not_a_good_verdict() {
        let check = parse("copied>1%").unwrap();
        let error = check.judge(&snapshot(&["copy"], 10_000_000)).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("no kprobes"), "{error}");
        assert!(check.judge(&Snapshot::default()).unwrap().unwrap().contains("no verdict"));
    }

    #[test]
    fn the_sentence_says_the_figure() {
        let sentence = parse("copied>1%").unwrap().judge(&snapshot(&[], 10_000_000)).unwrap().unwrap();
        assert_eq!(
            sentence,
            "the check failed because 'copied>1%': copied is 195 KiB, 2.0 % of the bytes requested without a copy"
        );
    }
}
