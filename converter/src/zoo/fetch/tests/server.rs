//! A small web server on loopback that does what a test wants of it, the bad things above all.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest that one connection is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Path and query; host and port for `CONNECT`.
    pub path: String,
    /// Header lines, names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Request {
    /// Value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    pub cut: Option<usize>,
    /// The header has the body's length.
    pub length: bool,
    /// Nothing is said; the connection stays.
    pub silent: bool,
}

impl Reply {
    pub fn new(status: u16, body: &[u8]) -> Self {
        Self {
            status,
            headers: vec![],
            body: body.to_vec(),
            cut: None,
            length: true,
            silent: false,
        }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn cut(self, after: usize) -> Self {
        Self {
            cut: Some(after),
            ..self
        }
    }

    pub fn redirect(to: &str) -> Self {
        Self::new(302, b"moved").header("Location", to)
    }

    /// Answers as a server that has `content` and knows ranges.
    pub fn file(request: &Request, content: &[u8], etag: &str) -> Self {
        let start = request
            .header("range")
            .and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let same = request.header("if-range").is_none_or(|tag| tag == etag);
        let reply = match start.filter(|_| same) {
            None => Self::new(200, content),
            Some(start) if start >= content.len() => {
                Self::new(416, b"").header("Content-Range", &format!("bytes */{}", content.len()))
            }
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
                Self::new(206, &content[start..]).header("Content-Range", &range)
            }
        };
        match etag {
            "" => reply,
            etag => reply.header("ETag", etag),
        }
    }
}

/// The server; stops when dropped.
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers the n-th request (from 0) with `handler(n, request)`.
    pub fn new(handler: impl Fn(usize, &Request) -> Reply + Send + 'static) -> Self {
        Self::raw(move |stream, n, request| answer(stream, &handler(n, request)))
    }

    /// A proxy that connects whoever asks to `server`, and does nothing else.
    pub fn proxy(server: &Server) -> Self {
        let to = server.address;
        Self::raw(move |mut client, _, request| {
            if !request.path.contains(':') {
                return answer(client, &Reply::new(400, b"a proxy"));
            }
            let mut server = TcpStream::connect(to)?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            let (mut up_from, mut up_to) = (client.try_clone()?, server.try_clone()?);
            let up = std::thread::spawn(move || std::io::copy(&mut up_from, &mut up_to));
            std::io::copy(&mut server, &mut client)?;
            client.shutdown(std::net::Shutdown::Both)?;
            let _ = up.join();
            Ok(())
        })
    }

    fn raw(
        handler: impl Fn(TcpStream, usize, &Request) -> std::io::Result<()> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(vec![]));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (requests, stop) = (requests.clone(), stop.clone());
            move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    // A client that goes away is part of the tests.
                    let _ = stream.and_then(|stream| {
                        stream.set_read_timeout(Some(PATIENCE))?;
                        stream.set_write_timeout(Some(PATIENCE))?;
                        let request = read(&stream)?;
                        let n = {
                            let mut all = requests.lock().unwrap();
                            all.push(request.clone());
                            all.len() - 1
                        };
                        handler(stream, n, &request)
                    });
                }
            }
        });
        Self {
            address,
            requests,
            stop,
            thread: Some(thread),
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked for so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream.take(1 << 16)).lines();
    let mut request = Request::default();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    request.path = first.split(' ').nth(1).unwrap_or_default().into();
    for line in lines {
        let line = line?;
        match line.split_once(':') {
            Some((name, value)) => {
                let value = value.trim().to_string();
                request.headers.insert(name.to_ascii_lowercase(), value);
            }
            None => break,
        }
    }
    Ok(request)
}

fn answer(mut stream: TcpStream, reply: &Reply) -> std::io::Result<()> {
    if reply.silent {
        // Until the client gives up.
        let _ = stream.read(&mut [0]);
        return Ok(());
    }
    let mut head = format!("HTTP/1.1 {} Status\r\nConnection: close\r\n", reply.status);
    if reply.length {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    let end = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
    stream.write_all(&reply.body[..end])
}
