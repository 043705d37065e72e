//! Makes keys on the host, and signs models and heads with them.
//!
//! [`edge_runtime::signature`] says what is signed; a device checks with it. This module knows no device.

use crate::util::output;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, KeypairBytes};
use ed25519_dalek::{Signer, SigningKey};
use edge_runtime::head::{Head, MAGIC as HEAD_MAGIC};
use edge_runtime::model::{AlignedBytes, Model, ModelError, header};
use edge_runtime::signature::{SIGNATURE_LEN, Signed, beside, head_message, model_message};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Longest key file that is read; a PEM file of one key has 119 bytes.
const MAX_KEY_FILE: u64 = 4096;

/// Why there is no key or no signature; names the file.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A file cannot be read.
    #[error("{}: cannot read the {what}: {source}{}", path.display(), how_to_make(what, source, path))]
    Read {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A key cannot be written.
    #[error("{}: cannot write the key: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is a file already, and keys are not overwritten.
    #[error("{}: there is a file already, and a key that is lost cannot be made again; give another name", .0.display())]
    Exists(PathBuf),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// The file is not a private key.
    #[error(
        "{}: not an Ed25519 private key in PEM (PKCS#8); `cargo xtask keygen --signing` makes one", .0.display()
    )]
    NoPrivateKey(PathBuf),
    /// Other users may read the private key.
    #[error("{}: other users of this machine may read the private key; `chmod 600 {}`", .0.display(), .0.display())]
    Public(PathBuf),
    /// The file is neither a model nor a head.
    #[error(
        "{}: neither a .edge model nor a head that `device export-head` wrote; nothing else is signed", .0.display()
    )]
    Neither(PathBuf),
    /// The model or head is damaged.
    #[error("{}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ModelError,
    },
    /// The signature cannot be written.
    #[error(transparent)]
    Output(#[from] output::OutputError),
}

/// What error messages call the content of a private key file.
const PRIVATE_KEY: &str = "private key";

/// What the user can do if a file does not exist.
fn how_to_make(what: &str, source: &io::Error, path: &Path) -> String {
    match source.kind() == io::ErrorKind::NotFound && what == PRIVATE_KEY {
        true => format!(
            "; `cargo xtask keygen --signing {}` makes one",
            path.display()
        ),
        false => String::new(),
    }
}

fn unreadable(path: &Path, what: &'static str) -> impl Fn(io::Error) -> SignError {
    move |source| SignError::Read {
        path: path.into(),
        what,
        source,
    }
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> SignError {
    move |source| match source.kind() {
        io::ErrorKind::AlreadyExists => SignError::Exists(path.into()),
        _ => SignError::Write {
            path: path.into(),
            source,
        },
    }
}

/// Random bytes from the system.
fn random() -> Result<[u8; 32], SignError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| SignError::Random(e.to_string()))?;
    Ok(bytes)
}

/// Writes a new file that only this user may read.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), SignError> {
    output::check_folder(path)?;
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(unwritable(path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(unwritable(path))
}

/// Makes the key of an encrypted connection: 32 random bytes, for `edge serve --key` and `device --key`.
pub fn new_line_key(path: &Path) -> Result<(), SignError> {
    write_secret(path, &random()?)
}

/// The path of the public key that [`new_pair`] writes: `FILE.pub` for `FILE`.
pub fn public_half(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// Makes a key pair for signatures and returns the 32 bytes of the public key. The private key goes to
/// `path`, the public one to [`public_half`] of it, both as PEM.
pub fn new_pair(path: &Path) -> Result<[u8; 32], SignError> {
    let public = public_half(path);
    if public.symlink_metadata().is_ok() {
        return Err(SignError::Exists(public));
    }
    let key = SigningKey::from_bytes(&random()?);
    let random = |e: &dyn std::fmt::Display| SignError::Random(e.to_string());
    // Without the public key inside, so that older versions of OpenSSL can read it too.
    let pair = KeypairBytes {
        secret_key: key.to_bytes(),
        public_key: None,
    };
    let secret = pair.to_pkcs8_pem(LineEnding::LF).map_err(|e| random(&e))?;
    let pem = key.verifying_key().to_public_key_pem(LineEnding::LF);
    let pem = pem.map_err(|e| random(&e))?;
    write_secret(path, secret.as_bytes())?;
    output::write(&public, pem.as_bytes())?;
    Ok(key.verifying_key().to_bytes())
}

/// A private key.
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    /// Reads a private key: PKCS#8 in PEM, as [`new_pair`] and `openssl genpkey -algorithm ed25519` write it.
    ///
    /// # Errors
    /// If it is no such key, or if other users may read the file.
    pub fn read(path: &Path) -> Result<Self, SignError> {
        let file = File::open(path).map_err(unreadable(path, PRIVATE_KEY))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            if file
                .metadata()
                .map_err(unreadable(path, PRIVATE_KEY))?
                .mode()
                & 0o077
                != 0
            {
                return Err(SignError::Public(path.into()));
            }
        }
        let mut text = vec![];
        let read = file.take(MAX_KEY_FILE).read_to_end(&mut text);
        read.map_err(unreadable(path, PRIVATE_KEY))?;
        std::str::from_utf8(&text)
            .ok()
            .and_then(|text| SigningKey::from_pkcs8_pem(text).ok())
            .map(Self)
            .ok_or_else(|| SignError::NoPrivateKey(path.into()))
    }

    /// The public key that devices have.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs a model or a head. The file is checked first, so that no damaged one is signed.
    pub fn sign(&self, file: &[u8]) -> Result<(Signed, [u8; SIGNATURE_LEN]), ModelError> {
        let file = AlignedBytes::copy_of(file);
        if file.starts_with(&header::MAGIC) {
            Model::parse(&file)?;
            let signature = self.0.sign(&model_message(&file));
            return Ok((Signed::Model, signature.to_bytes()));
        }
        let head = Head::parse_alone(&file)?;
        let trunk = head.trunk_sha256().try_into();
        let trunk = trunk.map_err(|_| ModelError::NotAHead)?;
        let signature = self.0.sign(&head_message(trunk, &file));
        Ok((Signed::Head, signature.to_bytes()))
    }

    /// Signs a file and writes the signature [`beside`] it. Returns what the file is, and the path of the
    /// signature.
    pub fn sign_file(&self, path: &Path) -> Result<(Signed, PathBuf), SignError> {
        let unreadable = unreadable(path, "model or head");
        let metadata = path.metadata().map_err(&unreadable)?;
        if !metadata.is_file() {
            return Err(SignError::Neither(path.into()));
        }
        let bytes = std::fs::read(path).map_err(&unreadable)?;
        if !bytes.starts_with(&header::MAGIC) && !bytes.starts_with(&HEAD_MAGIC) {
            return Err(SignError::Neither(path.into()));
        }
        let (what, signature) = self.sign(&bytes).map_err(|source| SignError::Content {
            path: path.into(),
            source,
        })?;
        let to = beside(path);
        output::write(&to, &signature)?;
        Ok((what, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_runtime::signature::PublicKey;

    #[test]
    fn a_pair_is_read_as_it_was_written_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sign.pem");
        let public = new_pair(&path).unwrap();
        assert_eq!(PrivateKey::read(&path).unwrap().public(), public);
        let read = PublicKey::read(&public_half(&path)).unwrap();
        assert_eq!(read.bytes(), &public);
        assert!(matches!(new_pair(&path), Err(SignError::Exists(_))));
        assert!(matches!(new_line_key(&path), Err(SignError::Exists(_))));
        std::fs::remove_file(public_half(&path)).unwrap();
        assert!(matches!(new_pair(&path), Err(SignError::Exists(_))));
        assert!(!public_half(&path).exists());
        let other = new_pair(&dir.path().join("other.pem")).unwrap();
        assert_ne!(public, other);
    }

    #[test]
    fn what_is_no_private_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sign.pem");
        new_pair(&path).unwrap();
        let public = PrivateKey::read(&public_half(&path)).err();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert!(matches!(public, Some(SignError::Public(_))));
            let mode = |path: &Path, mode| {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            };
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            mode(&path, 0o640);
            let readable = PrivateKey::read(&path).err();
            assert!(matches!(readable, Some(SignError::Public(_))));
            mode(&public_half(&path), 0o600);
        }
        let public = PrivateKey::read(&public_half(&path)).err();
        assert!(matches!(public, Some(SignError::NoPrivateKey(_))));
        let line = dir.path().join("line.key");
        new_line_key(&line).unwrap();
        assert_eq!(std::fs::read(&line).unwrap().len(), 32);
        let line = PrivateKey::read(&line).err();
        assert!(matches!(line, Some(SignError::NoPrivateKey(_))));
        let absent = PrivateKey::read(&dir.path().join("absent")).err();
        assert!(matches!(absent, Some(SignError::Read { .. })));
    }

    /// The private key of RFC 8032, 7.1, test 1, as OpenSSL writes it.
    #[test]
    fn openssl_keys_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("openssl.pem");
        let pem = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
        write_secret(&path, pem.as_bytes()).unwrap();
        let public = PrivateKey::read(&path).unwrap().public();
        assert_eq!(public[..4], [0xd7, 0x5a, 0x98, 0x01]);
    }

    #[test]
    fn only_models_and_heads_are_signed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sign.pem");
        new_pair(&path).unwrap();
        let key = PrivateKey::read(&path).unwrap();
        let text = dir.path().join("letter.txt");
        std::fs::write(
            &text,
            b"not a model and not a head, just a long enough text",
        )
        .unwrap();
        let refused = key.sign_file(&text);
        assert!(matches!(refused, Err(SignError::Neither(_))));
        assert!(matches!(
            key.sign_file(dir.path()),
            Err(SignError::Neither(_))
        ));
        let damaged = [&HEAD_MAGIC[..], &[0; 50]].concat();
        std::fs::write(&text, damaged).unwrap();
        let refused = key.sign_file(&text);
        assert!(matches!(refused, Err(SignError::Content { .. })));
        assert!(!beside(&text).exists());
    }
}
