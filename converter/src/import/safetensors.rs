//! safetensors checkpoints (`.safetensors`): a JSON header, then the numbers.
//!
//! The crate of the format's authors checks the header: sizes, offsets, no gaps and no overlaps. This module
//! knows no network: it returns names and tensors.

use super::sniff::refuse_placeholders;
use super::values::{bf16_to_f32, chunks, f16_to_f32};
use super::{ImportError, NamedTensor, StateDict};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::Path;

/// Reads the tensors of the checkpoint at `path`, with its names and order of dimensions.
pub fn read(path: &Path) -> Result<StateDict, ImportError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|e| ImportError::new(format!("cannot be read: {e}")).file(&name))?;
    read_bytes(&bytes, &name)
}

/// Reads the tensors of a checkpoint in memory; `name` stands for the file in messages.
pub fn read_bytes(bytes: &[u8], name: &str) -> Result<StateDict, ImportError> {
    decode(bytes).map_err(|e| e.file(name))
}

fn decode(bytes: &[u8]) -> Result<StateDict, ImportError> {
    refuse_placeholders(bytes)?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| {
        ImportError::new(format!(
            "not a safetensors file, or truncated or damaged: {e}"
        ))
        .hint("expected a file written by safetensors' save_file")
    })?;
    let mut tensors = StateDict::new();
    for (name, view) in file.iter() {
        let data = numbers(&view).map_err(|e| e.node(name))?;
        let shape = view.shape().to_vec();
        tensors.insert(name.into(), NamedTensor { shape, data });
    }
    if tensors.is_empty() {
        return Err(ImportError::new("no tensors in the file").hint("save the state dict again"));
    }
    Ok(tensors)
}

/// Converts the elements, which are little-endian.
fn numbers(view: &TensorView) -> Result<Vec<f32>, ImportError> {
    let bytes = view.data();
    Ok(match view.dtype() {
        Dtype::F32 => chunks(bytes, f32::from_le_bytes),
        Dtype::F64 => chunks(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F16 => chunks(bytes, |b| f16_to_f32(u16::from_le_bytes(b))),
        Dtype::BF16 => chunks(bytes, |b| bf16_to_f32(u16::from_le_bytes(b))),
        Dtype::U8 | Dtype::BOOL => bytes.iter().map(|&b| b.into()).collect(),
        Dtype::I8 => bytes.iter().map(|&b| (b as i8).into()).collect(),
        Dtype::I16 => chunks(bytes, |b| i16::from_le_bytes(b).into()),
        Dtype::U16 => chunks(bytes, |b| u16::from_le_bytes(b).into()),
        Dtype::I32 => chunks(bytes, |b| i32::from_le_bytes(b) as f32),
        Dtype::U32 => chunks(bytes, |b| u32::from_le_bytes(b) as f32),
        Dtype::I64 => chunks(bytes, |b| i64::from_le_bytes(b) as f32),
        Dtype::U64 => chunks(bytes, |b| u64::from_le_bytes(b) as f32),
        other => {
            return Err(ImportError::new(format!(
                "elements of type {other:?}, which are not supported"
            ))
            .hint("save the checkpoint in float32, float16 or bfloat16"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A file with `header` and `data`.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], header.as_bytes(), data].concat()
    }

    /// A file of one tensor `t`.
    fn one(dtype: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let n = data.len();
        let tensor =
            format!(r#"{{"t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{n}]}}}}"#);
        file(&tensor, data)
    }

    fn line(bytes: &[u8]) -> String {
        let line = read_bytes(bytes, "bad").unwrap_err().to_string();
        assert!(line.starts_with("bad: ") && !line.contains('\n'), "{line}");
        line
    }

    fn sample() -> Vec<u8> {
        let header = r#"{"__metadata__":{"format":"pt"},
            "conv.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},
            "steps":{"dtype":"I64","shape":[],"data_offsets":[8,16]}}"#;
        let mut data = [1.5f32, -2.0].map(f32::to_le_bytes).concat();
        data.extend((-7i64).to_le_bytes());
        file(header, &data)
    }

    #[test]
    fn names_shapes_and_numbers() {
        let tensors = read_bytes(&sample(), "s").unwrap();
        assert_eq!(tensors.len(), 2);
        let weight = &tensors["conv.weight"];
        assert_eq!(
            (&weight.shape[..], &weight.data[..]),
            (&[1, 2][..], &[1.5, -2.0][..])
        );
        let steps = &tensors["steps"];
        assert_eq!((&steps.shape[..], &steps.data[..]), (&[][..], &[-7.0][..]));
    }

    #[test]
    fn every_type() {
        let cases: [(&str, Vec<u8>, f32); 12] = [
            ("F32", 2.5f32.to_le_bytes().into(), 2.5),
            ("F64", (-2.5f64).to_le_bytes().into(), -2.5),
            ("F16", 0x3555u16.to_le_bytes().into(), 0.333_251_95),
            ("BF16", 0xc2f7u16.to_le_bytes().into(), -123.5),
            ("BOOL", vec![1], 1.0),
            ("U8", vec![200], 200.0),
            ("I8", vec![200], -56.0),
            ("I16", (-300i16).to_le_bytes().into(), -300.0),
            ("U16", 65_000u16.to_le_bytes().into(), 65_000.0),
            ("I32", (-70_000i32).to_le_bytes().into(), -70_000.0),
            ("U32", 3_000_000_000u32.to_le_bytes().into(), 3e9),
            (
                "U64",
                (1u64 << 40).to_le_bytes().into(),
                1_099_511_627_776.0,
            ),
        ];
        for (dtype, data, value) in cases {
            let tensors = read_bytes(&one(dtype, "[1]", &data), "t").unwrap();
            assert_eq!(tensors["t"].data, [value], "{dtype}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(line(b"").contains("the file is empty"));
        assert!(line(b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull"));
        assert!(line(b"PK\x03\x04 and so on").contains("not a safetensors file"));
        assert!(line(&file("{}", &[])).contains("no tensors"));
        assert!(line(&one("F8_E4M3", "[1]", &[0])).contains("'t': elements of type F8_E4M3"));
        // Sizes that the data does not have, or that overflow.
        for shape in [
            "[2]",
            "[4294967296,4294967296,4294967296]",
            "[18446744073709551615]",
        ] {
            line(&one("F32", shape, &[0; 4]));
        }
        let header = (u64::MAX).to_le_bytes();
        assert!(line(&[&header[..], b"{}"].concat()).contains("header too large"));
        let missing = read(Path::new("no such folder/x.safetensors")).unwrap_err();
        assert!(missing.to_string().contains("cannot be read"));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = sample();
        for n in 0..bytes.len() {
            line(&bytes[..n]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn damaged_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
            let mut bytes = sample();
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Err(e) = read_bytes(&bytes, "f") {
                prop_assert!(!e.to_string().contains('\n'));
            }
        }
    }
}
