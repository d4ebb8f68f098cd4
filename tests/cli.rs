//! The program as a user runs it: what it prints, where, and with which exit code.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use tallycast::auth::{Keyring, Secret};
use tallycast::domain::name::UserId;

const FINE: &str = "[app]\nsdk_app_id = 7\nsecret_keys = ['the-first-secret', 'the-second-secret']\n";

fn tallycast(args: &[&str], vars: &[(&str, &str)]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_tallycast")).args(args).env_clear().envs(vars.iter().copied()).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

struct File {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl File {
    fn of(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tallycast.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        Self { path, _folder: folder }
    }

    fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn usersig_prints_the_sig_alone_and_it_verifies() {
    let file = File::of(FINE);
    let first = Keyring::new(7, vec![Secret::new("the-first-secret").unwrap()]).unwrap();
    let user = UserId::parse("a b").unwrap();
    let before = now();
    for (expire, seconds) in [(&[][..], 15_552_000), (&["--expire", "60"][..], 60)] {
        let args = [&["usersig", "--config", file.name(), "--user", "a b"][..], expire].concat();
        let (code, out, err) = tallycast(&args, &[]);
        assert_eq!((code, err.as_str()), (0, ""));
        let sig = out.strip_suffix('\n').unwrap();
        let verified = first.verify(&user, sig, now()).unwrap();
        assert!((before + seconds..=now() + seconds).contains(&verified.expires_at), "{verified:?}");
    }
}

#[test]
fn usersig_takes_the_secret_of_the_environment_first() {
    let (file, vars) = (File::of(FINE), [("TALLYCAST_APP__SECRET_KEYS", "the-third-secret,the-first-secret")]);
    let (code, out, _) = tallycast(&["usersig", "--config", file.name(), "--user", "u"], &vars);
    let third = Keyring::new(7, vec![Secret::new("the-third-secret").unwrap()]).unwrap();
    assert!(code == 0 && third.verify(&UserId::parse("u").unwrap(), out.trim_end(), now()).is_ok());
}

#[test]
fn usersig_refuses_names_of_a_wrong_form_and_odd_spans() {
    let file = File::of(FINE);
    for name in ["", " a", "a\nTLS.sdkappid:8", "用户", &"u".repeat(33)] {
        let (code, out, err) = tallycast(&["usersig", "--config", file.name(), "--user", name], &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{name:?}");
        assert!(err.contains("--user") && (name.is_empty() || err.contains("userID must be 1 to 32 printable ASCII")), "{err}");
    }
    for expire in ["0", "-1", "18446744073709551615", "soon"] {
        let (code, out, _) = tallycast(&["usersig", "--config", file.name(), "--user", "a", &format!("--expire={expire}")], &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{expire}");
    }
}

#[test]
fn check_config_says_that_it_is_fine() {
    let file = File::of(FINE);
    let (code, out, err) = tallycast(&["check-config", "--config", file.name()], &[]);
    assert_eq!((code, out, err), (0, format!("{}: fine\n", file.name()), String::new()));
}

#[test]
fn check_config_names_all_faults_and_shows_no_secret() {
    let file = File::of("[app]\nsecret_keys = ['the-first-secret', 4]\n[limits]\nping_every = '25x'\npong = 1\n");
    let (code, out, err) = tallycast(&["check-config", "--config", file.name()], &[("TALLYCAST_SHARDS", "two"), ("TALLYCAST_SHARD", "1")]);
    assert_eq!((code, out.as_str()), (2, ""));
    let name = file.name();
    let expected = format!(
        "tallycast: the configuration has 5 faults:\n  \
         app.secret_keys: something in the list is not a text in quotes ({name}, line 2)\n  \
         limits.ping_every: \"25x\" is not a duration such as \"25s\" ({name}, line 4)\n  \
         limits.pong: unknown key ({name}, line 5)\n  \
         unknown variable; did you mean TALLYCAST_SHARDS? (environment, TALLYCAST_SHARD)\n  \
         shards: \"two\" is not a whole number such as 20 (environment, TALLYCAST_SHARDS)\n"
    );
    assert_eq!(err, expected);
}

#[test]
fn check_config_prints_what_is_in_force_without_secrets() {
    let file = File::of(FINE);
    let (code, out, err) = tallycast(&["check-config", "--config", file.name(), "--print"], &[("TALLYCAST_STORE__PATH", "elsewhere")]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with(&format!("# {}: fine\n", file.name())), "{out}");
    assert!(out.contains("path = \"elsewhere\"  # environment, TALLYCAST_STORE__PATH\n"), "{out}");
    assert!(out.contains("# secret_keys: 2 given, not shown") && !out.contains("-secret'") && !out.contains("the-first-secret"), "{out}");
    let table: toml::Table = out.parse().unwrap();
    assert_eq!(table["app"]["sdk_app_id"].as_integer(), Some(7));
    assert_eq!(table["limits"]["ping_every"].as_str(), Some("25s"));
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    for path in [&folder.path().join("nowhere.toml"), folder.path() as &Path] {
        let (code, out, err) = tallycast(&["check-config", "--config", path.to_str().unwrap()], &[]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.contains("the file cannot be read: ") && err.contains(path.to_str().unwrap()), "{err}");
    }
}

#[test]
fn serve_refuses_to_start_without_a_secret() {
    let file = File::of("");
    let (code, _, err) = tallycast(&["serve", "--config", file.name(), "--listen", "nowhere"], &[]);
    assert_eq!(code, 2);
    assert!(err.contains("no secret is given") && err.contains("\"nowhere\" is not an address"), "{err}");
}

#[test]
fn bad_usage_ends_with_2_and_help_with_0() {
    for args in [&[][..], &["unheard"], &["serve"], &["check-config", "--cfg", "x"], &["demo", "--listen", "0.0.0.0:0"]] {
        let (code, out, err) = tallycast(args, &[]);
        assert_eq!((code, out.as_str(), err.is_empty()), (2, "", false), "{args:?}");
    }
    let (code, out, _) = tallycast(&["--help"], &[]);
    assert_eq!(code, 0);
    for command in ["demo", "serve", "usersig", "check-config", "bench"] {
        assert!(out.contains(command), "{out}");
        assert_eq!(tallycast(&[command, "--help"], &[]).0, 0);
    }
    assert_eq!(tallycast(&["--version"], &[]), (0, format!("tallycast {}\n", env!("CARGO_PKG_VERSION")), String::new()));
}

#[test]
fn bench_merge_says_what_is_wrong_before_it_does_anything() {
    let file = File::of("{\"format\":\"something else\"}");
    let (code, out, err) = tallycast(&["bench", "merge", file.name()], &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains(file.name()) && err.contains("\"something else\", not \"tallycast-bench-1\""), "{err}");
    let usages: [(&[&str], &str); 4] = [
        (&["--require", "fresh.p99<1ms"], "there is no figure \"fresh.p99\""),
        (&["--require", "freshness.p99<1"], "write a number with one of us"),
        (&["--output", "report.pdf"], "must end with .html, .json, .csv or .txt"),
        (&["--format", "pdf"], "possible values: text, json, csv, html"),
    ];
    for (args, says) in usages {
        let (code, out, err) = tallycast(&[&["bench", "merge", file.name()], args].concat(), &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains(says), "{err}");
    }
}

/// Whoever copies the commands of the README must get a gateway that runs.
#[test]
fn the_configuration_of_the_readme_is_fine_as_it_is_written() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, after) = readme.split_once("## Run it").unwrap();
    let (_, block) = after.split_once("```sh\n").unwrap();
    let block = block.split("```").next().unwrap();
    assert!(block.lines().any(|line| line.starts_with("target/release/tallycast serve")), "{block}");
    let commands: Vec<_> = block.lines().filter(|line| !line.starts_with("cargo build") && !line.contains("tallycast serve")).collect();
    let commands = commands.join("\n").replace("target/release/tallycast", env!("CARGO_BIN_EXE_tallycast"));
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("bash").args(["-euc", &commands]).current_dir(folder.path()).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && err.is_empty(), "{out}{err}");
    assert!(out.starts_with("tallycast.toml: fine\n") && out.lines().count() == 2, "a verdict and a UserSig: {out}");
}

#[test]
fn a_secret_that_everybody_can_read_is_warned_of() {
    let file = File::of(FINE);
    for (mode, warned) in [(0o644, true), (0o604, true), (0o640, false), (0o600, false)] {
        std::fs::set_permissions(&file.path, Permissions::from_mode(mode)).unwrap();
        let (code, out, err) = tallycast(&["check-config", "--config", file.name()], &[]);
        assert_eq!((code, out), (0, format!("{}: fine\n", file.name())), "{mode:o}");
        assert_eq!(err.contains("chmod 600") && err.contains("app.secret_keys"), warned, "{mode:o}: {err}");
    }
    std::fs::write(&file.path, "[app]\nsdk_app_id = 7\n").unwrap();
    std::fs::set_permissions(&file.path, Permissions::from_mode(0o644)).unwrap();
    let vars = [("TALLYCAST_APP__SECRET_KEYS", "the-first-secret")];
    let (code, _, err) = tallycast(&["check-config", "--config", file.name()], &vars);
    assert_eq!((code, err.as_str()), (0, ""), "the secret is not in the file");
}
