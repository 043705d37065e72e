//! `sign`: signatures of models and heads.

use crate::{cli::Sign, output};
use anyhow::Result;
use converter::jobs::sign::PrivateKey;
use serde_json::json;

pub fn run(args: &Sign, json: bool) -> Result<()> {
    let key = PrivateKey::read(&args.key)?;
    let (mut entries, mut text) = (vec![], String::new());
    for file in &args.files {
        let (what, to) = key.sign_file(file)?;
        let (file, to) = (file.display().to_string(), to.display().to_string());
        text += &format!("{to}: the signature of a {what}\n");
        entries.push(json!({"file": file, "kind": what.to_string(), "signature_file": to}));
    }
    output::print(json, json!({"signed": entries}), || text);
    Ok(())
}
