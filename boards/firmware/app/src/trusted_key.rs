//! Which models and heads the firmware accepts: all, or, with the feature `signed`, only those that are signed with the
//! trusted key. The public key is built in: the environment variable `GRAFT_TRUST` has its 32 bytes in hexadecimal.
//! `cargo xtask flash --trust` sets feature and variable.

use edge_runtime::device::NotReady;
use edge_runtime::model::header::Header;
use edge_runtime::signature::Trust;

/// What the firmware trusts: every model and head.
#[cfg(not(feature = "signed"))]
pub const fn built_in() -> Option<Trust> {
    Some(Trust::Anyone)
}

/// What the firmware trusts: what is signed with the key that is built in. `None` if that is no valid key; then nothing
/// is accepted.
#[cfg(feature = "signed")]
pub fn built_in() -> Option<Trust> {
    let key = edge_runtime::signature::PublicKey::new(&KEY);
    key.ok().map(Trust::Signed)
}

/// Returns `trust` if it accepts the model in `region`. Call this before anything else reads the model.
///
/// # Errors
/// If the model has no signature of the trusted key, or `trust` is `None`.
pub fn require(trust: Option<Trust>, region: &[u8]) -> Result<Trust, NotReady> {
    let trust = trust.ok_or(NotReady::Untrusted)?;
    if trust.is_required() {
        Header::read(region).map_err(|e| NotReady::from(&e))?;
        let checked = trust.check_region(region);
        checked.map_err(|_| NotReady::Untrusted)?;
    }
    Ok(trust)
}

#[cfg(feature = "signed")]
const KEY: [u8; 32] = from_hex(env!("GRAFT_TRUST"));

#[cfg(feature = "signed")]
const fn from_hex(text: &str) -> [u8; 32] {
    const fn digit(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => panic!("GRAFT_TRUST must have 64 hexadecimal digits in lower case"),
        }
    }
    let text = text.as_bytes();
    assert!(
        text.len() == 64,
        "GRAFT_TRUST must have 64 hexadecimal digits"
    );
    let (mut bytes, mut i) = ([0; 32], 0);
    while i < bytes.len() {
        bytes[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
        i += 1;
    }
    bytes
}
