//! Two ways to look at bytes.
