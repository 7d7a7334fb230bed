#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::Snapshot;
use crate::control::fetch::scripted::{Say, Scripted};
use crate::control::life::Reload;
use crate::control::scene::{Scene, issuers as authn, snapshot};
use crate::policy::propagate::Credentials;

const KEYS: &str = r#"{"keys":[]}"#;

fn with(issuers: &[(&str, KeySource)]) -> Snapshot {
    snapshot(authn(issuers), Credentials::None)
}

fn url(server: &Scripted) -> KeySource {
    KeySource::Url(server.url("/keys").into())
}

fn known(scene: &Scene) -> Vec<bool> {
    scene.control.shared.deployment.load().keys.iter().map(Option::is_some).collect()
}

fn kept(scene: &Scene, index: usize) -> Rc<Kept> {
    scene.control.keys.issuers.borrow()[index].clone()
}

/// The answer to a wish for the first issuer's keys.
async fn wish(scene: &Scene) -> bool {
    let deployment = scene.control.shared.deployment.load();
    match on_demand(&scene.control, &deployment, 0).await {
        Answer::Keys | Answer::KeysResting => true,
        Answer::Failed => false,
        other => panic!("{other:?}"),
    }
}

/// Makes the last success an hour and a bit ago, as far as the cool-down goes.
fn rest(scene: &Scene) {
    kept(scene, 0).fetched.set(Some(Ticks(0)));
}

#[test]
fn keys_come_at_the_start_and_unknown_ones_cannot_flood_the_issuer() {
    let server = Scripted::start(|_, _| Say::ok(KEYS));
    Scene::play(with(&[("i", url(&server))]), Vec::new(), async |scene| {
        look(&scene.control);
        scene.until(|| known(&scene) == [true]).await;
        for _ in 0..50 {
            assert!(wish(&scene).await);
        }
        assert_eq!(server.seen().len(), 1, "within the cool-down");
        rest(&scene);
        for _ in 0..50 {
            assert!(wish(&scene).await);
        }
        assert_eq!(server.seen().len(), 2);
        look(&scene.control);
        assert_eq!(server.seen().len(), 2, "not due");
        let due = kept(&scene, 0).due.get().since(scene.control.net.now());
        assert!(due <= Duration::from_secs(300), "{due:?}");
    });
}

#[test]
fn all_who_wait_for_the_same_keys_get_them_from_one_fetch() {
    let server = Scripted::start(|_, _| {
        std::thread::sleep(Duration::from_millis(50));
        Say::ok(KEYS)
    });
    Scene::play(with(&[("i", url(&server))]), Vec::new(), async |scene| {
        let got = Rc::new(Cell::new(0));
        for _ in 0..20 {
            let (scene, got) = (scene.clone(), got.clone());
            let net = scene.control.net.clone();
            net.spawn(Box::pin(async move {
                let came = wish(&scene).await;
                got.set(got.get() + usize::from(came));
            }));
        }
        scene.until(|| got.get() == 20).await;
        assert_eq!(server.seen().len(), 1);
    });
}

#[test]
fn an_issuer_that_is_down_is_asked_ever_more_rarely_and_then_believed() {
    let server = Scripted::start(|number, _| match number {
        0 => Say::status(500),
        1 => Say::ok("<html>"),
        2 => Say::Raw(Vec::new()),
        _ => Say::ok(KEYS),
    });
    Scene::play(with(&[("i", url(&server))]), Vec::new(), async |scene| {
        for failure in 1..=3 {
            assert!(!wish(&scene).await);
            assert!(!wish(&scene).await, "resting");
            assert_eq!(server.seen().len(), failure);
            let again = kept(&scene, 0).due.get().since(scene.control.net.now());
            assert!(again <= BACK_OFF * (1 << (failure - 1)), "{again:?}");
            kept(&scene, 0).due.set(Ticks(0));
        }
        assert_eq!(known(&scene), [false]);
        assert!(wish(&scene).await);
        assert_eq!((known(&scene), kept(&scene, 0).failures.get()), (vec![true], 0));
        let counted = scene.control.fetches.all();
        assert_eq!(counted.iter().map(|(_, _, count)| count).sum::<u64>(), 4);
        assert!(counted.contains(&("keys", "ok", 1)) && counted.contains(&("keys", "status", 1)));
    });
}

#[test]
fn the_back_off_ends_somewhere() {
    let server = Scripted::start(|_, _| Say::status(503));
    Scene::play(with(&[("i", url(&server))]), Vec::new(), async |scene| {
        look(&scene.control);
        scene.until(|| kept(&scene, 0).failures.get() == 1).await;
        kept(&scene, 0).failures.set(u32::MAX);
        kept(&scene, 0).due.set(Ticks(0));
        assert!(!wish(&scene).await);
        let again = kept(&scene, 0).due.get().since(scene.control.net.now());
        assert!(again <= BACK_OFF_MAX && again > BACK_OFF_MAX / 2, "{again:?}");
    });
}

#[test]
fn keys_outlive_an_outage_of_their_issuer_but_not_for_ever() {
    let server = Scripted::start(|number, _| match number {
        0 => Say::ok(KEYS),
        1 => Say::ok("garbage"),
        _ => Say::status(500),
    });
    let mut first = with(&[("i", url(&server))]);
    first.outbound.keys_max_age = Duration::from_secs(90);
    Scene::play(first, Vec::new(), async |scene| {
        assert!(wish(&scene).await);
        let now = scene.control.net.now();
        kept(&scene, 0).fetched.set(Some(Ticks(now.0 - Duration::from_secs(80).as_nanos() as u64)));
        for _ in 0..2 {
            assert!(!wish(&scene).await);
            kept(&scene, 0).due.set(Ticks(0));
        }
        assert_eq!((server.seen().len(), known(&scene)), (3, vec![true]));
        rest(&scene);
        look(&scene.control);
        assert_eq!(known(&scene), [false]);
    });
}

#[test]
fn an_issuer_that_wants_to_be_asked_sooner_is_but_not_too_soon() {
    let server = Scripted::start(|number, _| {
        let age = [0, 120, 9999].get(number).copied().unwrap_or(0);
        Say::Reply(200, format!("cache-control: max-age={age}\r\n"), KEYS.into())
    });
    Scene::play(with(&[("i", url(&server))]), Vec::new(), async |scene| {
        for expected in [60, 120, 300] {
            assert!(wish(&scene).await);
            let due = kept(&scene, 0).due.get().since(scene.control.net.now());
            assert!(
                due <= Duration::from_secs(expected) && due > Duration::from_secs(expected - 20),
                "{due:?}"
            );
            rest(&scene);
        }
    });
}

#[test]
fn metadata_leads_to_the_keys_unless_it_leads_astray() {
    let elsewhere = Arc::new(Scripted::start(|_, _| Say::ok(KEYS)));
    let other = elsewhere.url("/keys");
    let script = move |_: usize, request: &str| {
        let host = request.split("host: ").nth(1).unwrap().lines().next().unwrap().to_owned();
        let of =
            |issuer: &str, keys: &str| Say::ok(format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}"}}"#));
        let own = format!("http://{host}/the/keys");
        match request.split(' ').nth(1).unwrap() {
            "/the/keys" => Say::ok(KEYS),
            "/.well-known/openid-configuration/second" => of(&format!("http://{host}/second"), &own),
            "/third/.well-known/openid-configuration" => of(&format!("http://{host}/third"), &own),
            "/.well-known/oauth-authorization-server/other" => of(&format!("http://{host}/second"), &own),
            "/.well-known/oauth-authorization-server/astray" => of(&format!("http://{host}/astray"), &other),
            "/.well-known/oauth-authorization-server/file" => {
                of(&format!("http://{host}/file"), "file:///etc/passwd")
            }
            "/.well-known/oauth-authorization-server/moved" => {
                Say::Reply(301, format!("location: http://{host}/the/keys\r\n"), Vec::new())
            }
            _ => Say::ok("<html>"),
        }
    };
    for (path, expected) in [
        ("second", true),
        ("third", true),
        ("other", false),
        ("astray", false),
        ("file", false),
        ("moved", false),
    ] {
        let server = Scripted::start(script.clone());
        let issuer = server.url(&format!("/{path}"));
        Scene::play(with(&[(&issuer, KeySource::Discovery)]), Vec::new(), async |scene| {
            assert_eq!(wish(&scene).await, expected, "{path}: {:?}", scene.control.fetches.all());
            assert_eq!(known(&scene), [expected], "{path}");
        });
    }
    assert!(elsewhere.seen().is_empty(), "a private address that only the network named");
    let server = Scripted::start(script);
    let issuer = server.url("/astray");
    let mut trusting = with(&[(&issuer, KeySource::Discovery)]);
    trusting.outbound.allow_private = true;
    Scene::play(trusting, Vec::new(), async |scene| {
        assert!(wish(&scene).await);
        assert_eq!(elsewhere.seen().len(), 1);
    });
}

#[test]
fn a_reload_keeps_the_keys_of_issuers_that_stay_and_drops_the_others() {
    let server = Scripted::start(|_, _| Say::ok(KEYS));
    let (one, two) = (url(&server), KeySource::Url(server.url("/two").into()));
    let first = with(&[("one", one.clone()), ("two", two.clone())]);
    let moved = with(&[("two", two.clone()), ("one", KeySource::Url(server.url("/moved").into()))]);
    let gone = with(&[]);
    let back = with(&[("two", two)]);
    Scene::play(first, vec![moved, gone, back], async |scene| {
        let old = scene.control.shared.deployment.load();
        look(&scene.control);
        scene.until(|| known(&scene) == [true, true]).await;
        scene.control.reload(Reload::All).await;
        assert_eq!(known(&scene), [true, false], "the same name from another source is another");
        // The wish of an exchange of the old deployment, for the issuer that moved.
        assert!(matches!(on_demand(&scene.control, &old, 0).await, Answer::Failed));
        scene.control.reload(Reload::All).await;
        assert!(known(&scene).is_empty());
        look(&scene.control);
        scene.control.reload(Reload::All).await;
        assert_eq!(known(&scene), [false], "what was removed is not remembered");
        assert_eq!(now(&scene.control).len(), 1);
        assert!(matches!(
            on_demand(&scene.control, &scene.control.shared.deployment.load(), 7).await,
            Answer::Failed
        ));
    });
}

#[test]
fn a_reload_while_keys_are_under_way_loses_neither() {
    let server = Scripted::start(|_, _| {
        std::thread::sleep(Duration::from_millis(100));
        Say::ok(KEYS)
    });
    let next = with(&[("new", KeySource::Url(server.url("/new").into())), ("i", url(&server))]);
    Scene::play(with(&[("i", url(&server))]), vec![next], async |scene| {
        look(&scene.control);
        scene.until(|| server.seen().len() == 1).await;
        scene.control.reload(Reload::All).await;
        scene.until(|| known(&scene) == [false, true]).await;
        assert_eq!(scene.control.shared.deployment.load().snapshot.generation, 2);
    });
}
