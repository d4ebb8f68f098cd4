//! The calls of back ends: any query, any body, for each call.

use serde_json::{Value, json};

use crate::bytes::Bytes;
use crate::gateway::{ADMIN, APP, Gateway, Peer, Response, sign};
use crate::request::Object;

const CALLS: [(&str, &str); 16] = [
    ("group_open_http_svc", "update_group_counter"),
    ("group_open_http_svc", "get_group_counter"),
    ("group_open_http_svc", "delete_group_counter"),
    ("group_open_http_svc", "create_group"),
    ("group_open_http_svc", "destroy_group"),
    ("group_open_http_svc", "add_group_member"),
    ("group_open_http_svc", "delete_group_member"),
    ("group_open_http_svc", "get_group_info"),
    ("group_open_http_svc", "get_group_member_info"),
    ("group_open_http_svc", "get_role_in_group"),
    ("group_open_http_svc", "get_joined_group_list"),
    ("group_open_http_svc", "get_appid_group_list"),
    ("group_open_http_svc", "get_online_member_num"),
    ("im_open_login_svc", "account_import"),
    ("im_open_login_svc", "account_check"),
    ("im_open_login_svc", "kick"),
];

/// A group of each type, there before every input.
const GROUPS: [&str; 4] = ["Private", "Public", "ChatRoom", "AVChatRoom"];
/// Groups are made anew now and then, so that what earlier inputs put into them does not add up.
const INPUTS_A_LIFE: u32 = 2000;

const BAD_JSON: u64 = 60003;
const INVALID: u64 = 10004;
/// What no call is answered on a calm server: its disk failed, it is full, it is asked too often.
const NEVER: [u64; 4] = [10002, 10006, 60007, 2996];

struct World {
    gateway: Gateway,
    peer: Option<Peer>,
    query: String,
    inputs: u32,
}

pub fn target() -> impl FnMut(&[u8]) {
    let sig = sign(ADMIN);
    let query = format!("sdkappid={APP}&identifier={ADMIN}&usersig={sig}&random=7&contenttype=json");
    let mut world = World { gateway: Gateway::start(), peer: None, query, inputs: 0 };
    move |data| world.run(data)
}

impl World {
    fn run(&mut self, data: &[u8]) {
        if self.inputs.is_multiple_of(INPUTS_A_LIFE) {
            GROUPS.iter().for_each(|kind| self.make_group(kind));
        }
        self.inputs += 1;
        let mut input = Bytes::new(data);
        let (which, options) = (input.byte(), input.byte());
        let extra = if options & 1 == 1 { escaped(input.short()) } else { String::new() };
        let query = match (options >> 1) % 4 {
            0 => format!("{}&{extra}", self.query),
            1 => format!("{extra}&{}", self.query),
            2 => extra.clone(),
            _ => self.query.clone(),
        };
        let key = (options & 8 == 8).then(|| String::from_utf8_lossy(input.short()).into_owned());
        let key = key.filter(|key| !key.contains(char::is_control));
        // A part of the body that is named twice in the input need not be found twice.
        let body = input.rest();
        let known = CALLS.get(usize::from(which) % (CALLS.len() + 1)).copied();
        let (service, command) = known.unwrap_or(("group_open_http_svc", "no_such_command"));
        let header = key.as_ref().map_or(String::new(), |key| format!("Idempotency-Key: {key}\r\n"));
        let response = self.call(service, command, &query, &header, body);
        if response.status == 400 {
            // Only an address or a header of a wrong form is no matter of calls.
            return assert!(!extra.is_empty() || key.is_some(), "refused by HTTP");
        }
        assert_eq!(response.status, 200);
        let answer = Checked::of(&response.body);
        if extra.is_empty() && query.contains("usersig") {
            answer.judge(known.is_some(), key.as_deref(), body);
        }
        if command == "create_group" && answer.code == 0 {
            let made = answer.fields["GroupId"].as_str().expect("the id of a new group").to_owned();
            let gone = self.ask("destroy_group", json!({"GroupId": made}));
            assert_eq!(gone.code, 0, "what was made can be destroyed");
        }
        if command == "destroy_group" && answer.code == 0 {
            GROUPS.iter().for_each(|kind| self.make_group(kind));
        }
    }

    fn make_group(&mut self, kind: &str) {
        let id = kind.to_lowercase();
        self.ask("destroy_group", json!({"GroupId": id}));
        let members = if kind == "AVChatRoom" { json!([]) } else { json!([{"Member_Account": "bob"}, {"Member_Account": "cat"}]) };
        let group = json!({"GroupId": id, "Type": kind, "Name": kind, "Owner_Account": "ann", "MemberList": members});
        assert_eq!(self.ask("create_group", group).code, 0);
        let counters = json!([{"Key": "like", "Value": 1}, {"Key": "gift", "Value": i64::MAX}]);
        assert_eq!(self.ask("update_group_counter", json!({"GroupId": id, "GroupCounter": counters})).code, 0);
    }

    fn ask(&mut self, command: &str, body: Value) -> Checked {
        let query = self.query.clone();
        Checked::of(&self.call("group_open_http_svc", command, &query, "", body.to_string().as_bytes()).body)
    }

    /// One call, on the connection of those before where it is still there.
    fn call(&mut self, service: &str, command: &str, query: &str, header: &str, body: &[u8]) -> Response {
        let mut request =
            format!("POST /v4/{service}/{command}?{query} HTTP/1.1\r\nHost: a\r\n{header}Content-Length: {}\r\n\r\n", body.len())
                .into_bytes();
        request.extend_from_slice(body);
        let is_new = self.peer.is_none();
        let mut peer = self.peer.take().unwrap_or_else(|| self.gateway.connect());
        peer.say(&request);
        match peer.response() {
            Some(response) => {
                if !response.closes {
                    self.peer = Some(peer);
                }
                response
            }
            // It may have been closed for having been idle.
            None if !is_new => self.call(service, command, query, header, body),
            None => panic!("a call is not answered: {}", String::from_utf8_lossy(&request)),
        }
    }
}

/// An answer in the vendor's shape.
struct Checked {
    code: u64,
    fields: Value,
}

impl Checked {
    fn of(json: &[u8]) -> Self {
        let text = String::from_utf8_lossy(json);
        let fields: Value = serde_json::from_slice(json).unwrap_or_else(|e| panic!("{e}: {text}"));
        let code = fields["ErrorCode"].as_u64().unwrap_or_else(|| panic!("no ErrorCode: {text}"));
        assert_eq!(fields["ActionStatus"], if code == 0 { "OK" } else { "FAIL" }, "{text}");
        assert_eq!(fields["ErrorInfo"].as_str().map(str::is_empty), Some(code == 0), "{text}");
        assert!(!NEVER.contains(&code), "{text}");
        Self { code, fields }
    }

    /// What can be told of an answer by the body alone, where the address is good.
    fn judge(&self, is_known: bool, key: Option<&str>, body: &[u8]) {
        let Self { code, fields } = self;
        assert!(is_known || *code == 60009, "{fields}");
        if !is_known {
            return;
        }
        assert!(!matches!(*code, 60002 | 60009..=60025 | 70001..=70050), "a good address is refused: {fields}");
        match serde_json::from_slice::<Object>(body) {
            Err(_) => assert_eq!(*code, BAD_JSON, "{fields}"),
            Ok(object) if object.has_twice(|_| true) => assert_eq!(*code, INVALID, "{fields}"),
            Ok(_) => assert_ne!(*code, BAD_JSON, "{fields}"),
        }
        let good = |key: &str| (1..=64).contains(&key.trim().len()) && key.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        assert!(*code != 0 || key.is_none_or(good), "a bad Idempotency-Key passes: {key:?}");
    }
}

/// Bytes as they may stand in an address.
fn escaped(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~*=&%+".contains(&byte);
    bytes.iter().map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }).collect()
}
