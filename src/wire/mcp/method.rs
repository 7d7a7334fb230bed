//! The methods of MCP.

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

/// Which field of `params` the object of a method is named by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorField {
    /// None.
    None,
    /// `params.name`.
    Name,
    /// `params.uri`.
    Uri,
    /// `params.taskId`.
    TaskId,
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
    /// A client may send it in revision 2026-07-28 (core, or an official extension).
    pub modern: bool,
    /// The field that names its object.
    pub object: MirrorField,
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

/// Every method that MCP defines, in the order of [`MethodId`].
pub const METHODS: [Method; 0] = [];

/// The method of exactly this name. `None` for methods that MCP does not define: in pass-through
/// they may be extensions that the upstream knows, so the caller decides.
pub fn method(name: &[u8]) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name.as_bytes() == name)
}
