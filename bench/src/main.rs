//! Side-by-side measurements of ringgate and its peers.
fn main() {}
