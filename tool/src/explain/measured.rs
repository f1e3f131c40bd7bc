//! Of a topic: the unit of its figures, and the facts it rests on. Both follow from what its row says: keys end in
//! their unit, and `how` names facts.

use super::{Kind, Topic};

/// Ends of keys, longest first, and the unit.
const UNITS: &[(&str, &str)] = &[
    ("_ns_per_kib", "nanoseconds per KiB"),
    ("_bytes_per_s", "bytes per second; on screen bits per second, or bytes with the key for units"),
    ("_ns", "nanoseconds; on screen ns, us, ms or s"),
    ("_bytes", "bytes; on screen binary units (KiB = 1,024 bytes)"),
    ("pages", "pages, usually of 4,096 bytes"),
    ("sends", "sends: calls accepted on a path with completions"),
];

/// Keys whose end does not tell.
const BY_ID: &[(&str, &str)] = &[
    ("bytes", "bytes; on screen binary units (KiB = 1,024 bytes)"),
    ("rate", "bits per second (decimal), or bytes per second (binary) with the key for units"),
    ("share", "percent"),
    ("calls", "calls"),
    ("frags", "fragments"),
    ("frags_per_skb", "fragments per packet"),
    ("bytes_per_frag", "bytes per fragment"),
    ("pages_in_flight", "pages, usually of 4,096 bytes"),
    ("unread_notifications", "notifications"),
    ("range_length", "sends per notification"),
    ("lost", "events"),
];

/// The unit of a figure; `None` for what has none.
#[must_use]
pub fn unit(topic: &Topic) -> Option<&'static str> {
    if topic.kind != Kind::Figure {
        return None;
    }
    let by_id = BY_ID.iter().find(|(id, _)| *id == topic.id);
    by_id.or_else(|| UNITS.iter().find(|(end, _)| topic.id.ends_with(end))).map(|(_, unit)| *unit)
}

/// The facts (docs/limits.md) that a topic rests on.
#[must_use]
pub fn facts(topic: &Topic) -> Vec<&'static str> {
    match topic.kind {
        Kind::Path => vec!["send"],
        Kind::Reason => vec!["copy", "copy_site"],
        Kind::Finding => Vec::new(),
        Kind::Figure => named(topic.how),
    }
}

/// True for facts that a tracepoint can only let conclude: no tracepoint stands in a function that copies.
#[must_use]
pub fn concluded(fact: &str) -> bool {
    fact == "copy"
}

/// Names behind the word "fact".
fn named(how: &'static str) -> Vec<&'static str> {
    let mut words = how.split([' ', ',', ';']);
    let mut facts = Vec::new();
    while words.any(|word| word == "fact") {
        facts.extend(words.clone().next().filter(|name| *name != "is" && !name.is_empty()));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::super::{find, topics};
    use super::*;

    fn figure(id: &str) -> Topic {
        find(id).into_iter().find(|topic| topic.kind == Kind::Figure).expect("a figure")
    }

    #[test]
    fn units_follow_from_names() {
        assert!(unit(&figure("latency_ns")).is_some_and(|unit| unit.starts_with("nanoseconds;")));
        assert!(unit(&figure("copied_bytes")).is_some_and(|unit| unit.starts_with("bytes;")));
        assert!(unit(&figure("send_ns_per_kib")).is_some_and(|unit| unit.contains("per KiB")));
        assert_eq!(unit(&figure("comm")), None);
    }

    #[test]
    fn facts_are_those_of_the_tracer() {
        assert_eq!(facts(&figure("attached_bytes")), ["attach"]);
        assert_eq!(facts(&figure("latency_ns")), ["completion"]);
        let known = [include_str!("../../../docs/limits.md"), include_str!("../model/known.rs")].concat();
        for topic in topics() {
            for fact in facts(&topic) {
                assert!(known.contains(fact), "{}: {fact}", topic.id);
            }
        }
    }
}
