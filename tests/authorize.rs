//! A verdict that was given before is given again without allocating.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ringgate::policy::Principal;
use ringgate::policy::authz::{
    Effect, Facts, Lists, Operation, Pattern, Rule, Rules, Showing, Target, Verdict,
};
use ringgate::policy::expr::ParsedMessage;
use ringgate::policy::steps::Steps;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has nothing left to count in.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is passed on to the system's allocator, as it was asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allow(tools: &str) -> Rule {
    Rule { effect: Effect::Allow, tools: [Pattern::parse(tools).unwrap()].into(), ..Rule::default() }
}

#[test]
fn what_was_judged_before_is_judged_without_allocating() {
    let inside = Rule {
        sources: [ringgate::policy::authz::Block { first: [10, 0, 0, 0].into(), prefix_bits: 8 }].into(),
        ..allow("guarded")
    };
    let rules = Rules::new(vec![allow("exact"), allow("read_*"), inside], vec!["one".into()]);
    let principal = Principal::anonymous([]);
    let grants = rules.grants(&principal);
    let source = Some([10, 1, 1, 1].into());
    let parsed = ParsedMessage::default();
    let facts =
        Facts { source, now: 0, body: b"{}", arguments: None, header: &|_| Ok(None), parsed: &parsed };
    let asks = [
        ("tools/call", Target::Tool("exact"), Verdict::Allow),
        ("tools/call", Target::Tool("read_it"), Verdict::Allow),
        ("tools/call", Target::Tool("other"), Verdict::Deny),
        ("tools/call", Target::Tool("guarded"), Verdict::Allow),
        ("resources/read", Target::Resource("file:///x"), Verdict::Deny),
        ("initialize", Target::Protocol, Verdict::Allow),
        ("x/y", Target::Protocol, Verdict::Deny),
    ];
    // One for the lists of an answer: conditions are found out once for it.
    let (showing, steps) = (Showing::default(), Steps::default());
    let lists = Lists { principal: &principal, source, now: 0, showing: &showing, steps: &steps };
    let round = || {
        for (method, target, expected) in &asks {
            let operation = Operation { server: 0, method, target: *target };
            let decision = rules.authorize(&grants, &principal, &operation, &facts);
            assert_eq!(decision.verdict, *expected, "{method} {target:?}");
            let shown = rules.shows_among(&grants, &lists, &operation);
            assert_eq!(shown, *expected == Verdict::Allow, "{method} {target:?}");
        }
    };
    round();
    let before = ALLOCATIONS.with(Cell::get);
    assert!(before > 0, "the counter counts");
    (0..1_000).for_each(|_| round());
    assert_eq!(ALLOCATIONS.with(Cell::get), before);
}
