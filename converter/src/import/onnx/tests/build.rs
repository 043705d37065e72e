//! Makes small ONNX models, and runs them.

use super::super::pb::{
    self, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto::dimension,
    type_proto,
};
use super::super::{Imported, read_bytes};
use crate::graph::Shape;
use crate::graph::reference::evaluate;
use prost::Message;

/// A model in the making: input `x`, output `y`.
#[derive(Clone)]
pub struct Model {
    pub proto: pb::ModelProto,
}

/// A node of `op` that reads `inputs` and writes `output`.
pub fn node(op: &str, inputs: &[&str], output: &str) -> pb::NodeProto {
    pb::NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|s| s.to_string()).collect(),
        output: vec![output.into()],
        ..Default::default()
    }
}

/// Attributes, chained.
pub trait With {
    fn int(self, name: &str, v: i64) -> Self;
    fn ints(self, name: &str, v: &[i64]) -> Self;
    fn float(self, name: &str, v: f32) -> Self;
    fn text(self, name: &str, v: &str) -> Self;
    fn tensor(self, name: &str, v: pb::TensorProto) -> Self;
    fn named(self, name: &str) -> Self;
}

fn attribute(
    mut node: pb::NodeProto,
    name: &str,
    kind: AttributeType,
    value: pb::AttributeProto,
) -> pb::NodeProto {
    node.attribute.push(pb::AttributeProto {
        name: name.into(),
        r#type: kind as i32,
        ..value
    });
    node
}

macro_rules! value {
    ($field:ident: $value:expr) => {
        pb::AttributeProto {
            $field: $value,
            ..Default::default()
        }
    };
}

impl With for pb::NodeProto {
    fn int(self, name: &str, v: i64) -> Self {
        attribute(self, name, AttributeType::Int, value!(i: v))
    }
    fn ints(self, name: &str, v: &[i64]) -> Self {
        attribute(self, name, AttributeType::Ints, value!(ints: v.to_vec()))
    }
    fn float(self, name: &str, v: f32) -> Self {
        attribute(self, name, AttributeType::Float, value!(f: v))
    }
    fn text(self, name: &str, v: &str) -> Self {
        attribute(self, name, AttributeType::String, value!(s: v.into()))
    }
    fn tensor(self, name: &str, v: pb::TensorProto) -> Self {
        attribute(self, name, AttributeType::Tensor, value!(t: Some(v)))
    }
    fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }
}

/// A float tensor.
pub fn floats(name: &str, dims: &[i64], v: &[f32]) -> pb::TensorProto {
    pb::TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        raw_data: v.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..Default::default()
    }
}

/// A one-dimensional integer tensor.
pub fn ints(name: &str, v: &[i64]) -> pb::TensorProto {
    pb::TensorProto {
        name: name.into(),
        dims: vec![v.len() as i64],
        data_type: DataType::Int64 as i32,
        int64_data: v.to_vec(),
        ..Default::default()
    }
}

/// A tensor of integers of another type.
pub fn codes(name: &str, kind: DataType, dims: &[i64], v: &[i32]) -> pb::TensorProto {
    pb::TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: kind as i32,
        int32_data: v.to_vec(),
        ..Default::default()
    }
}

/// Description of a value; a dimension of 0 is symbolic.
pub fn info(name: &str, dims: &[i64]) -> pb::ValueInfoProto {
    let dim = |&d: &i64| pb::tensor_shape_proto::Dimension {
        value: Some(match d {
            0 => dimension::Value::DimParam("N".into()),
            d => dimension::Value::DimValue(d),
        }),
    };
    let shape = Some(pb::TensorShapeProto {
        dim: dims.iter().map(dim).collect(),
    });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape,
    };
    let r#type = Some(pb::TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
    });
    pb::ValueInfoProto {
        name: name.into(),
        r#type,
    }
}

impl Model {
    pub fn new(opset: i64, input: &[i64]) -> Self {
        let graph = pb::GraphProto {
            input: vec![info("x", input)],
            output: vec![info("y", &[])],
            ..Default::default()
        };
        let opset_import = vec![pb::OperatorSetIdProto {
            version: opset,
            ..Default::default()
        }];
        Self {
            proto: pb::ModelProto {
                ir_version: 7,
                opset_import,
                graph: Some(graph),
                ..Default::default()
            },
        }
    }

    pub fn graph(&mut self) -> &mut pb::GraphProto {
        self.proto.graph.as_mut().unwrap()
    }

    pub fn node(mut self, node: pb::NodeProto) -> Self {
        self.graph().node.push(node);
        self
    }

    pub fn weight(mut self, tensor: pb::TensorProto) -> Self {
        self.graph().initializer.push(tensor);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }
}

/// The model, which must be good.
pub fn import(model: &Model) -> Imported {
    read_bytes(&model.bytes(), "test").unwrap_or_else(|e| panic!("{e}"))
}

/// The error of a bad model, one line.
pub fn fails(model: &Model) -> String {
    let line = read_bytes(&model.bytes(), "test").unwrap_err().to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

/// Position in HWC of element `i` in CHW.
fn hwc(i: usize, s: Shape) -> usize {
    let area = (s.h * s.w) as usize;
    i % area * s.c as usize + i / area
}

/// The output in CHW for an input in CHW.
pub fn run(model: &Imported, x: &[f32]) -> Vec<f32> {
    let graph = &model.graph;
    let mut input = vec![0.0; x.len()];
    x.iter()
        .enumerate()
        .for_each(|(i, v)| input[hwc(i, graph.input_shape())] = *v);
    let y = evaluate(graph, &input);
    let shape = graph.nodes[graph.output].shape;
    (0..y.len()).map(|i| y[hwc(i, shape)]).collect()
}

/// Numbers without a pattern, in -1..1.
pub fn noise(n: usize) -> Vec<f32> {
    (0..n as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0)
        .collect()
}

/// 0, 1, 2, ...
pub fn ramp(n: usize) -> Vec<f32> {
    (0..n).map(|i| i as f32).collect()
}

/// Fails unless all elements are within 1e-5, relative if large.
pub fn assert_near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= 1e-5 * b.abs().max(1.0),
            "element {i}: {a}, not {b}"
        );
    }
}
