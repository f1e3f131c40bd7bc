//! The one table of what can be asked for.

use zcscope_common::{Path, Reason};

use super::expr::{Addresses, Names, Numbers, Of};
use super::figures;
use super::values::Unit;
use crate::model::snapshot::SocketFigures;

/// Something to ask a socket.
#[derive(Debug)]
pub struct Field {
    /// As it is written before the operator.
    pub name: &'static str,
    /// One or two terms that use it.
    pub example: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Where it is found.
    pub(super) get: Get,
}

impl Field {
    /// True for what is compared, false for what is named.
    pub(super) const fn is_figure(&self) -> bool {
        matches!(self.get, Get::Figure { .. })
    }
}

/// How a field is read.
#[derive(Debug)]
pub(super) enum Get {
    /// Names, and the words that are possible where they are known.
    Names(Names, Option<fn() -> Vec<&'static str>>),
    /// Numbers that stand for somebody.
    Numbers(Numbers),
    Addresses(Addresses),
    /// Amounts to compare, and what 100 % of them is.
    Figure {
        of: Of<u64>,
        whole: Option<Of<u64>>,
        unit: Unit,
    },
}

const fn figure(of: Of<u64>, unit: Unit) -> Get {
    Get::Figure { of, whole: None, unit }
}

const fn share(of: Of<u64>, whole: Of<u64>, unit: Unit) -> Get {
    Get::Figure { of, whole: Some(whole), unit }
}

macro_rules! fields {
    ($($name:literal $get:expr, $example:literal, $help:literal;)*) => {
        /// Everything that can be asked for, in the order it is explained.
        pub static FIELDS: &[Field] =
            &[$(Field { name: $name, example: $example, help: $help, get: $get }),*];
    };
}

fields! {
    "path" Get::Names(path, Some(path_names)), "path:sendfile,splice path~uring",
        "a path it has used";
    "comm" Get::Names(|s, is| Some(is(&s.comm)), None), "comm:nginx comm~web comm:ng*",
        "name of the process";
    "pid" Get::Numbers(|s, is| Some(is(s.pid.into()))), "pid:123",
        "its process";
    "port" Get::Numbers(|s, is| Some(is(s.local.port().into()) || is(s.remote.port().into()))),
        "port:443 port:8000-8999", "local or remote port";
    "lport" Get::Numbers(|s, is| Some(is(s.local.port().into()))), "lport:443", "local port";
    "rport" Get::Numbers(|s, is| Some(is(s.remote.port().into()))), "rport:443", "remote port";
    "remote" Get::Addresses(|s, is| is(s.remote)), "remote:10.0.0.0/8 remote~2001:db8",
        "remote address";
    "local" Get::Addresses(|s, is| is(s.local)), "local:127.0.0.1", "local address";
    "addr" Get::Addresses(|s, is| is(s.local) || is(s.remote)), "addr:10.1.2.3", "local or remote address";
    "dev" Get::Names(|s, is| Some(is(s.dev.as_deref()?)), None), "dev:eth0 dev:eth*", "device of its route";
    "state" Get::Names(|s, is| Some(is(if s.alive { "alive" } else { "ended" })), Some(|| vec!["alive", "ended"])),
        "state:alive", "alive or ended";
    "reason" Get::Names(reason, Some(reason_names)), "reason:optmem reason~rx_",
        "why bytes were copied or calls refused";
    "rate" figure(figures::rate, Unit::Rate), "rate>1G", "bits per second now";
    "bytes" figure(figures::bytes, Unit::Bytes), "bytes>10M", "bytes accepted, or received";
    "copied" share(figures::copied, figures::requested, Unit::Bytes), "copied>1% copied>1M",
        "bytes asked for without a copy and copied";
    "zerocopied" share(figures::zerocopied, figures::requested, Unit::Bytes), "zerocopied<99%",
        "bytes sent without a copy";
    "silent" share(figures::silent, figures::requested, Unit::Bytes), "silent>0",
        "copied bytes it was not told of";
    "clone" share(figures::clone_copied, figures::requested, Unit::Bytes), "clone>0",
        "bytes copied for a packet capture only";
    "inflight" share(figures::in_flight, figures::requested, Unit::Bytes), "inflight>1M",
        "bytes of sends not released yet";
    "requested" figure(figures::requested, Unit::Bytes), "requested>0", "bytes asked for without a copy";
    "p99" figure(figures::p99, Unit::Time), "p99>5ms", "how long 99 of 100 buffers were held, at most";
    "p50" figure(figures::p50, Unit::Time), "p50>1ms", "how long half of the buffers were held, at most";
    "held" figure(figures::max, Unit::Time), "held>200ms", "the longest a buffer was held";
    "pinned" figure(figures::pinned, Unit::Count), "pinned>1k", "pages held by sends in flight";
    "optmem" share(figures::optmem, figures::optmem_max, Unit::Bytes), "optmem>50%",
        "option memory in use, of its limit";
    "unread" figure(figures::unread, Unit::Count), "unread>100", "ended sends whose notification is not read";
    "told_wrong" share(figures::told_wrong, figures::sends, Unit::Count), "told_wrong>0",
        "sends it was told something wrong about";
    "refused" share(figures::refused, figures::calls, Unit::Count), "refused>0", "refused calls";
    "errors" share(figures::errors, figures::calls, Unit::Count), "errors>1%", "failed calls";
    "calls" figure(figures::calls, Unit::Count), "calls>1k", "calls";
    "netns" Get::Names(netns, None), "netns:blue netns:4026531840", "network namespace, by name or number";
    "cgroup" Get::Names(|s, is| Some(is(s.place.cgroup.as_deref()?)), None), "cgroup~web.service",
        "path of its cgroup";
    "container" Get::Names(|s, is| Some(is(s.place.container.as_deref()?)), None), "container~docker:01",
        "its container";
    "uid" Get::Numbers(|s, is| Some(is(s.uid.into()))), "uid:0", "user id of the process";
    "cookie" Get::Numbers(|s, is| Some(is(s.cookie?))), "cookie:77", "the kernel's number of the socket, as in ss -e";
}

fn path(socket: &SocketFigures, is: &dyn Fn(&str) -> bool) -> Option<bool> {
    Some(socket.paths.iter().any(|p| is(p.path.name())))
}

fn path_names() -> Vec<&'static str> {
    Path::ALL.iter().map(|path| path.name()).collect()
}

/// A reason that was seen; when copies cannot be seen, its absence says nothing.
fn reason(socket: &SocketFigures, is: &dyn Fn(&str) -> bool) -> Option<bool> {
    let seen = socket.paths.iter().any(|p| {
        let notes = p.notes.iter().flatten();
        p.copies.iter().any(|copy| is(copy.kind.reason.name()))
            || p.refused.iter().chain(notes).any(|(reason, _)| is(reason.name()))
    });
    let blind = || socket.paths.iter().filter_map(|p| p.ledger).any(|ledger| ledger.copied_bytes.is_none());
    if seen { Some(true) } else { (!blind()).then_some(false) }
}

fn reason_names() -> Vec<&'static str> {
    Reason::ALL.iter().map(|reason| reason.name()).collect()
}

fn netns(socket: &SocketFigures, is: &dyn Fn(&str) -> bool) -> Option<bool> {
    let number = socket.place.netns?;
    Some(socket.place.netns_name.as_deref().is_some_and(is) || is(&number.to_string()))
}

/// The field of this name.
pub(super) fn find(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name.eq_ignore_ascii_case(name))
}

/// What to say when there is no such field.
pub(super) fn no_such(name: &str) -> String {
    let names: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
    format!("there is no field {name:?}{}", nearest(name, &names))
}

/// `; did you mean X?`, or nothing when nothing is near.
pub(super) fn nearest(word: &str, known: &[&str]) -> String {
    let near = known.iter().map(|k| (strsim::jaro_winkler(&word.to_lowercase(), k), k));
    let best = near.max_by(|(a, _), (b, _)| a.total_cmp(b)).filter(|(near, _)| *near > 0.8);
    best.map_or_else(String::new, |(_, word)| format!("; did you mean {word}?"))
}

/// The words a field can be, where they are known.
pub(super) fn vocabulary(field: &Field) -> Vec<&'static str> {
    match &field.get {
        Get::Names(_, Some(words)) => words(),
        _ => Vec::new(),
    }
}
