//! What questions about one thing cost as everything around them grows: members of a group, groups of a user, groups of the app,
//! users who are here. A question should cost what it tells.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tallycast::domain::name::UserId;
use tallycast::domain::throttle::Window;
use tallycast::users::{ConnId, Users, Windows};

use crate::Args;
use crate::report::{count, line, time, title};
use crate::server::{ADMIN, Server, Setup, sign};

/// How often each question is asked; the median is told.
const ASKED: usize = 51;
/// Users added in one call.
const ADDED: usize = 300;

/// Measures.
pub fn measure(args: &Args) -> anyhow::Result<()> {
    let sizes: &[usize] = if args.quick { &[1_000, 10_000] } else { &[1_000, 10_000, 100_000] };
    title("growth", "the median of 51 REST calls, one at a time, by the number of members, of the user's groups, of all groups");
    for &size in sizes {
        let folder = tempfile::tempdir_in(&args.folder)?;
        let server = Setup::new(args, folder.path()).durability("interval").start()?;
        of_members(&server, size)?;
        of_groups(&server, size)?;
        server.stop()?;
    }
    for size in sizes.iter().copied().chain((!args.quick).then_some(1_000_000)) {
        line(&format!("{} users: a sweep, in this very process", count(size as f64)), time(sweep(size)), "");
    }
    Ok(())
}

fn of_members(server: &Server, size: usize) -> anyhow::Result<()> {
    let mut caller = Caller::new(server)?;
    caller.call("create_group", r#"{"Type":"ChatRoom","Name":"a room","GroupId":"crowd","Owner_Account":"owner"}"#)?;
    for from in (1..size).step_by(ADDED) {
        let members: Vec<String> = (from..size.min(from + ADDED)).map(|n| format!(r#"{{"Member_Account":"u{n}"}}"#)).collect();
        caller.call("add_group_member", &format!(r#"{{"GroupId":"crowd","MemberList":[{}]}}"#, members.join(",")))?;
    }
    let size = count(size as f64);
    for (what, command, body) in [
        ("a role", "get_role_in_group", r#"{"GroupId":"crowd","User_Account":["u7"]}"#),
        ("ten members", "get_group_member_info", r#"{"GroupId":"crowd","Limit":10}"#),
        ("a profile", "get_group_info", r#"{"GroupIdList":["crowd"],"ResponseFilter":{"GroupBaseInfoFilter":["Name"]}}"#),
        ("a stranger's removal", "delete_group_member", r#"{"GroupId":"crowd","MemberToDel_Account":["nobody"]}"#),
    ] {
        line(&format!("{size} members: {what}"), time(caller.median(command, body)?), "");
    }
    Ok(())
}

/// One group in a hundred is Public.
fn of_groups(server: &Server, size: usize) -> anyhow::Result<()> {
    let mut caller = Caller::new(server)?;
    for n in 0..size {
        let kind = if n % 100 == 50 { "Public" } else { "ChatRoom" };
        let body = format!(r#"{{"Type":"{kind}","Name":"a room","GroupId":"g{n}","MemberList":[{{"Member_Account":"collector"}}]}}"#);
        caller.call("create_group", &body)?;
    }
    let size = count(size as f64);
    let joined = |more: &str| format!(r#"{{"Member_Account":"collector","Limit":1,{more}}}"#);
    for (what, command, body) in [
        ("one of the user's", "get_joined_group_list", joined(r#""Offset":0"#)),
        ("one of a type of the user's", "get_joined_group_list", joined(r#""GroupType":"Public""#)),
        ("one of the user's, with its name", "get_joined_group_list", joined(r#""ResponseFilter":{"GroupBaseInfoFilter":["Name"]}"#)),
        ("ten of all", "get_appid_group_list", r#"{"Limit":10}"#.to_owned()),
        ("ten of a type of all", "get_appid_group_list", r#"{"Limit":10,"GroupType":"Public"}"#.to_owned()),
    ] {
        line(&format!("{size} groups: {what}"), time(caller.median(command, &body)?), "");
    }
    Ok(())
}

/// The median of a sweep while so many users are here, of whom one has left.
fn sweep(size: usize) -> Duration {
    let users = Users::new(Vec::new(), 0);
    let window = Window { calls_max: 20, millis: 5000 };
    let windows = Windows { writes: window, reads: window, memberships: window };
    let connection = |n: usize| ConnId { shard: 0, slot: n as u32, generation: 0 };
    let name = |n: usize| UserId::parse(&format!("u{n}")).expect("it is short and plain");
    let all: Vec<_> = (0..size).map(|n| users.enter(&name(n), connection(n)).0).collect();
    let mut times: Vec<Duration> = (0..ASKED)
        .map(|n| {
            users.leave(&all[n], connection(n));
            let began = Instant::now();
            users.sweep(&windows, n as u64);
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[ASKED / 2]
}

/// A back end with one connection.
struct Caller {
    stream: TcpStream,
    query: String,
}

impl Caller {
    fn new(server: &Server) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server.address)?;
        stream.set_nodelay(true)?;
        let query = format!("sdkappid=1400000000&identifier={ADMIN}&usersig={}&random=1&contenttype=json", sign(ADMIN)?);
        Ok(Self { stream, query })
    }

    fn median(&mut self, command: &str, body: &str) -> anyhow::Result<Duration> {
        let mut times = Vec::with_capacity(ASKED);
        for _ in 0..ASKED {
            let began = Instant::now();
            self.call(command, body)?;
            times.push(began.elapsed());
        }
        times.sort_unstable();
        Ok(times[ASKED / 2])
    }

    fn call(&mut self, command: &str, body: &str) -> anyhow::Result<()> {
        let path = format!("/v4/group_open_http_svc/{command}?{}", self.query);
        let call = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        self.stream.write_all(call.as_bytes())?;
        let (mut answer, mut buffer) = (Vec::new(), [0; 65_536]);
        loop {
            let n = self.stream.read(&mut buffer)?;
            ensure!(n > 0, "{command}: the connection was closed");
            answer.extend_from_slice(&buffer[..n]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, told)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).context("no length")?;
            if told.len() >= length.parse()? {
                ensure!(told.contains("\"ErrorCode\":0"), "{command}: {told}");
                return Ok(());
            }
        }
    }
}
