//! Whose models and heads the firmware takes: anybody's, or, with the feature `signed`, only what the holder of a
//! key has signed. The public key is built in from the environment variable `GRAFT_TRUST`, its 32 bytes as
//! hexadecimal digits; `cargo xtask flash --trust` sets both.

use edge_runtime::device::NotReady;
use edge_runtime::model::header::Header;
use edge_runtime::signature::Trust;

/// Whom the firmware trusts; nobody, if the key that is built in is none.
#[cfg(not(feature = "signed"))]
pub const fn whom() -> Option<Trust> {
    Some(Trust::Anyone)
}

/// Whom the firmware trusts; nobody, if the key that is built in is none.
#[cfg(feature = "signed")]
pub fn whom() -> Option<Trust> {
    let key = edge_runtime::signature::PublicKey::new(&KEY);
    key.ok().map(Trust::Signed)
}

/// Whom the firmware trusts, if the model in `region` is theirs. Nothing in the model is believed before.
pub fn judge(trust: Option<Trust>, region: &[u8]) -> Result<Trust, NotReady> {
    let trust = trust.ok_or(NotReady::Untrusted)?;
    if trust.is_required() {
        Header::read(region).map_err(|e| NotReady::from(&e))?;
        let judged = trust.check_region(region);
        judged.map_err(|_| NotReady::Untrusted)?;
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
            _ => panic!("GRAFT_TRUST has 64 hexadecimal digits, small ones"),
        }
    }
    let text = text.as_bytes();
    assert!(text.len() == 64, "GRAFT_TRUST has 64 hexadecimal digits");
    let (mut bytes, mut i) = ([0; 32], 0);
    while i < bytes.len() {
        bytes[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
        i += 1;
    }
    bytes
}
