//! `tallycast bench` as its user sees it: real runs, small and short, against servers of its own and of ours, and runs that
//! must fail.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::bench_proxy::{Mischief, between};
use crate::server::{PATIENCE, SDK_APP_ID, SECRET, Server, Setup, tallycast};
use crate::usersig::sign;

/// A run with few words: short, silent, its report as JSON.
fn bench(words: &str) -> Command {
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut command = tallycast(&[&["bench"], words.as_slice(), &["--quiet", "--format", "json"]].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Against a server that is given, as users signed for with its secret.
fn against(address: SocketAddr, words: &str) -> Command {
    let mut command = bench(words);
    command.args([&address.to_string(), "--secret", SECRET, "--sdk-app-id", &SDK_APP_ID.to_string()]);
    command
}

/// Runs it to its end beside the test's own tasks.
async fn run(mut command: Command) -> Output {
    let ended = tokio::task::spawn_blocking(move || command.output().expect("the program can be started"));
    timeout(PATIENCE * 4, ended).await.expect("it ends in time").expect("it runs")
}

/// The report, and that the exit code was this one.
#[track_caller]
fn report(output: &Output, code: i32) -> Value {
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{words}{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("no report: {fault}: {words}"))
}

/// That every acknowledged write counted once, and that so many members know it.
#[track_caller]
fn kept(report: &Value, members: u64) {
    let conservation = &report["conservation"];
    let sum = |name: &str| {
        conservation["counters"].as_array().expect("counters").iter().map(|c| c[name].as_i64().expect("a number")).sum::<i64>()
    };
    assert!(sum("acknowledged") > 0 && sum("acknowledged") == sum("value") && sum("unknown") == 0, "{conservation}");
    assert_eq!((&conservation["members_checked"], &conservation["members_differing"]), (&json!(members), &json!(0)), "{conservation}");
}

#[track_caller]
fn number(report: &Value, pointer: &str) -> u64 {
    report.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer} is no number: {report}"))
}

// ---- each test, against a server of its own ----

#[tokio::test]
async fn fan_out_on_a_server_of_its_own_leaves_nothing_behind() {
    let temporary = TempDir::new().unwrap();
    let mut command = bench("fan-out --durability interval --members 50 --writers 2 --rate 40 --seconds 3 --warmup 0.2");
    command.env("TMPDIR", temporary.path());
    let report = report(&run(command).await, 0);
    kept(&report, 50);
    let writes = &report["counts"]["writes"];
    assert_eq!(number(writes, "/sent") + number(writes, "/unsent"), 120, "{writes}");
    assert_eq!(number(&report, "/latencies/freshness/count"), 50 * number(writes, "/acknowledged"), "{}", report["latencies"]);
    assert!(number(&report, "/counts/deliveries") > 0, "{}", report["seconds"]);
    assert!(number(&report, "/usage/server/rss_peak_bytes") > 1 << 20 && report["usage"]["server"]["cpu_s"].as_f64().unwrap() > 0.0);
    assert_eq!((&report["seconds"].as_array().unwrap().len(), &report["run"]["own_server"]), (&3, &json!(true)));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the server's folder is gone");
}

#[tokio::test]
async fn a_closed_fan_out_writes_when_all_hold_the_last() {
    let report = report(&run(bench("fan-out --durability interval --members 20 --closed --seconds 1 --warmup 0")).await, 0);
    kept(&report, 20);
    let writes = number(&report, "/counts/writes/acknowledged");
    // Nothing can be conflated where each write waits for the last to be everywhere; only the last may still be on its way.
    let deliveries = number(&report, "/counts/deliveries");
    assert!(writes > 1 && (20 * (writes - 1)..=20 * writes).contains(&deliveries), "{writes} writes, {deliveries} pushes");
    assert_eq!(number(&report, "/counts/pushes_expected"), deliveries);
}

#[tokio::test]
async fn a_storm_is_kept_by_all_its_members() {
    let report = report(&run(bench("storm --durability interval --members 50 --rate 300 --seconds 1 --warmup 0")).await, 0);
    kept(&report, 50);
    assert_eq!(number(&report, "/counts/writes/sent") + number(&report, "/counts/writes/unsent"), 300);
    assert_eq!(report["counts"]["sample"], json!({"watched": 50, "of": 50}));
}

#[tokio::test]
async fn commands_in_many_rooms_are_kept_in_each() {
    for pace in ["", "--rate 100"] {
        let report =
            report(&run(bench(&format!("commands --durability interval --rooms 120 --members 2 --seconds 1 --warmup 0 {pace}"))).await, 0);
        kept(&report, 240);
        assert!(number(&report, "/counts/writes/acknowledged") > 0 && number(&report, "/counts/connections/rooms") == 120);
    }
}

#[tokio::test]
async fn idle_members_are_still_reached_at_the_end() {
    let report = report(&run(bench("idle --members 60 --rooms 7 --users 9 --seconds 1 --warmup 0")).await, 0);
    kept(&report, 60);
    assert_eq!((number(&report, "/counts/writes/sent"), number(&report, "/counts/connections/held")), (0, 60));
    let server = &report["usage"]["server"];
    assert!(number(server, "/rss_after_bytes") > number(server, "/rss_before_bytes"), "{server}");
}

#[tokio::test]
async fn all_come_back_after_a_cut_and_bystanders_are_timed() {
    let words =
        "reconnect --durability interval --members 60 --rooms 2 --calm 0.5 --jitter 0.1 --bystanders 3 --rate 50 --seconds 2 --warmup 0";
    let report = report(&run(bench(words)).await, 0);
    kept(&report, 63);
    let times = |name: &str| number(&report, &format!("/latencies/{name}/count"));
    assert_eq!((times("connect"), times("return")), (63, 60));
    assert!(times("bystander") > 0 && times("bystander-calm") > 0);
}

#[tokio::test]
async fn all_come_back_after_a_kill_and_nothing_is_lost() {
    let words = "reconnect --durability interval --members 40 --restart --calm 0.5 --bystanders 3 --rate 100 --seconds 2 --warmup 0";
    let report = report(&run(bench(words)).await, 0);
    kept(&report, 43);
    assert_eq!((number(&report, "/latencies/return/count"), number(&report, "/counts/connections/lost")), (40, 0));
}

// ---- against a server that is given ----

#[tokio::test]
async fn a_given_server_is_used_and_left_as_it_was() {
    let server = Setup::new().unthrottled().start().await;
    for words in [
        "fan-out --members 20 --rate 50 --room hall",
        "storm --members 20",
        "commands --rooms 5",
        "idle --members 20 --rooms 3",
        "reconnect --members 20 --calm 0.3",
    ] {
        let report = report(&run(against(server.addr(), &format!("{words} --seconds 1 --warmup 0"))).await, 0);
        assert_eq!((&report["run"]["own_server"], &report["run"]["target"]), (&json!(false), &json!(format!("ws://{}/ws", server.addr()))));
        assert!(number(&report, "/usage/server/rss_after_bytes") > 1 << 20, "a server of this machine is found by itself");
    }
    server.user("ann").await.join("hall").await.refused(10010);
}

#[tokio::test]
async fn users_may_come_from_a_file_or_a_configuration() {
    let server = Setup::new().unthrottled().start().await;
    let folder = TempDir::new().unwrap();
    let sigs: String = (0..4).map(|at| format!("user {at}\t{}\n", sign(&format!("user {at}")))).collect();
    let (file, config) = (folder.path().join("sigs.tsv"), server.folder().join("tallycast.toml"));
    std::fs::write(&file, sigs).unwrap();
    for (option, path) in [("--sigs", &file), ("--config", &config)] {
        let mut command = bench("storm --members 12 --rate 50 --seconds 1 --warmup 0");
        command.args([&server.addr().to_string(), option]).arg(path);
        kept(&report(&run(command).await, 0), 12);
    }
}

#[tokio::test]
async fn the_secret_may_come_from_a_file_or_a_variable() {
    let (server, folder) = (Server::start().await, TempDir::new().unwrap());
    let file = folder.path().join("key");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    for secret in [format!("@{}", file.display()), "env:SECRET_OF_THE_TEST".to_owned()] {
        let mut command = bench("fan-out --members 5 --rate 4 --seconds 1 --warmup 0");
        command.args([&server.addr().to_string(), "--sdk-app-id", &SDK_APP_ID.to_string(), "--secret", &secret]);
        command.env("SECRET_OF_THE_TEST", SECRET);
        kept(&report(&run(command).await, 0), 5);
    }
}

#[tokio::test]
async fn a_throttled_server_refuses_and_that_is_counted() {
    let server = Server::start().await;
    let report = report(&run(against(server.addr(), "fan-out --members 5 --rate 60 --seconds 1 --warmup 0")).await, 0);
    kept(&report, 5);
    let writes = &report["counts"]["writes"];
    assert_eq!((number(writes, "/acknowledged"), number(writes, "/refused/2996")), (20, 40), "{writes}");
    assert!(report["outcome"]["warnings"].to_string().contains("2996"), "{}", report["outcome"]);
    let closed = self::report(&run(against(server.addr(), "commands --rooms 2 --seconds 1 --warmup 0")).await, 0);
    let writes = &closed["counts"]["writes"];
    // Four users have 20 writes each, and whoever is refused waits out the window: nobody is refused a second time.
    let refused = writes["refused"]["2996"].as_u64().unwrap_or_default();
    assert!(number(writes, "/acknowledged") <= 80 && refused <= 4, "{writes}");
    assert_eq!(number(writes, "/sent"), number(writes, "/acknowledged") + refused, "{writes}");
}

#[tokio::test]
async fn two_processes_are_one_test() {
    let (server, folder) = (Setup::new().unthrottled().set("store.durability", "interval").start().await, TempDir::new().unwrap());
    let file = |part: usize| folder.path().join(format!("{part}.json")).display().to_string();
    let part = |part: usize| {
        let words = format!(
            "fan-out --members 20 --writers 3 --rate 60 --seconds 3 --warmup 0.2 --room hall --part {part}/2 --output {}",
            file(part)
        );
        run(against(server.addr(), &words))
    };
    let (one, two) = tokio::join!(part(1), part(2));
    for part in [report(&one, 0), report(&two, 0)] {
        kept(&part, 20);
        // Each hears what the other writes, too: its members are told of more than its own 180 writes and the 12 before them.
        assert!(number(&part, "/counts/pushes_expected") > 20 * 192, "{}", part["counts"]);
    }
    let merged = report(&run(bench_merge(&[&file(1), &file(2)])).await, 0);
    kept(&merged, 40);
    assert_eq!((number(&merged, "/run/processes"), merged["conservation"]["counters"].as_array().unwrap().len()), (2, 2));
    server.user("ann").await.join("hall").await.refused(10010);
}

fn bench_merge(files: &[&str]) -> Command {
    tallycast(&[&["bench", "merge"], files, &["--format", "json"]].concat())
}

// ---- what must not pass ----

#[tokio::test]
async fn a_strangers_write_breaks_conservation() {
    let server = Setup::new().unthrottled().start().await;
    let test = tokio::spawn(run(against(server.addr(), "fan-out --members 5 --rate 50 --seconds 2 --warmup 0 --room hall")));
    let mut stranger = server.user("stranger").await;
    let joined = timeout(PATIENCE, async {
        while stranger.join("hall").await.0["code"] != 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    joined.await.expect("the room is made");
    stranger.expect_event("GROUP_COUNTER_UPDATED").await;
    stranger.increase("hall", "bench-1", 7).await.ok();
    let report = report(&test.await.unwrap(), 3);
    let counter = &report["conservation"]["counters"][0];
    assert_eq!(counter["value"].as_i64().unwrap() - counter["acknowledged"].as_i64().unwrap(), 7, "{counter}");
}

#[tokio::test]
async fn a_member_who_misses_the_last_push_breaks_conservation() {
    let server = Setup::new().unthrottled().start().await;
    // The first connection makes the rooms; the members' come after it.
    let proxy = between(server.addr(), Mischief::SwallowPushes(3)).await;
    let report = report(&run(against(proxy, "fan-out --members 6 --rate 30 --seconds 1 --warmup 0 --patience 4")).await, 3);
    let conservation = &report["conservation"];
    assert_eq!((number(conservation, "/members_checked"), number(conservation, "/members_differing")), (6, 1), "{conservation}");
    let example = &conservation["examples"][0];
    assert!(
        example["held"] == 0 && example["expected"].as_i64() > Some(0) && example["member"].as_str().unwrap().contains("bench-"),
        "{example}"
    );
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_counts_once() {
    let server = Setup::new().unthrottled().start().await;
    let proxy = between(server.addr(), Mischief::CutAnswers(5)).await;
    let report = report(&run(against(proxy, "storm --members 6 --rate 60 --seconds 1 --warmup 0")).await, 0);
    kept(&report, 6);
    let writes = &report["counts"]["writes"];
    assert_eq!((number(writes, "/sent"), number(writes, "/unknown_fate")), (number(writes, "/acknowledged"), 0), "{writes}");
    assert_eq!(number(&report, "/counts/connections/lost"), 5);
}

#[tokio::test]
async fn a_write_of_open_fate_is_asked_for_again_and_counts_once() {
    let server = Setup::new().unthrottled().start().await;
    let proxy = between(server.addr(), Mischief::DoubtAnswers(7)).await;
    let report = report(&run(against(proxy, "storm --members 6 --rate 60 --seconds 1 --warmup 0")).await, 0);
    kept(&report, 6);
    let writes = &report["counts"]["writes"];
    assert_eq!((number(writes, "/sent"), &writes["refused"]), (number(writes, "/acknowledged"), &json!({})), "{writes}");
    // The answer that counts comes half a second later, and so it is timed.
    assert!(number(&report, "/latencies/acknowledgement/percentiles/max_us") > 500_000);
}

#[tokio::test]
async fn a_lost_write_is_not_made_up_for_by_one_that_counted_twice() {
    let server = Setup::new().unthrottled().start().await;
    let proxy = between(server.addr(), Mischief::LoseOneDoubleOne).await;
    let report = report(&run(against(proxy, "fan-out --members 3 --writers 1 --rate 20 --seconds 1 --warmup 0")).await, 3);
    let counter = &report["conservation"]["counters"][0];
    assert!(counter["acknowledged"].as_i64() > Some(10) && counter["acknowledged"] == counter["value"], "the sum is right: {counter}");
    assert!(counter["contradictions"].as_u64() > Some(0), "{counter}");
}

#[tokio::test]
async fn any_spelling_of_json_is_understood() {
    let server = Setup::new().unthrottled().start().await;
    let proxy = between(server.addr(), Mischief::Reformat).await;
    let report = report(&run(against(proxy, "fan-out --members 4 --rate 30 --seconds 1 --warmup 0")).await, 0);
    kept(&report, 4);
    let writes = &report["counts"]["writes"];
    assert_eq!((number(writes, "/acknowledged"), &writes["refused"]), (number(writes, "/sent"), &json!({})), "{writes}");
    assert!(number(&report, "/counts/deliveries") > 0, "{}", report["counts"]);
}

#[tokio::test]
async fn connections_that_are_lost_have_their_reasons() {
    let server = Setup::new().unthrottled().limit("frames_per_second_max", 20).start().await;
    let report = report(&run(against(server.addr(), "commands --rooms 2 --members 1 --seconds 1 --warmup 0")).await, 0);
    let connections = &report["counts"]["connections"];
    let reasons = connections["lost_by"].as_object().expect("reasons");
    assert_eq!(reasons.values().map(|times| times.as_u64().unwrap()).sum::<u64>(), number(connections, "/lost"), "{connections}");
    assert!(number(connections, "/lost") > 0 && reasons.keys().all(|reason| reason.contains("4010 (too many frames")), "{connections}");
}

#[tokio::test]
async fn a_requirement_that_is_missed_is_exit_code_4() {
    let words = "fan-out --durability interval --members 5 --seconds 1 --warmup 0 --require acknowledgement.max<1us --require writes.acknowledged>0";
    let report = report(&run(bench(words)).await, 4);
    let met: Vec<_> = report["outcome"]["requirements"].as_array().unwrap().iter().map(|r| r["met"].clone()).collect();
    assert_eq!(met, [json!(false), json!(true)]);
}

#[tokio::test]
async fn who_is_not_let_in_is_counted_and_the_rest_goes_on() {
    // On one shard they are let in in the order in which they come, and the first of them writes.
    let server = Setup::new().unthrottled().set("shards", 1).limit("connections_max", 5).start().await;
    let report = report(&run(against(server.addr(), "fan-out --members 8 --rate 20 --seconds 1 --warmup 0 --patience 4")).await, 0);
    kept(&report, 5);
    let connections = &report["counts"]["connections"];
    assert!(number(connections, "/held") == 5 && connections["refused"].to_string().contains("503"), "{connections}");
}

#[tokio::test]
async fn what_cannot_run_says_why_and_shows_no_secret() {
    let server = Server::start().await;
    let address = server.addr().to_string();
    let login = ["--secret", SECRET, "--sdk-app-id", &SDK_APP_ID.to_string()];
    let wrong = ["--secret", "not-the-secret", "--sdk-app-id", &SDK_APP_ID.to_string()];
    let nowhere = format!("ws://{address}/nowhere");
    let other_app = ["--secret", SECRET, "--sdk-app-id", "7"];
    let cases: [(&str, &[&str], &str); 4] = [
        (&address, &wrong, "70009"),
        (&address, &other_app, "70014"),
        (&nowhere, &login, "404"),
        ("127.0.0.1:1", &login, "Connection refused"),
    ];
    for (address, login, word) in cases {
        let mut command = tallycast(&["bench", "storm", address]);
        command.args(login);
        let output = run(command).await;
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && words.contains(word), "{words}");
        assert!(!words.contains(SECRET) && !words.contains("not-the-secret"), "{words}");
    }
}

#[tokio::test]
async fn bad_usage_is_exit_code_2() {
    for (words, word) in [
        ("storm wss://h/ws --secret x --sdk-app-id 1", "TLS"),
        ("storm 127.0.0.1:1", "--secret"),
        ("storm --part 1/2", "--room"),
        ("storm --members 0", "0"),
        ("storm --seconds 0", "0.1"),
        ("storm --room @TGS#1", "@TGS#"),
        ("fan-out --require soon<1", "soon"),
        ("reconnect 127.0.0.1:1 --secret x --sdk-app-id 1 --restart", "--restart"),
    ] {
        let output = run(bench(words)).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(word), "{words}: {said}");
    }
}

// ---- Ctrl-C ----

/// A run whose lines on standard error can be waited for.
struct Watched(Child, BufReader<std::process::ChildStderr>);

impl Watched {
    fn start(words: &str, temporary: &Path) -> Self {
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut command = tallycast(&[&["bench"], words.as_slice(), &["--format", "json"]].concat());
        let mut child = command.env("TMPDIR", temporary).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self(child, lines)
    }

    fn until(&mut self, word: &str) {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert!(self.1.read_line(&mut line).unwrap() > 0, "it ended before it said {word}");
        }
    }

    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn end(self) -> Output {
        self.0.wait_with_output().unwrap()
    }
}

#[tokio::test]
async fn ctrl_c_gives_the_report_so_far_and_leaves_nothing_behind() {
    for (word, has_measured) in [("1 s:", true), ("warm-up", false)] {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path().to_owned();
        let seconds = if has_measured { "--seconds 3600 --warmup 0" } else { "--seconds 3600 --warmup 3600" };
        let ended = tokio::task::spawn_blocking(move || {
            let mut test = Watched::start(&format!("storm --durability interval --members 10 --rate 100 {seconds}"), &folder);
            test.until(word);
            test.interrupt();
            test.end()
        });
        let output = timeout(PATIENCE * 4, ended).await.expect("it ends").unwrap();
        let report = report(&output, 0);
        assert_eq!(report["outcome"]["interrupted"], json!(true));
        if has_measured {
            kept(&report, 10);
            assert!(number(&report, "/counts/writes/acknowledged") > 0 && report["run"]["duration_s"].as_f64().unwrap() < 600.0);
        }
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the server's folder is gone");
    }
}

#[tokio::test]
async fn a_second_ctrl_c_ends_the_wait_for_stragglers() {
    let (server, temporary) = (Setup::new().unthrottled().start().await, TempDir::new().unwrap());
    let proxy = between(server.addr(), Mischief::SwallowPushes(2)).await;
    let words =
        format!("fan-out {proxy} --secret {SECRET} --sdk-app-id {SDK_APP_ID} --members 5 --seconds 3600 --warmup 0 --patience 3600");
    let ended = tokio::task::spawn_blocking(move || {
        let mut test = Watched::start(&words, temporary.path());
        test.until("1 s:");
        test.interrupt();
        test.until("settling");
        test.interrupt();
        test.end()
    });
    let output = timeout(PATIENCE * 4, ended).await.expect("it ends").unwrap();
    let report = report(&output, 0);
    assert_eq!((&report["outcome"]["interrupted"], &report["conservation"]["members_differing"]), (&json!(true), &json!(0)));
    assert!(report["conservation"]["unfinished"].is_string(), "{}", report["conservation"]);
}
