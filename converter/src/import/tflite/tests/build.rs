//! Makes small TensorFlow Lite models.

use super::super::schema::{
    Buffer, BufferArgs, BuiltinOperator, BuiltinOptions, Model as ModelTable, ModelArgs, Operator,
    OperatorArgs, OperatorCode, OperatorCodeArgs, QuantizationParameters,
    QuantizationParametersArgs, SubGraph, SubGraphArgs, Tensor as TensorTable, TensorArgs,
    TensorType, finish_model_buffer,
};
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use std::rc::Rc;

/// Writes the options of an operator.
pub type Options =
    Rc<dyn Fn(&mut FlatBufferBuilder) -> (BuiltinOptions, WIPOffset<UnionWIPOffset>)>;

/// Options of one kind: `options!(Conv2DOptions, Conv2DOptionsArgs { stride_w: 2, ... })`; fields that are
/// not given are as in the schema.
macro_rules! options {
    ($kind:ident, $args:ident { $($field:ident : $value:expr),* $(,)? }) => {{
        use $crate::import::tflite::schema::{$kind, $args, BuiltinOptions};
        let write: $crate::import::tflite::tests::build::Options =
            std::rc::Rc::new(move |builder: &mut flatbuffers::FlatBufferBuilder| {
                #[allow(clippy::needless_update)]
                let args = $args { $($field: $value,)* ..Default::default() };
                (BuiltinOptions::$kind, $kind::create(builder, &args).as_union_value())
            });
        Some(write)
    }};
}
pub(super) use options;

/// A tensor in the making.
#[derive(Clone)]
pub struct Tensor {
    pub shape: Vec<i32>,
    pub kind: TensorType,
    pub data: Vec<u8>,
    pub scales: Vec<f32>,
    pub zero_points: Vec<i64>,
    pub axis: i32,
}

/// An operator in the making.
#[derive(Clone)]
pub struct Op {
    pub code: BuiltinOperator,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub options: Option<Options>,
    pub custom: Option<&'static str>,
}

/// A model in the making: tensor 0 is the input, the result of the last operator the output.
#[derive(Clone)]
pub struct Model {
    pub tensors: Vec<Tensor>,
    pub ops: Vec<Op>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    /// What stands before the number in the names of tensors.
    pub names: &'static str,
}

impl Model {
    /// A float input.
    pub fn new(shape: &[i32]) -> Self {
        let mut model = Self {
            tensors: vec![],
            ops: vec![],
            inputs: vec![0],
            outputs: vec![0],
            names: "t",
        };
        model.tensor(shape, TensorType::FLOAT32, vec![]);
        model
    }

    /// A tensor; without data an activation.
    pub fn tensor(&mut self, shape: &[i32], kind: TensorType, data: Vec<u8>) -> i32 {
        self.tensors.push(Tensor {
            shape: shape.to_vec(),
            kind,
            data,
            scales: vec![],
            zero_points: vec![],
            axis: 0,
        });
        self.tensors.len() as i32 - 1
    }

    /// A constant of floats.
    pub fn floats(&mut self, shape: &[i32], values: &[f32]) -> i32 {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(shape, TensorType::FLOAT32, data)
    }

    /// A constant of 32-bit integers.
    pub fn words(&mut self, shape: &[i32], values: &[i32]) -> i32 {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(shape, TensorType::INT32, data)
    }

    /// A list of 32-bit integers.
    pub fn list(&mut self, values: &[i32]) -> i32 {
        self.words(&[values.len() as i32], values)
    }

    /// A constant of 8-bit integers; scales along `axis`.
    pub fn bytes(
        &mut self,
        shape: &[i32],
        kind: TensorType,
        values: &[i32],
        steps: (&[f32], &[i64], i32),
    ) -> i32 {
        let data = values.iter().map(|&v| v as u8).collect();
        let id = self.tensor(shape, kind, data);
        let tensor = &mut self.tensors[id as usize];
        (tensor.scales, tensor.zero_points, tensor.axis) =
            (steps.0.to_vec(), steps.1.to_vec(), steps.2);
        id
    }

    /// Makes activation `id` one of 8 bits.
    pub fn quantize(&mut self, id: i32, kind: TensorType, scale: f32, zero_point: i64) -> i32 {
        let tensor = &mut self.tensors[id as usize];
        tensor.kind = kind;
        (tensor.scales, tensor.zero_points) = (vec![scale], vec![zero_point]);
        id
    }

    /// An operator with one result, a float until [`Model::quantize`] says otherwise.
    pub fn op(&mut self, code: BuiltinOperator, inputs: &[i32], options: Option<Options>) -> i32 {
        self.op_of(code, inputs, options, 1)[0]
    }

    /// An operator with `results` results; the last is the output, like the only one.
    pub fn op_of(
        &mut self,
        code: BuiltinOperator,
        inputs: &[i32],
        options: Option<Options>,
        results: usize,
    ) -> Vec<i32> {
        let new = |_| self.tensor(&[], TensorType::FLOAT32, vec![]);
        let outputs: Vec<i32> = (0..results).map(new).collect();
        self.ops.push(Op {
            code,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
            options,
            custom: None,
        });
        self.outputs = outputs[results - 1..].to_vec();
        outputs
    }

    /// The file.
    pub fn file(&self) -> Vec<u8> {
        let mut f = FlatBufferBuilder::new();
        let mut buffers = vec![Buffer::create(&mut f, &BufferArgs { data: None })];
        let mut tensors = vec![];
        for (i, t) in self.tensors.iter().enumerate() {
            let mut buffer = 0;
            if !t.data.is_empty() {
                buffer = buffers.len() as u32;
                let data = Some(f.create_vector(&t.data));
                buffers.push(Buffer::create(&mut f, &BufferArgs { data }));
            }
            let quantization = (!t.scales.is_empty()).then(|| {
                let scale = Some(f.create_vector(&t.scales));
                let zero_point = Some(f.create_vector(&t.zero_points));
                let args = QuantizationParametersArgs {
                    scale,
                    zero_point,
                    quantized_dimension: t.axis,
                    ..Default::default()
                };
                QuantizationParameters::create(&mut f, &args)
            });
            let name = Some(f.create_string(&format!("{}{i};second name", self.names)));
            let shape = Some(f.create_vector(&t.shape));
            let args = TensorArgs {
                shape,
                type_: t.kind,
                buffer,
                name,
                quantization,
                ..Default::default()
            };
            tensors.push(TensorTable::create(&mut f, &args));
        }
        let mut codes = vec![];
        let mut operators = vec![];
        for (i, op) in self.ops.iter().enumerate() {
            let custom_code = op.custom.map(|c| f.create_string(c));
            let code = OperatorCodeArgs {
                deprecated_builtin_code: op.code.0.min(127) as i8,
                builtin_code: op.code,
                custom_code,
                version: 1,
            };
            codes.push(OperatorCode::create(&mut f, &code));
            let inputs = Some(f.create_vector(&op.inputs));
            let outputs = Some(f.create_vector(&op.outputs));
            let (builtin_options_type, builtin_options) = match &op.options {
                Some(write) => {
                    let (kind, offset) = write(&mut f);
                    (kind, Some(offset))
                }
                None => (BuiltinOptions::NONE, None),
            };
            let args = OperatorArgs {
                opcode_index: i as u32,
                inputs,
                outputs,
                builtin_options_type,
                builtin_options,
            };
            operators.push(Operator::create(&mut f, &args));
        }
        let graph = SubGraphArgs {
            tensors: Some(f.create_vector(&tensors)),
            inputs: Some(f.create_vector(&self.inputs)),
            outputs: Some(f.create_vector(&self.outputs)),
            operators: Some(f.create_vector(&operators)),
        };
        let graph = SubGraph::create(&mut f, &graph);
        let model = ModelArgs {
            version: 3,
            operator_codes: Some(f.create_vector(&codes)),
            subgraphs: Some(f.create_vector(&[graph])),
            description: Some(f.create_string("made by a test")),
            buffers: Some(f.create_vector(&buffers)),
        };
        let model = ModelTable::create(&mut f, &model);
        finish_model_buffer(&mut f, model);
        f.finished_data().to_vec()
    }
}
