//! Keys and signatures as files: a public key in PEM, a signature beside what it signs.

use super::{PublicKey, SIGNATURE_LEN};
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Longest key file that is read; a PEM file of one key has 113 bytes.
const MAX_KEY_FILE: u64 = 4096;

/// Why the file of a key or a signature cannot be used; names the file.
#[derive(Debug, thiserror::Error)]
pub enum SignatureFileError {
    /// The file cannot be read.
    #[error("{}: cannot read the {what}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// `public key` or `signature`.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// Not a public key.
    #[error(
        "{}: not an Ed25519 public key in PEM; `cargo xtask keygen --signing` makes a pair, FILE and FILE.pub", .0.display()
    )]
    NoPublicKey(PathBuf),
    /// A private key, which does not belong on a device.
    #[error("{}: this is a private key, which stays with who signs; give its public half", .0.display())]
    PrivateKey(PathBuf),
    /// Not a signature.
    #[error("{}: a signature has {SIGNATURE_LEN} bytes, and this file has another length", .0.display())]
    NoSignature(PathBuf),
}

impl PublicKey {
    /// Reads a public key: PEM, as `cargo xtask keygen` and `openssl pkey -pubout` write it.
    pub fn read(path: &Path) -> Result<Self, SignatureFileError> {
        let bytes = read(path, "public key", MAX_KEY_FILE)?;
        let text = String::from_utf8_lossy(&bytes);
        if text.contains("PRIVATE KEY-----") {
            return Err(SignatureFileError::PrivateKey(path.into()));
        }
        VerifyingKey::from_public_key_pem(&text)
            .ok()
            .and_then(|key| Self::new(key.as_bytes()).ok())
            .ok_or_else(|| SignatureFileError::NoPublicKey(path.into()))
    }
}

/// The file with the signature of another file: `FILE.sig` for `FILE`.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// Reads a signature: 64 bytes.
pub fn read_signature(path: &Path) -> Result<[u8; SIGNATURE_LEN], SignatureFileError> {
    let bytes = read(path, "signature", SIGNATURE_LEN as u64 + 1)?;
    let signature = bytes.try_into();
    signature.map_err(|_| SignatureFileError::NoSignature(path.into()))
}

/// The signature of the file `signed`: from the file `given`, else from the file [`beside`] it; `None` if
/// there is neither.
pub fn find_signature(
    signed: &Path,
    given: Option<&Path>,
) -> Result<Option<[u8; SIGNATURE_LEN]>, SignatureFileError> {
    if let Some(path) = given {
        return read_signature(path).map(Some);
    }
    match read_signature(&beside(signed)) {
        Err(SignatureFileError::Read { source, .. })
            if source.kind() == io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// The first `most` bytes of a file.
fn read(path: &Path, what: &'static str, most: u64) -> Result<Vec<u8>, SignatureFileError> {
    let mut bytes = vec![];
    let result = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    match result {
        Ok(_) => Ok(bytes),
        Err(source) => Err(SignatureFileError::Read {
            path: path.into(),
            what,
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of `openssl genpkey -algorithm ed25519` and its public half by `openssl pkey -pubout`.
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

    #[test]
    fn public_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pub");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            PublicKey::read(&path)
        };
        // The public key of RFC 8032, 7.1, test 1.
        let key = read(PUBLIC).unwrap();
        assert_eq!(key.bytes()[..4], [0xd7, 0x5a, 0x98, 0x01]);
        let private = PUBLIC.replace("PUBLIC", "PRIVATE");
        assert!(matches!(
            read(&private),
            Err(SignatureFileError::PrivateKey(_))
        ));
        let weak = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
-----END PUBLIC KEY-----
";
        for wrong in ["", "no key", weak, &PUBLIC[..80], &"x".repeat(10_000)] {
            let refused = read(wrong);
            assert!(
                matches!(refused, Err(SignatureFileError::NoPublicKey(_))),
                "{wrong}"
            );
        }
        let absent = PublicKey::read(&dir.path().join("absent"));
        assert!(matches!(absent, Err(SignatureFileError::Read { .. })));
    }

    #[test]
    fn signatures_are_found_beside_what_they_sign() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model.edge");
        assert_eq!(beside(&model), dir.path().join("model.edge.sig"));
        assert_eq!(find_signature(&model, None).unwrap(), None);
        std::fs::write(beside(&model), [1; 64]).unwrap();
        assert_eq!(find_signature(&model, None).unwrap(), Some([1; 64]));
        let other = dir.path().join("other");
        let absent = find_signature(&model, Some(&other));
        assert!(matches!(absent, Err(SignatureFileError::Read { .. })));
        std::fs::write(&other, [2; 64]).unwrap();
        let given = find_signature(&model, Some(&other)).unwrap();
        assert_eq!(given, Some([2; 64]));
        for len in [0, 63, 65, 1000] {
            std::fs::write(beside(&model), vec![1; len]).unwrap();
            let refused = find_signature(&model, None);
            assert!(matches!(refused, Err(SignatureFileError::NoSignature(_))));
        }
    }
}
