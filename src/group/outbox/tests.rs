//! Ways out over real sockets: what the kernel does with a full pipe is the point.

use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpListener;

use super::*;

/// A connection whose pipe is empty.
pub(in crate::group) async fn open_pipe(outboxes: &mut Outboxes, shard: u16) -> (ConnId, RawFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    SockRef::from(&stream).set_tcp_notsent_lowat(4096).unwrap();
    stream.writable().await.unwrap();
    let fd = stream.as_raw_fd();
    (outboxes.open(shard, stream).0, fd, peer)
}

/// A connection whose peer does not read: nothing is pending, and the pipe takes nothing more.
pub(in crate::group) async fn full_pipe(outboxes: &mut Outboxes) -> (ConnId, RawFd, TcpStream) {
    let (id, fd, peer) = open_pipe(outboxes, 0).await;
    // Until it takes nothing for a while: what is on its way to the peer makes room a little later.
    let mut refused = 0;
    while refused < 20 {
        match send(fd, &[b'x'; 64], MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
            Ok(_) => refused = 0,
            Err(_) => {
                refused += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    (id, fd, peer)
}

#[tokio::test]
async fn a_pipe_that_takes_nothing_of_a_push_is_full_until_it_takes_something() {
    let (mut outboxes, now) = (Outboxes::default(), Instant::now());
    let (id, fd, _peer) = full_pipe(&mut outboxes).await;
    outboxes.push(id.slot, fd, b"newest", now);
    assert_eq!(outboxes.blocked_since(id.slot), Some(now));
    for later in 1..5 {
        let later = now + Duration::from_secs(later);
        assert!(!outboxes.drain(id.slot, later), "nothing went out, so nobody may catch up");
        assert_eq!(outboxes.push(id.slot, fd, b"newer", later), Pushed::Behind);
        assert_eq!(outboxes.blocked_since(id.slot), Some(now), "no progress is no progress");
    }
}
