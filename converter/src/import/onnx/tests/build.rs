//! Makes small ONNX models.

use super::super::pb::{self, tensor_proto::DataType, tensor_shape_proto::dimension, type_proto};
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

fn attribute(node: pb::NodeProto, name: &str, a: pb::AttributeProto) -> pb::NodeProto {
    let mut node = node;
    node.attribute.push(pb::AttributeProto {
        name: name.into(),
        ..a
    });
    node
}

impl With for pb::NodeProto {
    fn int(self, name: &str, v: i64) -> Self {
        attribute(
            self,
            name,
            pb::AttributeProto {
                i: v,
                ..Default::default()
            },
        )
    }
    fn ints(self, name: &str, v: &[i64]) -> Self {
        attribute(
            self,
            name,
            pb::AttributeProto {
                ints: v.to_vec(),
                ..Default::default()
            },
        )
    }
    fn float(self, name: &str, v: f32) -> Self {
        attribute(
            self,
            name,
            pb::AttributeProto {
                f: v,
                ..Default::default()
            },
        )
    }
    fn text(self, name: &str, v: &str) -> Self {
        attribute(
            self,
            name,
            pb::AttributeProto {
                s: v.into(),
                ..Default::default()
            },
        )
    }
    fn tensor(self, name: &str, v: pb::TensorProto) -> Self {
        attribute(
            self,
            name,
            pb::AttributeProto {
                t: Some(v),
                ..Default::default()
            },
        )
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

/// Description of a value; a dimension of 0 is symbolic.
pub fn info(name: &str, dims: &[i64]) -> pb::ValueInfoProto {
    let dim = |&d: &i64| pb::tensor_shape_proto::Dimension {
        value: Some(match d {
            0 => dimension::Value::DimParam("N".into()),
            d => dimension::Value::DimValue(d),
        }),
        ..Default::default()
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
        ..Default::default()
    });
    pb::ValueInfoProto {
        name: name.into(),
        r#type,
        ..Default::default()
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
