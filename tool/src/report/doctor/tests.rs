//! The text at 80 columns, as people see it.

use super::*;
use crate::doctor::fixture::{card, loopback, proven};

const WIDTH: usize = 80;

#[test]
fn a_card_without_scatter_gather_and_with_a_tap() {
    insta::assert_snapshot!("card", render(&card()));
}

#[test]
fn loopback_when_tracing_is_not_possible() {
    let mut document = loopback();
    document.tracing.possible = false;
    document.tracing.why_not =
        Some("tracing needs root (or CAP_BPF and CAP_PERFMON); run `sudo zcscope ...`".into());
    insta::assert_snapshot!("loopback", render(&document));
}

#[test]
fn a_proof_with_a_difference() {
    insta::assert_snapshot!("proven", render(&proven()));
}

#[test]
fn lines_fit_eighty_columns() {
    for document in [card(), loopback(), proven()] {
        for line in render(&document).lines() {
            assert!(line.chars().count() <= WIDTH, "{line:?}");
        }
    }
}
