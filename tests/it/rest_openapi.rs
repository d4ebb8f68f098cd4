//! `docs/openapi.json` says what the server does: answers of every call fit it, and what schemathesis makes of it gets no answer
//! that it does not describe.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::raw::RawClient;
use crate::rest_client::{Backend, path};
use crate::rest_vendor::{python, run};
use crate::server::{ADMIN, Server, Setup};
use crate::usersig::sign;

const SCHEMATHESIS: &str = "bin/schemathesis";

/// Calls made, with what was answered.
struct Record {
    backend: Backend,
    lines: String,
}

impl Record {
    async fn call(&mut self, command: &str, request: Value) {
        let answer = self.backend.call(command, request.clone()).await.0;
        self.lines += &json!({"path": path(command), "request": request, "answer": answer}).to_string();
        self.lines.push('\n');
    }
}

#[tokio::test]
async fn real_answers_fit_the_description() {
    let server = Setup::new().set("rest.calls_per_second_max", 3).start().await;
    let mut record = Record { backend: server.backend().await, lines: String::new() };
    let staff =
        json!([{"Member_Account": "a", "Role": "Admin", "AppMemberDefinedData": [{"Key": "k", "Value": "v"}]}, {"Member_Account": "m"}]);
    let pairs = json!([{"Key": "like", "Value": i64::MAX}, {"Key": "gift", "Value": "-9223372036854775808"}]);
    let filter =
        json!({"GroupBaseInfoFilter": ["Type", "AppDefinedData"], "MemberInfoFilter": ["Role"], "SelfInfoFilter": ["Role", "MsgFlag"]});
    for (command, request) in [
        (
            "create_group",
            json!({"Type": "Public", "Name": "Fans", "GroupId": "fans", "Owner_Account": "o", "MemberList": staff, "AppDefinedData": [{"Key": "k", "Value": "v"}]}),
        ),
        ("create_group", json!({"Type": "AVChatRoom", "Name": "Live", "GroupId": "live"})),
        ("create_group", json!({"Type": "Public", "Name": "Fans", "GroupId": "fans"})),
        ("update_group_counter", json!({"GroupId": "fans", "GroupCounter": pairs})),
        ("update_group_counter", json!({"GroupId": "fans", "Mode": "Increase", "GroupCounter": [{"Key": "like", "Value": 1}]})),
        ("get_group_counter", json!({"GroupId": "fans"})),
        ("get_group_counter", json!({"GroupId": "fans", "GroupCounterKeys": []})),
        ("get_group_counter", json!({"GroupId": "nowhere"})),
        ("delete_group_counter", json!({"GroupId": "fans", "GroupCounterKeys": ["like"]})),
        ("delete_group_counter", json!({"GroupId": "fans"})),
        ("add_group_member", json!({"GroupId": "fans", "Silence": 1, "MemberList": [{"Member_Account": "c"}, {"Member_Account": "a"}]})),
        ("add_group_member", json!({"GroupId": "live", "MemberList": [{"Member_Account": "c"}]})),
        ("delete_group_member", json!({"GroupId": "fans", "MemberToDel_Account": ["c", "nobody"]})),
        ("get_group_info", json!({"GroupIdList": ["fans", "live", "nowhere", "\t"]})),
        ("get_group_info", json!({"GroupIdList": ["fans", "live"], "ResponseFilter": filter})),
        ("get_group_member_info", json!({"GroupId": "fans"})),
        ("get_group_member_info", json!({"GroupId": "fans", "MemberInfoFilter": ["JoinTime"], "MemberRoleFilter": ["Owner"], "Limit": 1})),
        ("get_role_in_group", json!({"GroupId": "fans", "User_Account": ["o", "a", "m", "nobody"]})),
        ("get_joined_group_list", json!({"Member_Account": "a"})),
        ("get_joined_group_list", json!({"Member_Account": "a", "GroupType": "Public", "ResponseFilter": filter})),
        ("get_appid_group_list", json!({})),
        ("get_appid_group_list", json!({"Limit": 1, "GroupType": "ChatRoom"})),
        ("get_online_member_num", json!({"GroupId": "live"})),
        ("get_online_member_num", json!({"GroupId": "fans"})),
        ("account_import", json!({"UserID": "x"})),
        ("account_import", json!({})),
        ("account_check", json!({"CheckItem": [{"UserID": "x"}, {"UserID": "nobody"}]})),
        ("kick", json!({"UserID": "x"})),
        ("kick", json!({"UserID": "nobody"})),
        ("destroy_group", json!({"GroupId": "fans"})),
        ("destroy_group", json!({"GroupId": "fans"})),
        ("destroy_group", json!({"GroupId": "live"})),
        // One more than the server was told to allow.
        ("destroy_group", json!({"GroupId": "live"})),
    ] {
        record.call(command, request).await;
    }
    let mut command = python("jsonschema_rs/__init__.py");
    command.args(["tests/oracles/check_openapi.py", "docs/openapi.json"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python3 can be run");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(record.lines.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_description_names_every_call_and_no_other() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json")).expect("the description");
    let description: Value = serde_json::from_str(&text).expect("JSON");
    let described: Vec<&String> = description["paths"].as_object().expect("paths").keys().collect();
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rest.md")).expect("the guide");
    assert_eq!(described.len(), 16);
    for path in described {
        let command = path.rsplit('/').next().expect("a command");
        assert!(source.contains(&format!("`{command}`")), "docs/rest.md says nothing of {command}");
    }
}

/// How many calls schemathesis says it has made.
fn generated(told: &str) -> u64 {
    let line = told.lines().find_map(|line| line.trim().split_once(" generated"));
    line.and_then(|(count, _)| count.parse().ok()).unwrap_or_else(|| panic!("no count of calls in\n{told}"))
}

/// Calls that reached a command, as the server counted them.
async fn counted(server: &Server) -> u64 {
    let metrics = RawClient::http(server.addr(), "/metrics").await.body;
    let counts = metrics.lines().filter(|line| line.starts_with("tallycast_rest_answers_total{"));
    counts.map(|line| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a count")).sum()
}

#[tokio::test]
async fn schemathesis_finds_no_answer_that_is_not_described() {
    let server = Setup::new().set("rest.calls_per_second_max", 0).set("store.durability", "interval").start().await;
    let mut backend = server.backend().await;
    backend.create("Public", "fans").await;
    backend.create("AVChatRoom", "live").await;
    let settings = ["--config-file", "tests/oracles/schemathesis.toml"];
    let shapes = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let url = format!("http://{}", server.addr());
    let mut made = 0;
    // First with an admin's UserSig, so that the calls themselves are tried; then with whatever comes, to try the door.
    for (examples, settings) in [("45", settings.as_slice()), ("10", &[])] {
        let mut command = python(SCHEMATHESIS);
        let program = command.get_envs().find(|(name, _)| *name == "PYTHONPATH").and_then(|(_, folder)| folder).expect("a folder");
        let program = std::path::Path::new(program).join(SCHEMATHESIS);
        command.arg(program).args(settings).args(["run", "docs/openapi.json", "--url", &url, "--checks", shapes]);
        command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--seed", "1", "--generation-deterministic"]);
        command.args(["--suppress-health-check", "all", "--no-color", "--warnings", "off"]);
        command.env("TALLYCAST_SIG", sign(ADMIN));
        made += generated(&run(command).await);
    }
    assert!(made >= 2000, "only {made} calls were made");
    let calls = counted(&server).await;
    assert!(calls >= 1500, "only {calls} calls came through the door");
}
