//! A snapshot in a form for people (`table`) or programs (`json`), and beside what a load was told (`beside`).

pub mod beside;
pub mod json;
pub mod json_path;
pub mod table;
mod table_lists;
mod table_path;

#[cfg(test)]
mod fixture;
