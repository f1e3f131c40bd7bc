//! `--fail-if`: a verdict for CI. `FIGURE OP VALUE` over all send paths that were traced, `reason:ID`, `finding:ID`.

mod figures;
mod known;

use zcscope_common::Reason;

use self::figures::{FIGURES, Figure, Findings, Unit};
use crate::diagnose::rules::{RULES, rule_of};
use crate::diagnose::{Finding, Severity};
use crate::model::reason::{ReasonKind, info};
use crate::model::snapshot::Snapshot;
use crate::units::{bytes, parse_duration, percent};

/// Findings printed with a check that failed.
const SHOWN: usize = 3;

/// Compares a figure with a limit.
type Compare = fn(f64, f64) -> bool;

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
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Figure(Limit),
    /// Any copy, refusal or note for this reason.
    Reason(Reason),
    /// A finding with this id.
    Finding(&'static str),
}

#[derive(Clone, Debug)]
struct Limit {
    figure: &'static Figure,
    holds: Compare,
    limit: f64,
    share: bool,
}

/// What a check came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// All is well.
    Good,
    /// It holds, or there was nothing to judge: the sentence, and the findings that say more.
    Violated(String),
    /// What it asks for is not known here: no verdict is not a good verdict.
    Unknown(String),
}

/// Parses one check.
pub(super) fn parse(text: &str) -> Result<Check, String> {
    let text = text.trim();
    let what = match text.split_once(':') {
        Some(("reason", id)) => What::Reason(reason(id.trim())?),
        Some(("finding", id)) => What::Finding(finding(id.trim())?),
        _ => What::Figure(limit(text)?),
    };
    Ok(Check { text: text.to_owned(), what })
}

fn reason(id: &str) -> Result<Reason, String> {
    Reason::from_name(id).ok_or_else(|| {
        format!("there is no reason {id:?}; `zcscope explain` lists them, as in 'reason:optmem'")
    })
}

fn finding(id: &str) -> Result<&'static str, String> {
    let rule = RULES.iter().find(|rule| rule.id == id);
    rule.map(|rule| rule.id).ok_or_else(|| {
        format!("there is no finding {id:?}; `zcscope explain` lists them, as in 'finding:silent_copies'")
    })
}

fn limit(text: &str) -> Result<Limit, String> {
    let found = OPERATORS.iter().find_map(|(op, holds)| Some((text.split_once(op)?, *holds)));
    let Some(((name, value), holds)) = found else {
        return Err("a check is FIGURE OP VALUE with one of > >= < <=, as in 'copied>1%', or reason:ID, or \
                    finding:ID"
            .into());
    };
    let (name, value) = (name.trim(), value.trim());
    let Some(figure) = FIGURES.iter().find(|f| f.name == name) else {
        let known: Vec<_> = FIGURES.iter().map(|f| f.name).collect();
        return Err(format!(
            "there is no figure {name:?}; one of {}, or reason:ID, finding:ID",
            known.join(", ")
        ));
    };
    let (limit, share) = limit_of(figure, value)?;
    Ok(Limit { figure, holds, limit, share })
}

/// The limit in the figure's unit, or in per cent.
fn limit_of(figure: &Figure, value: &str) -> Result<(f64, bool), String> {
    let name = figure.name;
    if figure.unit == Unit::Time {
        let named = value.ends_with(|c: char| c.is_ascii_alphabetic());
        let time = parse_duration(value).ok().filter(|_| named);
        let wrong = || format!("{value:?} is no value for {name:?}: a time above 0, as in 500us or 5ms");
        return time.map(|time| (time.as_nanos() as f64, false)).ok_or_else(wrong);
    }
    let (number, share, factor) = match value.strip_suffix('%') {
        Some(_) if figure.whole.is_none() => return Err(format!("{name:?} has no share in per cent")),
        Some(number) => (number, true, 1.0),
        None => {
            let units = UNITS.iter().filter(|(unit, _)| figure.unit == Unit::Bytes || unit.is_empty());
            let found = units.into_iter().find_map(|(unit, f)| Some((value.strip_suffix(unit)?, *f)));
            found.map_or((value, false, 1.0), |(number, factor)| (number, false, factor))
        }
    };
    let number = number.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    number.map(|number| (number * factor, share)).ok_or_else(|| {
        format!("{value:?} is no value for {name:?}: a number, with % or B, KiB, MiB, GiB, kB, MB, GB where it fits")
    })
}

impl Check {
    /// Judges a snapshot with its findings.
    pub(super) fn judge(&self, snapshot: &Snapshot, findings: &[Finding]) -> Judged {
        match &self.what {
            What::Figure(limit) => self.judge_figure(limit, snapshot, findings),
            What::Reason(reason) => match seen(snapshot, *reason) {
                Some(amount) => {
                    let what = format!("{}: {amount}, {}", reason.name(), info(*reason).meaning);
                    self.violated(&what, findings.iter().filter(|finding| finding.id == reason.name()))
                }
                None => self.absent(known::reason_hidden(snapshot, *reason)),
            },
            What::Finding(id) => {
                let mut found = findings.iter().filter(|finding| finding.id == *id).peekable();
                match found.peek() {
                    Some(first) => self.violated(&first.title.clone(), found),
                    None => self.absent(known::finding_hidden(snapshot, id)),
                }
            }
        }
    }

    fn judge_figure(&self, limit: &Limit, snapshot: &Snapshot, findings: &[Finding]) -> Judged {
        let figure = limit.figure;
        let unknown = || Judged::Unknown(self.not_known(figure, snapshot));
        let nothing = |what: &str| {
            Judged::Violated(format!("the check '{}' has no verdict: there were no {what}", self.text))
        };
        if figure.unit == Unit::Time && figures::ended(snapshot) == Some(0) {
            return nothing("ends of sends");
        }
        let Some(value) = (figure.value)(snapshot) else { return unknown() };
        let (compared, shown) = match figure.whole.filter(|_| limit.share) {
            None => (value as f64, figure.unit.show(value)),
            Some((name, whole)) => match whole(snapshot) {
                None => return unknown(),
                Some(0) => return nothing(name),
                Some(whole) => (
                    value as f64 * 100.0 / whole as f64,
                    format!("{}, {} of the {name}", figure.unit.show(value), percent(value, whole)),
                ),
            },
        };
        if !(limit.holds)(compared, limit.limit) {
            return Judged::Good;
        }
        let more = findings.iter().filter(|finding| says_more(figure.findings, finding));
        self.violated(&format!("{} is {shown}", figure.name), more)
    }

    fn violated<'a>(&self, what: &str, findings: impl Iterator<Item = &'a Finding>) -> Judged {
        let mut text = format!("the check failed because '{}': {what}", self.text);
        findings.take(SHOWN).for_each(|finding| text.push_str(&lines(finding)));
        Judged::Violated(text)
    }

    /// Nothing was seen; that is good only where it could have been.
    fn absent(&self, hidden: Option<String>) -> Judged {
        match hidden {
            None => Judged::Good,
            Some(why) => Judged::Unknown(format!("the check '{}' has no verdict: {why}", self.text)),
        }
    }

    fn not_known(&self, figure: &Figure, snapshot: &Snapshot) -> String {
        let missing = &snapshot.session.missing;
        let why = missing.iter().find(|m| figure.facts.contains(&m.fact.as_str()));
        let why = why.map_or_else(|| "not every path knows it".to_owned(), |m| m.why.clone());
        format!("the check '{}' has no verdict: {}: {why}", self.text, figure.name)
    }
}

/// How much of a reason was seen, in words; `None` when it was not.
fn seen(snapshot: &Snapshot, reason: Reason) -> Option<String> {
    let (mut copied, mut times) = (0, 0);
    for path in &snapshot.paths {
        copied += path.copies.iter().filter(|c| c.kind.reason == reason).map(|c| c.bytes).sum::<u64>();
        let counted = path.refused.iter().chain(path.notes.iter().flatten());
        times += counted.filter(|(of, _)| *of == reason).map(|(_, n)| n).sum::<u64>();
    }
    match (copied, times) {
        (0, 0) => None,
        (0, times) => Some(format!("{times} times")),
        (copied, _) => Some(format!("{} copied", bytes(copied))),
    }
}

fn says_more(which: Findings, finding: &Finding) -> bool {
    let kinds: &[ReasonKind] = match which {
        Findings::These(ids) => return ids.contains(&finding.id.as_str()),
        Findings::Copies => &[ReasonKind::Copied, ReasonKind::CopiedFromStart],
        Findings::Refusals => &[ReasonKind::Refused],
    };
    Reason::from_name(&finding.id).is_some_and(|reason| kinds.contains(&info(reason).kind))
        // What explains a finding of this kind stands before it.
        || rule_of(&finding.id).is_some_and(|rule| {
            let explained = rule.explains.iter().filter_map(|id| Reason::from_name(id));
            finding.severity <= Severity::Warning && explained.into_iter().any(|r| kinds.contains(&info(r).kind))
        })
}

/// A finding below the sentence of a check.
fn lines(finding: &Finding) -> String {
    let mut text = format!("\n  {} {}: {}", finding.severity.name(), finding.id, finding.title);
    finding.evidence.iter().for_each(|line| text.push_str(&format!("\n    {line}")));
    finding.fix.iter().for_each(|step| text.push_str(&format!("\n    fix: {step}")));
    text
}

#[cfg(test)]
#[path = "fail_if/tests.rs"]
mod tests;
