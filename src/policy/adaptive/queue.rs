//! Calls that wait for a place: the more important first; of one class the oldest first while the queue is short-lived,
//! the newest first once it does not empty any more. Then the oldest have waited longest for nothing, and serving them
//! would make every call wait as long as it may.

use std::cmp::Ordering;
use std::time::Duration;

use super::{Class, ToolKey};
use crate::base::Ticks;

/// Names one waiting call. A place is used again under another turn, so an id never names two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WaiterId {
    /// The place, from 0: below the length that the queue may have.
    pub place: u32,
    turn: u32,
}

/// One call that waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    /// How important it is.
    pub class: Class,
    /// What it calls.
    pub tool: ToolKey,
    /// Until then.
    pub deadline: Ticks,
}

/// The queue of one server on one core.
#[derive(Debug)]
pub struct Queue {
    places: Vec<Place>,
    free: u32,
    lines: [Line; 3],
    len: usize,
    max: usize,
    time: Duration,
    /// Since when it was never empty.
    standing: Option<Ticks>,
}

#[derive(Debug)]
struct Place {
    waiter: Option<Waiter>,
    turn: u32,
    /// Towards the newer one; of a free place, the next free one.
    newer: u32,
    older: u32,
}

/// The calls of one class, in the order they came in.
#[derive(Clone, Copy, Debug)]
struct Line {
    oldest: u32,
    newest: u32,
}

/// A call that another took the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Displaced {
    /// Its name.
    pub id: WaiterId,
    /// How important it was.
    pub class: Class,
}

/// Whether a call found room in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It waits.
    Found(WaiterId),
    /// It waits, in the place of this one.
    Taken {
        /// The one that waits now.
        waiter: WaiterId,
        /// The one that waits no longer.
        displaced: Displaced,
    },
    /// All that wait are no less important.
    Full,
}

impl Queue {
    /// A queue for at most `max` calls, each for at most `time`.
    pub fn new(max: u32, time: Duration) -> Self {
        let line = Line { oldest: NONE, newest: NONE };
        let max = max as usize;
        Self { places: Vec::new(), free: NONE, lines: [line; 3], len: 0, max, time, standing: None }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it was not empty for longer than any call may wait: it is no burst any more.
    pub fn is_standing(&self, now: Ticks) -> bool {
        self.standing.is_some_and(|since| now.since(since) > self.time)
    }

    /// Lets a call wait, if there is room for it or it may take the place of another: of a less important one; in a
    /// standing queue also of the oldest of its own class, whose time is nearly over.
    pub fn join(&mut self, class: Class, tool: ToolKey, now: Ticks) -> Room {
        let displaced = if self.len < self.max {
            None
        } else {
            match self.victim(class, now) {
                Some((place, class)) => Some(Displaced { id: self.remove(place), class }),
                None => return Room::Full,
            }
        };
        let waiter = self.push(Waiter { class, tool, deadline: now + self.time });
        self.standing.get_or_insert(now);
        match displaced {
            None => Room::Found(waiter),
            Some(displaced) => Room::Taken { waiter, displaced },
        }
    }

    /// Who makes room for a call of `class`.
    fn victim(&self, class: Class, now: Ticks) -> Option<(u32, Class)> {
        let standing = self.is_standing(now);
        let lowest = Class::ALL.into_iter().find(|class| self.lines[*class as usize].oldest != NONE)?;
        let line = self.lines[lowest as usize];
        let place = match (lowest.cmp(&class), standing) {
            (Ordering::Less, false) => line.newest,
            (Ordering::Less | Ordering::Equal, true) => line.oldest,
            (Ordering::Equal, false) | (Ordering::Greater, _) => return None,
        };
        Some((place, lowest))
    }

    /// Takes out who comes next, of those that `may` go now; a class of which `may_class` says no is passed over with
    /// all that are less important.
    pub fn take(
        &mut self,
        now: Ticks,
        may_class: impl Fn(Class) -> bool,
        mut may: impl FnMut(&Waiter) -> bool,
    ) -> Option<(WaiterId, Waiter)> {
        let newest_first = self.is_standing(now);
        for class in Class::ALL.into_iter().rev() {
            if !may_class(class) {
                return None;
            }
            let line = self.lines[class as usize];
            let mut place = if newest_first { line.newest } else { line.oldest };
            while place != NONE {
                let entry = &self.places[place as usize];
                if let Some(waiter) = entry.waiter.filter(|waiter| may(waiter)) {
                    return Some((self.remove(place), waiter));
                }
                place = if newest_first { entry.older } else { entry.newer };
            }
        }
        None
    }

    /// Takes out one whose time is over.
    pub fn expire(&mut self, now: Ticks) -> Option<(WaiterId, Waiter)> {
        let (place, waiter) = self.first_to_expire()?;
        (waiter.deadline <= now).then(|| (self.remove(place), waiter))
    }

    /// When the next one's time is over.
    pub fn wakes_at(&self) -> Option<Ticks> {
        self.first_to_expire().map(|(_, waiter)| waiter.deadline)
    }

    /// All wait for the same time, so the oldest of each class are the first.
    fn first_to_expire(&self) -> Option<(u32, Waiter)> {
        let oldest = self.lines.iter().map(|line| line.oldest).filter(|place| *place != NONE);
        let waiters = oldest.filter_map(|place| Some((place, self.places[place as usize].waiter?)));
        waiters.min_by_key(|(_, waiter)| waiter.deadline)
    }

    /// Takes out this one; `None` if it waits no longer.
    pub fn leave(&mut self, id: WaiterId) -> Option<Waiter> {
        let entry = self.places.get(id.place as usize).filter(|entry| entry.turn == id.turn)?;
        let waiter = entry.waiter?;
        self.remove(id.place);
        Some(waiter)
    }

    fn push(&mut self, waiter: Waiter) -> WaiterId {
        let place = match self.free {
            NONE => {
                self.places.push(Place { waiter: None, turn: 0, newer: NONE, older: NONE });
                // The length is bounded by a `u32`.
                u32::try_from(self.places.len() - 1).unwrap_or(NONE)
            }
            free => {
                self.free = self.places[free as usize].newer;
                free
            }
        };
        let line = &mut self.lines[waiter.class as usize];
        let before = std::mem::replace(&mut line.newest, place);
        match before {
            NONE => line.oldest = place,
            before => self.places[before as usize].newer = place,
        }
        let entry = &mut self.places[place as usize];
        (entry.waiter, entry.older, entry.newer) = (Some(waiter), before, NONE);
        self.len += 1;
        WaiterId { place, turn: entry.turn }
    }

    fn remove(&mut self, place: u32) -> WaiterId {
        let entry = &mut self.places[place as usize];
        let id = WaiterId { place, turn: entry.turn };
        let (older, newer) = (entry.older, entry.newer);
        entry.turn = entry.turn.wrapping_add(1);
        let waiter = entry.waiter.take();
        entry.newer = self.free;
        self.free = place;
        debug_assert!(waiter.is_some(), "only who waits is taken out");
        if let Some(waiter) = waiter {
            match older {
                NONE => self.lines[waiter.class as usize].oldest = newer,
                older => self.places[older as usize].newer = newer,
            }
            match newer {
                NONE => self.lines[waiter.class as usize].newest = older,
                newer => self.places[newer as usize].older = older,
            }
            self.len -= 1;
        }
        if self.len == 0 {
            self.standing = None;
        }
        id
    }
}

/// No place.
const NONE: u32 = u32::MAX;
