//! What must hold of every input to the wire codecs, whatever its bytes.
//!
//! The codecs are compiled in from their source, so that a fuzz build needs none of the gateway's
//! other dependencies (and proves that the codecs need nothing above their floor).

#[allow(dead_code)]
#[path = "../../../src/base/mod.rs"]
pub mod base;
#[allow(dead_code)]
#[path = "../../../src/wire/mod.rs"]
pub mod wire;

pub mod chunk;
pub mod extract;
pub mod head;
pub mod listing;
pub mod proxy_protocol;
pub mod sse;

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
