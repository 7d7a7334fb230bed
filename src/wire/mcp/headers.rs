//! The header fields that MCP gives a meaning.

/// What a request's headers say, as plain bytes. Start from the default and [`HeaderFacts::note`] each field.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeaderFacts<'a> {
    /// `MCP-Protocol-Version`.
    pub protocol_version: Option<&'a [u8]>,
    /// `Mcp-Method`.
    pub method: Option<&'a [u8]>,
    /// `Mcp-Name`, possibly in its base64 form.
    pub name: Option<&'a [u8]>,
    /// `Mcp-Session-Id`.
    pub session_id: Option<&'a [u8]>,
    /// `Last-Event-ID`.
    pub last_event_id: Option<&'a [u8]>,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a [u8]>,
    /// `Accept`, all lines together.
    pub accept: Accept,
    /// One of the fields above (`Accept` excepted) or an `Mcp-Param-*` came twice, or an
    /// `Mcp-Protocol-Version`, `Mcp-Method` or `Mcp-Session-Id` as a comma-joined list.
    pub duplicates: bool,
}

impl<'a> HeaderFacts<'a> {
    /// Takes note of one header field; those without a meaning here are ignored.
    /// `value` may still have whitespace around it.
    pub fn note(&mut self, name: &[u8], value: &'a [u8]) {
        let _ = (name, value);
    }
}

/// Which of the two media types of MCP answers a client takes (RFC 9110 section 12.5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    /// `application/json` is acceptable.
    pub json: bool,
    /// `text/event-stream` is acceptable.
    pub event_stream: bool,
}

/// How far the mirrored headers (`Mcp-Method`, `Mcp-Name`) can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// There are none.
    Absent,
    /// They say what the body says.
    Verified,
    /// The request is of a revision that does not know them, so nothing was compared: decide by the
    /// body, and do not send them on.
    Unverified,
}
