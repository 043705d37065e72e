//! The same over TLS: who is trusted, and that a redirect cannot end it.

use super::{Bench, listen, refusal, request, serve, tiny};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// A certificate for `localhost`: how a server identifies itself, and the authority, as PEM.
fn certificate() -> (Arc<rustls::ServerConfig>, String) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".into()])
        .unwrap()
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    (Arc::new(config), root.pem())
}

/// A proxy that connects every client to `server`, and tells where they wanted to go.
fn proxy(server: SocketAddr) -> (SocketAddr, Receiver<String>) {
    let (tell, told) = channel();
    let address = listen(move |mut client| {
        let mut head = vec![];
        // Byte by byte: what follows the empty line is not ours.
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let _ = tell.send(request(&mut &head[..])?);
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        let mut up = TcpStream::connect(server)?;
        let (mut from, mut to) = (client.try_clone()?, up.try_clone()?);
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        std::io::copy(&mut up, &mut client)?;
        client.shutdown(Shutdown::Both)
    });
    (address, told)
}

#[test]
fn over_tls() {
    let b = Bench::new(&tiny());
    let (config, root) = certificate();
    std::fs::write(b.path("root.pem"), root).unwrap();
    let plain = serve("/models/tiny.onnx", tiny());
    let address = listen(move |tcp| {
        let connection = rustls::ServerConnection::new(config.clone()).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, tcp);
        let path = request(&mut stream)?;
        match path.strip_prefix("/plain") {
            Some(path) => write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {plain}{path}\r\nContent-Length: 0\r\n\r\n"
            )?,
            None => {
                let file = tiny();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                    file.len()
                )?;
                stream.write_all(&file)?;
            }
        }
        stream.conn.send_close_notify();
        stream.flush()
    });
    let convert = |host: &str, folder: &str| {
        let mirror = format!("https://{host}:{}{folder}", address.port());
        let mut command = b.command(&["convert", "tiny", "--mirror", &mirror]);
        command.env_remove("SSL_CERT_DIR");
        command.env("SSL_CERT_FILE", b.path("root.pem"));
        command
    };
    // By a proxy, which sees nothing but the host.
    let proxy = proxy(address);
    let mut by_proxy = convert("localhost", "");
    by_proxy.args(["-o", "by_proxy.edge"]);
    by_proxy.env("HTTPS_PROXY", format!("http://{}", proxy.0));
    assert_eq!(b.json(&mut by_proxy)["name"], "tiny");
    assert_eq!(
        proxy.1.recv().unwrap(),
        format!("localhost:{}", address.port())
    );
    std::fs::remove_file(b.path("by_proxy.edge")).unwrap();
    std::fs::remove_dir_all(b.path("cache")).unwrap();
    // Not trusted, or not the server that was asked for.
    let mut unknown = convert("localhost", "");
    unknown.env_remove("SSL_CERT_FILE");
    for mut command in [unknown, convert("127.0.0.1", "")] {
        let message = refusal(&command.output().unwrap());
        assert!(message.contains("certificate"), "{message}");
    }
    // From here on nothing is encrypted: not gone there.
    let message = refusal(&convert("localhost", "/plain").output().unwrap());
    assert!(message.contains("from https to http"), "{message}");
    assert_eq!(b.files(), ["root.pem"]);
    assert_eq!(b.json(&mut convert("localhost", ""))["name"], "tiny");
}
