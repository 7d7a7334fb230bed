//! What limits promise.
#![allow(clippy::unwrap_used)]

use std::num::NonZeroU64;
use std::time::Duration;

use super::*;

/// A limit of calls with one bucket for all.
pub fn calls(name: &str, count: u64, seconds: u64, burst: u64) -> Limit {
    let number = |number| NonZeroU64::new(number).unwrap();
    limit(name, Unit::Calls, vec![Window::steady(number(count), Duration::from_secs(seconds), number(burst))])
}

/// A limit without conditions.
pub fn limit(name: &str, unit: Unit, windows: Vec<Window>) -> Limit {
    Limit {
        name: name.into(),
        unit,
        key: Box::default(),
        windows: windows.into(),
        overrides: Box::default(),
        mode: Mode::Enforce,
        charge: Charge::Always,
        deny_as: DenyAs::Error,
        advice: None,
        servers: Box::default(),
        methods: Box::default(),
        tools: Box::default(),
        except: Box::default(),
        who: Who::default(),
        when: None,
    }
}
