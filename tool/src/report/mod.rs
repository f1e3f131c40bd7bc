//! A snapshot in a form for people (`table`) or programs (`json`), and beside what a load was told (`beside`); a
//! `matrix` of loads; and what `doctor` found.

pub mod beside;
pub mod doctor;
pub mod json;
pub mod json_path;
pub mod matrix;
pub mod table;
mod table_lists;
mod table_path;

#[cfg(test)]
pub(crate) mod fixture;
