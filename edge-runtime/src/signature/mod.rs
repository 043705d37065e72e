//! Who may put models and heads on a device: everybody, or the holder of a private key.
//!
//! A signature is an Ed25519 signature (RFC 8032) of a short message, which any tool can make:
//!
//! | signed | message |
//! |---|---|
//! | a model | `graft model v1`, two zero bytes, SHA-256 of the whole `.edge` file |
//! | a head | `graft head v1`, three zero bytes, SHA-256 of its trunk, SHA-256 of the whole head file |
//!
//! The first words keep the two kinds apart, and both apart from anything else that the same key signs. A
//! model's signature covers its factory head. Heads that a device trained itself need no signature.
//!
//! Knows no files and no stores: `files`, behind the feature `key-files`, reads keys and signatures for
//! programs that have files. `ed25519-dalek` verifies, behind the feature `signed`.

#[cfg(feature = "key-files")]
mod files;

#[cfg(feature = "key-files")]
pub use files::{SignatureFileError, beside, find_signature, read_signature};

use crate::flash::is_erased;
use crate::model::header::Header;
use sha2::{Digest, Sha256};

/// Length of an Ed25519 signature in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// First part of a message: what is signed. All have one length, so none is the start of another.
const MODEL: [u8; 16] = *b"graft model v1\0\0";
const HEAD: [u8; 16] = *b"graft head v1\0\0\0";

/// What a signature is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// A `.edge` file.
    Model,
    /// A head file.
    Head,
}

impl core::fmt::Display for Signed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Model => "model",
            Self::Head => "head",
        })
    }
}

/// Which models and imported heads a device accepts.
#[derive(Clone, Copy, Debug, Default)]
pub enum Trust {
    /// All. A head must still be made for the trunk of the model.
    #[default]
    Anyone,
    /// Those with a valid signature by this key.
    #[cfg(feature = "signed")]
    Signed(PublicKey),
}

/// Why a model or an imported head is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// It has no signature.
    #[error("this device takes signed {0}s only, and the {0} has no signature; sign it")]
    Unsigned(Signed),
    /// The signature is not one of this model or head by this key.
    #[error(
        "the signature of the {0} does not fit the device's public key; sign this very file with the key that belongs to it"
    )]
    Signature(Signed),
    /// The configured key is no Ed25519 public key.
    #[error("the configured public key is no Ed25519 key")]
    Key,
}

/// The message that is signed for a model; `file` is the whole `.edge` file.
pub fn model_message(file: &[u8]) -> [u8; 48] {
    message_of_model(&Sha256::digest(file).into())
}

/// The message for a model whose file has this SHA-256.
fn message_of_model(sha256: &[u8; 32]) -> [u8; 48] {
    let mut message = [0; 48];
    message[..16].copy_from_slice(&MODEL);
    message[16..].copy_from_slice(sha256);
    message
}

/// The message that is signed for a head; `trunk` is the SHA-256 of its trunk, `file` the whole head file.
pub fn head_message(trunk: &[u8; 32], file: &[u8]) -> [u8; 80] {
    let mut message = [0; 80];
    message[..16].copy_from_slice(&HEAD);
    message[16..48].copy_from_slice(trunk);
    message[48..].copy_from_slice(&Sha256::digest(file));
    message
}

/// The signature at the end of a model's region of flash; `None` if that part is erased.
pub fn signature_in(region: &[u8]) -> Option<[u8; SIGNATURE_LEN]> {
    let signature = *region.last_chunk()?;
    (!is_erased(&signature)).then_some(signature)
}

impl Trust {
    /// True if models and imported heads need a signature.
    pub const fn is_required(&self) -> bool {
        !matches!(self, Self::Anyone)
    }

    /// Checks the signature of a model over the bytes of its file, before anything in the file is trusted.
    pub fn check_model(
        &self,
        file: &[u8],
        signature: Option<&[u8; SIGNATURE_LEN]>,
    ) -> Result<(), TrustError> {
        self.check(Signed::Model, || model_message(file), signature)
    }

    /// Checks the signature of a model whose file has this SHA-256. A host states the hash before it sends
    /// the file.
    pub fn check_model_sha256(
        &self,
        sha256: &[u8; 32],
        signature: Option<&[u8; SIGNATURE_LEN]>,
    ) -> Result<(), TrustError> {
        self.check(Signed::Model, || message_of_model(sha256), signature)
    }

    /// Checks the model at the start of its region of flash, whose signature is in the last bytes of the
    /// region. The file must end before them.
    pub fn check_region(&self, region: &[u8]) -> Result<(), TrustError> {
        if !self.is_required() {
            return Ok(());
        }
        let len = Header::read(region).ok();
        let len = len.and_then(|header| usize::try_from(header.file_len()).ok());
        let room = region.len().saturating_sub(SIGNATURE_LEN);
        let file = len.and_then(|len| region.get(..room)?.get(..len));
        let file = file.ok_or(TrustError::Unsigned(Signed::Model))?;
        self.check_model(file, signature_in(region).as_ref())
    }

    /// Checks the signature of an imported head over the bytes of its file; `trunk` is the SHA-256 of the
    /// device's trunk.
    pub fn check_head(
        &self,
        trunk: &[u8; 32],
        file: &[u8],
        signature: Option<&[u8; SIGNATURE_LEN]>,
    ) -> Result<(), TrustError> {
        self.check(Signed::Head, || head_message(trunk, file), signature)
    }

    fn check<const N: usize>(
        &self,
        what: Signed,
        message: impl FnOnce() -> [u8; N],
        signature: Option<&[u8; SIGNATURE_LEN]>,
    ) -> Result<(), TrustError> {
        match self {
            Self::Anyone => {
                let _ = (what, message, signature);
                Ok(())
            }
            #[cfg(feature = "signed")]
            Self::Signed(key) => {
                let signature = signature.ok_or(TrustError::Unsigned(what))?;
                match key.verifies(&message(), signature) {
                    true => Ok(()),
                    false => Err(TrustError::Signature(what)),
                }
            }
        }
    }
}

/// An Ed25519 public key.
#[cfg(feature = "signed")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// The key's 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// True if `signature` is one of `message` by this key.
    pub fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

#[cfg(all(test, feature = "signed"))]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    const TRUNK: [u8; 32] = [3; 32];

    fn keys() -> (SigningKey, Trust) {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = PublicKey::new(key.verifying_key().as_bytes()).unwrap();
        assert_eq!(public.bytes(), key.verifying_key().as_bytes());
        (key, Trust::Signed(public))
    }

    #[test]
    fn a_signature_binds_key_kind_trunk_and_bytes() {
        let (key, trust) = keys();
        let other = SigningKey::from_bytes(&[8; 32]);
        let head = key.sign(&head_message(&TRUNK, b"bytes")).to_bytes();
        let model = key.sign(&model_message(b"bytes")).to_bytes();
        assert_eq!(trust.check_head(&TRUNK, b"bytes", Some(&head)), Ok(()));
        assert_eq!(trust.check_model(b"bytes", Some(&model)), Ok(()));
        let wrong_head = Err(TrustError::Signature(Signed::Head));
        let wrong_model = Err(TrustError::Signature(Signed::Model));
        for (trunk, bytes, signature) in [
            (&[4; 32], b"bytes", head),
            (&TRUNK, b"Bytes", head),
            (&TRUNK, b"bytes", model),
            (&TRUNK, b"bytes", key.sign(b"bytes").to_bytes()),
            (
                &TRUNK,
                b"bytes",
                other.sign(&head_message(&TRUNK, b"bytes")).to_bytes(),
            ),
        ] {
            assert_eq!(trust.check_head(trunk, bytes, Some(&signature)), wrong_head);
        }
        for (bytes, signature) in [
            (b"Bytes", model),
            (b"bytes", head),
            (b"bytes", other.sign(&model_message(b"bytes")).to_bytes()),
        ] {
            assert_eq!(trust.check_model(bytes, Some(&signature)), wrong_model);
        }
    }

    #[test]
    fn a_region_of_flash() {
        let (key, trust) = keys();
        let header = Header {
            with_output: false,
            metadata_len: 20,
            weights_len: 100,
            head_len: 7,
            sha256: [9; 32],
        };
        let mut file = header.encode().to_vec();
        file.resize(header.file_len() as usize, 5);
        let signature = key.sign(&model_message(&file)).to_bytes();
        let region =
            |free: usize, signature: &[u8]| [&file, &vec![0xff; free][..], signature].concat();
        for free in [0, 1, 1000] {
            assert_eq!(trust.check_region(&region(free, &signature)), Ok(()));
        }
        let unsigned = Err(TrustError::Unsigned(Signed::Model));
        let wrong = Err(TrustError::Signature(Signed::Model));
        assert_eq!(trust.check_region(&region(10, &[0xff; 64])), unsigned);
        assert_eq!(trust.check_region(&region(10, &[0; 64])), wrong);
        // A file that reaches into the last bytes, what is no model, and nothing.
        assert_eq!(trust.check_region(&region(0, &signature[1..])), unsigned);
        assert_eq!(trust.check_region(&region(0, &signature)[1..]), unsigned);
        assert_eq!(trust.check_region(&[]), unsigned);
        let mut changed = region(10, &signature);
        changed[100] ^= 1;
        assert_eq!(trust.check_region(&changed), wrong);
        assert_eq!(Trust::Anyone.check_region(&[]), Ok(()));
    }

    #[test]
    fn without_a_signature_and_without_a_key() {
        let (_, trust) = keys();
        let unsigned = |what| Err(TrustError::Unsigned(what));
        assert_eq!(trust.check_model(b"", None), unsigned(Signed::Model));
        assert_eq!(trust.check_head(&TRUNK, b"", None), unsigned(Signed::Head));
        assert_eq!(PublicKey::new(&[0; 32]).unwrap_err(), TrustError::Key);
        assert!(trust.is_required() && !Trust::Anyone.is_required());
        assert_eq!(Trust::Anyone.check_head(&TRUNK, b"", None), Ok(()));
        assert_eq!(Trust::Anyone.check_model(b"", Some(&[1; 64])), Ok(()));
    }

    #[test]
    fn the_messages_are_what_the_table_says() {
        let sha256 = Sha256::digest(b"bytes");
        assert_eq!(
            model_message(b"bytes")[..],
            [&b"graft model v1\0\0"[..], &sha256].concat()
        );
        assert_eq!(
            head_message(&TRUNK, b"bytes")[..],
            [&b"graft head v1\0\0\0"[..], &TRUNK, &sha256].concat()
        );
    }
}
