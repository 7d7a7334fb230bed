//! Names to the rules that name them: one table, built when rules are compiled and never changed.

/// What a name is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum Kind {
    Tool,
    Prompt,
    Resource,
    Agent,
    User,
    Role,
    Tenant,
}

/// Names with the rules that name them exactly. Open addressing, at most half full.
///
/// The hash has no secret: all names in the table are the operator's, so what a stranger looks up can at worst walk
/// over the longest run that these happen to make.
#[derive(Debug, Default)]
pub struct Index {
    /// Entry number plus one; 0 is free. The length is 0 or a power of two.
    slots: Box<[u32]>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    kind: Kind,
    name: Box<str>,
    rules: Vec<u32>,
}

impl Index {
    /// Adds the rule under a name. Rules come in ascending order.
    pub fn add(&mut self, kind: Kind, name: &str, rule: u32) {
        let entry = match self.find(kind, name) {
            Some(found) => found as usize,
            None => self.insert(kind, name),
        };
        let rules = &mut self.entries[entry].rules;
        if rules.last() != Some(&rule) {
            rules.push(rule);
        }
    }

    /// The number of a name's entry. Entries are numbered from 0 without gaps.
    #[inline]
    pub fn find(&self, kind: Kind, name: &str) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let hash = hash(kind, name);
        let mut at = hash as usize & mask;
        loop {
            let number = self.slots[at].checked_sub(1)?;
            let entry = &self.entries[number as usize];
            if entry.hash == hash && entry.kind == kind && *entry.name == *name {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
    }

    /// The rules of an entry, ascending.
    pub fn rules(&self, entry: u32) -> &[u32] {
        self.entries.get(entry as usize).map_or(&[], |entry| &entry.rules)
    }

    /// The rules under a name, ascending.
    pub fn rules_of(&self, kind: Kind, name: &str) -> &[u32] {
        self.find(kind, name).map_or(&[], |entry| self.rules(entry))
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn insert(&mut self, kind: Kind, name: &str) -> usize {
        let number = self.entries.len();
        self.entries.push(Entry { hash: hash(kind, name), kind, name: name.into(), rules: Vec::new() });
        if self.entries.len() * 2 > self.slots.len() {
            let length = (self.entries.len() * 4).next_power_of_two();
            self.slots = vec![0; length].into();
            (0..self.entries.len()).for_each(|number| self.seat(number));
        } else {
            self.seat(number);
        }
        number
    }

    /// Puts an entry into the first free slot of its run.
    fn seat(&mut self, number: usize) {
        let mask = self.slots.len() - 1;
        let mut at = self.entries[number].hash as usize & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = u32::try_from(number + 1).unwrap_or(0);
    }
}

/// Eight bytes at a time: multiply, fold the halves.
fn hash(kind: Kind, name: &str) -> u64 {
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let (words, rest) = name.as_bytes().as_chunks::<8>();
    let seed = 0x243f_6a88_85a3_08d3 ^ ((kind as u64) << 56) ^ name.len() as u64;
    let state = words.iter().fold(seed, |state, word| fold(state, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(fold(state, u64::from_le_bytes(last)), 0xa409_3822_299f_31d0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_kind_and_whole_text_however_many_there_are() {
        let mut index = Index::default();
        assert_eq!(index.find(Kind::Tool, "a"), None);
        for rule in 0..5_000_u32 {
            index.add(Kind::Tool, &format!("tool_{rule}"), rule);
            index.add(Kind::Tool, "shared", rule);
            index.add(Kind::Tool, "shared", rule);
        }
        index.add(Kind::Role, "shared", 7);
        for rule in 0..5_000_u32 {
            assert_eq!(index.rules_of(Kind::Tool, &format!("tool_{rule}")), &[rule]);
        }
        assert_eq!(index.rules_of(Kind::Tool, "shared").len(), 5_000);
        assert_eq!(index.rules_of(Kind::Role, "shared"), &[7]);
        assert_eq!(index.find(Kind::Prompt, "tool_1"), None);
        assert_eq!(index.find(Kind::Tool, "tool_"), None);
        assert_eq!(index.len(), 5_002);
    }
}
