//! What kind of operation one is, and which rules can count for it.

use super::index::{Index, Kind};
use super::{Operation, Target};
use crate::wire::mcp::{METHOD_COUNT, MethodId, method};

/// What an operation is about, for rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A tool, a prompt or a resource.
    Thing(Kind, &'a str),
    /// The protocol itself: a number for each method.
    Protocol(u32),
    /// A method that MCP does not define, or does not let clients send.
    Unknown,
}

/// What is no method and belongs to the protocol: a client's answer to a server's request, a GET stream, a DELETE of
/// a session.
const NO_METHODS: [&str; 3] = ["(response)", "(stream)", "(delete)"];

/// Numbers of subjects without a name, from the top of all numbers downward.
const TOP: u32 = u32::MAX;

impl<'a> Subject<'a> {
    /// The subject of an operation.
    pub fn of(operation: &Operation<'a>) -> Self {
        match operation.target {
            Target::Tool(name) => Self::Thing(Kind::Tool, name),
            Target::Prompt(name) => Self::Thing(Kind::Prompt, name),
            Target::Resource(uri) => Self::Thing(Kind::Resource, uri),
            Target::Protocol => protocol(operation.method).map_or(Self::Unknown, Self::Protocol),
        }
    }

    /// The number of its verdict in a memo: of a name that rules name, its own; of other names, that of their kind.
    /// `None` if its verdict is not to be found by a number.
    #[inline]
    pub fn number(self, index: &Index) -> Option<u32> {
        match self {
            Self::Thing(kind, name) => Some(index.find(kind, name).unwrap_or(TOP - kind as u32)),
            Self::Protocol(number) => Some(TOP - 8 - number),
            Self::Unknown => None,
        }
    }
}

/// The method of a use of the target.
pub fn use_of(target: Target<'_>) -> Option<&'static str> {
    match target {
        Target::Tool(_) => Some("tools/call"),
        Target::Prompt(_) => Some("prompts/get"),
        Target::Resource(_) => Some("resources/read"),
        Target::Protocol => None,
    }
}

/// The number of an operation of the protocol itself.
fn protocol(name: &str) -> Option<u32> {
    if let Some(at) = NO_METHODS.iter().position(|own| *own == name) {
        return u32::try_from(METHOD_COUNT + at).ok();
    }
    let method = method(name.as_bytes())?;
    is_protocol(method.id).then_some(method.id as u32)
}

/// Whether a method belongs to the protocol itself. Uses of things do not, also when they name none; nor does what
/// only servers send (`roots/list`, `sampling/createMessage`, `elicitation/create` and notifications of servers).
fn is_protocol(id: MethodId) -> bool {
    use MethodId as Id;
    match id {
        Id::Initialize
        | Id::ServerDiscover
        | Id::Ping
        | Id::ToolsList
        | Id::PromptsList
        | Id::ResourcesList
        | Id::ResourcesTemplatesList
        | Id::LoggingSetLevel
        | Id::SubscriptionsListen
        | Id::NotificationsInitialized
        | Id::NotificationsCancelled
        | Id::NotificationsProgress
        | Id::NotificationsRootsListChanged
        | Id::NotificationsTasksStatus => true,
        Id::ToolsCall
        | Id::PromptsGet
        | Id::ResourcesRead
        | Id::ResourcesSubscribe
        | Id::ResourcesUnsubscribe
        | Id::CompletionComplete
        | Id::RootsList
        | Id::SamplingCreateMessage
        | Id::ElicitationCreate
        // Whose a task is, only the server knows, and it is shown one caller for all.
        | Id::TasksGet
        | Id::TasksCancel
        | Id::TasksResult
        | Id::TasksList
        | Id::TasksUpdate
        | Id::NotificationsMessage
        | Id::NotificationsToolsListChanged
        | Id::NotificationsPromptsListChanged
        | Id::NotificationsResourcesListChanged
        | Id::NotificationsResourcesUpdated
        | Id::NotificationsElicitationComplete
        | Id::NotificationsTasks
        | Id::NotificationsSubscriptionsAcknowledged => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::mcp::{METHODS, Object};

    fn subject(method: &str) -> Subject<'_> {
        Subject::of(&Operation { server: 0, method, target: Target::Protocol })
    }

    #[test]
    fn the_protocol_is_what_a_client_may_send_that_is_no_use_of_a_thing() {
        for method in &METHODS {
            let names_thing = matches!(method.object, Object::Name | Object::Uri | Object::Ref);
            // `notifications/tasks/status` tells of a task, and asks for none.
            let of_task = method.name.starts_with("tasks/");
            let expected = (method.legacy || method.modern) && !names_thing && !of_task;
            assert_eq!(matches!(subject(method.name), Subject::Protocol(_)), expected, "{}", method.name);
        }
        for name in NO_METHODS {
            assert!(matches!(subject(name), Subject::Protocol(_)), "{name}");
        }
        for name in ["", "tools/call", "tools/List", "x/y", "(other)", "notifications/x"] {
            assert_eq!(subject(name), Subject::Unknown, "{name}");
        }
    }

    #[test]
    fn no_two_subjects_share_a_number() {
        let mut index = Index::default();
        index.add(Kind::Tool, "a", 0);
        index.add(Kind::Resource, "a", 0);
        let things = [(Kind::Tool, "a"), (Kind::Resource, "a"), (Kind::Tool, "b"), (Kind::Prompt, "b")];
        let things = things.map(|(kind, name)| Subject::Thing(kind, name));
        let protocol = METHODS.iter().map(|method| subject(method.name)).chain(NO_METHODS.map(subject));
        let mut numbers: Vec<u32> =
            things.into_iter().chain(protocol).filter_map(|subject| subject.number(&index)).collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }
}
