//! How a configuration is written and read, whatever its options are: the YAML, the rules of values, sections that are declared
//! once, and findings that say what is wrong, where, and how to put it right.
#![forbid(unsafe_code)]

pub mod document;
pub mod finding;
pub mod moment;
pub mod rule;
pub mod section;
pub mod units;
pub mod world;
pub mod yaml;
