//! A device answers any host, and finds what it stored again after a restart.
#![no_main]

use edge_runtime::model::{AlignedBytes, Model};
use graft_tests::device::int8_model;
use graft_tests::fuzz::Requests;
use std::sync::LazyLock;

static FILE: LazyLock<AlignedBytes> = LazyLock::new(|| int8_model(7));
static MODEL: LazyLock<Model<'static>> =
    LazyLock::new(|| Model::parse(&FILE).expect("a good model"));
static REQUESTS: LazyLock<Requests<'static>> = LazyLock::new(|| Requests::new(&MODEL));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| REQUESTS.run(bytes, &mut |_| ()));
