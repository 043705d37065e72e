//! Short messages that are sent from the stack.

use super::error::DeviceError;
use super::protocol::{self as p, Header, Message, Progress};

/// Sends an error that no session keeps: the request may come again.
pub fn send_error(header: Header, error: DeviceError, send: &mut dyn FnMut(&[u8])) {
    let mut out = [0; 64];
    let message: Message<'_> = Message::Reply(Err(error));
    let header = Header::new(header.session, header.id);
    if let Some(len) = p::encode(header, &message, &mut out) {
        send(&out[..len]);
    }
}

/// Sends how far a request is.
pub fn send_progress(header: Header, progress: Progress, send: &mut dyn FnMut(&[u8])) {
    let mut out = [0; 64];
    let message: Message<'_> = Message::Progress(progress);
    if let Some(len) = p::encode(header, &message, &mut out) {
        send(&out[..len]);
    }
}
