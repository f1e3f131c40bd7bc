//! Every form of a matrix, compared with stored ones.

use super::{Screen, csv, diff, markdown, table};
use crate::matrix::diff::DEFAULT_THRESHOLD;
use crate::matrix::fixture::{cable, copying};
use crate::matrix::result::{Copied, MatrixReport};

const UNICODE: Screen = Screen { columns: 120, unicode: true, colour: false };

/// Loopback: one path copied, one zero-copy; nothing may be read from it. One cell failed, one run lacks.
fn loopback() -> MatrixReport {
    let mut report = copying();
    report.setting.link = "loopback".into();
    report.setting.functional_only =
        Some("both ends are on this host, where MSG_ZEROCOPY is always copied".into());
    report.partial = Some("ended by a signal after 8 of 30 runs".into());
    report.setting.traced = None;
    report.setting.not_traced = Some("switched off with --no-trace".into());
    report
}

fn fits(text: &str, columns: usize) {
    for line in text.lines() {
        assert!(line.chars().count() <= columns, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn tables_fit_their_screens() {
    for report in [cable(), copying(), loopback()] {
        fits(&table::render(&report, Screen::PLAIN), 80);
        fits(&table::render(&report, UNICODE), 120);
    }
}

#[test]
fn the_longest_name_fits() {
    let mut report = copying();
    for cell in &mut report.cells {
        cell.key.path = "uring_send_zc_fixed".into();
        cell.kernel = cell.kernel.map(|c| Copied { copied_bytes: c.requested_bytes - 1, ..c });
    }
    assert!(report.cells[1].name().ends_with("(COPIED 99.9 %)"));
    fits(&table::render(&report, Screen::PLAIN), 80);
    fits(&table::render(&report, UNICODE), 120);
}

#[test]
fn ascii_is_ascii() {
    for report in [cable(), copying(), loopback()] {
        assert!(table::render(&report, Screen::PLAIN).is_ascii());
    }
}

#[test]
fn forms() {
    insta::assert_snapshot!("cable_80", table::render(&cable(), Screen::PLAIN));
    insta::assert_snapshot!("cable_120", table::render(&cable(), UNICODE));
    insta::assert_snapshot!("copying_80", table::render(&copying(), Screen::PLAIN));
    insta::assert_snapshot!("loopback_120", table::render(&loopback(), UNICODE));
    insta::assert_snapshot!("cable_csv", csv::render(&cable()));
    insta::assert_snapshot!("cable_markdown", markdown::render(&cable()));
    insta::assert_snapshot!("loopback_markdown", markdown::render(&loopback()));
    let changed = crate::matrix::diff::diff(&cable(), &copying(), DEFAULT_THRESHOLD);
    insta::assert_snapshot!("diff", diff::render(&changed, DEFAULT_THRESHOLD, Screen::PLAIN));
}

#[test]
fn a_copied_cell_is_never_printed_without_the_word() {
    for text in [table::render(&copying(), Screen::PLAIN), markdown::render(&copying())] {
        for line in text.lines().filter(|line| line.contains("msg_zerocopy") && line.contains("9.00 [")) {
            assert!(line.contains("(COPIED 100 %)"), "{line}");
        }
        assert_eq!(text.matches("msg_zerocopy (COPIED 100 %)").count(), 2, "{text}");
    }
}

#[test]
fn every_form_names_where_it_was_measured() {
    let report = loopback();
    let texts = [table::render(&report, UNICODE), markdown::render(&report), csv::render(&report)];
    for text in texts {
        for fact in
            ["6.12.0", "virtio_net", "MTU 1500", "cubic", "recv", "42", "--no-trace", "FUNCTIONAL ONLY"]
        {
            assert!(text.contains(fact), "{fact}: {text}");
        }
    }
}

#[test]
fn only_what_must_be_seen_is_red_and_only_where_there_is_colour() {
    let screen = Screen { colour: true, ..UNICODE };
    let text = table::render(&loopback(), screen);
    assert!(text.contains("\x1b[1;31mFUNCTIONAL ONLY"), "{text}");
    assert!(!table::render(&cable(), screen).contains('\x1b'));
    assert!(!table::render(&loopback(), UNICODE).contains('\x1b'));
}
