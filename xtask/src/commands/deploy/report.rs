//! What came of a deploy, for people and for machines.

use super::Order;
use super::layout::{Folder, Listen};
use super::ssh::Said;
use crate::{output, units};
use anyhow::{Result, bail};
use serde_json::{Value, json};

/// What came of it.
pub struct Outcome<'a> {
    /// What was asked for.
    pub order: &'a Order<'a>,
    /// What `begin.sh` said.
    pub begun: Said,
    /// What `activate.sh` said.
    pub said: Said,
}

impl Outcome<'_> {
    /// Prints it; an error if the new version does not run.
    pub fn report(&self, json: bool) -> Result<()> {
        let started = self.said.has("started");
        if started || json {
            output::print(json, self.value(started), || self.text());
        }
        for warning in self.said.all("warning") {
            eprintln!("warning: {warning}");
        }
        if started {
            return Ok(());
        }
        let why = match self.said.text("why") {
            "" => String::new(),
            line => format!(" ({line})"),
        };
        let now = match (self.said.get("rolled_back"), self.begun.get("current")) {
            (Some("yes"), Some(old)) => format!("release {old} runs again"),
            (Some(_), Some(old)) => {
                format!("release {old} was started again and does not answer either")
            }
            _ => "there is no other version to go back to, it is stopped".into(),
        };
        bail!(
            "{}: release {} did not answer within {} s{why}; {now}",
            self.order.args.host,
            self.order.release,
            self.order.args.wait
        )
    }

    fn value(&self, started: bool) -> Value {
        let key = self.order.options.key.as_ref().map(Folder::to_string);
        json!({
            "host": self.order.args.host.to_string(),
            "board": self.order.package.board.name,
            "model": self.order.package.name,
            "release": self.order.release,
            "previous": self.begun.get("current"),
            "program_sha256": units::hex(&self.order.program.sha256),
            "program_bytes": self.order.program.bytes.len(),
            "model_sha256": units::hex(&self.order.package.model_sha256),
            "model_bytes": self.order.package.model.len(),
            "trunk_sha256": self.order.package.trunk,
            "prefix": self.order.device.layout.prefix,
            "state": self.order.device.layout.state,
            "service": self.order.device.service,
            "listen": self.order.options.listen.clone().unwrap_or_default().to_string(),
            "key": key,
            "key_made": self.said.has("key_made"),
            "started": started,
            "rolled_back": self.said.get("rolled_back") == Some("yes"),
            "why": self.said.get("why"),
        })
    }

    fn text(&self) -> String {
        let layout = &self.order.device.layout;
        let listen = self.order.options.listen.clone().unwrap_or_default();
        let previous = self.begun.get("current").unwrap_or("none");
        let script = format!("{}/bin/graft-edge", layout.prefix);
        let starts = match self.order.device.service {
            "none" => format!("{script} start; nothing calls it when the device starts yet"),
            "systemd" => "systemd, graft-edge.service".into(),
            _ => "systemd of the login, graft-edge.service".into(),
        };
        let mut out = format!(
            "{} on {} ({}) runs and answers\n",
            self.order.package.name, self.order.args.host, self.order.package.board.title
        );
        out += &output::pairs(&[
            ("release", self.order.release.clone()),
            ("before", previous.into()),
            (
                "program",
                units::bytes(self.order.program.bytes.len() as u64),
            ),
            ("model", units::bytes(self.order.package.model.len() as u64)),
            ("trunk", self.order.package.trunk.clone()),
            ("installed in", layout.prefix.clone()),
            ("heads, samples", layout.state.clone()),
            ("started by", starts),
            ("listens on", listen.to_string()),
        ]);
        let host = &self.order.args.host;
        let sudo = if self.order.device.sudo { "sudo " } else { "" };
        out += "\nNext:\n";
        if let Some(key) = &self.order.options.key {
            out += &format!(
                "  (umask 077; ssh {host} {sudo}cat {key} > edge.key)    # the key, for hosts that connect\n"
            );
        }
        let port = match listen.seen_from_the_device() {
            Listen::Tcp(own, port) => format!("4700:{own}:{port}"),
            Listen::Unix(path) => format!("4700:{path}"),
        };
        if self.order.options.key.is_none() {
            out += &format!(
                "  ssh -N -L {port} {host} &\n  cargo xtask device --port tcp:127.0.0.1:4700 info\n"
            );
        }
        out + &format!("  ssh {host} {sudo}{script} status|log|rollback\n")
    }
}
