//! Lists without what the caller may not use: `tools/list`, `prompts/list`, `resources/list`,
//! `resources/templates/list`. The kept items are the server's own bytes; the left-out ones are cut out.
