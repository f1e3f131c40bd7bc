//! A snapshot in a form for people (`table`) or programs (`json`).

pub mod json;
pub mod table;

#[cfg(test)]
mod fixture;
