//! The text at 80 columns, as people see it.
