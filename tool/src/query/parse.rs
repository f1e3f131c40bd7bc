//! From words to a filter: `or` binds least, then what stands side by side, then `not`.

use std::iter::Peekable;
use std::ops::Range;
use std::vec::IntoIter;

use super::Error;
use super::expr::{Compare, Expr, Test};
use super::fields::{self, Field, Get};
use super::lex::{self, Piece, Token};
use super::values::{self, Address, Needle, Pattern};

/// Parentheses and negations inside each other.
const MAX_DEPTH: usize = 32;

/// Reads a filter; `None` when there is nothing to ask.
pub(super) fn parse(text: &str) -> Result<Option<Expr>, Error> {
    let pieces = lex::pieces(text)?;
    if pieces.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { pieces: pieces.into_iter().peekable(), end: text.len(), depth: 0 };
    let expr = parser.any()?;
    match parser.pieces.next() {
        None => Ok(Some(expr)),
        Some((_, at)) => error(at, "this ) closes nothing: leave it out, or write ( before"),
    }
}

fn error<T>(at: Range<usize>, what: impl Into<String>) -> Result<T, Error> {
    Err(Error { at, what: what.into() })
}

struct Parser {
    pieces: Peekable<IntoIter<Piece>>,
    end: usize,
    depth: usize,
}

impl Parser {
    fn peek(&mut self) -> Option<&Token> {
        self.pieces.peek().map(|(token, _)| token)
    }

    /// Terms between `or`.
    fn any(&mut self) -> Result<Expr, Error> {
        let mut any = vec![self.all()?];
        while self.peek() == Some(&Token::Or) {
            self.pieces.next();
            any.push(self.all()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Expr::Any(any) })
    }

    /// Terms side by side; `and` between them may be written.
    fn all(&mut self) -> Result<Expr, Error> {
        let mut all = vec![self.one()?];
        loop {
            match self.peek() {
                None | Some(Token::Or | Token::Close) => break,
                Some(Token::And) => drop(self.pieces.next()),
                Some(_) => {}
            }
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expr::All(all) })
    }

    fn one(&mut self) -> Result<Expr, Error> {
        let Some((token, at)) = self.pieces.next() else {
            return error(self.end..self.end, "something must follow here, such as path:sendfile");
        };
        match token {
            Token::Word(word, quoted) => term(&word, quoted, at).map(Expr::Test),
            Token::Not => self.deeper(at, |p| Ok(Expr::Not(Box::new(p.one()?)))),
            Token::Open => self.deeper(at.clone(), |p| {
                let inside = p.any()?;
                match p.pieces.next() {
                    Some((Token::Close, _)) => Ok(inside),
                    _ => error(at, "this ( is not closed: write ) behind"),
                }
            }),
            Token::Close => error(at, "something must stand before this ), such as path:sendfile"),
            Token::Or | Token::And => error(at, "a term must stand before this, such as path:sendfile"),
        }
    }

    fn deeper(
        &mut self,
        at: Range<usize>,
        inside: impl FnOnce(&mut Self) -> Result<Expr, Error>,
    ) -> Result<Expr, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return error(at, format!("more than {MAX_DEPTH} of ( and not inside each other: write fewer"));
        }
        let expr = inside(self)?;
        self.depth -= 1;
        Ok(expr)
    }
}

/// Operators, longer ones first.
const OPERATORS: [&str; 8] = ["!=", ">=", "<=", "~", ">", "<", ":", "="];

/// `FIELD OP VALUE`, if the word begins like a field.
pub(super) fn split(word: &str) -> Option<(&str, &'static str, &str)> {
    let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let (name, rest) = word.split_at(end);
    let op = OPERATORS.into_iter().find(|op| rest.starts_with(op))?;
    (!name.is_empty()).then(|| (name, op, &rest[op.len()..]))
}

/// True for what can only be an address, or the begin of one: `fe80::1`, `10.0.0.1:443`.
fn is_address(word: &str) -> bool {
    word.contains(':')
        && word.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '[' | ']' | '%'))
}

fn term(word: &str, quoted: bool, at: Range<usize>) -> Result<Test, Error> {
    let parts = if quoted { None } else { split(word) };
    let Some((name, op, value)) = parts else { return Ok(Test::Word(Needle::new(word))) };
    let Some(field) = fields::find(name) else {
        if is_address(word) {
            return Ok(Test::Word(Needle::new(word)));
        }
        return error(at.start..at.start + name.len(), fields::no_such(name));
    };
    if value.is_empty() {
        return error(at.end..at.end, format!("{name}{op} needs a value: {}", field.example));
    }
    // With quotes in it, the word as written is longer than what it says: then all of it is pointed at.
    let value_at = if at.len() == word.len() { at.end - value.len()..at.end } else { at };
    test(field, op, value).map_err(|what| Error { at: value_at, what })
}

fn test(field: &'static Field, op: &str, value: &str) -> Result<Test, String> {
    match &field.get {
        Get::Names(names, vocabulary) => {
            let patterns = patterns(field, *vocabulary, op, value)?;
            Ok(Test::Name(*names, patterns))
        }
        Get::Numbers(numbers) => {
            only(field, op, &[":", "="])?;
            let ranges = list(value, |one| {
                values::Range::read(one).ok_or_else(|| format!("{one:?} is no number: {}", field.example))
            })?;
            Ok(Test::Number(*numbers, ranges))
        }
        Get::Addresses(addresses) => {
            only(field, op, &[":", "=", "~"])?;
            if op == "~" {
                return Ok(Test::Address(*addresses, vec![Address::Contains(Needle::new(value))]));
            }
            let wanted = list(value, |one| {
                Address::read(one).ok_or_else(|| format!("{one:?} is no address: {}", field.example))
            })?;
            Ok(Test::Address(*addresses, wanted))
        }
        Get::Figure { of, whole, unit } => figure(field, (*of, *whole), *unit, op, value),
    }
}

/// Which operators a field takes.
fn only(field: &Field, op: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&op) {
        return Ok(());
    }
    Err(format!("{}{op} means nothing: {} is asked for as in {}", field.name, field.name, field.example))
}

/// Values between commas: any of them.
fn list<T>(value: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    value.split(',').filter(|one| !one.is_empty()).map(read).collect()
}

fn patterns(
    field: &Field,
    vocabulary: Option<fn() -> Vec<&'static str>>,
    op: &str,
    value: &str,
) -> Result<Vec<Pattern>, String> {
    only(field, op, &[":", "=", "~"])?;
    list(value, |one| {
        if op == "~" {
            return Ok(Pattern::Contains(Needle::new(one)));
        }
        let known = vocabulary.map(|words| words()).unwrap_or_default();
        if known.is_empty() || one.contains('*') || known.iter().any(|word| word.eq_ignore_ascii_case(one)) {
            return Ok(Pattern::whole(one));
        }
        Err(format!("there is no {} {one:?}{}", field.name, fields::nearest(one, &known)))
    })
}

type Parts = (super::expr::Of<u64>, Option<super::expr::Of<u64>>);

fn figure(
    field: &Field,
    (of, whole): Parts,
    unit: values::Unit,
    op: &str,
    value: &str,
) -> Result<Test, String> {
    let compare = match op {
        ":" | "=" => Compare::Equal,
        "!=" => Compare::NotEqual,
        ">" => Compare::Above,
        ">=" => Compare::AtLeast,
        "<" => Compare::Below,
        "<=" => Compare::AtMost,
        _ => return Err(format!("{} is a figure: compare it, as in {}", field.name, field.example)),
    };
    if compare == Compare::Equal && values::is_not_known(value) {
        return Ok(Test::NotKnown(of));
    }
    if let Some(number) = value.strip_suffix('%') {
        let limit = values::split(number);
        return match (whole, limit) {
            (None, _) => Err(format!("{} has no share in per cent: {}", field.name, field.example)),
            (Some(whole), (Some(limit), "")) => Ok(Test::Share { of, whole, compare, limit }),
            _ => Err(format!("{value:?} is no share: write for example 1% or 0.5%")),
        };
    }
    let limit = unit.read(value);
    let limit =
        limit.ok_or_else(|| format!("{value:?} is no value for {}: {}", field.name, unit.example()))?;
    Ok(Test::Figure { of, compare, limit })
}
