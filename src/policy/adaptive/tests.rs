#![allow(clippy::unwrap_used)]

mod model;
mod property;
mod scenes;
mod units;
