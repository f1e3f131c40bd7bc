//! A filter as a tree, and what it says about a socket: yes, no, or not known.

use crate::model::snapshot::SocketFigures;

use super::values::{Address, Needle, Pattern, Range};

/// A question about one socket; `None` when there is no answer.
pub(super) type Of<T> = fn(&SocketFigures) -> Option<T>;
/// Whether one of the names a socket has in a field is meant.
pub(super) type Names = fn(&SocketFigures, &dyn Fn(&str) -> bool) -> Option<bool>;
/// Whether one of the numbers a socket has in a field is meant.
pub(super) type Numbers = fn(&SocketFigures, &dyn Fn(u64) -> bool) -> Option<bool>;
/// Whether one of the addresses a socket has in a field is meant.
pub(super) type Addresses = fn(&SocketFigures, &dyn Fn(std::net::SocketAddr) -> bool) -> bool;

/// How a figure is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Compare {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Compare::Equal => value == limit,
            Compare::NotEqual => value != limit,
            Compare::Above => value > limit,
            Compare::AtLeast => value >= limit,
            Compare::Below => value < limit,
            Compare::AtMost => value <= limit,
        }
    }
}

/// One question.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// A name fits one of the patterns.
    Name(Names, Vec<Pattern>),
    /// A number lies in one of the ranges.
    Number(Numbers, Vec<Range>),
    /// An address is one of these.
    Address(Addresses, Vec<Address>),
    /// A figure compares so with a limit.
    Figure { of: Of<u64>, compare: Compare, limit: f64 },
    /// A figure's share of a whole, in per cent, compares so with a limit.
    Share { of: Of<u64>, whole: Of<u64>, compare: Compare, limit: f64 },
    /// A figure is not known, or means nothing here.
    NotKnown(Of<u64>),
    /// A name or an address contains this.
    Word(Needle),
}

/// A filter.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    Test(Test),
    Not(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
}

impl Expr {
    /// What the filter says about the socket: three-valued, as in SQL.
    pub(super) fn holds(&self, socket: &SocketFigures) -> Option<bool> {
        match self {
            Expr::Test(test) => test.holds(socket),
            Expr::Not(expr) => expr.holds(socket).map(|holds| !holds),
            Expr::All(all) => decide(all, socket, false),
            Expr::Any(any) => decide(any, socket, true),
        }
    }
}

/// One answer of `decisive` settles it; otherwise one unknown answer leaves it open.
fn decide(exprs: &[Expr], socket: &SocketFigures, decisive: bool) -> Option<bool> {
    let mut all_known = true;
    for expr in exprs {
        match expr.holds(socket) {
            Some(answer) if answer == decisive => return Some(decisive),
            Some(_) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(!decisive)
}

impl Test {
    fn holds(&self, socket: &SocketFigures) -> Option<bool> {
        match self {
            Test::Name(names, patterns) => names(socket, &|name| patterns.iter().any(|p| p.fits(name))),
            Test::Number(numbers, ranges) => numbers(socket, &|n| ranges.iter().any(|r| r.holds(n))),
            Test::Address(addresses, wanted) => {
                Some(addresses(socket, &|address| wanted.iter().any(|w| w.fits(address))))
            }
            Test::Figure { of, compare, limit } => Some(compare.holds(of(socket)? as f64, *limit)),
            Test::Share { of, whole, compare, limit } => {
                let (part, whole) = (of(socket)?, whole(socket).filter(|whole| *whole > 0)?);
                Some(compare.holds(part as f64 * 100.0 / whole as f64, *limit))
            }
            Test::NotKnown(of) => Some(of(socket).is_none()),
            Test::Word(word) => Some(
                word.is_in(&socket.comm)
                    || word.is_in_address(socket.local)
                    || word.is_in_address(socket.remote),
            ),
        }
    }
}
