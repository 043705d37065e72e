//! `keygen`: the key of an encrypted line, or a pair for signatures.

use crate::cli::Keygen;
use crate::output::{self, Report, Text};
use crate::units;
use anyhow::Result;
use converter::jobs::sign::{new_line_key, new_pair, public_half};
use serde::Serialize;

pub fn run(args: &Keygen, json: bool) -> Result<()> {
    let file = args.file.display().to_string();
    if args.signing {
        let public = new_pair(&args.file)?;
        let report = SigningPairReport {
            file,
            public_key_file: public_half(&args.file).display().to_string(),
            public_key: units::hex(&public),
        };
        output::print(json, &report);
    } else {
        new_line_key(&args.file)?;
        output::print(json, &LineKeyReport { file });
    }
    Ok(())
}

#[derive(Serialize)]
struct LineKeyReport {
    file: String,
}

impl Report for LineKeyReport {
    fn text(&self, out: &mut Text) {
        out.line(format_args!(
            "{}: 32 random bytes; `edge serve --key` and `device --key` take the same file",
            self.file
        ));
    }
}

#[derive(Serialize)]
struct SigningPairReport {
    /// The private key.
    file: String,
    public_key_file: String,
    /// Hexadecimal.
    public_key: String,
}

impl Report for SigningPairReport {
    fn text(&self, out: &mut Text) {
        let (private, public) = (&self.file, &self.public_key_file);
        out.line(format_args!(
            "{private}: the private key, for `sign`; keep it secret"
        ));
        out.line(format_args!(
            "{public}: the public key, for devices (`--trust`)"
        ));
    }
}
