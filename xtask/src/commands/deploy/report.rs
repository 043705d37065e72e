//! What `deploy` prints.

use super::Order;
use super::layout::{Folder, Listen};
use super::ssh::Said;
use crate::output::{Report, Text};
use crate::units;
use serde::Serialize;

#[derive(Serialize)]
pub struct DeployReport<'o> {
    host: String,
    board: &'o str,
    model: &'o str,
    release: &'o str,
    /// The release that ran before.
    previous: Option<&'o str>,
    program_sha256: String,
    program_bytes: usize,
    model_sha256: String,
    model_bytes: usize,
    trunk_sha256: &'o str,
    prefix: &'o str,
    state: &'o str,
    service: &'static str,
    listen: String,
    /// Path of the key on the device.
    key: Option<String>,
    key_made: bool,
    /// The new version runs and answers.
    pub started: bool,
    /// It does not, and the version before runs again.
    rolled_back: bool,
    /// Why it does not.
    why: Option<&'o str>,
    #[serde(skip)]
    order: &'o Order<'o>,
}

impl<'o> DeployReport<'o> {
    /// `begun`: what `begin.sh` said; `said`: what `activate.sh` said.
    pub fn new(order: &'o Order<'o>, begun: &'o Said, said: &'o Said) -> Self {
        let (package, options, paths) = (order.package, &order.options, &order.device.paths);
        Self {
            host: order.args.host.to_string(),
            board: &package.board.name,
            model: &package.name,
            release: &order.release,
            previous: begun.get("current"),
            program_sha256: units::hex(&order.program.sha256),
            program_bytes: order.program.bytes.len(),
            model_sha256: units::hex(&package.model_sha256),
            model_bytes: package.model.len(),
            trunk_sha256: &package.trunk,
            prefix: &paths.prefix,
            state: &paths.state,
            service: order.device.service,
            listen: options.listen.clone().unwrap_or_default().to_string(),
            key: options.key.as_ref().map(Folder::to_string),
            key_made: said.has("key_made"),
            started: said.has("started"),
            rolled_back: said.get("rolled_back") == Some("yes"),
            why: said.get("why"),
            order,
        }
    }
}

impl Report for DeployReport<'_> {
    /// Nothing if the new version does not run: then the command's error says everything.
    fn text(&self, out: &mut Text) {
        if !self.started {
            return;
        }
        let script = format!("{}/bin/graft-edge", self.prefix);
        let started_by = match self.service {
            "none" => format!("{script} start; nothing calls it yet when the device starts"),
            "systemd" => "systemd, graft-edge.service".into(),
            _ => "systemd of the login, graft-edge.service".into(),
        };
        let title = &self.order.package.board.title;
        out.line(format_args!(
            "{} on {} ({title}) runs and answers",
            self.model, self.host
        ));
        let bytes = |n: usize| units::bytes(n as u64);
        out.pairs([
            ("release", self.release.into()),
            ("before", self.previous.unwrap_or("none").into()),
            ("program", bytes(self.program_bytes)),
            ("model", bytes(self.model_bytes)),
            ("trunk", self.trunk_sha256.into()),
            ("installed in", self.prefix.into()),
            ("heads, samples", self.state.into()),
            ("started by", started_by),
            ("listens on", self.listen.clone()),
        ]);
        self.next(out, &script);
    }
}

impl DeployReport<'_> {
    /// Commands that connect to the device and look after the program.
    fn next(&self, out: &mut Text, script: &str) {
        let host = &self.host;
        let sudo = if self.order.device.sudo { "sudo " } else { "" };
        out.line("\nNext:");
        match &self.key {
            Some(key) => out.line(format_args!(
                "  (umask 077; ssh {host} {sudo}cat {key} > edge.key)    # the key, for hosts that connect"
            )),
            None => {
                let listen = self.order.options.listen.clone().unwrap_or_default();
                let port = match listen.seen_from_the_device() {
                    Listen::Tcp(own, port) => format!("4700:{own}:{port}"),
                    Listen::Unix(path) => format!("4700:{path}"),
                };
                out.line(format_args!("  ssh -N -L {port} {host} &"));
                out.line("  cargo xtask device --port tcp:127.0.0.1:4700 info");
            }
        }
        out.line(format_args!(
            "  ssh {host} {sudo}{script} status|log|rollback"
        ));
    }
}
