//! The house checks itself: floors, rooms that alone may hold something, words, shape, links.
//!
//! Each rule takes a [`house::House`] (paths and texts) and returns what it found wrong, so that the
//! same rule runs over the repository here and over a planted fault in its own tests. A rule that
//! is wrong about the code is a rule to change, in the same commit and with the reason.

mod tidy {
    pub mod house;
    pub mod layers;
    pub mod modules;
    pub mod rooms;
    pub mod shape;
    pub mod texts;
    pub mod tokens;
}

use tidy::house::House;
use tidy::{layers, modules, rooms, shape, texts};

#[track_caller]
fn assert_tidy(rule: fn(&House) -> Vec<String>) {
    let faults = rule(&House::of_repository());
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn each_floor_uses_only_the_floors_below() {
    assert_tidy(layers::floors);
}

#[test]
fn crates_are_used_only_in_their_rooms() {
    assert_tidy(rooms::crates);
}

#[test]
fn atomics_locks_clocks_and_blocking_calls_stay_in_their_rooms() {
    assert_tidy(rooms::paths);
}

#[test]
fn unsafe_stays_in_its_rooms() {
    assert_tidy(rooms::unsafe_code);
}

#[test]
fn floors_without_unsafe_forbid_it() {
    assert_tidy(rooms::forbids);
}

#[test]
fn no_banned_macro_or_attribute() {
    assert_tidy(rooms::macros);
}

#[test]
fn no_second_runtime_is_locked() {
    assert_tidy(texts::lock_files);
}

#[test]
fn no_machine_path_and_no_unfinished_note() {
    assert_tidy(texts::words);
}

#[test]
fn every_link_leads_to_a_file() {
    assert_tidy(texts::links);
}

#[test]
fn files_stay_short() {
    assert_tidy(shape::lengths);
}

#[test]
fn every_source_file_is_part_of_a_crate() {
    assert_tidy(modules::unreachable);
}
