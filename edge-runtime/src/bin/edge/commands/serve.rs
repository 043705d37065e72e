//! `serve`: answers hosts.

use crate::cli::Serve;
use crate::device::with_app_and_loader;
use crate::error::Error;
use crate::output::Output;
use edge_runtime::client::report::Listening;
use edge_runtime::linux::{Listener, serve};
use edge_runtime::transport::Key;
use std::os::unix::process::CommandExt;

pub fn run(args: &Serve, output: Output) -> Result<(), Error> {
    let key = args.key.as_deref().map(Key::read).transpose()?;
    // What is refused at once is refused before a state is made.
    let listener = Listener::bind(&args.listen, key.as_ref())?;
    with_app_and_loader(&args.own, |device, flash_bytes| {
        let app = device.app();
        let ready = Listening {
            listening: listener.address()?,
            model: app.map(|app| app.model().manifest().name.into()),
            ram_bytes: app.map_or(0, |app| app.plan().total()),
            flash_bytes,
            most_classes: app.map_or(0, |app| app.plan().classes),
            encrypted: key.is_some(),
            signature_needed: args.own.trust.trust.is_some(),
        };
        // A program that started this one may wait for this line. After a restart it may be gone, which is no
        // error.
        let _ = output.print(&ready, || format!("listening on {}", ready.listening));
        serve(device, &listener, key.as_ref(), &restart);
        Ok(())
    })
}

/// Becomes a new process of the same program: lock and sockets are closed by that, and the state is opened
/// as after a power cut.
fn restart() {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_else(|| "edge".into());
    let error = std::process::Command::new(program).args(arguments).exec();
    eprintln!("error: cannot restart: {error}");
    std::process::exit(1);
}
