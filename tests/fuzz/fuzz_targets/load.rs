//! A device without a model answers any host, and runs only what was sent whole.
#![no_main]

use edge_runtime::model::AlignedBytes;
use graft_tests::device::int8_model;
use graft_tests::fuzz_load::loads;
use std::sync::LazyLock;

static FILE: LazyLock<AlignedBytes> = LazyLock::new(|| int8_model(7));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| loads(&FILE, bytes, &mut |_| ()));
