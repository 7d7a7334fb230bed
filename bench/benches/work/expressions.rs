//! Rules with expressions, over a call as large as they come.

use std::cell::RefCell;
use std::hint::black_box;

use ringgate::policy::Principal;
use ringgate::policy::authz::{Effect, Facts, Grants, Operation, Rule, Rules, Target, VARIABLES, Verdict};
use ringgate::policy::expr::{Expression, ParsedMessage};

use super::Input;

/// A call of 1 MB with 60,000 values in its arguments.
pub fn large_call() -> Vec<Input> {
    let row = |at: usize| format!(r#"{{"id":{at},"name":"customer {at:08} of the north"}}"#);
    let rows: Vec<String> = (0..20_000).map(row).collect();
    let arguments = format!(r#"{{"table":"orders","rows":[{}]}}"#, rows.join(","));
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"insert","arguments":{arguments}}}}}"#
    );
    vec![Input::new(call.as_bytes())]
}

/// One rule reads two names.
pub fn one(input: &Input) {
    judge(input, 1, TWO_NAMES);
}

/// Twenty do.
pub fn twenty(input: &Input) {
    judge(input, 20, TWO_NAMES);
}

/// One rule reads the rows.
pub fn one_of_all(input: &Input) {
    judge(input, 1, ALL_ROWS);
}

/// Twenty do.
pub fn twenty_of_all(input: &Input) {
    judge(input, 20, ALL_ROWS);
}

const TWO_NAMES: &str = "body.params.name == 'AT' || body.params.arguments.table == 'secret AT'";
const ALL_ROWS: &str = "size(arguments.rows) < AT";

struct World {
    count: usize,
    text: &'static str,
    rules: Rules,
    principal: Principal,
    grants: Grants,
}

impl World {
    /// As many rules that deny something else, and one that allows.
    fn new(count: usize, text: &'static str) -> Self {
        let deny = |at: usize| {
            let when = Expression::compile(&text.replace("AT", &at.to_string()), VARIABLES);
            let when = Some(when.expect("an expression"));
            Rule { effect: Effect::Deny, when, ..Rule::default() }
        };
        let allow = Rule { effect: Effect::Allow, ..Rule::default() };
        let rules = Rules::new((0..count).map(deny).chain([allow]).collect(), vec!["one".into()]);
        let principal = Principal::anonymous([]);
        let grants = rules.grants(&principal);
        Self { count, text, rules, principal, grants }
    }
}

fn judge(input: &Input, count: usize, text: &'static str) {
    thread_local! {
        static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
    }
    WORLD.with_borrow_mut(|world| {
        if world.as_ref().is_none_or(|world| (world.count, world.text) != (count, text)) {
            *world = Some(World::new(count, text));
        }
        let Some(World { rules, principal, grants, .. }) = world else { return };
        let body = input.text();
        let at = body.windows(12).position(|part| part == b"\"arguments\":").expect("arguments") + 12;
        let facts = Facts {
            source: None,
            now: 1_767_571_200,
            body,
            arguments: Some(&body[at..body.len() - 2]),
            header: &|_| Ok(None),
            parsed: &ParsedMessage::default(),
        };
        let operation = Operation { server: 0, method: "tools/call", target: Target::Tool("insert") };
        let decision = rules.authorize(grants, principal, &operation, &facts);
        assert_eq!(black_box(decision).verdict, Verdict::Allow);
    });
}
