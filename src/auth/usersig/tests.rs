//! The vendor's vectors, what must never verify, and properties over all users and all texts.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const K: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const NOW: u64 = 1_700_000_000;
const MAC_A: &str = "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4=";

/// Name of the vector, app, secret, user, seconds of life, the sig as an official generator made it.
const VECTORS: [(&str, u64, &str, &str, u64, &str); 10] = [
    (
        "A-node",
        1_400_000_000,
        K,
        "xiaojun",
        15_552_000,
        "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwhWZiflZpXlQqeKU7MSCgswUJStDEwMogMiUZOamKlkZmqOKplYUZBaBxE1NTY3gosWZ6UpWSj5ljuYp*p7l5unBxXnF2WVhVU4uAf7Ozi5JpX7O5SbuHuUhzgZJmQXaTia2SrUAohcx8g__",
    ),
    (
        "A-py",
        1_400_000_000,
        K,
        "xiaojun",
        15_552_000,
        "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPXFmekgG3zKHM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2cy03cPcpDnA2SMgu0nUxslWoBHdYzUg__",
    ),
    (
        "A-stored",
        1_400_000_000,
        K,
        "xiaojun",
        15_552_000,
        "eAEBrABT-3siVExTLnZlciI6IjIuMCIsIlRMUy5pZGVudGlmaWVyIjoieGlhb2p1biIsIlRMUy5zZGthcHBpZCI6MTQwMDAwMDAwMCwiVExTLmV4cGlyZSI6MTU1NTIwMDAsIlRMUy50aW1lIjoxNzAwMDAwMDAwLCJUTFMuc2lnIjoiTHZBN2QvSXc3Z1NzbnNrdlZ6QkRQT0NDRGJ1TkN3NEdId1RDMGJpcCtCND0ifQrfwzH8",
    ),
    (
        "A-fast",
        1_400_000_000,
        K,
        "xiaojun",
        15_552_000,
        "eAGrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwhWZiflZpXlQqeKU7MSCgswUJStDEwMogGhKrSjILEoFipuamhoBZSCiJZm5IDFzVLXFmelAC33KHM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2cy03cPcpDnA2SMgu0nUxslWq5AN-DMfw_",
    ),
    (
        "B-node",
        1_400_000_000,
        K,
        "administrator",
        86_400,
        "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwokpuZl5mcUlRYkl*UVQBcUp2YkFBZkpSlaGJgZQAJEpycxNVbIyNEcVTa0oyCxKVbKyMDOBCRVnpitZKVX6OKZql5uHh6aGlhYmhVlm6IdEmFuUGhnmh7hnamdaRhUYlhoHFORFmhnYKtUCAK0SM5I_",
    ),
    (
        "B-py",
        1_400_000_000,
        K,
        "administrator",
        86_400,
        "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkElNyM-Myi0uKEkvyi2BKilOyEwsKMlOACgxNDKAAKpdaUZBZlAqUsTAzgQuWZOaChAzN0RQXZ6aDLKn0cUzVLjcPD00NLS1MCrPM0A*JMLcoNTLMD3HP1M60jCowLDUOKMiLNDOwVaoFAD4PNPI_",
    ),
    (
        "C-node",
        88_888_888,
        "secret",
        "user_1",
        604_800,
        "eJw1yVELgjAUhuH-cq5DZ4jZoDtXSGJRYXQVwc7iOLSxLYmi-x7oeu**5-vAqTpGA1rgMI8YzMZNEntPikZ*OrTXJDxO6psxJIHnock9dQg8WbDQpPgyZBF4xtL8b47uwKH2yhSF0I*D7xtxJrOhLm6GVMmqzN5iHV-qZbvD7V7qFXx-wWIxSw__",
    ),
    (
        "D-node",
        1_400_000_000,
        K,
        "user with space~!",
        3_600,
        "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwqXFqUUK5ZklGQrFBYnJqXWKUEXFKdmJBQWZKUpWhiYGUACRKcnMTVWyMjRHFU2tKMgsSlWyMjaDiRRnpitZKaVrZxVGGgSYJaUlpWVmpOZF5JQa*QU6uXhFGha6hOS6ZXnneRiXVGSZ5vvaKtUCADw8NRg_",
    ),
    (
        "F-node",
        1_400_000_000,
        K,
        "xiaojun",
        15_552_000,
        "eJxVjc0KgkAYRd-l2xb*kVQDLb5CVJCwEoJ2jo7TpKn410j07qFZ0N1c7jmL*4TAOykdq4CAoWgwH7eIWd6IRIxYirC4tfmk6jgNy1LEQPSFNuVjGnFnQPTlP2WyFNXATdM0frStWUXbBAggosPs7EqNUqfZvg84Iu6iwyW1VBzir8b63gsOBPo1dtSUD4e7vMAttcPUCy1N1rNOjb3I9Rmn5ySiR8-dwOsNn*tDuQ__",
    ),
    (
        "G-py",
        1_400_000_000,
        K,
        "xiaojun",
        15_552_000,
        "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPWlxalFSaVpIFsiw72y4FZkpoOEArNCjAwMKwKyI7L1E30NU7UrDcoSs6OSDLyNMgOK3EpTtbUNik0rzZLcfG2VagHdkjl6",
    ),
];

/// The name of these is not ASCII: truly signed, and still not a name here.
const E: [&str; 2] = [
    "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBws*nrHjWsf3JjgaoZHFKdmJBQWaKkpWhiQEUQGRKMnNTlawMzVFFUysKMotSlayMzWAixZnpSlZKFrkGoYUBbkYmJVElBk5*huklERlm5iXZRuWFRuX53s4mxsFpnuXBhSGBybZKtQC3VDR*",
    "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkYkrNTY0sYkrNjIzNY0pNUg3g6opTshMLCjJTgKoMTQygACqXWlGQWZQKlDE2g4uVZOaCRAzN0dQWZ6aDLLLINQgtDHAzMimJKjFw8jNML4nIMDMvyTYqLzQqz-d2NjEOTvMsDy4MCUy2VaoFAA7sNI4_",
];

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn ring(app: u64, secrets: &[&str]) -> Keyring {
    Keyring::new(app, secrets.iter().map(|s| Secret::new(s).unwrap()).collect()).unwrap()
}

fn ours() -> Keyring {
    ring(1_400_000_000, &[K])
}

fn packed(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::new(level));
    zlib.write_all(bytes).unwrap();
    zlib.finish().unwrap()
}

fn sig_of(json: impl AsRef<[u8]>) -> String {
    DRESS.encode(packed(json.as_ref(), 6))
}

fn facts() -> serde_json::Value {
    json!({"TLS.ver": "2.0", "TLS.identifier": "xiaojun", "TLS.sdkappid": 1_400_000_000u64, "TLS.time": NOW,
           "TLS.expire": 15_552_000, "TLS.sig": MAC_A})
}

fn verify_facts(change: impl FnOnce(&mut serde_json::Value)) -> Result<Verified, SigError> {
    let mut facts = facts();
    change(&mut facts);
    ours().verify(&user("xiaojun"), &sig_of(facts.to_string()), NOW)
}

fn code(result: Result<Verified, SigError>) -> Code {
    result.map_or_else(SigError::code, |_| Code::Ok)
}

/// A truly signed sig whatever it says, as a server of the vendor's that checks nothing would hand it out.
fn truly_signed(name: &str, time: u64, expire: u64, userbuf: Option<&str>) -> String {
    let mut ticket = Ticket {
        version: VERSION.into(),
        user: name.into(),
        app_id: 1_400_000_000,
        time,
        expire,
        userbuf: userbuf.map(String::from),
        mac: "".into(),
    };
    ticket.mac = STANDARD.encode(Secret::new(K).unwrap().mac(&ticket.signed_text())).into();
    dress(&ticket)
}

#[test]
fn every_vector_of_every_generator_verifies() {
    for (vector, app, key, name, expire, sig) in VECTORS {
        let verified = ring(app, &[key]).verify(&user(name), sig, NOW);
        assert_eq!(verified, Ok(Verified { user: user(name), expires_at: NOW + expire }), "{vector}");
    }
}

#[test]
fn ours_carries_the_vendors_hmac() {
    let json = undress(&ours().sign(&user("xiaojun"), NOW, 15_552_000)).unwrap();
    assert_eq!(Ticket::parse(&json).unwrap().mac, MAC_A);
    assert!(json.starts_with(br#"{"TLS.ver":"2.0","TLS.identifier":"xiaojun","TLS.sdkappid":1400000000,"TLS.time":17"#));
}

#[test]
fn a_name_of_a_wrong_form_is_refused_even_when_truly_signed() {
    for sig in E {
        assert_eq!(code(ours().verify(&user("xiaojun"), sig, NOW)), Code::SigUndecodable);
    }
    for name in ["", " a", "a\nTLS.sdkappid:1", &"u".repeat(33)] {
        assert_eq!(code(ours().verify(&user("a"), &truly_signed(name, NOW, 9, None), NOW)), Code::SigUndecodable, "{name:?}");
    }
}

#[test]
fn hmacs_over_something_else_do_not_verify() {
    // The key decoded from its hexadecimal digits; the text without its last line break; no HMAC at all.
    for mac in ["rCyTws/JgfDC71c532blmFU9CpuHrkHgh4ctiETT+fE=", "tTix4qGtT07elfSlNVMJMyADjavesE8BxglvPoLa294=", "", "AAAA", "not base64!"] {
        assert_eq!(verify_facts(|f| f["TLS.sig"] = json!(mac)), Err(SigError::Mismatch), "{mac}");
    }
    assert_eq!(verify_facts(|f| f["TLS.userbuf"] = json!("YWJj")), Err(SigError::Mismatch));
    assert_eq!(verify_facts(|f| f["TLS.expire"] = json!(15_552_001)), Err(SigError::Mismatch));
    assert_eq!(ring(1_400_000_000, &["other"]).verify(&user("xiaojun"), VECTORS[0].5, NOW), Err(SigError::Mismatch));
}

#[test]
fn the_first_check_that_fails_names_the_code() {
    let (theirs, other_app) = (VECTORS[0].5, ring(7, &["other"]));
    assert_eq!(code(ours().verify(&user("xiaojun"), "", NOW)), Code::SigEmpty);
    assert_eq!(code(other_app.verify(&user("somebody"), theirs, NOW * 2)), Code::SigOtherApp);
    let same_app = ring(1_400_000_000, &["other"]);
    assert_eq!(code(same_app.verify(&user("somebody"), theirs, NOW * 2)), Code::SigOtherUser);
    assert_eq!(code(same_app.verify(&user("xiaojun"), theirs, NOW * 2)), Code::SigMismatch);
    assert_eq!(code(ours().verify(&user("xiaojun"), theirs, NOW * 2)), Code::SigExpired);
}

#[test]
fn the_last_second_is_still_good() {
    let sig = VECTORS[0].5;
    assert!(ours().verify(&user("xiaojun"), sig, 1_715_552_000).is_ok());
    assert_eq!(ours().verify(&user("xiaojun"), sig, 1_715_552_001), Err(SigError::Expired));
    let most = i64::MAX as u64;
    let endless = truly_signed("xiaojun", NOW, most - NOW, None);
    assert_eq!(ours().verify(&user("xiaojun"), &endless, most).unwrap().expires_at, most);
    let beyond = truly_signed("xiaojun", NOW, most - NOW + 1, None);
    assert_eq!(code(ours().verify(&user("xiaojun"), &beyond, NOW)), Code::SigUndecodable);
}

#[test]
fn every_live_secret_verifies_and_the_first_signs() {
    let both = ring(1_400_000_000, &["new", K]);
    assert!(both.verify(&user("xiaojun"), VECTORS[0].5, NOW).is_ok());
    let sig = both.sign(&user("xiaojun"), NOW, 60);
    assert!(ring(1_400_000_000, &["new"]).verify(&user("xiaojun"), &sig, NOW).is_ok());
    assert_eq!(ours().verify(&user("xiaojun"), &sig, NOW), Err(SigError::Mismatch));
}

#[test]
fn what_is_not_the_json_of_a_usersig_is_undecodable() {
    assert!(verify_facts(|_| ()).is_ok());
    assert!(verify_facts(|f| f["unknown"] = json!({"a": [1]})).is_ok());
    for (field, bad) in [
        ("TLS.ver", json!("1.0")),
        ("TLS.ver", json!(2.0)),
        ("TLS.identifier", json!(5)),
        ("TLS.sdkappid", json!("1400000000")),
        ("TLS.sdkappid", json!(1.4e9)),
        ("TLS.time", json!(-1)),
        ("TLS.time", json!(null)),
        ("TLS.expire", json!("15552000")),
        ("TLS.sig", json!(["x"])),
        ("TLS.userbuf", json!(null)),
        ("TLS.userbuf", json!(1)),
        ("TLS.userbuf", json!("YWJ")),
        ("TLS.userbuf", json!("YWK=")),
        ("TLS.userbuf", json!("YW\nJj")),
    ] {
        assert_eq!(code(verify_facts(|f| f[field] = bad.clone())), Code::SigUndecodable, "{field} {bad}");
    }
    for field in ["TLS.ver", "TLS.identifier", "TLS.sdkappid", "TLS.time", "TLS.expire", "TLS.sig"] {
        assert_eq!(code(verify_facts(|f| drop(f.as_object_mut().unwrap().remove(field)))), Code::SigUndecodable, "{field}");
    }
    let facts = facts().to_string();
    let twice = facts.replacen('{', r#"{"TLS.identifier":"admin","#, 1);
    let array = format!(r#"["2.0","xiaojun",1400000000,{NOW},15552000,null,"{MAC_A}"]"#);
    for json in [twice.as_str(), array.as_str(), "", "null", "{}", &format!("{facts} x"), "{\"TLS.ver\":\"\u{0}\"}"] {
        assert_eq!(code(ours().verify(&user("xiaojun"), &sig_of(json), NOW)), Code::SigUndecodable, "{json}");
    }
    assert!(ours().verify(&user("xiaojun"), &sig_of(format!(" {facts} \r\n")), NOW).is_ok());
}

#[test]
fn line_breaks_cannot_carry_fields_from_one_sig_into_another() {
    let forged = truly_signed("victim", NOW, 60, Some("YWJj\nTLS.x:"));
    assert_eq!(code(ours().verify(&user("victim"), &forged, NOW)), Code::SigUndecodable);
}

#[test]
fn what_is_not_one_whole_small_zlib_stream_is_undecodable() {
    let json = facts().to_string();
    let undecodable = |bytes: &[u8]| code(ours().verify(&user("xiaojun"), &DRESS.encode(bytes), NOW)) == Code::SigUndecodable;
    for level in [0, 1, 6, 9] {
        let whole = packed(json.as_bytes(), level);
        assert!(!undecodable(&whole));
        assert!(undecodable(&[&whole[..], b"\0"].concat()));
        assert!(undecodable(&[&whole[..], &whole[..]].concat()));
        assert!(undecodable(&whole[..whole.len() - 1]));
    }
    assert!(undecodable(json.as_bytes()));
    let padded = |to: usize| format!("{json}{}", " ".repeat(to - json.len()));
    assert!(!undecodable(&packed(padded(INFLATED_BYTES_MAX).as_bytes(), 6)));
    assert!(undecodable(&packed(padded(INFLATED_BYTES_MAX + 1).as_bytes(), 6)));
    assert!(undecodable(&packed(padded(4 << 20).as_bytes(), 9)));
    let dictionary = b"\x78\xbb\x11\x22\x33\x44garbage";
    assert!(undecodable(dictionary));
}

#[test]
fn only_the_usersig_alphabet_is_read() {
    let good = VECTORS[0].5;
    for bad in [
        good.replace('*', "+"),
        good.trim_end_matches('_').to_owned(),
        good.replace("__", "=="),
        format!("{good}\n"),
        format!(" {good}"),
        "用户".to_owned(),
        "A".repeat(SIG_BYTES_MAX + 4),
    ] {
        assert_eq!(code(ours().verify(&user("xiaojun"), &bad, NOW)), Code::SigUndecodable, "{bad}");
    }
}

#[test]
fn nothing_of_a_secret_is_shown() {
    let shown = format!("{:?} {:#?}", ours(), ours());
    assert!(!shown.contains("5bd2850f") && shown.contains("Secret"), "{shown}");
    assert!(Secret::new("").is_err());
    assert!(Keyring::new(1, Vec::new()).is_err());
}

fn any_user() -> impl Strategy<Value = UserId> {
    "[!-~]|[!-~][ -~]{0,30}[!-~]".prop_map(|name| user(&name))
}

proptest! {
    #[test]
    fn whoever_is_signed_for_verifies(who in any_user(), app in 1u64.., now in 0u64..1 << 62, expire in 0u64..1 << 62, secret in ".{1,80}") {
        let ring = ring(app, &[&secret]);
        let sig = ring.sign(&who, now, expire);
        prop_assert_eq!(ring.verify(&who, &sig, now + expire), Ok(Verified { user: who.clone(), expires_at: now + expire }));
        prop_assert_eq!(ring.verify(&who, &sig, now + expire + 1), Err(SigError::Expired));
    }

    #[test]
    fn a_changed_character_never_makes_it_another_users(who in any_user(), other in any_user(), at in any::<prop::sample::Index>(), to in "[A-Za-z0-9*_-]") {
        prop_assume!(who != other);
        let mut sig = ours().sign(&who, NOW, 60);
        prop_assert!(ours().verify(&other, &sig, NOW).is_err());
        let at = at.index(sig.len());
        sig.replace_range(at..=at, &to);
        prop_assert!(ours().verify(&other, &sig, NOW).is_err());
    }

    #[test]
    fn a_changed_byte_of_the_json_never_verifies_as_something_else(who in any_user(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut json = undress(&ours().sign(&who, NOW, 60)).unwrap();
        let at = at.index(json.len());
        json[at] = to;
        if let Ok(verified) = ours().verify(&who, &sig_of(&json), NOW) {
            prop_assert_eq!(verified, Verified { user: who, expires_at: NOW + 60 });
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let who = user("a");
        prop_assert!(ours().verify(&who, &text, NOW).is_err());
        prop_assert!(ours().verify(&who, &DRESS.encode(&bytes), NOW).is_err());
        prop_assert!(ours().verify(&who, &sig_of(&bytes), NOW).is_err());
    }
}

#[test]
fn a_time_that_no_clock_can_tell_is_refused() {
    let who = user("ann");
    let (most, half) = (i64::MAX as u64, 1u64 << 62);
    for (time, expire) in [(most, 1), (1, most), (half, half), (1 << 63, 0), (0, 1 << 63), (NOW, u64::MAX), (u64::MAX, NOW)] {
        let verified = ours().verify(&who, &ours().sign(&who, time, expire), NOW);
        assert!(matches!(verified, Err(SigError::Undecodable(_))), "{time} + {expire}: {verified:?}");
    }
    let verified = ours().verify(&who, &ours().sign(&who, NOW, most - NOW), NOW);
    assert_eq!(verified.map(|verified| verified.expires_at), Ok(most));
}
