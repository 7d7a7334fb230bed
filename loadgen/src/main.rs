//! Load generator for MCP over HTTP.
fn main() {}
