//! The start with a million groups on disk: how long until it listens, and how much memory that takes; after a clean end and
//! after a kill under load.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tallycast::domain::group::Group;
use tallycast::domain::member::{Details, GroupType, JoinOption, Profile};
use tallycast::domain::name::{CounterKey, GroupId, GroupName, UserId};
use tallycast::domain::record::{Effect, Record};
use tallycast::store::{Batch, Options, Store};

use crate::Args;
use crate::fleet::Fleet;
use crate::load::{Books, Load, Tally, group};
use crate::machine::disk_bytes;
use crate::report::{bytes, count, line, time, title};
use crate::server::{Server, Setup};
use crate::socket::{Socket, number_after};

const BATCH: usize = 1000;
const OWNERS: usize = 100_000;
/// Groups that the load before the kill writes to, spread over all.
const WRITTEN: usize = 20_000;
const CONNECTIONS: usize = 50;
const GOAL: &str = "goal < 3 s";

/// Measures.
pub fn measure(args: &Args) -> anyhow::Result<()> {
    let groups = if args.quick { 100_000 } else { 1_000_000 };
    title("restart", &format!("{} ChatRooms on disk, each with an owner and one counter", count(groups as f64)));
    let folder = tempfile::tempdir_in(&args.folder)?;
    let setup = Setup::new(args, folder.path());
    let took = fill(&setup.data(), groups)?;
    let on_disk = disk_bytes(&setup.data()) as f64;
    line("made through the store, with its clean end, in", time(took), "");
    line("on disk", bytes(on_disk), "");
    let server = setup.start()?;
    tell("after a clean end", &server, on_disk)?;
    let wrong = look(&server, groups)?;
    line("groups that do not hold what was committed", format!("{wrong} of 1,000 asked"), "goal 0");

    let (books, step) = load_and_kill(server, groups, if args.quick { 2 } else { 8 })?;
    let server = setup.start()?;
    tell("after kill -9 under load", &server, disk_bytes(&setup.data()) as f64)?;
    let wrong = audit(&server, &books, step)?;
    line("groups that lost an answered write, or have one too many", format!("{wrong} of {}", count(WRITTEN as f64)), "goal 0");
    line("memory after reading those", bytes(server.rss() as f64), "");
    line("the clean end", time(server.stop()?), "");
    Ok(())
}

fn tell(when: &str, server: &Server, on_disk: f64) -> anyhow::Result<()> {
    line(&format!("{when}: listening in"), time(server.listened_after), GOAL);
    let began = Instant::now();
    Socket::admin(server.address)?.ask(&get(&group(1)))?;
    line(&format!("{when}: then a login and a first read in"), time(began.elapsed()), "");
    let rss = server.rss() as f64;
    line(&format!("{when}: memory"), bytes(rss), &format!("goal: far below what all take ({})", bytes(on_disk)));
    Ok(())
}

/// Makes the groups with the store's own calls. Every counter has its group's number as value.
fn fill(data: &Path, groups: usize) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let store = Store::open(&Options::new(data), Box::new(|why| eprintln!("the store failed: {why}")))?;
    let (tell, told) = mpsc::channel();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let (key, name) = (CounterKey::parse("like")?, GroupName::parse("one of many")?);
    let mut under_way = 0;
    for first in (0..groups).step_by(BATCH) {
        let mut batch = Batch::default();
        for at in first..(first + BATCH).min(groups) {
            let profile = Profile {
                kind: GroupType::ChatRoom,
                name: name.clone(),
                owner: Some(UserId::parse(&format!("owner-{}", at % OWNERS))?),
                join_option: JoinOption::FreeAccess,
                created_at: now.as_secs(),
                incarnation: at as u32,
                details: Details::default(),
            };
            let id = GroupId::parse(&group(at))?;
            let values = [(key.clone(), at as i64)].into_iter().collect();
            for effect in [Group::plan_create(profile, Vec::new(), now.as_secs()), Effect::Changed { version: 1, values }] {
                batch.push(&Record { group: id.clone(), at: now.as_millis() as u64, effect: Some(effect), operation: None });
            }
        }
        let tell = tell.clone();
        store.commit(batch, Box::new(move |result| drop(tell.send(result))));
        under_way += 1;
        if under_way > 8 {
            told.recv()??;
            under_way -= 1;
        }
    }
    (0..under_way).try_for_each(|_| told.recv()?.map(drop).map_err(anyhow::Error::from))?;
    store.close()?;
    Ok(began.elapsed())
}

fn get(group: &str) -> String {
    format!(r#""cmd":"getGroupCounters","groupID":"{group}""#)
}

fn look(server: &Server, groups: usize) -> anyhow::Result<usize> {
    let asked: Vec<usize> = (0..1000).map(|at| at * groups / 1000).collect();
    let answers = Socket::admin(server.address)?.ask_all(&asked.iter().map(|at| get(&group(*at))).collect::<Vec<_>>())?;
    let wrong = |(at, answer): (&usize, &String)| number_after(answer.as_bytes(), b"\"like\":") != Some(*at as i64);
    Ok(asked.iter().zip(&answers).filter(|(at, answer)| wrong((at, answer))).count())
}

/// Writes to many groups and kills the server in the midst of it. The books are of the groups written to.
fn load_and_kill(server: Server, groups: usize, seconds: u64) -> anyhow::Result<(Books, usize)> {
    let step = groups / WRITTEN;
    let sockets = (0..CONNECTIONS).map(|_| Socket::admin(server.address)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut fleet = Fleet::new(sockets)?;
    let mut books = Books::new(WRITTEN * step);
    let (mut tally, began) = (Tally::new(), Instant::now());
    let mut load = Load::new(&mut fleet, &mut books, "restart", 16, |_| fastrand::usize(..WRITTEN) * step);
    load.begin();
    load.run(Duration::from_secs(seconds), &mut tally)?;
    let took = began.elapsed().as_secs_f64();
    server.kill()?;
    load.end(Duration::from_secs(5))?;
    line("load before the kill: acknowledged writes per second", count(tally.acks as f64 / took), "");
    Ok((books, step))
}

/// Every written group holds what was answered, and at most what was still under way besides.
fn audit(server: &Server, books: &Books, step: usize) -> anyhow::Result<usize> {
    let asked: Vec<usize> = (0..WRITTEN).map(|at| at * step).collect();
    let answers = Socket::admin(server.address)?.ask_all(&asked.iter().map(|at| get(&group(*at))).collect::<Vec<_>>())?;
    let wrong = |at: usize, answer: &str| {
        let least = at as i64 + books.acked[at];
        number_after(answer.as_bytes(), b"\"like\":").is_none_or(|value| value < least || value > least + books.open[at])
    };
    for (at, answer) in asked.iter().zip(&answers).filter(|(at, answer)| wrong(**at, answer)).take(5) {
        eprintln!("group {at}: {} answered, {} open, it says {answer}", books.acked[*at], books.open[*at]);
    }
    Ok(asked.iter().zip(&answers).filter(|(at, answer)| wrong(**at, answer)).count())
}
