//! The vendor's own UserSig generators as judges: what they make must open the door.
//! `make test` installs them; without them these tests fail, because a judge who is absent has not agreed.

use std::path::PathBuf;
use std::process::Command;

use crate::server::{ADMIN, SDK_APP_ID, SECRET, Server};
use crate::usersig::unix_now;

fn folder(variable: &str, default: &str, proof: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::var_os(variable).map_or_else(|| root.join("target/oracles").join(default), PathBuf::from);
    assert!(
        folder.join(proof).exists(),
        "the vendor's UserSig generator is not in {}: run `make test`, which installs it, or set {variable}",
        folder.display()
    );
    folder
}

/// Runs a generator script, whose words are app, secret, user, seconds and, in hex, an optional userbuf.
fn generate(mut command: Command, script: &str, user: &str, userbuf: Option<&str>) -> String {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/oracles").join(script);
    command.arg(script).args([&SDK_APP_ID.to_string(), SECRET, user, "3600"]).args(userbuf);
    let output = command.output().unwrap_or_else(|fault| panic!("{command:?} cannot be run: {fault}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

async fn all_can_log_in(make: impl Fn(&str, Option<&str>) -> String) {
    let server = Server::start().await;
    for user in ["xiaojun", "user_1", "user with space~!", "<a&b>\"'\\/", &"u".repeat(32), ADMIN] {
        let before = unix_now();
        let sig = make(user, None);
        let data = server.connect().await.login_with(user, &sig).await.ok();
        assert_eq!(data["userID"], user);
        assert_eq!(data["admin"], user == ADMIN);
        let expires = data["expiresAt"].as_u64().expect("Unix seconds");
        assert!((before + 3600..=unix_now() + 3600).contains(&expires), "{data}");
        server.connect().await.login_with("somebody else", &sig).await.refused(70013);
    }
    let with_room = make("xiaojun", Some("0000077869616f6a756e53724e000000271066413f00000000ff00000000"));
    server.connect().await.login_with("xiaojun", &with_room).await.ok();
    let with_letters = make("xiaojun", Some("616263"));
    server.connect().await.login_with("xiaojun", &with_letters).await.ok();
    // A name outside our alphabet is refused, however well it is signed.
    let foreign = server.connect().await.login_with("用户一", &make("用户一", None)).await;
    assert!([10004, 70003].contains(&foreign.0["code"].as_i64().unwrap_or_default()), "{}", foreign.0);
}

#[tokio::test]
async fn what_the_vendors_node_package_makes_opens_the_door() {
    let folder = folder("TALLYCAST_ORACLE_NODE", "node", "node_modules/tls-sig-api-v2/package.json");
    all_can_log_in(|user, userbuf| {
        let mut command = Command::new("node");
        command.env("NODE_PATH", folder.join("node_modules"));
        generate(command, "generate.js", user, userbuf)
    })
    .await;
}

#[tokio::test]
async fn what_the_vendors_python_package_makes_opens_the_door() {
    let folder = folder("TALLYCAST_ORACLE_PYTHON", "python", "TLSSigAPIv2.py");
    all_can_log_in(|user, userbuf| {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", &folder).env("PYTHONDONTWRITEBYTECODE", "1");
        generate(command, "generate.py", user, userbuf)
    })
    .await;
}
