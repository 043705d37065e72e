//! From feature map to feature vector: the head's own pooling, or another one to train a new head with.

use super::file::{Head, Pool};
use crate::kernels::portable::{avg_pool, max_pool};
use crate::kernels::{AvgPoolParams, Geometry};
use crate::model::{Model, Quant, Shape, Window};

/// How a feature map is pooled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum PoolKind {
    /// Mean of every channel.
    Avg,
    /// Maximum of every channel.
    Max,
    /// Not at all.
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

/// A word that is no pooling of heads that are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are: avg, max")]
pub struct UnknownPool;

/// The poolings that somebody can ask for: whether a map is flattened, its network decides.
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
    /// Which of the three it is.
    pub const fn kind(&self) -> PoolKind {
        match self {
            Self::Flatten => PoolKind::Flatten,
            Self::Avg { .. } => PoolKind::Avg,
            Self::Max => PoolKind::Max,
        }
    }
}

/// Shape and quantization of map and vector, and what lies between. int8.
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
    /// What a head does.
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

    /// Pooling of a kind for heads of `model`: the factory head's if that is of this kind. Another average
    /// keeps the map's scale. `None` where the factory head does not pool, or is to be flattened and does.
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

    /// The pooling that new heads get if nothing else is asked for.
    pub fn default_kind(model: &Model<'_>) -> PoolKind {
        model
            .head()
            .map_or(PoolKind::Avg, |head| head.record().pool.kind())
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
