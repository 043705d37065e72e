//! Files from a web server: whole, cut, resumed, wrong, missing.

use super::super::*;
use super::server::{Reply, Request, Server};
use crate::util::progress::{Progress, Silent};
use crate::zoo::catalog::{Https, Pin};
use sha2::{Digest, Sha256};
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where the first half of the file ends.
const HALF: usize = 150_000;

/// Tries of one run: one and a retry for each delay.
const TRIES: usize = 4;

/// The file that is to be fetched, 300 kB.
fn content() -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..2 * HALF).map(|_| next()).collect()
}

fn https(path: &str, sha256: &str, size: Option<u64>) -> Source {
    Source::Https(Https {
        url: format!("https://weights.example/{path}").parse().unwrap(),
        sha256: Pin::try_from(sha256.to_string()).unwrap(),
        size,
    })
}

/// A cache folder, and an entry with one source for [`content`] on a server.
#[derive(Clone)]
struct Scene {
    dir: Arc<tempfile::TempDir>,
    entry: CatalogEntry,
    mirror: String,
    variables: Vec<(&'static str, String)>,
    patience: Duration,
    enough: u64,
}

impl Scene {
    fn new(mirror: &str) -> Self {
        let mut entry = catalog::all()[0].clone();
        let digest = hex::encode(Sha256::digest(content()));
        entry.name = "net".into();
        entry.sources = vec![https("models/net.onnx", &digest, Some(2 * HALF as u64))];
        Self {
            dir: Arc::new(tempfile::tempdir().unwrap()),
            entry,
            mirror: mirror.into(),
            variables: vec![],
            patience: Duration::from_secs(5),
            enough: 1 << 20,
        }
    }

    /// The same source with less known of the file.
    fn knowing(mut self, digits: usize, size: Option<u64>) -> Self {
        let digest = hex::encode(Sha256::digest(content()));
        self.entry.sources = vec![https("models/net.onnx", &digest[..digits], size)];
        self
    }

    fn fetch_with(&self, progress: &dyn Progress) -> Result<Fetched, FetchError> {
        let variables = self.variables.clone();
        let variable = move |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| value.clone())
        };
        let mirror = (!self.mirror.is_empty()).then(|| self.mirror.parse().unwrap());
        let setup = Setup {
            folder: self.dir.path().join("cache"),
            pythons: vec!["graft-no-such-python".into()],
            client: Client {
                variable: Box::new(variable),
                delays: vec![Duration::from_millis(1); TRIES - 1],
                patience: self.patience,
                enough: self.enough,
                ..Client::new(mirror)
            },
            catalog: catalog::all(),
        };
        setup.fetch(&self.entry, progress)
    }

    /// A fetch that must bring the right file.
    fn good(&self) -> Fetched {
        let fetched = self.fetch_with(&Silent).unwrap();
        assert_eq!(fs::read(&fetched.path).unwrap(), content());
        assert_eq!(fetched.sha256[..], Sha256::digest(content())[..]);
        assert_eq!(self.left(), [self.name()]);
        fetched
    }

    /// A fetch that must fail; its error, of one line.
    fn failure(&self) -> String {
        let error = self.fetch_with(&Silent).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    }

    /// Name of the file in the cache.
    fn name(&self) -> String {
        let source = &self.entry.sources[0];
        format!("net-{}.onnx", source.pin().short())
    }

    /// What is in the cache but locks.
    fn left(&self) -> Vec<String> {
        let Ok(files) = fs::read_dir(self.dir.path().join("cache")) else {
            return vec![];
        };
        let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
        names.filter(|n| !n.ends_with(".lock")).collect()
    }

    fn part(&self) -> PathBuf {
        let name = format!("{}.part", self.name());
        self.dir.path().join("cache").join(name)
    }
}

/// A server that has the file and knows ranges; its first `cuts` answers break after half of the file.
fn cutting(cuts: usize) -> Server {
    Server::new(move |n, request| {
        let reply = Reply::file(request, &content(), "\"v1\"");
        if n < cuts { reply.cut(HALF) } else { reply }
    })
}

fn ranges(server: &Server) -> Vec<Option<String>> {
    let range = |r: &Request| r.header("range").map(String::from);
    server.requests().iter().map(range).collect()
}

#[test]
fn whole_then_from_the_cache() {
    let server = cutting(0);
    let scene = Scene::new(&format!("{}/some/folder/", server.url()));
    let first = scene.good();
    assert_eq!(
        (first.how, first.source.as_str()),
        (How::Downloaded, "weights.example net.onnx")
    );
    assert_eq!(scene.good().how, How::Cached);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/some/folder/models/net.onnx");
    let agent = requests[0].header("user-agent").unwrap();
    assert!(agent.starts_with("graft/"), "{agent}");
    assert_eq!(requests[0].header("accept-encoding"), Some("identity"));
    // Damaged in the cache: fetched again.
    fs::write(&first.path, b"rubbish").unwrap();
    assert_eq!(scene.good().how, How::Replaced);
}

#[test]
fn half_of_the_digest_is_enough() {
    let server = cutting(0);
    let scene = Scene::new(&server.url()).knowing(8, None);
    scene.good();
    assert_eq!(scene.good().how, How::Cached);
}

#[test]
fn a_cut_is_resumed() {
    let server = cutting(1);
    let scene = Scene::new(&server.url());
    scene.good();
    let rest = format!("bytes={HALF}-");
    assert_eq!(ranges(&server), [None, Some(rest)]);
    assert_eq!(server.requests()[1].header("if-range"), Some("\"v1\""));
}

#[test]
fn a_cut_without_length_is_noticed() {
    let server = Server::new(|n, request| {
        let mut reply = Reply::file(request, &content(), "");
        reply.length = false;
        if n == 0 { reply.cut(HALF) } else { reply }
    });
    Scene::new(&server.url()).good();
    assert_eq!(ranges(&server), [None, Some(format!("bytes={HALF}-"))]);
}

#[test]
fn a_server_without_ranges_starts_again() {
    let server = Server::new(|n, _| {
        let reply = Reply::new(200, &content());
        if n == 0 { reply.cut(HALF) } else { reply }
    });
    Scene::new(&server.url()).good();
    assert_eq!(ranges(&server), [None, Some(format!("bytes={HALF}-"))]);
}

#[test]
fn cut_every_time_then_resumed_by_the_next_run() {
    // Every answer brings 1000 bytes more.
    let server = Server::new(|_, request| Reply::file(request, &content(), "\"v1\"").cut(1000));
    let mut scene = Scene::new(&server.url());
    let error = scene.failure();
    let got = TRIES * 1000;
    for word in [
        "127.0.0.1",
        &got.to_string(),
        "300000",
        "kept",
        "--weights FILE",
    ] {
        assert!(error.contains(word), "{word}: {error}");
    }
    assert_eq!(server.requests().len(), TRIES);
    assert_eq!(fs::read(scene.part()).unwrap(), content()[..got]);
    let better = cutting(0);
    scene.mirror = better.url();
    scene.good();
    assert_eq!(ranges(&better), [Some(format!("bytes={got}-"))]);
}

#[test]
fn tries_that_get_on_do_not_count() {
    let part = 2 * HALF / 10;
    let server = Server::new(move |_, request| Reply::file(request, &content(), "").cut(part));
    let mut scene = Scene::new(&server.url());
    scene.enough = part as u64;
    scene.good();
    assert_eq!(server.requests().len(), 10);
    // Always the same first part is no getting on.
    let server = Server::new(move |_, _| Reply::new(200, &content()).cut(part));
    let mut scene = Scene::new(&server.url());
    scene.enough = part as u64;
    scene.failure();
    assert_eq!(server.requests().len(), TRIES);
}

#[test]
fn a_newer_version_on_the_server_starts_again() {
    let old = Server::new(|_, request| {
        let old: Vec<u8> = content().iter().map(|b| b ^ 1).collect();
        Reply::file(request, &old, "\"old\"").cut(1000)
    });
    let mut scene = Scene::new(&old.url());
    scene.failure();
    assert!(scene.part().exists());
    let new = cutting(0);
    scene.mirror = new.url();
    scene.good();
    let requests = new.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("if-range"), Some("\"old\""));
}

#[test]
fn pieces_of_two_versions_are_noticed() {
    // A server that ignores `If-Range` and tells no version.
    let old = Server::new(|_, request| {
        let old: Vec<u8> = content().iter().map(|b| b ^ 1).collect();
        Reply::file(request, &old, "").cut(1000)
    });
    let mut scene = Scene::new(&old.url());
    scene.failure();
    let new = Server::new(|_, request| Reply::file(request, &content(), ""));
    scene.mirror = new.url();
    scene.good();
    let kept = format!("bytes={}-", TRIES * 1000);
    assert_eq!(ranges(&new), [Some(kept), None]);
}

#[test]
fn a_part_of_another_version_is_not_added() {
    let old = Server::new(|_, request| Reply::file(request, &content(), "\"old\"").cut(1000));
    let mut scene = Scene::new(&old.url());
    scene.failure();
    let new = Server::new(|_, request| {
        let mut heedless = request.clone();
        heedless.headers.remove("if-range");
        Reply::file(&heedless, &content(), "\"new\"")
    });
    scene.mirror = new.url();
    scene.good();
    let kept = format!("bytes={}-", TRIES * 1000);
    assert_eq!(ranges(&new), [Some(kept), None]);
}

#[test]
fn what_an_interrupted_process_left() {
    let server = cutting(0);
    let whole = content();
    let long = [&whole[..], b"more"].concat();
    let damaged = vec![0; whole.len()];
    for (left, requests) in [
        // All of it: nothing is asked for.
        (&whole[..], vec![]),
        (&whole[..10], vec![Some("bytes=10-")]),
        (&b""[..], vec![None]),
        // Too long or damaged: all of it again.
        (&long, vec![None]),
        (&damaged, vec![None]),
        (&damaged[..10], vec![Some("bytes=10-"), None]),
    ] {
        let scene = Scene::new(&server.url());
        fs::create_dir_all(scene.part().parent().unwrap()).unwrap();
        fs::write(scene.part(), left).unwrap();
        let before = server.requests().len();
        scene.good();
        let asked = ranges(&server);
        let asked: Vec<_> = asked[before..].iter().map(|r| r.as_deref()).collect();
        assert_eq!(asked, requests, "{} bytes left", left.len());
    }
}

#[test]
fn nothing_is_missing_but_the_length_is_not_known() {
    let server = cutting(0);
    for (left, tries) in [
        (content(), 1),
        (vec![0; content().len()], 2),
        (vec![0; 400_000], 2),
    ] {
        let scene = Scene::new(&server.url()).knowing(64, None);
        fs::create_dir_all(scene.part().parent().unwrap()).unwrap();
        fs::write(scene.part(), left).unwrap();
        let before = server.requests().len();
        scene.good();
        assert_eq!(server.requests().len() - before, tries);
    }
}

#[test]
fn a_wrong_hash_is_refused_and_deleted() {
    let server = Server::new(|_, request| {
        let mut wrong = content();
        wrong[HALF] ^= 1;
        Reply::file(request, &wrong, "\"v1\"")
    });
    for digits in [64, 8] {
        let scene = Scene::new(&server.url()).knowing(digits, Some(2 * HALF as u64));
        let error = scene.failure();
        let expected = &hex::encode(Sha256::digest(content()))[..digits];
        for word in ["SHA-256", expected, "expected", "300000"] {
            assert!(error.contains(word), "{word}: {error}");
        }
        assert!(scene.left().is_empty(), "{:?}", scene.left());
    }
    // It is not tried again: the next time it would be no better.
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_wrong_length_is_refused() {
    // Told by the server: nothing is loaded.
    let server = Server::new(|_, _| Reply::new(200, &content()[1..]).cut(0));
    let scene = Scene::new(&server.url());
    let error = scene.failure();
    assert!(
        error.contains("299999") && error.contains("300000"),
        "{error}"
    );
    // Not told: seen when more comes than there should be.
    let server = Server::new(|_, _| {
        let mut reply = Reply::new(200, &[content(), content()].concat());
        reply.length = false;
        reply
    });
    let scene = Scene::new(&server.url());
    let error = scene.failure();
    assert!(error.contains("expected 300000"), "{error}");
    assert!(scene.left().is_empty());
    // A page in place of the file, whole by its own account.
    let server = Server::new(|_, _| {
        let mut reply = Reply::new(200, b"5\r\nlogin\r\n0\r\n\r\n");
        reply.length = false;
        reply.header("Transfer-Encoding", "chunked")
    });
    let scene = Scene::new(&server.url());
    let error = scene.failure();
    assert!(
        error.contains("5 bytes") && error.contains("SHA-256"),
        "{error}"
    );
    assert!(scene.left().is_empty());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn redirects() {
    let storage = cutting(0);
    for absolute in [true, false] {
        let there = match absolute {
            true => format!("{}/elsewhere/x?key=1", storage.url()),
            false => "/elsewhere/x?key=1".into(),
        };
        let server = Server::new(move |_, request| match request.path.as_str() {
            "/models/net.onnx" => Reply::redirect(&there),
            _ => Reply::file(request, &content(), "\"v1\""),
        });
        Scene::new(&server.url()).good();
        let asked = if absolute { &storage } else { &server };
        assert_eq!(asked.requests().last().unwrap().path, "/elsewhere/x?key=1");
    }
}

#[test]
fn a_redirect_is_resumed() {
    let server = Server::new(|n, request| match request.path.as_str() {
        "/models/net.onnx" => Reply::redirect("../x"),
        _ if n < 2 => Reply::file(request, &content(), "\"v1\"").cut(HALF),
        _ => Reply::file(request, &content(), "\"v1\""),
    });
    Scene::new(&server.url()).good();
    let rest = Some(format!("bytes={HALF}-"));
    assert_eq!(ranges(&server), [None, None, rest.clone(), rest]);
}

#[test]
fn redirects_in_circles() {
    let server = Server::new(|_, _| Reply::redirect("/models/net.onnx"));
    let scene = Scene::new(&server.url());
    let error = scene.failure();
    assert!(error.contains("circles"), "{error}");
    assert!(server.requests().len() < 20);
    let server = Server::new(|_, _| Reply::new(302, b"nowhere"));
    let error = Scene::new(&server.url()).failure();
    assert!(error.contains("127.0.0.1"), "{error}");
}

#[test]
fn the_next_source_is_tried() {
    let server = Server::new(|_, request| match request.path.as_str() {
        "/gone/net.onnx" => Reply::new(404, b"no"),
        "/closed/net.pth" => Reply::new(403, b"no"),
        _ => Reply::file(request, &content(), ""),
    });
    let mut scene = Scene::new(&server.url());
    let good = scene.entry.sources[0].clone();
    let digest = hex::encode(Sha256::digest(content()));
    let gone = https("gone/net.onnx", &digest, None);
    let closed = https("closed/net.pth", &digest, None);
    scene.entry.sources = vec![gone.clone(), closed.clone(), good];
    scene.good();
    // Neither answer gets better by asking again.
    assert_eq!(server.requests().len(), 3);
    scene.entry.sources = vec![gone, closed];
    fs::remove_dir_all(scene.dir.path().join("cache")).unwrap();
    scene.entry.name = "resnet18".into();
    let error = scene.failure();
    for word in [
        "'resnet18'",
        "weights.example net.onnx",
        "/gone/net.onnx: the server answers 404 Not Found",
        "/closed/net.pth: the server answers 403",
        "--weights FILE",
        "--weights random",
        "efficientnet-lite0",
    ] {
        assert!(error.contains(word), "{word}: {error}");
    }
    assert!(scene.left().is_empty());
    // A network that we cannot build is no way on with random weights.
    scene.entry.name = "net".into();
    let error = scene.failure();
    assert!(!error.contains("random"), "{error}");
}

#[test]
fn an_overloaded_server_is_asked_again() {
    let server = Server::new(|n, request| match n {
        0 => Reply::new(503, b"later"),
        1 => Reply::new(429, b"slower"),
        _ => Reply::file(request, &content(), ""),
    });
    Scene::new(&server.url()).good();
    let server = Server::new(|_, _| Reply::new(500, b"broken"));
    let scene = Scene::new(&server.url());
    let error = scene.failure();
    assert!(error.contains("500"), "{error}");
    assert_eq!(server.requests().len(), TRIES);
    assert!(scene.left().is_empty());
}

#[test]
fn no_server_and_no_answer() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let error = Scene::new(&format!("http://{address}")).failure();
    for word in [&address.to_string(), "cannot be reached", "refused"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    let silent = Server::new(|_, _| {
        let mut reply = Reply::new(200, b"");
        reply.silent = true;
        reply
    });
    let mut scene = Scene::new(&silent.url());
    scene.patience = Duration::from_millis(100);
    let error = scene.failure();
    assert!(error.contains("no answer in time"), "{error}");
    assert_eq!(silent.requests().len(), TRIES);
}

#[test]
fn answers_that_make_no_sense() {
    for reply in [
        // Another part than the one that was asked for.
        Reply::new(206, &content()).header("Content-Range", "bytes 0-299999/300000"),
        Reply::new(206, &content()),
        Reply::new(416, b""),
        Reply::new(204, b""),
        Reply::new(304, b""),
        Reply::new(999, b""),
        Reply::new(200, b"").header("X", &"x".repeat(100_000)),
    ] {
        let text = format!("{} {:?}", reply.status, reply.headers.first());
        let server = Server::new(move |n, request| match n {
            0 => Reply::file(request, &content(), "").cut(HALF),
            _ => reply.clone(),
        });
        let error = Scene::new(&server.url()).failure();
        assert!(error.contains("127.0.0.1"), "{text}: {error}");
        assert!(server.requests().len() <= TRIES, "{text}");
    }
}

#[test]
fn by_a_proxy() {
    let server = cutting(0);
    let proxy = Server::proxy(&server);
    // Only the proxy knows this host.
    let mut scene = Scene::new("http://mirror.invalid:8080");
    scene.variables = vec![("http_proxy", proxy.url())];
    scene.good();
    let asked = &proxy.requests()[0];
    assert_eq!(asked.path, "mirror.invalid:8080");
    assert_eq!(server.requests().len(), 1);
    // No way around it: where there is no proxy, there is no file.
    let mut scene = Scene::new(&server.url());
    scene.variables = vec![("all_proxy", "http://127.0.0.1:1".into())];
    let error = scene.failure();
    assert!(error.contains("cannot be reached"), "{error}");
    scene.variables.push(("NO_PROXY", "127.0.0.1".into()));
    scene.good();
}

#[test]
fn two_processes_at_once() {
    let server = Server::new(|_, request| {
        // Long enough for the others to come.
        std::thread::sleep(Duration::from_millis(100));
        Reply::file(request, &content(), "")
    });
    let scene = Scene::new(&server.url());
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| scene.good());
        }
    });
    assert_eq!(scene.good().how, How::Cached);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_cache_that_cannot_be_written() {
    let server = cutting(0);
    let scene = Scene::new(&server.url());
    fs::write(scene.dir.path().join("cache"), b"a file, not a folder").unwrap();
    let error = scene.fetch_with(&Silent).unwrap_err();
    assert!(matches!(error, FetchError::Write { .. }), "{error}");
    assert!(error.to_string().contains("GRAFT_CACHE"), "{error}");
    assert!(server.requests().is_empty(), "downloaded in vain");
}

/// What is there already may be anything; `/dev/full` can be read for ever and not written.
#[cfg(target_os = "linux")]
#[test]
fn a_part_that_is_no_file() {
    let server = cutting(0);
    let scene = Scene::new(&server.url());
    fs::create_dir_all(scene.part().parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/full", scene.part()).unwrap();
    let error = scene.fetch_with(&Silent).unwrap_err();
    assert!(matches!(error, FetchError::Write { .. }), "{error}");
}

#[test]
fn progress_is_told_in_bytes() {
    #[derive(Default)]
    struct Told(Mutex<Vec<(u64, Option<u64>, u64)>>);
    impl Progress for Told {
        fn stage(&self, _: &str, _: usize) {}
        fn step(&self) {}
        fn transfer(&self, _: &str, done: u64, total: Option<u64>) {
            self.0.lock().unwrap().push((done, total, 0));
        }
        fn moved(&self, bytes: u64) {
            self.0.lock().unwrap().last_mut().unwrap().2 += bytes;
        }
    }
    let server = cutting(1);
    let told = Told::default();
    Scene::new(&server.url()).fetch_with(&told).unwrap();
    let (half, all) = (HALF as u64, Some(2 * HALF as u64));
    assert_eq!(
        told.0.into_inner().unwrap(),
        [(0, all, half), (half, all, half)]
    );
}
