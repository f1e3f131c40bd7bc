//! The language in examples: what a page about it shows beside [`super::FIELDS`].

use super::fields::{Field, Get};
use super::values::Unit;

/// Something that can be written, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// A filter.
    pub example: &'static str,
    /// What it lets pass.
    pub means: &'static str,
}

const fn rule(example: &'static str, means: &'static str) -> Rule {
    Rule { example, means }
}

/// How terms are written and combined.
pub const RULES: &[Rule] = &[
    rule("nginx", "a bare word: in the name of the process, or in an address"),
    rule("path:sendfile port:443", "terms side by side: all must hold"),
    rule("port:80 or port:443", "one of them"),
    rule("not comm:sshd", "what it is not; also !comm:sshd"),
    rule("(port:80 or port:443) copied>0", "( ) keep together"),
    rule("path:sendfile,splice", "a comma: any of these"),
    rule("comm:web*", "* is anything; comm~web is anything that contains web"),
    rule("copied>1%", "figures: > >= < <= = !=, with a unit, or as a share in %"),
    rule("p99:n/a", "a figure that is not known, or means nothing there: no comparison holds for it"),
    rule("comm:\"my server\"", "quotes keep blanks"),
];

/// What kind of value a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name.
    Name,
    /// A number that stands for somebody, or a range of them.
    Number,
    /// An address or a network.
    Address,
    /// An amount, in a unit.
    Figure,
}

impl Kind {
    /// In the order they are explained.
    pub const ALL: [Self; 4] = [Self::Name, Self::Number, Self::Address, Self::Figure];

    /// How such a field is asked for.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Name => "Names  : is, ~ contains",
            Self::Number => "Numbers  : is, from-to",
            Self::Address => "Addresses  : is, or is in a network; ~ contains",
            Self::Figure => "Figures  > >= < <= = !=",
        }
    }
}

impl Field {
    /// What kind of value it takes.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.get {
            Get::Names(..) => Kind::Name,
            Get::Numbers(_) => Kind::Number,
            Get::Addresses(_) => Kind::Address,
            Get::Figure { .. } => Kind::Figure,
        }
    }

    /// The words it can be, where they are known.
    #[must_use]
    pub fn words(&self) -> Vec<&'static str> {
        super::fields::vocabulary(self)
    }
}

/// Units of figures: what of, and how values are written.
pub fn units() -> impl Iterator<Item = (&'static str, &'static str)> {
    let units =
        [("bytes", Unit::Bytes), ("rates", Unit::Rate), ("times", Unit::Time), ("counts", Unit::Count)];
    units.into_iter().map(|(of, unit)| (of, unit.example()))
}

#[cfg(test)]
mod tests {
    use super::super::{FIELDS, Query};
    use super::*;

    #[test]
    fn every_example_is_a_filter() {
        for rule in RULES {
            assert!(Query::parse(rule.example).is_ok(), "{}", rule.example);
        }
        for field in FIELDS {
            for term in field.example.split(' ') {
                assert!(Query::parse(term).is_ok(), "{term}");
            }
        }
    }

    #[test]
    fn every_kind_has_fields() {
        assert!(Kind::ALL.iter().all(|kind| FIELDS.iter().any(|field| field.kind() == *kind)));
    }
}
