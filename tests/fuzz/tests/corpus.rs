//! Every input that is kept passes: those that once did not, those made by hand, and those that reach far.

use std::path::Path;

/// Replays the corpus of a target; says how many inputs there were.
fn replay(name: &str) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut run = tallycast_fuzz::target(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder).expect("each target has a corpus").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files {
        // The last line before a failure names the input.
        println!("{}", file.display());
        run(&std::fs::read(file).unwrap());
    }
    run(b"");
    files.len()
}

macro_rules! corpora {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            assert!(replay(stringify!($name)) > 0);
        })*

        #[test]
        fn every_target_is_replayed() {
            assert_eq!(tallycast_fuzz::TARGETS.as_slice(), [$(stringify!($name)),*]);
        }
    };
}

corpora!(request, usersig, head, websocket, rest, actor, journal, table, store);
