//! What becomes of a panic in a shard: the program ends. Without the thread, or without one of the tasks that it is of no use
//! without, everything that it looked after would stand still without a word.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::task::JoinSet;

/// What is called when the program cannot go on, with words for the operator. It must not wait.
pub type OnFatal = Arc<dyn Fn(String) + Send + Sync>;

/// Starts a thread whose panic is told.
pub(super) fn watch_over(name: String, on_fatal: OnFatal, life: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let words = format!("the thread {name} has panicked");
    std::thread::Builder::new().name(name).spawn(move || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(life)) {
            on_fatal(words);
            resume_unwind(panic);
        }
    })
}

/// Never comes back: a task that panics takes the thread with it.
pub(super) async fn vital(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            resume_unwind(error.into_panic());
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_without_one_of_its_tasks_is_none() {
        let (tell, told) = std::sync::mpsc::channel();
        let on_fatal: OnFatal = Arc::new(move |words| drop(tell.send(words)));
        let life = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, async {
                let mut tasks = JoinSet::new();
                tasks.spawn_local(async {});
                tasks.spawn_local(std::future::pending()).abort();
                tasks.spawn_local(async { panic!("this is what the test is about") });
                vital(tasks).await;
            });
        };
        let thread = watch_over("shard-7".to_owned(), on_fatal, life).unwrap();
        assert_eq!(told.recv().unwrap(), "the thread shard-7 has panicked");
        assert!(thread.join().is_err());
    }
}
