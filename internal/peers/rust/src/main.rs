//! axum-cometd: PORT [timeout=MILLIS] [maxInterval=MILLIS], served below /cometd.
//!
//! The library has an URL for each kind of message and no other: /cometd/handshake,
//! /cometd/connect (which takes publications too), /cometd/disconnect, and /cometd for
//! subscriptions.

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum_cometd::{LongPollingServiceContextBuilder, RouterBuilder};
use tokio::signal::unix::{signal, SignalKind};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().ok_or("usage: PORT [name=value ...]; port 0 is any free one")?.parse()?;
    let mut builder = LongPollingServiceContextBuilder::new();
    for pair in args {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair} is not name=value"))?;
        builder = match name {
            "timeout" => builder.timeout(Duration::from_millis(value.parse()?)),
            "maxInterval" => builder.max_interval(Duration::from_millis(value.parse()?)),
            _ => return Err(format!("option {name} is unknown; there are timeout and maxInterval").into()),
        };
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(port, builder))
}

async fn serve(port: u16, builder: LongPollingServiceContextBuilder) -> Result<(), Box<dyn Error>> {
    let app = RouterBuilder::new()
        .subscribe_base_path("/cometd")
        .handshake_base_path("/cometd")
        .connect_base_path("/cometd")
        .disconnect_base_path("/cometd")
        .build(builder.build::<(), ()>());
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    let mut stop = signal(SignalKind::terminate())?;
    println!("listening http://{}/cometd", listener.local_addr()?);
    let server = axum::Server::from_tcp(listener)?.serve(app.into_make_service());
    tokio::select! {
        done = server => Ok(done?),
        _ = stop.recv() => Ok(()),
    }
}
