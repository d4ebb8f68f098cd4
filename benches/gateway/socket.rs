//! One WebSocket made by hand: masked frames out, whole frames in. Blocking; a fleet takes it over for the load.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use socket2::{Domain, Socket as Raw, Type};
use tallycast::cli::bench::client::frame::{Inbound, PING, PONG, TEXT, put_frame};

use crate::server::{ADMIN, sign};

/// How a socket is opened.
#[derive(Clone, Copy)]
pub struct Opening {
    /// The last byte of the address it comes from; a port number is needed for each socket of one address.
    pub from: u8,
    /// The size of the receive buffer to ask for.
    pub receive_bytes: Option<usize>,
}

impl Default for Opening {
    fn default() -> Self {
        Self { from: 1, receive_bytes: None }
    }
}

/// One connection.
pub struct Socket {
    /// The stream.
    pub stream: TcpStream,
    inbound: Inbound,
    answers: Vec<(usize, String)>,
}

impl Socket {
    /// Connects and shakes hands.
    pub fn open(address: SocketAddr, opening: Opening) -> anyhow::Result<Self> {
        let raw = Raw::new(Domain::IPV4, Type::STREAM, None)?;
        if let Some(bytes) = opening.receive_bytes {
            raw.set_recv_buffer_size(bytes)?;
        }
        if opening.from != 1 {
            raw.bind(&SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, opening.from)), 0).into())?;
        }
        raw.connect(&address.into())?;
        raw.set_tcp_nodelay(true)?;
        let mut stream: TcpStream = raw.into();
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let hello = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(hello.as_bytes())?;
        let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
        while !head.ends_with(b"\r\n\r\n") {
            let n = stream.read(&mut buffer)?;
            ensure!(n > 0, "the handshake was refused: {}", String::from_utf8_lossy(&head));
            head.extend_from_slice(&buffer[..n]);
        }
        ensure!(head.starts_with(b"HTTP/1.1 101"), "the handshake was refused: {}", String::from_utf8_lossy(&head));
        Ok(Self { stream, inbound: Inbound::default(), answers: Vec::new() })
    }

    /// Connects and logs in.
    pub fn of(user: &str, address: SocketAddr, opening: Opening) -> anyhow::Result<Self> {
        let mut socket = Self::open(address, opening)?;
        socket.ask(&format!(r#""cmd":"login","userID":"{user}","userSig":"{}""#, sign(user)?))?;
        Ok(socket)
    }

    /// Connects and logs in as the admin.
    pub fn admin(address: SocketAddr) -> anyhow::Result<Self> {
        Self::of(ADMIN, address, Opening::default())
    }

    /// Makes groups in which anybody can join.
    pub fn create_groups(&mut self, names: &[String]) -> anyhow::Result<()> {
        let create = |name: &String| format!(r#""cmd":"createGroup","type":"AVChatRoom","name":"a room","groupID":"{name}""#);
        self.ask_all(&names.iter().map(create).collect::<Vec<_>>()).map(drop)
    }

    /// Joins a group.
    pub fn join(&mut self, group: &str) -> anyhow::Result<()> {
        self.ask(&format!(r#""cmd":"joinGroup","groupID":"{group}""#)).map(drop)
    }

    /// Sends a text without waiting.
    pub fn say(&mut self, text: &str) -> anyhow::Result<()> {
        let mut frame = Vec::with_capacity(text.len() + 8);
        put_frame(&mut frame, TEXT, text.as_bytes());
        Ok(self.stream.write_all(&frame)?)
    }

    /// Sends a request, given by its fields apart from the id, and waits for its answer, which must be a success; pushes on
    /// the way are dropped.
    pub fn ask(&mut self, fields: &str) -> anyhow::Result<String> {
        Ok(self.ask_all(&[fields.to_owned()])?.remove(0))
    }

    /// Asks all, some at a time; the answers come back in the order of the requests, however they were given.
    pub fn ask_all(&mut self, requests: &[String]) -> anyhow::Result<Vec<String>> {
        let mut answers = vec![String::new(); requests.len()];
        for (first, some) in requests.chunks(32).enumerate() {
            let mut frames = Vec::new();
            for (at, fields) in some.iter().enumerate() {
                put_frame(&mut frames, TEXT, format!("{{\"id\":{},{fields}}}", first * 32 + at).as_bytes());
            }
            self.stream.write_all(&frames)?;
            for _ in some {
                let (id, answer) = self.answer()?;
                answers[id] = answer;
            }
        }
        Ok(answers)
    }

    fn answer(&mut self) -> anyhow::Result<(usize, String)> {
        while self.answers.is_empty() {
            let mut answers = Vec::new();
            self.hear(|text| {
                if let (true, Some(id)) = (text.starts_with(b"{\"id\":"), number_after(text, b"{\"id\":")) {
                    answers.push((id as usize, String::from_utf8_lossy(text).into_owned()));
                }
            })?;
            self.answers.append(&mut answers);
        }
        let (id, answer) = self.answers.remove(0);
        ensure!(answer.contains(",\"code\":0,"), "refused: {answer}");
        Ok((id, answer))
    }

    /// Waits for bytes, and hands out the texts among them.
    pub fn hear(&mut self, mut heard: impl FnMut(&[u8])) -> anyhow::Result<()> {
        let mut buffer = [0; 4096];
        let n = self.stream.read(&mut buffer).context("nothing came in time")?;
        ensure!(n > 0, "the server closed the connection");
        let mut pongs = Vec::new();
        let taken = self.inbound.take(&buffer[..n], |first, payload| match first {
            TEXT => heard(payload),
            PING => put_frame(&mut pongs, PONG, payload),
            _ => {}
        });
        ensure!(taken.is_ok(), "the server sent what is no frame of its own");
        Ok(self.stream.write_all(&pongs)?)
    }

    /// How long a ping in words takes.
    pub fn round_trip(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.ask(r#""cmd":"ping""#)?;
        Ok(began.elapsed())
    }

    /// The stream, and what has come in of an unfinished frame.
    pub fn into_parts(self) -> (TcpStream, Inbound) {
        (self.stream, self.inbound)
    }
}

/// The number behind a name in a text.
pub fn number_after(text: &[u8], name: &[u8]) -> Option<i64> {
    let at = text.windows(name.len()).position(|window| window == name)? + name.len();
    let end = text[at..].iter().position(|b| !(b.is_ascii_digit() || *b == b'-')).map_or(text.len(), |end| at + end);
    std::str::from_utf8(&text[at..end]).ok()?.parse().ok()
}
