#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::config::Snapshot;
use crate::control::fetch::scripted::{Say, Scripted};
use crate::control::life::Reload;
use crate::control::scene::{Scene, UP, grant, introspection, snapshot};
use crate::policy::authn::Authn;
use crate::policy::propagate::{ExchangeWish, Trade};

const TOKEN: &str = r#"{"access_token":"t0ken","token_type":"Bearer","expires_in":100}"#;

fn opaque(token: &str) -> Errand {
    Errand::Introspect(Secret::new(token.as_bytes()))
}

fn exchange(server: &Scripted) -> Credentials {
    let wish = ExchangeWish {
        trade: Trade::TokenExchange,
        subject_token_type: "urn:x".into(),
        requested_token_type: None,
        header: None,
    };
    Credentials::Exchange(grant(server.url("/token")), wish)
}

fn own(server: &Scripted) -> Credentials {
    Credentials::ClientCredentials(grant(server.url("/token")))
}

fn with(credentials: Credentials) -> Snapshot {
    snapshot(Authn::default(), credentials)
}

fn give(scene: &Scene, number: u64, errand: Errand) {
    take(&scene.control, scene.order(0, number, errand));
}

#[test]
fn equal_errands_run_once_and_everybody_is_told() {
    let server = Scripted::start(|_, _| {
        std::thread::sleep(Duration::from_millis(100));
        Say::ok(r#"{"active":true}"#)
    });
    let first = snapshot(introspection(server.url("/")), Credentials::None);
    Scene::play(first, Vec::new(), async |scene| {
        for (worker, number) in [(0, 1), (1, 2), (0, 3)] {
            take(&scene.control, scene.order(worker, number, opaque("same")));
        }
        give(&scene, 4, opaque("other"));
        let mut numbers = Vec::new();
        for worker in [0, 0, 0, 1] {
            let (number, answer) = scene.answer(worker).await;
            assert!(matches!(answer, Answer::Introspected(body) if body.reveal() == br#"{"active":true}"#));
            numbers.push(number);
        }
        numbers.sort_unstable();
        assert_eq!((numbers, server.seen().len()), (vec![1, 2, 3, 4], 2));
        // Not kept: workers keep answers, by their own bounds.
        give(&scene, 5, opaque("same"));
        scene.answer(0).await;
        assert_eq!(server.seen().len(), 3);
        assert!(scene.control.errands.open.borrow().is_empty());
    });
}

#[test]
fn a_slow_issuer_holds_up_nobody_else() {
    let slow = Scripted::start(|_, _| Say::Silence);
    let quick = Scripted::start(|_, _| Say::ok(TOKEN));
    let first = snapshot(introspection(slow.url("/")), own(&quick));
    Scene::play(first, Vec::new(), async |scene| {
        for number in 0..40 {
            give(&scene, number, opaque(&number.to_string()));
        }
        give(&scene, 99, Errand::Token(UP, None));
        let (number, answer) = scene.answer(0).await;
        assert_eq!(number, 99);
        assert!(matches!(answer, Answer::Token { .. }));
        assert!(slow.seen().len() <= 8);
    });
}

#[test]
fn errands_that_find_no_answer_fail_and_say_nothing_of_secrets() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || written.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let scripts: [fn(usize, &str) -> Say; 6] = [
        |_, _| Say::status(500),
        |_, _| Say::Reply(401, String::new(), br#"{"error":"hunter2"}"#.into()),
        |_, _| Say::ok("hunter2"),
        |_, _| Say::Raw(b"hunter2".to_vec()),
        |_, _| Say::Silence,
        |_, _| Say::Reply(302, "location: https://x.example/?hunter2\r\n".into(), Vec::new()),
    ];
    for script in scripts {
        let server = Scripted::start(script);
        for (credentials, errand) in [
            (Credentials::None, opaque("hunter2")),
            (own(&server), Errand::Token(UP, None)),
            (exchange(&server), Errand::Token(UP, Some(Secret::new(*b"hunter2")))),
        ] {
            let mut first = snapshot(introspection(server.url("/?key=hunter2")), credentials);
            first.outbound.timeout = Duration::from_millis(500);
            Scene::play(first, Vec::new(), async |scene| {
                give(&scene, 1, errand);
                assert!(matches!(scene.answer(0).await, (1, Answer::Failed)));
            });
        }
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a fetch failed") && log.contains("an issuer refuses the gateway"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_token_of_the_gateways_own_is_fetched_once_for_all_workers_and_again_after_a_reload() {
    let server = Scripted::start(|_, _| Say::ok(TOKEN));
    Scene::play(with(own(&server)), vec![with(own(&server))], async |scene| {
        let wall = scene.control.net.wall();
        for (worker, number) in [(0, 1), (1, 2), (0, 3)] {
            take(&scene.control, scene.order(worker, number, Errand::Token(UP, None)));
            let (_, answer) = scene.answer(worker).await;
            let Answer::Token { token, expires } = answer else { panic!("{answer:?}") };
            assert_eq!(token.reveal(), b"t0ken");
            assert!(expires >= wall + 90 && expires <= scene.control.net.wall() + 90);
        }
        assert_eq!(server.seen().len(), 1);
        scene.control.reload(Reload::All).await;
        give(&scene, 4, Errand::Token(UP, None));
        scene.answer(0).await;
        assert_eq!((server.seen().len(), scene.control.errands.own.borrow().len()), (2, 1));
    });
}

#[test]
fn a_token_that_is_over_is_fetched_anew_and_a_failure_rests() {
    let server = Scripted::start(|number, _| match number {
        0 => Say::ok(r#"{"access_token":"t","token_type":"Bearer","expires_in":5}"#),
        1 => Say::status(503),
        _ => Say::ok(TOKEN),
    });
    Scene::play(with(own(&server)), Vec::new(), async |scene| {
        give(&scene, 1, Errand::Token(UP, None));
        assert!(matches!(scene.answer(0).await.1, Answer::Token { .. }));
        for number in 2..10 {
            give(&scene, number, Errand::Token(UP, None));
            assert!(matches!(scene.answer(0).await.1, Answer::Failed));
            // Not yet over, whatever the machine is doing.
            for own in scene.control.errands.own.borrow_mut().values_mut() {
                *own = Own::Resting(Ticks::NEVER);
            }
        }
        assert_eq!(server.seen().len(), 2);
        for own in scene.control.errands.own.borrow_mut().values_mut() {
            *own = Own::Resting(Ticks(0));
        }
        give(&scene, 10, Errand::Token(UP, None));
        assert!(matches!(scene.answer(0).await.1, Answer::Token { .. }));
    });
}

#[test]
fn an_exchange_is_for_one_caller_and_may_be_refused() {
    let server = Scripted::start(|_, request| match request.contains("subject_token=bad") {
        true => Say::Reply(400, String::new(), br#"{"error":"invalid_grant"}"#.into()),
        false => Say::ok(TOKEN),
    });
    Scene::play(with(exchange(&server)), Vec::new(), async |scene| {
        let of = |subject: &str| Errand::Token(UP, Some(Secret::new(subject.as_bytes())));
        for (number, subject) in [(1, "good"), (2, "better"), (3, "good")] {
            give(&scene, number, of(subject));
            assert!(matches!(scene.answer(0).await.1, Answer::Token { .. }), "{subject}");
        }
        give(&scene, 4, of("bad"));
        assert!(matches!(scene.answer(0).await.1, Answer::Refused { .. }));
        assert_eq!(server.seen().len(), 4);
    });
}

#[test]
fn errands_that_the_configuration_does_not_have_fail() {
    let server = Scripted::start(|_, _| Say::ok(TOKEN));
    Scene::play(with(own(&server)), Vec::new(), async |scene| {
        let subject = || Some(Secret::new(*b"s"));
        for (number, errand) in [
            Errand::Keys(0),
            Errand::Introspect(Secret::new(*b"t")),
            Errand::Token(ServerId(7), None),
            Errand::Token(ServerId(7), subject()),
            Errand::Token(UP, subject()),
        ]
        .into_iter()
        .enumerate()
        {
            give(&scene, number as u64, errand);
            assert!(matches!(scene.answer(0).await, (n, Answer::Failed) if n == number as u64));
        }
        // Whoever waits may be gone.
        take(&scene.control, Order { worker: 9, ..scene.order(0, 1, Errand::Keys(0)) });
        give(&scene, 2, Errand::Keys(1));
        assert_eq!(scene.answer(0).await.0, 2);
        assert!(server.seen().is_empty());
    });
}

#[test]
fn orders_are_taken_when_the_bell_rings() {
    let server = Scripted::start(|_, _| Say::ok(TOKEN));
    Scene::play(with(own(&server)), Vec::new(), async |scene| {
        let (bell, wire) = crate::io::bell::bell().unwrap();
        let control = scene.control.clone();
        scene.control.net.spawn(Box::pin(run(control, wire.listen().unwrap())));
        assert!(scene.control.shared.orders.post(scene.order(1, 5, Errand::Token(UP, None))).is_ok());
        bell.ring();
        let (number, answer) = scene.answer(1).await;
        assert!(number == 5 && matches!(answer, Answer::Token { .. }));
    });
}

#[test]
fn a_token_that_a_server_has_refused_is_changed_once_for_all_workers() {
    let server = Scripted::start(|number, _| Say::ok(TOKEN.replace("t0ken", &format!("t-{number}"))));
    Scene::play(with(own(&server)), Vec::new(), async |scene| {
        let shown = async |worker: usize, errand: Errand| {
            take(&scene.control, scene.order(worker, 1, errand));
            match scene.answer(worker).await.1 {
                Answer::Token { token, .. } => String::from_utf8(token.reveal().to_vec()).unwrap(),
                other => panic!("{other:?}"),
            }
        };
        let refused = |token: &str| {
            let line = format!("authorization: Bearer {token}\r\n");
            Errand::Renew(UP, Secret::new(line.as_bytes()))
        };
        assert_eq!(shown(0, Errand::Token(UP, None)).await, "t-0");
        for worker in [0, 1, 0] {
            assert_eq!(shown(worker, refused("t-0")).await, "t-1", "the others get the new one");
        }
        assert_eq!(shown(1, Errand::Token(UP, None)).await, "t-1");
        assert_eq!(server.seen().len(), 2);
    });
}
