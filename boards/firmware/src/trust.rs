//! Whose models and heads the firmware takes: anybody's, or, with the feature `signed`, only what the holder of a
//! key has signed. The public key is built in from the environment variable `GRAFT_TRUST`, its 32 bytes as
//! hexadecimal digits; `cargo xtask flash --trust` sets both.

use edge_runtime::device::NotReady;
use edge_runtime::signature::Trust;

/// Whom the firmware trusts, if the model in `region` is theirs. Nothing in the model is believed before.
#[cfg(not(feature = "signed"))]
pub fn judge(_region: &[u8]) -> Result<Trust, NotReady> {
    Ok(Trust::Anyone)
}

/// Whom the firmware trusts, if the model in `region` is theirs. Nothing in the model is believed before.
#[cfg(feature = "signed")]
pub fn judge(region: &[u8]) -> Result<Trust, NotReady> {
    use edge_runtime::model::header::Header;
    use edge_runtime::signature::PublicKey;

    Header::read(region).map_err(|e| NotReady::from(&e))?;
    let judged = PublicKey::new(&KEY).and_then(|key| {
        let trust = Trust::Signed(key);
        trust.check_region(region).map(|()| trust)
    });
    judged.map_err(|_| NotReady::Untrusted)
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
