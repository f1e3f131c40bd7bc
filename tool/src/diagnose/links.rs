//! Which finding explains which: the cause comes first, what follows from it stands behind it.

use super::rules::{SILENT, rule_of as rule};
use super::{About, Finding};

/// Puts every explained finding behind the one that explains it, and names that one in it. What comes in is sorted;
/// a group takes the place of its most urgent member.
pub(super) fn arrange(sorted: Vec<Finding>) -> Vec<Finding> {
    let causes: Vec<Option<usize>> = (0..sorted.len()).map(|at| cause(&sorted, at)).collect();
    let mut roots: Vec<usize> = Vec::new();
    for at in 0..sorted.len() {
        let root = root(&causes, at);
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    let mut order = Vec::with_capacity(sorted.len());
    for root in roots {
        push(&causes, root, &mut order);
    }
    let explained = |at: usize| causes[at].and_then(|cause| rule(&sorted[cause].id)).map(|rule| rule.id);
    let explained: Vec<_> = (0..sorted.len()).map(explained).collect();
    let mut sorted: Vec<Option<Finding>> = sorted.into_iter().map(Some).collect();
    let take = |at: usize| {
        let finding = sorted[at].take()?;
        Some(Finding { explained_by: explained[at], ..finding })
    };
    order.into_iter().filter_map(take).collect()
}

/// The first finding that explains this one.
fn cause(findings: &[Finding], at: usize) -> Option<usize> {
    let effect = &findings[at];
    let explains = |cause: &Finding| {
        let id = effect.id.as_str();
        rule(&cause.id).is_some_and(|rule| rule.explains.contains(&id))
            && !(cause.about.told && SILENT.contains(&id))
            && meet(&cause.about, &effect.about)
    };
    (0..findings.len()).find(|other| *other != at && explains(&findings[*other]))
}

/// Whether two findings can be about the same bytes. What names no path or no device can be about any.
fn meet(a: &About, b: &About) -> bool {
    let paths = a.paths.is_empty() || b.paths.is_empty() || a.paths.iter().any(|path| b.paths.contains(path));
    let devices = a.devices.is_empty() || b.devices.is_empty();
    paths && (devices || a.devices.iter().any(|dev| b.devices.contains(dev)))
}

/// The first cause of all. The rules have no circle (a test holds them to it), so this ends.
fn root(causes: &[Option<usize>], at: usize) -> usize {
    causes[at].map_or(at, |cause| root(causes, cause))
}

/// A finding, and behind it what it explains.
fn push(causes: &[Option<usize>], at: usize, order: &mut Vec<usize>) {
    order.push(at);
    for effect in (0..causes.len()).filter(|effect| causes[*effect] == Some(at)) {
        push(causes, effect, order);
    }
}

#[cfg(test)]
mod tests {
    use zcscope_common::Path;

    use super::*;
    use crate::diagnose::Severity;

    fn finding(id: &str, severity: Severity, devices: &[&str]) -> Finding {
        let devices = devices.iter().map(|dev| (*dev).to_owned()).collect();
        let about = About { paths: vec![Path::MsgZerocopy], devices, told: false };
        Finding { id: id.into(), severity, about, ..Finding::default() }
    }

    fn order(findings: Vec<Finding>) -> Vec<(String, Option<&'static str>)> {
        arrange(findings).into_iter().map(|f| (f.id, f.explained_by)).collect()
    }

    #[test]
    fn a_cause_stands_before_what_it_explains_even_if_it_is_less_severe() {
        let found = order(vec![
            finding("silent_copies", Severity::Critical, &[]),
            finding("no_scatter_gather", Severity::Critical, &["eth0"]),
            finding("optmem", Severity::Warning, &[]),
            finding("device_features", Severity::Warning, &["eth0"]),
        ]);
        let expected = [
            ("device_features", None),
            ("no_scatter_gather", Some("device_features")),
            ("silent_copies", Some("no_scatter_gather")),
            ("optmem", None),
        ];
        assert_eq!(found, expected.map(|(id, by)| (id.to_owned(), by)));
    }

    #[test]
    fn another_device_or_path_explains_nothing() {
        let found = order(vec![
            finding("no_scatter_gather", Severity::Critical, &["eth0"]),
            finding("device_features", Severity::Warning, &["eth1"]),
        ]);
        assert!(found.iter().all(|(_, by)| by.is_none()), "{found:?}");
        let other = About { paths: vec![Path::Sendfile], ..About::default() };
        let silent = Finding { about: other, ..finding("silent_copies", Severity::Critical, &[]) };
        let found = order(vec![silent, finding("no_scatter_gather", Severity::Critical, &["eth0"])]);
        assert!(found.iter().all(|(_, by)| by.is_none()), "{found:?}");
    }

    #[test]
    fn copies_that_are_told_explain_no_silence() {
        let mut told = finding("no_tx_checksum", Severity::Critical, &["eth0"]);
        told.about.told = true;
        let found = order(vec![told, finding("silent_copies", Severity::Critical, &[])]);
        assert!(found.iter().all(|(_, by)| by.is_none()), "{found:?}");
    }
}
