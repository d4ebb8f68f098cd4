//! Where the gateway listens: names become addresses, and each address gets a listener for each shard.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use anyhow::Context as _;
use socket2::{Domain, Socket, Type};

use crate::config::Listen;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 8192;

/// The listeners of so many shards, one on each address that `at` stands for; all addresses have the same port.
pub(super) fn listen(at: &Listen, shards: usize) -> anyhow::Result<Vec<Vec<TcpListener>>> {
    listen_on(at, shards).with_context(|| format!("cannot listen on {at}"))
}

fn listen_on(at: &Listen, shards: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let mut of_shards: Vec<Vec<TcpListener>> = (0..shards).map(|_| Vec::new()).collect();
    let (mut port, mut fault) = (at.port, None);
    for ip in ips(at)? {
        match on_address(SocketAddr::new(ip, port), shards) {
            Ok(listeners) => {
                port = listeners[0].local_addr()?.port();
                of_shards.iter_mut().zip(listeners).for_each(|(of_shard, listener)| of_shard.push(listener));
            }
            // A name may have an address of a family that this machine has not, and a port that the system has chosen may be taken
            // in the other family.
            Err(e) if is_absent(&e) || at.port == 0 => fault = Some(e),
            Err(e) => return Err(e),
        }
    }
    match fault {
        Some(fault) if of_shards[0].is_empty() => Err(fault),
        _ => Ok(of_shards),
    }
}

fn ips(at: &Listen) -> io::Result<Vec<IpAddr>> {
    if at.host.is_empty() {
        // One socket of IPv6 takes both families.
        let has_ipv6 = Socket::new(Domain::IPV6, Type::STREAM, None).is_ok_and(|socket| {
            let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
            socket.set_only_v6(false).is_ok() && socket.bind(&any.into()).is_ok()
        });
        return Ok(vec![if has_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }]);
    }
    let mut ips: Vec<IpAddr> = (at.host.as_str(), at.port).to_socket_addrs()?.map(|address| address.ip()).collect();
    ips.dedup();
    match ips.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
        false => Ok(ips),
    }
}

fn is_absent(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::AddrNotAvailable || e.raw_os_error() == Some(nix::errno::Errno::EAFNOSUPPORT as i32)
}

/// One listener for each shard, on one port. Sharing a port is asked for only after nobody else was found on it: the kernel
/// would share it with any other program of this user.
fn on_address(address: SocketAddr, shards: usize) -> io::Result<Vec<TcpListener>> {
    let bind = |address: SocketAddr, shared: bool| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED) {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(shared)?;
        socket.bind(&address.into())?;
        Ok::<_, io::Error>(socket)
    };
    let begin = |socket: Socket| {
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok::<TcpListener, io::Error>(socket.into())
    };
    let first = bind(address, false)?;
    if shards == 1 {
        return Ok(vec![begin(first)?]);
    }
    let probe = begin(first)?;
    let address = probe.local_addr()?;
    drop(probe);
    (0..shards).map(|_| begin(bind(address, true)?)).collect()
}
