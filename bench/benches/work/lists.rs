//! Lists of tools as servers send them.

use super::Input;
use super::bodies::{Dice, prose};

/// Answers to `tools/list` with so many tools of 300 to 800 bytes each.
pub fn tools(count: u64, tools: usize) -> Vec<Input> {
    let one = |seed| {
        let mut dice = Dice::new(seed + 1);
        let tools: Vec<String> = (0..tools).map(|number| tool(&mut dice, number)).collect();
        Input::new(
            format!(
                r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{}],"nextCursor":"b2s"}}}}"#,
                tools.join(",")
            )
            .as_bytes(),
        )
    };
    (0..count).map(one).collect()
}

fn tool(dice: &mut Dice, number: usize) -> String {
    let verb = dice.of(&["search", "create", "update", "delete", "read"]);
    let what = dice.of(&["issue", "pull_request", "file", "invoice", "calendar_event"]);
    let length = 40 + dice.below(120);
    let description = prose(dice, length, false);
    let properties: Vec<String> = (0..2 + dice.below(4)).map(|at| property(dice, at)).collect();
    let schema = format!(
        r#"{{"type":"object","properties":{{{}}},"required":["p0"],"additionalProperties":false}}"#,
        properties.join(",")
    );
    let hint = dice.of(&["true", "false"]);
    format!(
        r#"{{"name":"{verb}_{what}_{number}","title":"{verb} {what}","description":"{description}","inputSchema":{schema},"annotations":{{"readOnlyHint":{hint}}}}}"#
    )
}

fn property(dice: &mut Dice, at: usize) -> String {
    let length = 20 + dice.below(50);
    let description = prose(dice, length, false);
    match dice.below(3) {
        0 => format!(r#""p{at}":{{"type":"string","description":"{description}"}}"#),
        1 => {
            format!(r#""p{at}":{{"type":"integer","minimum":1,"maximum":100,"description":"{description}"}}"#)
        }
        _ => format!(r#""p{at}":{{"type":"string","enum":["open","closed","all"],"default":"all"}}"#),
    }
}
