//! What a call is answered: one JSON object, written straight into the bytes that are sent, in the vendor's shape ("RESTful
//! API Overview"): `ActionStatus`, `ErrorInfo` and `ErrorCode`, then the fields of the call's own.

use std::io;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use serde::Serialize;

use crate::domain::code::{Code, Refusal};

/// An answer above it is not sent.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The answer to a call that went well.
pub struct Answer(Vec<u8>);

impl Answer {
    /// One without fields of its own.
    pub fn new() -> Self {
        let mut json = Vec::with_capacity(256);
        json.extend_from_slice(br#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0"#);
        Self(json)
    }

    /// The same with one field more. `name` is written as it is.
    pub fn with(mut self, name: &'static str, value: impl Serialize) -> Self {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        serde_json::to_writer(&mut self.0, &value).expect("a Vec takes all, and no answer has a map whose keys are no texts");
        self
    }

    /// The same with a list, to be filled entry by entry.
    pub fn with_list(mut self, name: &'static str) -> List {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":[");
        List { json: self.0, is_empty: true }
    }
}

/// The list that an answer ends with, while it is filled: an answer that cannot be sent is not built.
pub struct List {
    json: Vec<u8>,
    is_empty: bool,
}

impl List {
    /// One entry more. Error: the answer would be too large.
    pub fn push(&mut self, entry: impl Serialize) -> Result<(), Refusal> {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.json.push(b',');
        }
        let left = ANSWER_BYTES_MAX.saturating_sub(self.json.len());
        let written = serde_json::to_writer(Bounded { json: &mut self.json, left }, &entry);
        written.map_err(|_| too_large())
    }

    /// The answer, complete.
    pub fn end(mut self) -> Answer {
        self.json.push(b']');
        Answer(self.json)
    }
}

/// Takes so many bytes and no more.
struct Bounded<'a> {
    json: &'a mut Vec<u8>,
    left: usize,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        self.json.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_large() -> Refusal {
    Refusal::new(Code::AnswerTooLarge, "the answer would be larger than 1 MiB: ask for less, or in pages")
}

/// The JSON of an answer or a refusal.
fn json(answer: Result<Answer, Refusal>) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Refused<'a> {
        action_status: &'static str,
        error_info: &'a str,
        error_code: u32,
    }
    let refused = |refusal: &Refusal| {
        let fields = Refused { action_status: "FAIL", error_info: &refusal.message, error_code: refusal.code.number() };
        serde_json::to_vec(&fields).expect("two texts and a number can be written")
    };
    match answer {
        Ok(Answer(json)) if json.len() >= ANSWER_BYTES_MAX => refused(&too_large()),
        Ok(Answer(mut json)) => {
            json.push(b'}');
            json
        }
        Err(refusal) => refused(&refusal),
    }
}

/// The HTTP response to a call. `whole`: its body was read to the end, so another call may follow on the connection.
pub fn respond(answer: Result<Answer, Refusal>, whole: bool) -> Response<Body> {
    let mut response = Response::new(Body::from(json(answer)));
    let headers = response.headers_mut();
    *headers = HeaderMap::with_capacity(8);
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "X-Requested-With"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !whole {
        // What is left of the body would be taken for the next request.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
