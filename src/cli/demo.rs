//! `tallycast demo`: everything on one loopback address, to try it.

use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where to listen: a loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = loopback)]
    listen: SocketAddr,
    /// The folder of the store; a temporary one unless given
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let Args { listen, data } = args;
    anyhow::bail!("this version cannot show a demo yet (on {listen}, in {data:?})")
}

/// The demo hands out UserSigs to whoever asks, so nobody but this machine may reach it.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => Err("the demo listens on loopback addresses only, such as 127.0.0.1:8080".into()),
        Err(_) => Err("not an address and a port such as 127.0.0.1:8080".into()),
    }
}
