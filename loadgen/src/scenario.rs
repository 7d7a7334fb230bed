//! Which requests a connection sends, and in which order.

use crate::requests::{RequestClass, RequestWriter};

/// A scenario by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ScenarioName {
    /// tools/call of revision 2026-07-28: stateless, every request complete in itself
    ModernCall,
    /// tools/call of revision 2025-11-25, in one session per connection
    LegacyCall,
    /// whole sessions of 2025-11-25, over and over: initialize, initialized, tools/list, tools/call, DELETE
    LegacySession,
    /// tools/call with bodies of several sizes (see --sizes)
    Mixed,
    /// event streams opened and held for the duration (see --hold)
    SseHold,
    /// keep-alive connections, one request each, then held idle for the duration
    Idle,
}

/// What opens a held stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum HoldName {
    /// GET of a legacy session's stream
    Get,
    /// POST subscriptions/listen of 2026-07-28
    Listen,
    /// POST tools/call of 2026-07-28 whose answer outlasts the run
    Call,
}

/// A body size and how often it is drawn, relative to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightedSize {
    /// The size of the body, in bytes.
    pub body_bytes: usize,
    /// Its share of the draws, at least 1.
    pub weight: u32,
}

/// Request classes and the order they follow each other in.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// All classes; the first `setup` of them are sent once per connection.
    pub classes: Vec<RequestClass>,
    setup: usize,
    then: Then,
}

/// What follows the set-up.
#[derive(Debug, Clone)]
enum Then {
    /// The remaining classes in turn, forever.
    Cycle,
    /// The remaining classes by these weights.
    Draw(Vec<u32>),
    /// Nothing: the connection is held as it is.
    Rest,
}

impl Scenario {
    /// Builds the requests of the scenario `name`.
    ///
    /// # Errors
    /// A sentence for the user when a body cannot have the size asked for.
    pub fn build(
        name: ScenarioName,
        hold: HoldName,
        writer: &RequestWriter,
        body_bytes: Option<usize>,
        sizes: &[WeightedSize],
    ) -> Result<Self, String> {
        let scenario = |classes, setup, then| Self { classes, setup, then };
        Ok(match name {
            ScenarioName::ModernCall => scenario(vec![writer.modern_call(body_bytes)?], 0, Then::Cycle),
            ScenarioName::LegacyCall => {
                let classes =
                    vec![writer.initialize(), writer.initialized(), writer.legacy_call(body_bytes)?];
                scenario(classes, 2, Then::Cycle)
            }
            ScenarioName::LegacySession => {
                let call = writer.legacy_call(body_bytes)?;
                let classes = vec![
                    writer.initialize(),
                    writer.initialized(),
                    writer.legacy_list(),
                    call,
                    writer.delete(),
                ];
                scenario(classes, 0, Then::Cycle)
            }
            ScenarioName::Mixed => {
                let classes: Result<Vec<_>, String> =
                    sizes.iter().map(|size| sized_call(writer, *size)).collect();
                scenario(classes?, 0, Then::Draw(sizes.iter().map(|size| size.weight).collect()))
            }
            ScenarioName::SseHold => match hold {
                HoldName::Get => scenario(
                    vec![writer.initialize(), writer.initialized(), writer.get_stream()],
                    3,
                    Then::Rest,
                ),
                HoldName::Listen => scenario(vec![writer.modern_listen()], 1, Then::Rest),
                HoldName::Call => scenario(vec![writer.modern_held_call(body_bytes)?], 1, Then::Rest),
            },
            ScenarioName::Idle => scenario(vec![writer.modern_call(body_bytes)?], 1, Then::Rest),
        })
    }

    /// The class a fresh connection begins with.
    pub fn first(&self, draw: u64) -> usize {
        if self.setup > 0 { 0 } else { self.begin_cycle(draw) }
    }

    /// The class after `class`; `None` when the connection rests.
    pub fn after(&self, class: usize, draw: u64) -> Option<usize> {
        let next = class + 1;
        match self.then {
            _ if next < self.setup => Some(next),
            Then::Rest => None,
            Then::Cycle if next < self.classes.len() => Some(next),
            Then::Cycle | Then::Draw(_) => Some(self.begin_cycle(draw)),
        }
    }

    /// Whether `class` prepares the connection, rather than being the load itself.
    pub fn is_setup(&self, class: usize) -> bool {
        class < self.setup
    }

    /// Whether connections are held after the set-up, instead of sending on.
    pub fn rests(&self) -> bool {
        matches!(self.then, Then::Rest)
    }

    fn begin_cycle(&self, draw: u64) -> usize {
        let Then::Draw(weights) = &self.then else { return self.setup };
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut point = draw % total.max(1);
        for (index, weight) in weights.iter().enumerate() {
            match point.checked_sub(u64::from(*weight)) {
                Some(rest) => point = rest,
                None => return self.setup + index,
            }
        }
        self.setup
    }
}

fn sized_call(writer: &RequestWriter, size: WeightedSize) -> Result<RequestClass, String> {
    let mut class = writer.modern_call(Some(size.body_bytes))?;
    class.label = format!("tools/call {} B", size.body_bytes);
    Ok(class)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn build(name: ScenarioName, hold: HoldName) -> Scenario {
        let writer = RequestWriter {
            host: "h".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            tool: "echo".to_owned(),
            arguments: serde_json::Map::new(),
            pad_key: "message".to_owned(),
        };
        let sizes =
            [(250, 7), (4096, 2), (65536, 1)].map(|(body_bytes, weight)| WeightedSize { body_bytes, weight });
        Scenario::build(name, hold, &writer, None, &sizes).unwrap()
    }

    /// The labels a connection sends, up to eight of them.
    fn walk(scenario: &Scenario) -> Vec<&str> {
        let mut at = Some(scenario.first(0));
        let mut labels = Vec::new();
        while let (Some(class), true) = (at, labels.len() < 8) {
            labels.push(scenario.classes[class].label.as_str());
            at = scenario.after(class, 0);
        }
        labels
    }

    #[test]
    fn each_scenario_walks_its_way() {
        let legacy = walk(&build(ScenarioName::LegacyCall, HoldName::Get)).join(" ");
        assert!(legacy.starts_with("initialize initialized tools/call tools/call tools/call"), "{legacy}");
        let session = walk(&build(ScenarioName::LegacySession, HoldName::Get)).join(" ");
        assert_eq!(
            session,
            "initialize initialized tools/list tools/call delete initialize initialized tools/list"
        );
        assert_eq!(walk(&build(ScenarioName::Idle, HoldName::Get)), ["tools/call"]);
        let get = build(ScenarioName::SseHold, HoldName::Get);
        assert_eq!(walk(&get), ["initialize", "initialized", "get stream"]);
        assert_eq!(walk(&build(ScenarioName::SseHold, HoldName::Listen)), ["subscriptions/listen"]);
    }

    #[test]
    fn draws_follow_the_weights() {
        let scenario = build(ScenarioName::Mixed, HoldName::Get);
        let mut counts = [0; 3];
        for draw in 0..1000 {
            counts[scenario.after(0, draw).unwrap()] += 1;
        }
        assert_eq!(counts, [700, 200, 100]);
    }
}
