//! What must hold of every input to the wire codecs and to the policies, whatever its bytes.
//!
//! They are compiled in from their source, so that a fuzz build needs none of the gateway's
//! other dependencies (and proves that they need nothing above their floor).

#[allow(dead_code)]
#[path = "../../../src/base/mod.rs"]
pub mod base;
#[allow(dead_code)]
#[path = "../../../src/policy/mod.rs"]
pub mod policy;
#[allow(dead_code)]
#[path = "../../../src/wire/mod.rs"]
pub mod wire;

pub mod allow;
pub mod certificate;
pub mod chunk;
pub mod credential;
pub mod expression;
pub mod extract;
pub mod head;
pub mod jwks;
pub mod listing;
pub mod proxy_protocol;
pub mod sse;
pub mod token;

/// Takes a few places to cut the rest of the input at off its front.
fn cuts(data: &[u8]) -> (Vec<usize>, &[u8]) {
    let Some((&count, data)) = data.split_first() else { return (Vec::new(), data) };
    let count = usize::from(count % 5).min(data.len());
    let (places, input) = data.split_at(count);
    let mut cuts: Vec<_> = places.iter().map(|&place| usize::from(place) * (input.len() + 1) / 256).collect();
    cuts.push(input.len());
    cuts.sort_unstable();
    (cuts, input)
}
