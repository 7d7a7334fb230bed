//! Lists by the thousand: the answer is put together from the pieces that they were made of.
#![allow(clippy::unwrap_used)]

use super::naive;
use super::*;
use proptest::prelude::*;

/// A JSON string token and what it means; sometimes with needless escapes.
fn string() -> impl Strategy<Value = (String, String)> {
    let text = prop_oneof![3 => "[a-z/_]{0,8}", 1 => any::<String>()];
    (text, 0..6u8).prop_map(|(text, style)| {
        let token = match style {
            0 => format!("\"{}\"", text.encode_utf16().map(|u| format!("\\u{u:04x}")).collect::<String>()),
            _ => serde_json::to_string(&text).unwrap(),
        };
        (token, text)
    })
}

fn gap() -> impl Strategy<Value = String> {
    prop_oneof![5 => Just(String::new()), 2 => Just(" ".to_string()), 1 => "[ \t\r\n]{1,20}"]
}

fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        string().prop_map(|(token, _)| token),
        any::<i32>().prop_map(|number| number.to_string()),
        prop::sample::select(vec!["null", "true", "{}", "[]", "[{\"name\":\"x\"}]"]).prop_map(String::from),
    ];
    scalar.prop_recursive(4, 20, 4, |inner| {
        let member =
            (gap(), string(), gap(), inner.clone()).prop_map(|(a, (key, _), b, v)| a + &key + ":" + &b + &v);
        prop_oneof![
            prop::collection::vec((gap(), inner), 0..4).prop_map(|all| format!(
                "[{}]",
                all.into_iter().map(|(g, v)| g + &v).collect::<Vec<_>>().join(",")
            )),
            prop::collection::vec(member, 0..4).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    })
}

/// Members whose keys are nothing to us.
fn others() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(
        ("[k-m_]{1,3}", gap(), value()).prop_map(|(k, g, v)| format!("\"{k}\"{g}:{g}{v}{g}")),
        0..3,
    )
}

#[derive(Clone, Debug)]
struct Item {
    before: String,
    text: String,
    name: String,
    after: String,
}

fn item(key: &'static str) -> impl Strategy<Value = Item> {
    let inside = (others(), gap(), string(), others());
    (gap(), inside, gap()).prop_map(move |(before, (left, space, (token, name), right), after)| {
        let own = format!("{space}\"{key}\"{space}:{space}{token}");
        let members: Vec<_> = left.into_iter().chain([own]).chain(right).collect();
        Item { before, text: format!("{{{}}}", members.join(",")), name, after }
    })
}

/// The list as it is written, with only the items that stay: each keeps the gap before it, but the first of
/// them stands where the first of all stood.
fn written(items: &[Item], stays: impl Fn(&Item) -> bool) -> String {
    let mut out = String::from("[");
    let mut kept = false;
    for (at, item) in items.iter().enumerate().filter(|(_, item)| stays(item)) {
        if kept {
            out += &format!("{},{}", items[at - 1].after, item.before);
        } else {
            out += &items[0].before;
        }
        out += &item.text;
        kept = true;
    }
    if kept {
        out += &items[items.len() - 1].after;
    }
    out + "]"
}

fn keep(salt: u8) -> impl Fn(Kind, &str) -> bool {
    move |kind, name| {
        let sum = name.bytes().fold(salt, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        !(sum.wrapping_add(kind as u8 * 85)).is_multiple_of(2)
    }
}

fn list() -> impl Strategy<Value = (Kind, &'static str, Vec<Item>)> {
    prop::sample::select(vec![
        (Kind::Tool, "tools", "name"),
        (Kind::Prompt, "prompts", "name"),
        (Kind::Resource, "resources", "uri"),
        (Kind::ResourceTemplate, "resourceTemplates", "uriTemplate"),
    ])
    .prop_flat_map(|(kind, list, key)| {
        prop::collection::vec(item(key), 0..8).prop_map(move |items| (kind, list, items))
    })
}

proptest! {
    #[test]
    fn exactly_the_refused_items_are_cut(
        (kind, name, items) in list(),
        left in others(),
        right in others(),
        scope in prop::option::of(prop::sample::select(vec!["public", "private", "PUBLIC"])),
        time in prop::option::of(prop::sample::select(vec!["0", "60000", "60001", "9e9", "\"5\""])),
        scope_first in any::<bool>(),
        batch in any::<bool>(),
        salt in any::<u8>(),
    ) {
        let keep = keep(salt);
        let document = |list: String, scope: Option<&str>, time: Option<&str>| {
            let time = time.map(|time| format!("\"ttlMs\":{time}"));
            let scope = scope.map(|scope| format!("\"cacheScope\" : \"{scope}\""));
            let scope: Vec<_> = scope.into_iter().chain(time).collect();
            let (front, back) = if scope_first { (scope, Vec::new()) } else { (Vec::new(), scope) };
            let list = format!("\"{name}\":{list}");
            let members: Vec<_> =
                front.into_iter().chain(left.clone()).chain([list]).chain(right.clone()).chain(back).collect();
            let message = format!("{{\"id\":7, \"result\" : {{{}}} }}\n", members.join(","));
            if batch { format!("[{message},{{\"method\":\"m\"}},{message}]") } else { message }
        };
        let all = written(&items, |_| true);
        let all = if items.is_empty() { "[]".to_owned() } else { all };
        let body = document(all, scope, time);
        let shown = time.map(|time| if time.len() < 5 && !time.contains(['e', '"']) || time == "60000" { time } else { "60000" });
        let expected = document(written(&items, |item| keep(kind, &item.name)), scope.map(|_| "private"), shown);
        let out = naive::check(body.as_bytes(), b"\0", &keep).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn damaged_documents_are_refused_or_filtered_all_the_same(
        (_, name, items) in list(),
        scope in prop::sample::select(vec!["public", "private"]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 0..3),
        behind in prop::collection::vec(any::<u8>(), 1..40),
        salt in any::<u8>(),
    ) {
        let list = written(&items, |_| true);
        let mut body =
            format!("{{\"result\":{{\"{name}\":{list},\"cacheScope\":\"{scope}\",\"ttlMs\":70000}}}}").into_bytes();
        for (at, how, byte) in damage {
            let at = at.index(body.len());
            match how {
                0 => body.truncate(at),
                1 => body[at] = byte,
                2 => body.insert(at, b"\"\\{}[],:"[usize::from(byte % 8)]),
                _ => drop(body.remove(at)),
            }
            if body.is_empty() {
                break;
            }
        }
        // All that can be said of it is said in there.
        drop(naive::check(&body, &behind, &keep(salt)));
    }

    #[test]
    fn any_text_is_judged_without_panic(text in "[\\[\\]{}\",:a-z\\\\0-9 ]{0,60}", salt in any::<u8>()) {
        drop(naive::check(text.as_bytes(), b"}", &keep(salt)));
    }
}
