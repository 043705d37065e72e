//! The device application in the simulation: whole sessions over good and bad lines, and hostile peers.

mod heads;
mod hostile;
mod memory;
mod recorded;
mod sessions;
mod training;

use edge_runtime::client::{Client, ClientError, Pipe};
use edge_runtime::device::DeviceError;
use edge_runtime::device::protocol::{self as p, Header, Message, Request};
use edge_runtime::model::{AlignedBytes, Model};
use edge_runtime::sim::Faults;
use graft_tests::device::{TestApp, input, int8_model};
use std::sync::LazyLock;

static MODEL: LazyLock<AlignedBytes> = LazyLock::new(|| int8_model(7));

const CLASSES: [&str; 3] = ["red", "green", "blue"];

/// A bad line.
const NOISE: Faults = Faults {
    dropped: 10_000,
    damaged: 10_000,
    doubled: 1000,
};

fn add_samples<P: Pipe>(client: &mut Client<P>, model: &Model<'_>, count: usize) {
    for i in 0..count {
        let class = i % CLASSES.len();
        client.send_input(&input(model, class, i as u64)).unwrap();
        client.add_sample(CLASSES[class], None).unwrap();
    }
}

fn assert_refused<T: std::fmt::Debug>(result: Result<T, ClientError>, expected: DeviceError) {
    match result {
        Err(ClientError::Device(error)) => assert_eq!(error, expected),
        other => panic!("expected {expected:?}, got {other:?}"),
    }
}

/// Sends one payload and returns the replies.
fn send(app: &mut TestApp<'_>, payload: &[u8]) -> Vec<Vec<u8>> {
    let mut replies = vec![];
    app.handle(payload, &mut |reply| replies.push(reply.to_vec()));
    replies
}

/// Sends a request and returns the error of its reply, or `None` if it succeeded.
fn ask(app: &mut TestApp<'_>, id: u32, request: &Request<'_>) -> Option<DeviceError> {
    let mut payload = [0; p::MAX_PAYLOAD];
    let len = p::encode(Header::new(9, id), request, &mut payload).unwrap();
    let replies = send(app, &payload[..len]);
    let (header, body) = Header::decode(replies.last().expect("a reply")).unwrap();
    assert_eq!(header, Header::new(9, id));
    match p::decode(body).expect("a message") {
        Message::Reply(Ok(_)) => None,
        Message::Reply(Err(error)) => Some(error),
        Message::Progress(_) => panic!("the reply comes last"),
    }
}
