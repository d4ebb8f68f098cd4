//! Plays the golden frames, which the SDK's tests read too, against the real server. `tests/golden/README.md` says how
//! they are written.

use std::collections::HashMap;

use serde_json::Value;

use crate::client::Client;
use crate::server::Setup;
use crate::usersig::sign;

/// True where both are the same but for what the marker stands for.
fn agrees(expected: &Value, seen: &Value) -> bool {
    match (expected, seen) {
        (Value::String(marker), _) if marker == "<any>" => true,
        (Value::Object(expected), Value::Object(seen)) => {
            expected.len() == seen.len() && expected.iter().all(|(key, value)| seen.get(key).is_some_and(|seen| agrees(value, seen)))
        }
        (Value::Array(expected), Value::Array(seen)) => {
            expected.len() == seen.len() && expected.iter().zip(seen).all(|(expected, seen)| agrees(expected, seen))
        }
        _ => expected == seen,
    }
}

/// The characters to send for a step's `in`.
fn text_of(frame: &Value) -> String {
    let mut frame = frame.clone();
    if let Some(text) = frame.as_str() {
        return text.to_owned();
    }
    if frame["userSig"] == "<userSig>" {
        frame["userSig"] = sign(frame["userID"].as_str().expect("whose sig it is")).into();
    }
    frame.to_string()
}

async fn play(file: &str) {
    let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the golden frames");
    let steps: Vec<Value> = serde_json::from_str(&text).expect("a list of steps");
    assert!(!steps.is_empty());
    let server = Setup::new().limit("counter_window", "60s").start().await;
    let mut clients: HashMap<String, Client> = HashMap::new();
    for step in &steps {
        let name = step["name"].as_str().expect("each step has a name");
        let who = step["as"].as_str().unwrap_or("ann");
        if !clients.contains_key(who) {
            clients.insert(who.to_owned(), server.connect().await);
        }
        let client = clients.get_mut(who).expect("it was just put there");
        assert!(step.get("in").is_some() == step.get("out").is_some(), "{file}, {name}: a question has an answer");
        if let Some(frame) = step.get("in") {
            let answer = client.reply(&text_of(frame)).await;
            assert!(agrees(&step["out"], &answer.0), "{file}, {name}: {} is not {}", answer.0, step["out"]);
        }
        for expected in step["then"].as_array().into_iter().flatten() {
            let event = client.event().await;
            assert!(agrees(expected, &event), "{file}, {name}: {event} is not {expected}");
        }
    }
}

#[tokio::test]
async fn the_story_of_a_room() {
    play("story.json").await;
}

#[tokio::test]
async fn the_faults() {
    play("faults.json").await;
}

#[tokio::test]
async fn a_live_room() {
    play("live.json").await;
}

#[test]
fn the_marker_stands_for_one_value_and_for_nothing_missing() {
    let expected = serde_json::json!({"a": "<any>", "b": [1, "<any>"]});
    assert!(agrees(&expected, &serde_json::json!({"a": null, "b": [1, {}]})));
    assert!(!agrees(&expected, &serde_json::json!({"b": [1, 2]})));
    assert!(!agrees(&expected, &serde_json::json!({"a": 1, "b": [1, 2], "c": 3})));
    assert!(!agrees(&expected, &serde_json::json!({"a": 1, "b": [2, 2]})));
}
