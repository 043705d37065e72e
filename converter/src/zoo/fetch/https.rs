//! Downloads a file from a web server into the cache.
//!
//! What came before the connection broke stays in a [`Partial`]. The next try, in this run or a later one,
//! asks only for the rest. The file gets its name in the cache when its length and SHA-256 are right.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ureq::http::{HeaderMap, Response, StatusCode, header};

use super::client::{Client, Target, explain};
use super::error::{SourceError, shortened};
use super::partial::{Lock, Partial};
use super::verify::{Found, LARGEST, check, is_right};
use crate::util::progress::Progress;
use crate::zoo::catalog::Https;

/// How a try failed.
enum Failure {
    /// Another try may succeed.
    Again(SourceError),
    /// Every other try would fail too.
    Final(SourceError),
    /// The download is not the file.
    Wrong(SourceError),
}

/// Downloads `file` to the path `goal` and returns its SHA-256. After an error, the next call goes on with
/// what was received, unless it was wrong.
pub(super) fn fetch(
    file: &Https,
    goal: &Path,
    client: &Client,
    progress: &dyn Progress,
) -> Result<[u8; 32], SourceError> {
    let target = client.target(&file.url)?;
    let write_error = |source| SourceError::Write {
        path: goal.into(),
        source,
    };
    let waits = || progress.stage("waiting for another download", 0);
    let lock = Lock::take(goal, waits).map_err(write_error)?;
    // The other process may have fetched it.
    if let Found::Right(digest) = check(goal, &file.sha256, file.size) {
        return Ok(digest);
    }
    let mut partial = Partial::open(lock, most(file)).map_err(write_error)?;
    let download = Download {
        file,
        target,
        progress,
        goal,
    };
    let mut delays = client.delays.iter();
    // Number of bytes at which the count of tries starts again. It only grows, so the loop ends.
    let mut enough = partial.len().saturating_add(client.enough);
    loop {
        match download.attempt(&mut partial) {
            Ok(digest) => {
                partial.finish().map_err(write_error)?;
                return Ok(digest);
            }
            Err(Failure::Again(e)) => {
                if partial.len() >= enough {
                    enough = partial.len().saturating_add(client.enough);
                    delays = client.delays.iter();
                }
                match delays.next() {
                    Some(delay) => wait(*delay, progress),
                    None => {
                        partial.keep().map_err(write_error)?;
                        return Err(e);
                    }
                }
            }
            Err(Failure::Final(e)) => {
                // A full disk can make this fail too; the first error says more.
                let _ = partial.keep();
                return Err(e);
            }
            Err(Failure::Wrong(e)) => {
                partial.discard().map_err(write_error)?;
                return Err(e);
            }
        }
    }
}

fn wait(delay: Duration, progress: &dyn Progress) {
    progress.stage("trying again", 0);
    std::thread::sleep(delay);
}

/// Most bytes that are accepted.
fn most(file: &Https) -> u64 {
    file.size.unwrap_or(LARGEST)
}

struct Download<'a> {
    file: &'a Https,
    target: Target,
    progress: &'a dyn Progress,
    goal: &'a Path,
}

impl Download<'_> {
    /// Makes one request: for the whole file, or for what is missing of it.
    fn attempt(&self, partial: &mut Partial) -> Result<[u8; 32], Failure> {
        let most = most(self.file);
        if partial.len() > most {
            partial.restart(None).map_err(|e| self.write(e))?;
        }
        if partial.len() > 0 && self.file.size == Some(partial.len()) {
            return self.verify(partial);
        }
        let response = self.ask(partial)?;
        let total = match response.status() {
            StatusCode::OK => {
                let total = number(response.headers(), header::CONTENT_LENGTH);
                self.check_size(total)?;
                let validator = validator(response.headers());
                partial.restart(validator).map_err(|e| self.write(e))?;
                total
            }
            StatusCode::PARTIAL_CONTENT if partial.len() > 0 => {
                let (start, total) = content_range(response.headers()).unwrap_or((None, None));
                if start != Some(partial.len()) || !same_version(partial, response.headers()) {
                    partial.restart(None).map_err(|e| self.write(e))?;
                    return Err(Failure::Again(
                        self.answer("it sends another part of the file than the missing one"),
                    ));
                }
                self.check_size(total)?;
                total
            }
            StatusCode::RANGE_NOT_SATISFIABLE if partial.len() > 0 => {
                let (_, total) = content_range(response.headers()).unwrap_or((None, None));
                if total == Some(partial.len()) && self.file.size.is_none() {
                    return self.verify(partial);
                }
                // The file on the server has become shorter, so all of it is fetched again.
                partial.restart(None).map_err(|e| self.write(e))?;
                return Err(Failure::Again(self.status(response.status())));
            }
            status => return Err(self.refused(status)),
        };
        partial.next_piece();
        self.receive(response, partial, total)?;
        self.verify(partial)
    }

    fn ask(&self, partial: &Partial) -> Result<Response<ureq::Body>, Failure> {
        let mut request = self.target.agent.get(self.target.url.clone());
        if partial.len() > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", partial.len()));
            if let Some(validator) = partial.validator() {
                request = request.header(header::IF_RANGE, validator);
            }
        }
        request.call().map_err(|e| {
            let (problem, again) = explain(&e);
            let redirected = matches!(
                e,
                ureq::Error::TooManyRedirects | ureq::Error::RequireHttpsOnly(_)
            );
            if redirected {
                return Failure::Final(self.answer(&problem));
            }
            let host = self.target.host();
            let error = SourceError::Unreachable { host, problem };
            match again {
                true => Failure::Again(error),
                false => Failure::Final(error),
            }
        })
    }

    /// Appends the body of an answer to the partial file.
    fn receive(
        &self,
        response: Response<ureq::Body>,
        partial: &mut Partial,
        total: Option<u64>,
    ) -> Result<(), Failure> {
        let most = most(self.file);
        let total = total.or(self.file.size);
        let name = self.goal.file_name().unwrap_or_default().to_string_lossy();
        self.progress.transfer(&name, partial.len(), total);
        // A body without a length or chunks ends with the connection, even if that broke.
        let chunked = response.headers().contains_key(header::TRANSFER_ENCODING);
        let interrupted = |partial: &Partial, problem: &str| {
            let (host, problem) = (self.target.host(), shortened(problem));
            Failure::Again(match partial.len() {
                0 => SourceError::Unreachable { host, problem },
                got => SourceError::Interrupted {
                    host,
                    got,
                    total,
                    problem,
                },
            })
        };
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) => {
                    let (problem, _) = explain(&e.into());
                    return Err(interrupted(partial, &problem));
                }
            };
            if partial.len() + n as u64 > most {
                return Err(Failure::Wrong(SourceError::Size {
                    got: partial.len() + n as u64,
                    expected: most,
                }));
            }
            partial.append(&buffer[..n]).map_err(|e| self.write(e))?;
            self.progress.moved(n as u64);
        }
        match total {
            Some(total) if partial.len() < total && !chunked => {
                Err(interrupted(partial, "it ended early"))
            }
            _ => Ok(()),
        }
    }

    /// Checks a complete download.
    fn verify(&self, partial: &mut Partial) -> Result<[u8; 32], Failure> {
        let (digest, pin) = (partial.digest(), &self.file.sha256);
        if is_right(&digest, partial.len(), pin, self.file.size) {
            return Ok(digest);
        }
        let error = SourceError::Checksum {
            got: hex::encode(digest),
            got_size: partial.len(),
            expected: pin.to_string(),
            expected_size: self.file.size,
        };
        if partial.is_pieced() {
            // The pieces may be from different versions of the file.
            partial.restart(None).map_err(|e| self.write(e))?;
            return Err(Failure::Again(error));
        }
        Err(Failure::Wrong(error))
    }

    /// Refuses a file of another length before it is loaded.
    fn check_size(&self, total: Option<u64>) -> Result<(), Failure> {
        let right = |t: u64| self.file.size.map_or(t <= LARGEST, |s| s == t);
        match total {
            Some(got) if !right(got) => Err(Failure::Final(SourceError::Size {
                got,
                expected: most(self.file),
            })),
            _ => Ok(()),
        }
    }

    /// The failure for an answer that is not a file. An overloaded or broken server may work again later.
    fn refused(&self, status: StatusCode) -> Failure {
        let again = status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::REQUEST_TIMEOUT;
        match again {
            true => Failure::Again(self.status(status)),
            false => Failure::Final(self.status(status)),
        }
    }

    fn status(&self, status: StatusCode) -> SourceError {
        SourceError::Status {
            url: self.target.url(),
            status: status.to_string(),
        }
    }

    fn answer(&self, problem: &str) -> SourceError {
        SourceError::Answer {
            url: self.target.url(),
            problem: problem.into(),
        }
    }

    fn write(&self, source: std::io::Error) -> Failure {
        Failure::Final(SourceError::Write {
            path: self.goal.into(),
            source,
        })
    }
}

/// The value of a header that is a number.
fn number(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// First byte of the answer and length of the whole file, as far as a `Content-Range` says them: `bytes
/// 5-9/10`, `bytes 5-9/*`, `bytes */10`.
fn content_range(headers: &HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let start = range
        .split_once('-')
        .and_then(|(s, _)| s.trim().parse().ok());
    Some((start, total.trim().parse().ok()))
}

/// The mark of this version of the file: a strong entity tag, else the time of its last change.
fn validator(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let strong = text(header::ETAG).filter(|tag| tag.starts_with('"'));
    strong.or_else(|| text(header::LAST_MODIFIED))
}

/// False if an answer is certainly of another version than the partial file.
fn same_version(partial: &Partial, headers: &HeaderMap) -> bool {
    match (partial.validator(), validator(headers)) {
        // Tags are compared with tags, times with times.
        (Some(a), Some(b)) if a.starts_with('"') == b.starts_with('"') => a == b,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn content_ranges() {
        for (text, expected) in [
            ("bytes 5-9/10", Some((Some(5), Some(10)))),
            ("bytes 5-9/*", Some((Some(5), None))),
            ("bytes */10", Some((None, Some(10)))),
            ("bytes 99999999999999999999-1/2", Some((None, Some(2)))),
            ("bytes -1/-2", Some((None, None))),
            ("bytes 5-9", None),
            ("lines 5-9/10", None),
            ("", None),
        ] {
            let got = content_range(&headers(header::CONTENT_RANGE, text));
            assert_eq!(got, expected, "'{text}'");
        }
    }

    #[test]
    fn validators() {
        assert_eq!(validator(&headers(header::ETAG, "\"a\"")), Some("\"a\""));
        // Two files with the same weak tag are equivalent, but may have different bytes.
        assert_eq!(validator(&headers(header::ETAG, "W/\"a\"")), None);
        let mut both = headers(header::LAST_MODIFIED, "Wed, 21 Oct 2015 07:28:00 GMT");
        both.insert(header::ETAG, "W/\"a\"".parse().unwrap());
        assert_eq!(validator(&both), Some("Wed, 21 Oct 2015 07:28:00 GMT"));
    }
}
