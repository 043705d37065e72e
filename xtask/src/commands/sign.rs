//! `sign`: signatures of models and heads.

use crate::cli::Sign;
use crate::output::{self, Report, Text};
use anyhow::Result;
use converter::jobs::sign::PrivateKey;
use serde::Serialize;

pub fn run(args: &Sign, json: bool) -> Result<()> {
    let key = PrivateKey::read(&args.key)?;
    let mut signed = vec![];
    for file in &args.files {
        let (kind, signature) = key.sign_file(file)?;
        signed.push(SignedFile {
            file: file.display().to_string(),
            kind: kind.to_string(),
            signature_file: signature.display().to_string(),
        });
    }
    output::print(json, &SignReport { signed });
    Ok(())
}

#[derive(Serialize)]
struct SignReport {
    signed: Vec<SignedFile>,
}

#[derive(Serialize)]
struct SignedFile {
    file: String,
    /// `model` or `head`.
    kind: String,
    signature_file: String,
}

impl Report for SignReport {
    fn text(&self, out: &mut Text) {
        for SignedFile {
            kind,
            signature_file,
            ..
        } in &self.signed
        {
            out.line(format_args!("{signature_file}: the signature of a {kind}"));
        }
    }
}
