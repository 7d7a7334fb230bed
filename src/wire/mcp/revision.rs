//! Protocol revisions.

/// A published revision of MCP, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Revision {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

impl Revision {
    /// Every revision that the gateway speaks, newest first: what `data.supported` lists.
    pub const SUPPORTED: [Self; 5] =
        [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26, Self::V2024_11_05];
    /// The newest revision with `initialize`.
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;
    /// What a request without any other sign of its revision is read as (2025-06-18, transports).
    pub const ASSUMED: Self = Self::V2025_03_26;

    /// The revision of exactly this name.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::SUPPORTED.into_iter().find(|revision| revision.as_str().as_bytes() == name)
    }

    /// Its name: the date.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether requests describe themselves and there are no sessions.
    pub fn is_modern(self) -> bool {
        self >= Self::V2026_07_28
    }
}
