//! How important a call is, by who calls.

use crate::policy::principal::Principal;

/// How important a call is. The least comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Shed first.
    Low,
    /// What nothing is said of.
    #[default]
    Normal,
    /// Shed last.
    Critical,
}

impl Class {
    /// All of them, in order of their numbers.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::Critical];

    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::Critical => "critical",
        }
    }

    /// How much of `places` calls of this class may take, those of all classes counted: at least 1. The rest is for
    /// those that are more important. Rounded up: of few places none is kept back, for that would cost too much.
    pub fn part_of(self, places: u32) -> u32 {
        let percent: u64 = match self {
            Self::Low => 70,
            Self::Normal => 90,
            Self::Critical => 100,
        };
        let part = (u64::from(places) * percent).div_ceil(100);
        u32::try_from(part).unwrap_or(places).max(1)
    }
}

/// One entry of the configured priorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priority {
    /// Callers with one of these roles,
    pub roles: Box<[Box<str>]>,
    /// and these agents,
    pub agents: Box<[Box<str>]>,
    /// have this class.
    pub class: Class,
}

/// Which class a caller has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Priorities(pub Box<[Priority]>);

impl Priorities {
    /// The class of the first entry that names the caller; [`Class::Normal`] if none does.
    pub fn class_of(&self, caller: &Principal) -> Class {
        let names = |priority: &&Priority| {
            priority.roles.iter().any(|role| caller.has_role(role))
                || caller.agent.as_ref().is_some_and(|agent| priority.agents.contains(agent))
        };
        self.0.iter().find(names).map_or(Class::Normal, |priority| priority.class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_that_names_the_caller_counts() {
        let entry = |roles: &[&str], agents: &[&str], class| Priority {
            roles: roles.iter().map(|&role| role.into()).collect(),
            agents: agents.iter().map(|&agent| agent.into()).collect(),
            class,
        };
        let priorities = Priorities(Box::new([
            entry(&["on-call"], &["pager"], Class::Critical),
            entry(&["batch", "on-call"], &[], Class::Low),
        ]));
        let class = |roles: &[&str], agent: Option<&str>| {
            let mut caller = Principal::anonymous(roles.iter().map(|&role| role.into()));
            caller.agent = agent.map(Into::into);
            priorities.class_of(&caller)
        };
        assert_eq!(class(&["batch"], None), Class::Low);
        assert_eq!(class(&["batch", "on-call"], None), Class::Critical);
        assert_eq!(class(&["batch"], Some("pager")), Class::Critical);
        assert_eq!(class(&[], Some("batch")), Class::Normal, "a role is no agent");
        assert_eq!(class(&[], None), Class::Normal);
    }

    #[test]
    fn the_more_important_have_more_places_and_all_have_one() {
        for places in 0..2_000 {
            let [low, normal, critical] = Class::ALL.map(|class| class.part_of(places));
            assert!(1 <= low && low <= normal && normal <= critical, "{places}");
            assert_eq!(critical, places.max(1));
        }
        assert_eq!(Class::ALL.map(|class| class.part_of(10)), [7, 9, 10]);
        assert_eq!(Class::ALL.map(|class| class.part_of(u32::MAX))[2], u32::MAX);
    }
}
