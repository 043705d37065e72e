//! Fetching as a whole: from packages that a played pip brings, and from a server on loopback.

mod https;
#[cfg(unix)]
mod pip;
mod server;
