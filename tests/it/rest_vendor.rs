//! Clients that others have written for the vendor's REST API, as judges: they must not notice that they talk to us.
//! `make test` installs them; without them these tests fail, because a judge who is absent has not agreed.

use std::path::PathBuf;
use std::process::Command;

use crate::rest_client::path;
use crate::server::{ADMIN, SDK_APP_ID, SECRET, Server};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where Python finds what `make test` has installed.
pub fn python(proof: &str) -> Command {
    let folder = std::env::var_os("TALLYCAST_ORACLE_PYTHON").map_or_else(|| root().join("target/oracles/python"), PathBuf::from);
    assert!(folder.join(proof).exists(), "{proof} is not in {}: run `make test`, which installs it", folder.display());
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", &folder).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(root());
    command
}

/// Runs a client to its end, away from this thread, and returns how often each call was passed.
pub async fn run(mut command: Command) -> String {
    let whole = tokio::task::spawn_blocking(move || (command.output(), command)).await.expect("running does not panic");
    let (output, command) = whole;
    let output = output.unwrap_or_else(|fault| panic!("{command:?} cannot be run: {fault}"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "it is not content; it said\n{told}{}", String::from_utf8_lossy(&output.stderr));
    told
}

#[track_caller]
fn assert_passed(told: &str, command: &str, times: usize) {
    assert!(path(command).starts_with("/v4/"));
    let count = told.lines().filter(|line| *line == format!("passed {command}")).count();
    assert!(count >= times, "{command} was called {count} times instead of {times}:\n{told}");
}

#[tokio::test]
async fn the_python_client_finds_every_call() {
    let server = Server::start().await;
    let mut command = python("tencentcloud_im/tcim_client.py");
    command.arg("tests/oracles/vendor_client.py").arg(format!("http://{}/v4", server.addr()));
    command.args([&SDK_APP_ID.to_string(), SECRET, ADMIN]);
    let told = run(command).await;
    for (call, times) in [
        ("create_group", 4),
        ("destroy_group", 2),
        ("add_group_member", 3),
        ("delete_group_member", 2),
        ("get_group_info", 2),
        ("get_group_member_info", 2),
        ("get_role_in_group", 1),
        ("get_joined_group_list", 2),
        ("get_appid_group_list", 4),
        ("get_online_member_num", 2),
        ("account_import", 1),
        ("account_check", 1),
        ("kick", 1),
        ("update_group_counter", 3),
        ("get_group_counter", 4),
        ("delete_group_counter", 2),
    ] {
        assert_passed(&told, call, times);
    }
}

#[tokio::test]
async fn the_rust_client_finds_the_counters() {
    let program = std::env::var_os("TALLYCAST_COUNTER_CLIENT").map(PathBuf::from);
    let program = program.unwrap_or_else(|| root().join("target/third-party/debug/counter-client"));
    assert!(program.exists(), "{} is missing: run `make test`, which builds it from tests/third-party", program.display());
    let server = Server::start().await;
    server.backend().await.create("ChatRoom", "room").await;
    let mut command = Command::new(program);
    command.args([&server.addr().to_string(), &SDK_APP_ID.to_string(), SECRET, ADMIN, "room"]);
    let told = run(command).await;
    for (call, times) in [("update_group_counter", 4), ("get_group_counter", 5), ("delete_group_counter", 2)] {
        assert_passed(&told, call, times);
    }
}
