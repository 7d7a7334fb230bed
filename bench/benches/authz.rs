//! What authorization costs: `cargo bench -p bench --bench authz`.
//!
//! Every agent has a rule of its own for a tool of its own, beside a few that all have in common, so that whatever
//! grows with the number of rules, tools or agents shows.

#![allow(missing_docs)]
#![allow(clippy::expect_used)]

use std::hint::black_box;

use divan::Bencher;
use ringgate::policy::Principal;
use ringgate::policy::authz::{
    Effect, Facts, Grants, Operation, Path, Pattern, Rule, Rules, Target, VARIABLES, Verdict, Wanted,
};
use ringgate::policy::expr::{Expression, ParsedMessage};

fn main() {
    divan::main();
}

const BODY: &[u8] = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"tool_5","arguments":{"query":"select 1","rows":10}}}"#;
const ARGUMENTS: &[u8] = br#"{"query":"select 1","rows":10}"#;

struct World {
    rules: Rules,
    principal: Principal,
    grants: Grants,
    tools: Vec<String>,
}

impl World {
    /// As many rules, tools and agents. `common`: the rule that all share.
    fn new(count: usize, common: Rule) -> Self {
        let pattern = |text: &str| Pattern::parse(text).expect("a pattern");
        let tools: Vec<String> = (0..count).map(|at| format!("tool_{at}")).collect();
        let own = tools.iter().enumerate().map(|(at, tool)| Rule {
            effect: Effect::Allow,
            agents: [pattern(&format!("agent_{at}"))].into(),
            tools: [pattern(tool)].into(),
            ..Rule::default()
        });
        let deny = Rule { effect: Effect::Deny, tools: [pattern("*_delete")].into(), ..Rule::default() };
        let rules = Rules::new([common, deny].into_iter().chain(own).collect(), vec!["one".into()]);
        let mut principal = Principal::anonymous(["reader".into(), "writer".into()]);
        principal.agent = Some("agent_5".into());
        let grants = rules.grants(&principal);
        Self { rules, principal, grants, tools }
    }

    fn ask(&self, tool: &str) -> Verdict {
        let facts = Facts {
            source: None,
            now: 1_767_571_200,
            body: BODY,
            arguments: Some(ARGUMENTS),
            header: &|_| Ok(None),
            parsed: &ParsedMessage::default(),
        };
        let operation = Operation { server: 0, method: "tools/call", target: Target::Tool(tool) };
        self.rules.authorize(&self.grants, &self.principal, &operation, &facts).verdict
    }
}

/// Everybody with the role may use what is named like this.
fn readers() -> Rule {
    let pattern = |text: &str| [Pattern::parse(text).expect("a pattern")].into();
    Rule { effect: Effect::Allow, roles: pattern("reader"), tools: pattern("read_*"), ..Rule::default() }
}

#[divan::bench(args = [10, 1_000, 10_000])]
fn one_tool_again(bencher: Bencher<'_, '_>, count: usize) {
    let world = World::new(count, readers());
    assert_eq!(world.ask("tool_5"), Verdict::Allow);
    bencher.bench_local(|| world.ask(black_box("tool_5")));
}

#[divan::bench(args = [10, 1_000, 10_000])]
fn eight_tools_in_turn(bencher: Bencher<'_, '_>, count: usize) {
    let world = World::new(count, readers());
    let tools: Vec<&str> = world.tools.iter().step_by(count / 8 + 1).map(String::as_str).collect();
    let mut turn = 0;
    bencher.bench_local(|| {
        turn = (turn + 1) % tools.len();
        world.ask(black_box(tools[turn]))
    });
}

#[divan::bench(args = [10, 1_000, 10_000])]
fn a_name_that_only_a_pattern_matches(bencher: Bencher<'_, '_>, count: usize) {
    let world = World::new(count, readers());
    assert_eq!(world.ask("read_it"), Verdict::Allow);
    bencher.bench_local(|| world.ask(black_box("read_it")));
}

#[divan::bench(args = [10, 1_000, 10_000])]
fn show_a_list_of_1000(bencher: Bencher<'_, '_>, count: usize) {
    let world = World::new(count, readers());
    let names: Vec<String> = (0..1_000).map(|at| format!("tool_{at}")).collect();
    bencher.bench_local(|| {
        let shown = |name: &&String| {
            let operation = Operation { server: 0, method: "tools/list", target: Target::Tool(name) };
            world.rules.shows(&world.grants, &world.principal, &operation, None, 0)
        };
        names.iter().filter(shown).count()
    });
}

#[divan::bench(args = [10, 1_000, 10_000])]
fn grants(bencher: Bencher<'_, '_>, count: usize) {
    let world = World::new(count, readers());
    bencher.bench_local(|| world.rules.grants(black_box(&world.principal)));
}

#[divan::bench(args = ["'reader' in roles", "body.params.name == \"tool_5\"", "arguments.rows < 1000 && tool == 'other'"])]
fn an_expression(bencher: Bencher<'_, '_>, text: &str) {
    let when = Expression::compile(text, VARIABLES).expect("an expression");
    let world = World::new(1_000, Rule { effect: Effect::Allow, when: Some(when), ..Rule::default() });
    assert_eq!(world.ask("other"), Verdict::Allow);
    bencher.bench_local(|| world.ask(black_box("other")));
}

#[divan::bench]
fn an_argument(bencher: Bencher<'_, '_>) {
    let wanted = Wanted::Text(Pattern::parse("select *").expect("a pattern"));
    let arguments = [(Path::parse("query").expect("a path"), [wanted].into())].into();
    let world = World::new(1_000, Rule { effect: Effect::Allow, arguments, ..Rule::default() });
    assert_eq!(world.ask("other"), Verdict::Allow);
    bencher.bench_local(|| world.ask(black_box("other")));
}
