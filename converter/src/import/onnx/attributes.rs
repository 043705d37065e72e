//! Typed access to a node's attributes, with defaults.

use super::pb::{AttributeProto, NodeProto, TensorProto};
use crate::import::ImportError;

/// A node's attributes.
#[derive(Clone, Copy)]
pub struct Attributes<'a>(pub &'a NodeProto);

impl<'a> Attributes<'a> {
    /// The attribute `name`, if the node has it.
    pub fn get(&self, name: &str) -> Option<&'a AttributeProto> {
        self.0.attribute.iter().find(|a| a.name == name)
    }

    /// An integer.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.get(name).map_or(default, |a| a.i)
    }

    /// True if the integer is not zero.
    pub fn flag(&self, name: &str) -> bool {
        self.int(name, 0) != 0
    }

    /// A float; infinities and NaN are refused.
    pub fn float(&self, name: &str, default: f32) -> Result<f32, ImportError> {
        match self.get(name).map_or(default, |a| a.f) {
            v if v.is_finite() => Ok(v),
            v => Err(ImportError::new(format!("is {v}")).attribute(name)),
        }
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.get(name).map(|a| &a.ints[..])
    }

    /// A list of `N` numbers that fit 32 bits, or the default.
    pub fn sizes<const N: usize>(
        &self,
        name: &str,
        default: [u32; N],
    ) -> Result<[u32; N], ImportError> {
        let Some(values) = self.ints(name).filter(|v| !v.is_empty()) else {
            return Ok(default);
        };
        let sizes: Option<Vec<u32>> = values.iter().map(|&v| u32::try_from(v).ok()).collect();
        sizes.and_then(|s| s.try_into().ok()).ok_or_else(|| {
            let e = ImportError::new(format!(
                "is {values:?}, but {N} numbers from 0 on are supported"
            ))
            .attribute(name);
            e.hint("only two-dimensional windows are supported")
        })
    }

    /// A string; empty if it is absent or not UTF-8.
    pub fn text(&self, name: &str) -> &'a str {
        self.get(name)
            .and_then(|a| std::str::from_utf8(&a.s).ok())
            .unwrap_or("")
    }

    /// A tensor.
    pub fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        self.get(name).and_then(|a| a.t.as_ref())
    }

    /// Fails if the integer is given and is not `only`.
    pub fn require(&self, name: &str, only: i64, hint: &str) -> Result<(), ImportError> {
        match self.int(name, only) {
            v if v == only => Ok(()),
            v => Err(
                ImportError::new(format!("is {v}, only {only} is supported"))
                    .attribute(name)
                    .hint(hint),
            ),
        }
    }
}
