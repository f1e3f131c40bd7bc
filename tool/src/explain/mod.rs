//! Every id in words: reasons, findings, paths, and the figures of reports and screens. What is said of an id stands in
//! one table only; the verb `explain` and the documents are made of the same rows.

#[cfg(test)]
mod docs;
mod figures;
pub mod measured;
mod paths;
#[cfg(test)]
mod questions;

use std::fmt::Write as _;

use zcscope_common::Reason;

use crate::diagnose::rules::rule_of;
use crate::diagnose::words::WORDS;
use crate::model::reason::{self, ReasonInfo};
use crate::units::capital;

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Why bytes were copied, or a send refused; a finding of the same id says so when it matters.
    Reason,
    /// What a finding says that is no reason.
    Finding,
    /// How bytes enter or leave TCP.
    Path,
    /// A key in JSON, or a column on screen.
    Figure,
}

impl Kind {
    /// Every kind, in the order of lists.
    pub const ALL: [Kind; 4] = [Kind::Reason, Kind::Finding, Kind::Path, Kind::Figure];

    /// The heading over ids of this kind.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Kind::Reason => "Reasons",
            Kind::Finding => "Findings that are no reasons",
            Kind::Path => "Paths",
            Kind::Figure => "Figures (JSON keys; columns on screen)",
        }
    }

    /// The word for one of them.
    const fn name(self) -> &'static str {
        match self {
            Kind::Reason => "reason",
            Kind::Finding => "finding",
            Kind::Path => "path",
            Kind::Figure => "figure",
        }
    }
}

/// All that is said of one id. Cells that do not apply are empty.
#[derive(Clone, Copy, Debug)]
pub struct Topic {
    /// What it names.
    pub kind: Kind,
    /// The stable id.
    pub id: &'static str,
    /// Names it has on screen; empty where they are the same.
    pub on_screen: &'static [&'static str],
    /// What it means.
    pub meaning: &'static str,
    /// What the application can see of it.
    pub app_sees: &'static str,
    /// How zcscope knows.
    pub how: &'static str,
    /// On which kernels.
    pub kernels: &'static str,
    /// What to do: one step per line.
    pub fix: &'static str,
    /// Where to read on.
    pub reading: &'static str,
}

impl Topic {
    const fn new(kind: Kind, id: &'static str, meaning: &'static str) -> Self {
        Self { kind, id, on_screen: &[], meaning, app_sees: "", how: "", kernels: "", fix: "", reading: "" }
    }

    /// Ids of findings that follow from the finding of this id.
    fn explains(&self) -> &'static [&'static str] {
        let finds = matches!(self.kind, Kind::Reason | Kind::Finding);
        rule_of(self.id).filter(|_| finds).map_or(&[], |rule| rule.explains)
    }
}

/// Every topic, by kind and in the order of the tables.
pub fn topics() -> impl Iterator<Item = Topic> {
    let reasons = reason::TABLE.iter().map(of_reason);
    let findings = WORDS.iter().map(|row| Topic {
        app_sees: row.app_sees,
        how: row.how,
        kernels: row.kernels,
        fix: row.fix,
        reading: row.reading,
        ..Topic::new(Kind::Finding, row.id, row.meaning)
    });
    reasons.chain(findings).chain(paths::topics()).chain(figures::topics())
}

fn of_reason(row: &ReasonInfo) -> Topic {
    Topic {
        app_sees: row.app_sees,
        how: row.how,
        kernels: reason::kernels(row.reason),
        fix: row.fix,
        reading: reason::reading(row.reason),
        ..Topic::new(Kind::Reason, row.reason.name(), row.meaning)
    }
}

/// Everything an id, or a name on screen, stands for: `ktls` is a reason and a path.
#[must_use]
pub fn find(id: &str) -> Vec<Topic> {
    let named = |topic: &Topic| topic.id == id || topic.on_screen.contains(&id);
    topics().filter(named).collect()
}

/// Ids that look like this one, the nearest first.
#[must_use]
pub fn nearest(id: &str) -> Vec<&'static str> {
    /// Named at most.
    const MOST: usize = 3;
    /// Less alike than this is no typing error.
    const ALIKE: f64 = 0.7;
    let names = topics().flat_map(|topic| std::iter::once(topic.id).chain(topic.on_screen.iter().copied()));
    let part = |name: &str| id.len() > 2 && name.contains(id);
    let alike = |name: &'static str| (if part(name) { 1.0 } else { strsim::jaro_winkler(id, name) }, name);
    let mut rows: Vec<_> = names.map(alike).filter(|(score, _)| *score >= ALIKE).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let mut found: Vec<&'static str> = Vec::new();
    for (_, name) in rows {
        if !found.contains(&name) && found.len() < MOST {
            found.push(name);
        }
    }
    found
}

/// One topic as text, in lines of 80 columns; commands are left whole.
#[must_use]
pub fn text(topic: &Topic) -> String {
    let mut out = format!("{} ({})\n", topic.id, describe(topic));
    paragraph(&mut out, "", &format!("{}.", capital(topic.meaning)));
    let on_screen = topic.on_screen.join(", ");
    let cells = [
        ("on screen", on_screen.as_str()),
        ("application sees", topic.app_sees),
        ("how zcscope knows", topic.how),
        ("kernels", topic.kernels),
    ];
    for (name, cell) in cells.into_iter().filter(|(_, cell)| !cell.is_empty()) {
        paragraph(&mut out, &format!("{name}: "), cell);
    }
    for step in topic.fix.lines() {
        let _ = writeln!(out, "  fix: {step}");
    }
    if !topic.explains().is_empty() {
        paragraph(&mut out, "explains: ", &topic.explains().join(", "));
    }
    if !topic.reading.is_empty() {
        paragraph(&mut out, "read on: ", topic.reading);
    }
    out
}

impl Topic {
    /// What it names, in words: `figure`, `reason: copied`.
    #[must_use]
    pub fn describe(&self) -> String {
        describe(self)
    }
}

fn describe(topic: &Topic) -> String {
    let reason = (topic.kind == Kind::Reason).then(|| Reason::from_name(topic.id)).flatten();
    match reason {
        Some(of) => format!("{}: {}", topic.kind.name(), reason::info(of).kind.title().to_lowercase()),
        None => topic.kind.name().to_owned(),
    }
}

/// Columns of a line of text.
const WIDTH: usize = 80;

fn paragraph(out: &mut String, lead: &str, text: &str) {
    let mut line = format!("  {lead}");
    let mut fresh = true;
    for word in text.split_whitespace() {
        if !fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = "    ".to_owned();
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

/// All ids by kind, as text.
#[must_use]
pub fn list() -> String {
    let mut out = String::new();
    for kind in Kind::ALL {
        let _ = writeln!(out, "{}", kind.title());
        let ids: Vec<&str> = topics().filter(|topic| topic.kind == kind).map(|topic| topic.id).collect();
        paragraph(&mut out, "", &ids.join("  "));
        out.push('\n');
    }
    out.push_str(
        "`zcscope explain ID` says what one means. Names on screen do as well: explain 'held p99'.\n",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::rules::RULES;
    use zcscope_common::Path;

    #[test]
    fn everything_with_a_stable_id_is_explained() {
        let has = |kind, id: &str| find(id).iter().any(|topic| topic.kind == kind);
        assert!(Reason::ALL.iter().all(|reason| has(Kind::Reason, reason.name())));
        assert!(Path::ALL.iter().all(|path| has(Kind::Path, path.name())));
        for rule in RULES {
            assert!(has(Kind::Reason, rule.id) != has(Kind::Finding, rule.id), "{}", rule.id);
        }
    }

    #[test]
    fn texts_are_whole_and_not_long() {
        for topic in topics() {
            let cells = [topic.meaning, topic.app_sees, topic.how, topic.kernels, topic.reading];
            for cell in cells.into_iter().filter(|cell| !cell.is_empty()) {
                assert!(
                    !cell.ends_with('.') && !cell.contains("  ") && cell.len() < 420,
                    "{}: {cell:?}",
                    topic.id
                );
            }
            assert!(!topic.meaning.is_empty());
            let whole = topic.kind != Kind::Figure;
            assert!(!whole || (!topic.kernels.is_empty() && !topic.how.is_empty()), "{}", topic.id);
        }
    }

    #[test]
    fn no_id_names_two_topics_of_one_kind() {
        for topic in topics() {
            let same = topics().filter(|other| other.kind == topic.kind && other.id == topic.id).count();
            assert_eq!(same, 1, "{}", topic.id);
        }
    }

    #[test]
    fn the_nearest_ids_are_named() {
        assert_eq!(nearest("no_scater_gather")[0], "no_scatter_gather");
        assert!(nearest("optmen").contains(&"optmem"));
        assert!(nearest("memlok").contains(&"memlock"));
        assert_eq!(nearest("sniff"), ["sniffer"]);
        assert!(nearest("xyzzyx").is_empty(), "{:?}", nearest("xyzzyx"));
    }

    #[test]
    fn lines_fit_eighty_columns_but_for_commands() {
        for topic in topics() {
            let text = text(&topic);
            let long = text.lines().find(|line| line.chars().count() > WIDTH && !line.starts_with("  fix: "));
            assert_eq!(long, None, "{}", topic.id);
        }
    }

    #[test]
    fn a_topic_as_text() {
        insta::assert_snapshot!(text(&find("packet_tap")[0]));
    }
}
