//! `keygen`: the key of an encrypted line, or a pair for signatures.

use crate::{cli::Keygen, output, units};
use anyhow::Result;
use converter::jobs::sign::{new_line_key, new_pair, public_half};
use serde_json::json;

pub fn run(args: &Keygen, json: bool) -> Result<()> {
    let file = args.file.display().to_string();
    if !args.signing {
        new_line_key(&args.file)?;
        output::print(json, json!({"file": file}), || {
            format!(
                "{file}: 32 random bytes; `edge serve --key` and `device --key` take the same file"
            )
        });
        return Ok(());
    }
    let public = new_pair(&args.file)?;
    let public_file = public_half(&args.file).display().to_string();
    let value = json!({
        "file": file,
        "public_key_file": public_file,
        "public_key": units::hex(&public),
    });
    output::print(json, value, || {
        format!(
            "{file}: the private key, for `sign`; keep it\n{public_file}: the public key, for devices (`--trust`)"
        )
    });
    Ok(())
}
