//! Break-even in words, for all forms.

use crate::matrix::breakeven::{BreakEven, Outcome};
use crate::matrix::plan::Group;
use crate::units::size;

/// A group in words.
pub(super) fn group((streams, depth): Group) -> String {
    let streams = if streams == 1 { "1 stream".to_owned() } else { format!("{streams} streams") };
    let depth = depth.map_or_else(|| "by size".to_owned(), |depth| depth.to_string());
    format!("{streams}, depth {depth}")
}

/// One outcome.
pub(super) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::At { size: at, or_less: true, high: Some(high), worse_again_at: None, .. } if at == high => {
            format!("{} or less", size(*at))
        }
        Outcome::At { size: at, low, high, worse_again_at, .. } => {
            let high = high.map_or_else(|| "beyond".to_owned(), size);
            let again = worse_again_at.map(|at| format!(", worse again at {}", size(at))).unwrap_or_default();
            format!("{} [{} .. {high}]{again}", size(*at), size(*low))
        }
        Outcome::None { up_to } => format!("none up to {}", size(*up_to)),
        Outcome::NotSeparable { worse_at: None } => "not separable from noise".into(),
        Outcome::NotSeparable { worse_at: Some(at) } => {
            format!("worse at {}, above not separable from noise", size(*at))
        }
        Outcome::Copied => "copied: not zero-copy here".into(),
        Outcome::Unproven => "not shown to be zero-copy".into(),
        Outcome::FunctionalOnly => "no verdict: functional only".into(),
        Outcome::TooFewRuns { needed } => format!("no verdict with fewer than {needed} runs"),
        Outcome::NoBaseline => "no verdict: copy was not run".into(),
        Outcome::Failed => "every run failed".into(),
    }
}

/// What follows the two outcomes of a path.
pub(super) fn left_out(found: &BreakEven) -> Option<String> {
    if found.machine_s_per_gb == Outcome::Copied {
        // All of them: that is said already.
        return None;
    }
    let sizes: Vec<String> = found.copied_sizes.iter().map(|bytes| size(*bytes)).collect();
    (!sizes.is_empty()).then(|| format!("copied at {}", sizes.join(" ")))
}
