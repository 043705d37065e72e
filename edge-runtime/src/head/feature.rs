//! From feature map to feature vector: the pooling of a head, or another one for new heads.

use super::file::{Head, HeadData, HeadOrigin, HeadRecord, Pool};
use crate::kernels::portable::{avg_pool, max_pool};
use crate::kernels::{AvgPoolParams, Geometry};
use crate::model::{Blob, Model, Quant, Shape, Window};

/// How a feature map is pooled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum PoolKind {
    /// Mean of every channel.
    Avg,
    /// Maximum of every channel.
    Max,
    /// The map is not pooled: its values are the vector.
    Flatten,
}

impl core::fmt::Display for PoolKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Avg => "avg",
            Self::Max => "max",
            Self::Flatten => "flatten",
        })
    }
}

/// The text names no pooling of trained heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are: avg, max")]
pub struct UnknownPool;

/// Reads `avg` or `max`. `flatten` cannot be asked for: whether a map is flattened depends on the network.
impl core::str::FromStr for PoolKind {
    type Err = UnknownPool;

    fn from_str(name: &str) -> Result<Self, UnknownPool> {
        match name {
            "avg" => Ok(Self::Avg),
            "max" => Ok(Self::Max),
            _ => Err(UnknownPool),
        }
    }
}

impl Pool {
    /// The kind of pooling.
    pub const fn kind(&self) -> PoolKind {
        match self {
            Self::Flatten => PoolKind::Flatten,
            Self::Avg { .. } => PoolKind::Avg,
            Self::Max => PoolKind::Max,
        }
    }
}

/// How an int8 feature map becomes an int8 feature vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureRule {
    /// Shape of the feature map.
    pub map: Shape,
    /// Its quantization.
    pub map_quant: Quant,
    /// How it is pooled.
    pub pool: Pool,
    /// Quantization of the vector.
    pub quant: Quant,
    /// Length of the vector.
    pub features: usize,
}

impl FeatureRule {
    /// The rule of a head.
    pub fn of(head: &Head<'_>) -> Self {
        let record = head.record();
        Self {
            map: record.map,
            map_quant: record.map_quant,
            pool: record.pool,
            quant: record.feature_quant,
            features: record.features as usize,
        }
    }

    /// The rule for new heads of `model` that pool in this way: that of the factory head if it pools so, else
    /// one that keeps the scale of the map. `None` if `kind` or the factory head flattens the map, and the
    /// other does not.
    pub fn new(model: &Model<'_>, kind: PoolKind) -> Option<Self> {
        let factory = model.head().map(Self::of);
        let known = factory.map_or(PoolKind::Avg, |rule| rule.pool.kind());
        match factory {
            Some(rule) if known == kind => return Some(rule),
            _ if known == PoolKind::Flatten || kind == PoolKind::Flatten => return None,
            _ => (),
        }
        let (map, quant) = (model.output().shape, model.output().quant);
        let area = map.h as u64 * map.w as u64;
        let pool = match kind {
            // The products of the sum stay below 2^30, as the head file wants it.
            PoolKind::Avg => Pool::Avg {
                multiplier: (((1u64 << 21) + area / 2) / area.max(1)) as i32,
                shift: 21,
            },
            _ => Pool::Max,
        };
        Some(Self {
            map,
            map_quant: quant,
            pool,
            quant,
            features: map.c as usize,
        })
    }

    /// The record of a new head on these features. [`encode`](super::file::encode) fills in where its numbers
    /// are, and the hidden layer. `labels` has one line a class, or is empty.
    pub fn record<'l>(
        &self,
        classes: usize,
        labels: &'l str,
        origin: HeadOrigin,
    ) -> HeadRecord<'l> {
        let none = Blob { offset: 0, len: 0 };
        HeadRecord {
            map: self.map,
            map_quant: self.map_quant,
            pool: self.pool,
            feature_quant: self.quant,
            features: self.features as u32,
            classes: classes as u32,
            hidden: None,
            data: HeadData::F32 {
                weights: none,
                bias: none,
            },
            labels,
            origin,
        }
    }

    /// How new heads pool unless another pooling is asked for.
    pub fn default_kind(model: &Model<'_>) -> PoolKind {
        model
            .head()
            .map_or(PoolKind::Avg, |head| head.record().pool.kind())
    }

    /// Length of the features that new heads of a model take: of the factory head's features if that flattens
    /// the map, else the number of channels.
    pub fn default_len(model: &Model<'_>) -> usize {
        match model.head().map(Self::of) {
            Some(rule) if rule.pool == Pool::Flatten => rule.features,
            _ => model.output().shape.c as usize,
        }
    }

    /// Pools an int8 feature map into `feature`.
    ///
    /// # Panics
    /// If a slice has another length than the rule says.
    pub fn apply(&self, map: &[i8], feature: &mut [i8]) {
        assert_eq!(map.len(), self.map.len());
        assert_eq!(feature.len(), self.features);
        let geometry = Geometry {
            input: self.map,
            output: Shape::new(1, 1, self.map.c),
            window: Window {
                kernel: [self.map.h, self.map.w],
                ..Window::POINT
            },
        };
        match self.pool {
            Pool::Flatten => feature.copy_from_slice(map),
            Pool::Max => max_pool(&geometry, map, feature),
            Pool::Avg { multiplier, shift } => {
                let params = AvgPoolParams {
                    geometry,
                    multipliers: &[multiplier],
                    shift,
                    input_zero_point: self.map_quant.zero_point,
                    output_zero_point: self.quant.zero_point,
                };
                avg_pool(&params, map, feature);
            }
        }
    }
}
