//! Tallycast, the program: hands over to `cli` and does nothing by itself.

fn main() -> std::process::ExitCode {
    tallycast::cli::main()
}
