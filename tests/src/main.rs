//! Whole-system scenarios.
fn main() {}
