//! Model files that are cut, flipped, or made up by an enemy who knows the checksums: an error or a model
//! that runs, never a panic.

use converter::convert::convert;
use converter::progress::Silent;
use edge_runtime::backend::TractBackend;
use edge_runtime::engine::Engine;
use edge_runtime::model::header::{self, Header};
use edge_runtime::model::{AlignedBytes, Model, ModelError};
use graft_tests::{Random, int8, source};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

static INT8: LazyLock<AlignedBytes> =
    LazyLock::new(|| convert(&source(1), Some(&int8()), &Silent).unwrap().bytes);
static FLOAT: LazyLock<AlignedBytes> =
    LazyLock::new(|| convert(&source(1), None, &Silent).unwrap().bytes);

/// Makes the trunk's and the head's checksums right again, as far as the sections can be found.
fn reseal(bytes: &mut [u8]) {
    let Ok(header) = Header::read(bytes) else {
        return;
    };
    if header.sections(bytes).is_err() {
        return;
    }
    let head_at = header.head_offset() as usize;
    let sha = Sha256::digest(&bytes[header::LEN..head_at]);
    bytes[32..64].copy_from_slice(&sha);
    let head = &mut bytes[head_at..];
    if head.len() >= 96 {
        head[32..64].copy_from_slice(&sha);
        let mut own = Sha256::new();
        own.update(&head[..64]);
        own.update(&head[96..]);
        head[64..96].copy_from_slice(&own.finalize());
    }
}

/// Whatever the checks let through has to run.
fn use_it(bytes: &AlignedBytes) {
    let Ok(model) = Model::parse(bytes) else {
        return;
    };
    // Only as much work as a test can bear.
    if model.arena_bytes() > 1 << 24 || model.layers().map(|l| l.macs()).sum::<u64>() > 1 << 28 {
        return;
    }
    let mut arena = vec![0; model.arena_bytes()];
    if let Ok(mut engine) = Engine::new(&model, &mut arena) {
        engine.input_mut().fill(77);
        let map = engine.run();
        if let Some(head) = model.head() {
            let (mut feature, mut logits) = (vec![0; head.features()], vec![0.0; head.classes()]);
            head.feature(map, &mut feature);
            head.logits(&feature, &mut logits);
            head.label(3);
        }
    }
}

#[test]
fn every_truncation_is_noticed() {
    for len in (0..INT8.len()).step_by(7).chain(0..200) {
        let cut = AlignedBytes::copy_of(&INT8[..len]);
        match Model::parse(&cut) {
            Err(ModelError::Truncated { have, .. }) => assert_eq!(have, len as u64),
            other => panic!("{len} bytes: {:?}", other.map(|_| ())),
        }
    }
    let mut long = INT8.to_vec();
    long.push(0);
    assert!(matches!(
        Model::parse(&AlignedBytes::copy_of(&long)),
        Err(ModelError::Trailing { .. })
    ));
}

#[test]
fn every_flipped_byte_is_noticed() {
    let mut bytes = INT8.clone();
    let head_at = Header::read(&bytes).unwrap().head_offset() as usize;
    for i in (0..1500)
        .chain((1500..head_at).step_by(97))
        .chain(head_at..head_at + 300)
    {
        bytes[i] ^= 0x10;
        assert!(Model::parse(&bytes).is_err(), "byte {i}");
        bytes[i] ^= 0x10;
    }
    assert!(Model::parse(&bytes).is_ok());
}

#[test]
fn thousands_of_resealed_flips_do_no_harm() {
    let mut random = Random::new(99);
    let (mut refused, mut ran) = (0, 0);
    for original in [&*INT8, &*FLOAT] {
        let header = Header::read(original).unwrap();
        let (metadata, head_at) = (header.metadata_len as usize, header.head_offset() as usize);
        for round in 0..6000 {
            let mut bytes = original.clone();
            for _ in 0..1 + random.bits() % 3 {
                // Metadata, head record, quantization numbers: where a flip means something.
                let at = match round % 4 {
                    0 => head_at + 96 + random.bits() as usize % 120,
                    1 => random.bits() as usize % bytes.len(),
                    _ => header::LEN + random.bits() as usize % metadata,
                };
                let at = at.min(bytes.len() - 1);
                bytes[at] = match random.bits() % 3 {
                    0 => bytes[at] ^ (1 << (random.bits() % 8)),
                    1 => 0xff,
                    _ => random.bits() as u8,
                };
            }
            reseal(&mut bytes);
            match Model::parse(&bytes) {
                Ok(_) => ran += 1,
                Err(e) => {
                    assert_eq!(e.to_string().lines().count(), 1);
                    refused += 1;
                }
            }
            use_it(&bytes);
        }
    }
    assert!(
        refused > 2000 && ran > 500,
        "the test must reach both sides: {refused} refused, {ran} ran"
    );
}

#[test]
fn what_is_let_through_builds_on_tract() {
    let mut random = Random::new(7);
    let header = Header::read(&INT8).unwrap();
    for _ in 0..150 {
        let mut bytes = INT8.clone();
        let at = header::LEN + random.bits() as usize % header.metadata_len as usize;
        bytes[at] = random.bits() as u8;
        reseal(&mut bytes);
        if let Ok(model) = Model::parse(&bytes)
            && model.arena_bytes() < 1 << 24
        {
            let _ = TractBackend::new(&model);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), magic: bool) {
        if magic && bytes.len() >= 10 {
            bytes[..8].copy_from_slice(&header::MAGIC);
            bytes[8..10].copy_from_slice(&header::VERSION.to_le_bytes());
        }
        prop_assert!(Model::parse(&AlignedBytes::copy_of(&bytes)).is_err());
    }
}
