//! Who may bring a head from outside: anybody, or the holder of a private key.
//!
//! A signature is Ed25519 (RFC 8032) over the bytes of the whole head file, made by any tool. Heads that the
//! device trained itself need none. Verification is `ed25519-dalek`'s, behind the feature `signed`.

/// Length of an Ed25519 signature in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// Which imported heads a device accepts.
#[derive(Clone, Copy, Debug, Default)]
pub enum Trust {
    /// Every one that is made for its trunk.
    #[default]
    Anyone,
    /// Those with a valid signature.
    #[cfg(feature = "signed")]
    Signed(PublicKey),
}

/// Why an imported head is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// It has no signature and needs one.
    #[error("this device takes signed heads only, and the head has no signature; sign it")]
    Unsigned,
    /// The signature is not of this head and this key.
    #[error("the signature of the head does not fit the device's public key")]
    Signature,
    /// The configured key is no Ed25519 public key.
    #[error("the configured public key is no Ed25519 key")]
    Key,
}

impl Trust {
    /// True if imported heads need a signature.
    pub const fn is_required(&self) -> bool {
        !matches!(self, Self::Anyone)
    }

    /// Judges an imported head by the bytes of its file.
    pub fn check(
        &self,
        head: &[u8],
        signature: Option<&[u8; SIGNATURE_LEN]>,
    ) -> Result<(), TrustError> {
        match self {
            Self::Anyone => {
                let _ = (head, signature);
                Ok(())
            }
            #[cfg(feature = "signed")]
            Self::Signed(key) => key.verify(head, signature.ok_or(TrustError::Unsigned)?),
        }
    }
}

/// An Ed25519 public key.
#[cfg(feature = "signed")]
#[derive(Clone, Copy, Debug)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

#[cfg(feature = "signed")]
impl PublicKey {
    /// From the key's 32 bytes; weak keys, for which signatures prove nothing, are refused.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, TrustError> {
        match ed25519_dalek::VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            _ => Err(TrustError::Key),
        }
    }

    /// Checks a signature over `message`, e.g. a head or a model file.
    pub fn verify(
        &self,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), TrustError> {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0
            .verify_strict(message, &signature)
            .map_err(|_| TrustError::Signature)
    }
}

#[cfg(all(test, feature = "signed"))]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    #[test]
    fn a_signature_binds_head_and_key() {
        let (key, other) = (
            SigningKey::from_bytes(&[7; 32]),
            SigningKey::from_bytes(&[8; 32]),
        );
        let trust = Trust::Signed(PublicKey::new(key.verifying_key().as_bytes()).unwrap());
        let signature = key.sign(b"head").to_bytes();
        assert_eq!(trust.check(b"head", Some(&signature)), Ok(()));
        assert_eq!(trust.check(b"head", None), Err(TrustError::Unsigned));
        assert_eq!(
            trust.check(b"Head", Some(&signature)),
            Err(TrustError::Signature)
        );
        let forged = other.sign(b"head").to_bytes();
        assert_eq!(
            trust.check(b"head", Some(&forged)),
            Err(TrustError::Signature)
        );
        assert_eq!(PublicKey::new(&[0; 32]).unwrap_err(), TrustError::Key);
        assert!(trust.is_required() && !Trust::Anyone.is_required());
        assert_eq!(Trust::Anyone.check(b"head", None), Ok(()));
    }
}
