//! The methods of MCP, of all revisions together with the official extension for tasks.

/// A method that MCP defines, as an index into [`METHODS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum MethodId {
    Initialize,
    ServerDiscover,
    Ping,
    ToolsList,
    ToolsCall,
    PromptsList,
    PromptsGet,
    ResourcesList,
    ResourcesTemplatesList,
    ResourcesRead,
    ResourcesSubscribe,
    ResourcesUnsubscribe,
    CompletionComplete,
    LoggingSetLevel,
    SubscriptionsListen,
    TasksGet,
    TasksCancel,
    TasksResult,
    TasksList,
    TasksUpdate,
    RootsList,
    SamplingCreateMessage,
    ElicitationCreate,
    NotificationsInitialized,
    NotificationsCancelled,
    NotificationsProgress,
    NotificationsMessage,
    NotificationsToolsListChanged,
    NotificationsPromptsListChanged,
    NotificationsResourcesListChanged,
    NotificationsResourcesUpdated,
    NotificationsRootsListChanged,
    NotificationsElicitationComplete,
    NotificationsTasksStatus,
    NotificationsTasks,
    NotificationsSubscriptionsAcknowledged,
}

/// Which field of `params` names the object of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// None.
    None,
    /// `params.name`.
    Name,
    /// `params.uri`.
    Uri,
    /// `params.taskId`.
    TaskId,
    /// `params.ref.name` or `params.ref.uri`.
    Ref,
}

/// What a gateway has to know of a method.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its index in [`METHODS`].
    pub id: MethodId,
    /// Its name on the wire.
    pub name: &'static str,
    /// A client may send it in revisions up to 2025-11-25.
    pub legacy: bool,
    /// A client may send it over HTTP in revision 2026-07-28 (core, or an official extension).
    pub modern: bool,
    /// The field that names its object.
    pub object: Object,
    /// In revision 2026-07-28 `Mcp-Name` must carry that field.
    pub mirrored: bool,
    /// Sending it twice does no harm, so a failed attempt may be repeated.
    pub safe: bool,
    /// Its results carry `ttlMs` and `cacheScope` in revision 2026-07-28.
    pub cacheable: bool,
    /// It takes `params.cursor`.
    pub paged: bool,
    /// Its answer is a stream without an end in sight.
    pub endless: bool,
}

impl Method {
    const fn new(id: MethodId, name: &'static str, legacy: bool, modern: bool) -> Self {
        let object = Object::None;
        let (mirrored, safe, cacheable, paged, endless) = (false, false, false, false, false);
        Self { id, name, legacy, modern, object, mirrored, safe, cacheable, paged, endless }
    }

    /// In every revision.
    const fn always(id: MethodId, name: &'static str) -> Self {
        Self::new(id, name, true, true)
    }

    /// Up to 2025-11-25 only.
    const fn legacy(id: MethodId, name: &'static str) -> Self {
        Self::new(id, name, true, false)
    }

    /// From 2026-07-28 on.
    const fn modern(id: MethodId, name: &'static str) -> Self {
        Self::new(id, name, false, true)
    }

    /// Not a client's to send.
    const fn servers(id: MethodId, name: &'static str) -> Self {
        Self::new(id, name, false, false)
    }

    const fn of(self, object: Object) -> Self {
        Self { object, ..self }
    }

    const fn mirrored(self) -> Self {
        Self { mirrored: true, ..self }
    }

    const fn safe(self) -> Self {
        Self { safe: true, ..self }
    }

    const fn cacheable(self) -> Self {
        Self { cacheable: true, ..self }
    }

    const fn paged(self) -> Self {
        Self { paged: true, ..self }
    }

    const fn endless(self) -> Self {
        Self { endless: true, ..self }
    }

    /// Whether it is a notification, which has no `id` and no answer.
    pub fn is_notification(&self) -> bool {
        self.name.starts_with("notifications/")
    }
}

/// How many methods MCP defines.
pub const METHOD_COUNT: usize = MethodId::NotificationsSubscriptionsAcknowledged as usize + 1;

/// Every method that MCP defines, in the order of [`MethodId`].
pub static METHODS: [Method; METHOD_COUNT] = {
    use MethodId as Id;
    use Object::{Name, Ref, TaskId, Uri};
    [
        Method::legacy(Id::Initialize, "initialize").safe(),
        Method::modern(Id::ServerDiscover, "server/discover").safe().cacheable(),
        Method::legacy(Id::Ping, "ping").safe(),
        Method::always(Id::ToolsList, "tools/list").safe().cacheable().paged(),
        Method::always(Id::ToolsCall, "tools/call").of(Name).mirrored(),
        Method::always(Id::PromptsList, "prompts/list").safe().cacheable().paged(),
        Method::always(Id::PromptsGet, "prompts/get").of(Name).mirrored().safe(),
        Method::always(Id::ResourcesList, "resources/list").safe().cacheable().paged(),
        Method::always(Id::ResourcesTemplatesList, "resources/templates/list").safe().cacheable().paged(),
        Method::always(Id::ResourcesRead, "resources/read").of(Uri).mirrored().safe().cacheable(),
        Method::legacy(Id::ResourcesSubscribe, "resources/subscribe").of(Uri).safe(),
        Method::legacy(Id::ResourcesUnsubscribe, "resources/unsubscribe").of(Uri).safe(),
        Method::always(Id::CompletionComplete, "completion/complete").of(Ref).safe(),
        Method::legacy(Id::LoggingSetLevel, "logging/setLevel").safe(),
        Method::modern(Id::SubscriptionsListen, "subscriptions/listen").safe().endless(),
        Method::always(Id::TasksGet, "tasks/get").of(TaskId).mirrored().safe(),
        Method::always(Id::TasksCancel, "tasks/cancel").of(TaskId).mirrored().safe(),
        Method::legacy(Id::TasksResult, "tasks/result").of(TaskId).safe(),
        Method::legacy(Id::TasksList, "tasks/list").safe().paged(),
        Method::modern(Id::TasksUpdate, "tasks/update").of(TaskId).mirrored(),
        Method::servers(Id::RootsList, "roots/list").safe(),
        Method::servers(Id::SamplingCreateMessage, "sampling/createMessage"),
        Method::servers(Id::ElicitationCreate, "elicitation/create"),
        Method::legacy(Id::NotificationsInitialized, "notifications/initialized"),
        Method::always(Id::NotificationsCancelled, "notifications/cancelled"),
        Method::legacy(Id::NotificationsProgress, "notifications/progress"),
        Method::servers(Id::NotificationsMessage, "notifications/message"),
        Method::servers(Id::NotificationsToolsListChanged, "notifications/tools/list_changed"),
        Method::servers(Id::NotificationsPromptsListChanged, "notifications/prompts/list_changed"),
        Method::servers(Id::NotificationsResourcesListChanged, "notifications/resources/list_changed"),
        Method::servers(Id::NotificationsResourcesUpdated, "notifications/resources/updated").of(Uri),
        Method::legacy(Id::NotificationsRootsListChanged, "notifications/roots/list_changed"),
        Method::servers(Id::NotificationsElicitationComplete, "notifications/elicitation/complete"),
        Method::legacy(Id::NotificationsTasksStatus, "notifications/tasks/status").of(TaskId),
        Method::servers(Id::NotificationsTasks, "notifications/tasks").of(TaskId),
        Method::servers(
            Id::NotificationsSubscriptionsAcknowledged,
            "notifications/subscriptions/acknowledged",
        ),
    ]
};

/// The method of exactly this name (unescaped). `None` for methods that MCP does not define: in
/// pass-through they may be extensions that the upstream knows, so the caller decides.
pub fn method(name: &[u8]) -> Option<&'static Method> {
    // The common ones first; the rest is a short walk that no hot request takes.
    let id = match name {
        b"tools/call" => MethodId::ToolsCall,
        b"tools/list" => MethodId::ToolsList,
        b"resources/read" => MethodId::ResourcesRead,
        b"prompts/get" => MethodId::PromptsGet,
        b"ping" => MethodId::Ping,
        b"initialize" => MethodId::Initialize,
        b"notifications/initialized" => MethodId::NotificationsInitialized,
        _ => return METHODS.iter().find(|method| method.name.as_bytes() == name),
    };
    Some(&METHODS[id as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_stands_at_its_index_and_is_found_by_its_name_only() {
        for (index, entry) in METHODS.iter().enumerate() {
            assert_eq!(entry.id as usize, index, "{}", entry.name);
            assert_eq!(method(entry.name.as_bytes()).map(|found| found.id), Some(entry.id));
            assert!(method(entry.name.to_uppercase().as_bytes()).is_none());
        }
        assert!(method(b"foo/bar").is_none());
        assert!(method(b"").is_none());
    }

    #[test]
    fn only_calls_that_change_nothing_may_be_repeated() {
        assert!(!METHODS[MethodId::ToolsCall as usize].safe);
        assert!(!METHODS[MethodId::TasksUpdate as usize].safe);
        assert!(METHODS.iter().filter(|method| method.cacheable || method.paged).all(|method| method.safe));
        assert_eq!(METHODS.iter().filter(|method| method.cacheable).count(), 6);
    }
}
