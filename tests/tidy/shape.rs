//! How long a file may be.

use super::house::{House, fault};

/// Files that are longer than [`LINES_MAX`] and may not grow: path, lines. Take a file out once it is shorter.
const RATCHET: [(&str, usize); 2] = [("src/io/tls/tests.rs", 620), ("src/wire/http1/request/tests.rs", 549)];

/// Lines that a source file may have, its tests included.
const LINES_MAX: usize = 500;

/// Source files that are too long, and entries of the ratchet that have become loose.
pub fn lengths(house: &House) -> Vec<String> {
    over(house, &RATCHET)
}

fn over(house: &House, ratchet: &[(&str, usize)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in house.files.iter().filter(|(path, _)| path.ends_with(".rs")) {
        let lines = text.lines().count();
        let held = ratchet.iter().find(|(name, _)| name == path).map(|&(_, lines)| lines);
        match held {
            None if lines > LINES_MAX => faults.push(fault(
                path,
                LINES_MAX,
                format!("{lines} lines, at most {LINES_MAX}: give one of its ideas a file of its own"),
            )),
            Some(held) if lines > held => {
                faults.push(fault(path, held, format!("{lines} lines, but it was held at {held}")));
            }
            Some(_) if lines <= LINES_MAX => {
                faults.push(fault(path, 1, "is short enough now: take it out of the ratchet"));
            }
            Some(held) if lines < held => {
                faults.push(fault(path, 1, format!("has become shorter: hold it at {lines}, not {held}")));
            }
            None | Some(_) => {}
        }
    }
    let gone = ratchet.iter().filter(|(path, _)| !house.files.contains_key(*path));
    faults.extend(gone.map(|(path, _)| format!("{path}: is in the ratchet, but there is no such file")));
    faults
}

#[test]
fn a_long_file_is_found_and_the_ratchet_only_tightens() {
    let long = "x\n".repeat(LINES_MAX + 20);
    let house = House::of(&[("src/a.rs", &long), ("src/b.rs", "x\n"), ("docs/long.md", &long)]);
    let found = |ratchet: &[(&str, usize)], words: &str| {
        let faults = over(&house, ratchet);
        assert!(faults.len() == 1 && faults[0].contains(words), "{faults:?}");
    };
    found(&[], "src/a.rs:500: 520 lines, at most 500");
    found(&[("src/a.rs", 510)], "held at 510");
    found(&[("src/a.rs", 530)], "hold it at 520");
    found(&[("src/a.rs", 520), ("src/b.rs", 600)], "take it out");
    found(&[("src/a.rs", 520), ("src/c.rs", 600)], "no such file");
    assert_eq!(over(&house, &[("src/a.rs", 520)]), [""; 0]);
}
