//! The memory of sockets that are logged in, sit in a room and do nothing but answer pings.

use std::time::{Duration, Instant};

use crate::Args;
use crate::fleet::Fleet;
use crate::report::{bytes, line, title};
use crate::server::{ADMIN, Server, Setup};
use crate::socket::{Opening, Socket};

const ROOMS: usize = 100;
/// As many sockets as one source address can easily have ports for.
const SOCKETS_PER_ADDRESS: usize = 5000;
const PING_EVERY: &str = "2s";

/// Measures.
pub fn measure(args: &Args) -> anyhow::Result<()> {
    let sockets = if args.quick { 2000 } else { 10_000 };
    title("idle", &format!("{sockets} sockets, logged in, each in one of 100 AVChatRooms, pinged every 2 s"));
    for many in [false, true] {
        let label = if many { "a user for each" } else { "one user" };
        let user = |at: usize| if many { format!("user-{at}") } else { ADMIN.to_owned() };
        let folder = tempfile::tempdir_in(&args.folder)?;
        let server = Setup::new(args, folder.path()).ping_every(PING_EVERY).start()?;
        let rooms: Vec<String> = (0..ROOMS).map(|at| format!("room-{at}")).collect();
        let mut admin = Socket::admin(server.address)?;
        admin.create_groups(&rooms)?;
        admin.join(&rooms[0])?;
        let before = server.rss();
        let growth = |server: &Server| (server.rss().saturating_sub(before)) as f64 / sockets as f64;
        let mut all = Vec::with_capacity(sockets);
        for at in 0..sockets {
            let opening = Opening { from: 2 + (at / SOCKETS_PER_ADDRESS) as u8, ..Opening::default() };
            let mut socket = Socket::of(&user(at), server.address, opening)?;
            socket.join(&rooms[at % ROOMS])?;
            all.push(socket);
        }
        let at_once = growth(&server);
        let mut fleet = Fleet::new(all)?;
        let until = Instant::now() + Duration::from_secs(if args.quick { 4 } else { 10 });
        while Instant::now() < until {
            fleet.turn(Duration::from_millis(50), |_, _, _| {})?;
        }
        anyhow::ensure!(fleet.gone == 0, "{} sockets are gone", fleet.gone);
        line(&format!("{label}: memory of a socket, settled"), bytes(growth(&server)), "goal <= 5 kB");
        line(&format!("{label}: just after the last has come"), bytes(at_once), "");
        line(&format!("{label}: before, after (whole process)"), format!("{}, {}", bytes(before as f64), bytes(server.rss() as f64)), "");
        let idle = server.usage();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(4) {
            fleet.turn(Duration::from_millis(50), |_, _, _| {})?;
        }
        let (cpu, _) = server.usage().since(&idle);
        line(&format!("{label}: share of a core while idle"), format!("{:.1} %", 100.0 * cpu / began.elapsed().as_secs_f64()), "");
    }
    Ok(())
}
