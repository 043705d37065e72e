//! Checked access to the tables of a verified file: checks every index, dimension and length.

use super::schema::{BuiltinOperator, Model, Operator, OperatorCode, SubGraph, Tensor, TensorType};
use super::steps::Steps;
use super::stored::Stored;
use crate::import::ImportError;
use crate::import::dims::elements;
use crate::import::error::{MAX_NAME, one_line};
use flatbuffers::{ForwardsUOffset, Vector};
use std::rc::Rc;

/// Most dimensions of a tensor.
pub const MAX_RANK: usize = 8;

type Tables<'a, T> = Option<Vector<'a, ForwardsUOffset<T>>>;

/// The model and its first subgraph. Others belong to control flow, which is not supported.
#[derive(Clone, Copy)]
pub struct File<'a> {
    model: Model<'a>,
    graph: SubGraph<'a>,
}

/// A tensor as the file declares it.
pub struct TensorInfo<'a> {
    /// Its name in one line, up to the first `;`: fused operators have several names.
    pub name: String,
    /// Type of its elements.
    pub kind: TensorType,
    /// Dimensions. For activations they are only a hint; -1 where they vary.
    pub dims: Vec<i32>,
    /// Quantization, of 8-bit tensors.
    pub steps: Option<Rc<Steps>>,
    tensor: Tensor<'a>,
}

/// An operator with its code looked up.
pub struct OperatorInfo<'a> {
    /// The table.
    pub table: Operator<'a>,
    /// The operator.
    pub code: BuiltinOperator,
    /// Its name; for a custom operator, the name in the file.
    pub name: String,
}

fn damaged(problem: String) -> ImportError {
    ImportError::new(problem).hint("the file is damaged")
}

fn get<'a, T: flatbuffers::Follow<'a> + 'a>(
    tables: Tables<'a, T>,
    index: usize,
    what: &str,
) -> Result<T::Inner, ImportError> {
    match tables {
        Some(t) if index < t.len() => Ok(t.get(index)),
        _ => Err(damaged(format!("no {what} {index}"))),
    }
}

impl<'a> File<'a> {
    /// The file with its main subgraph.
    pub fn new(model: Model<'a>) -> Result<Self, ImportError> {
        let graph = get(model.subgraphs(), 0, "subgraph")?;
        Ok(Self { model, graph })
    }

    /// Version of the schema.
    pub fn version(&self) -> i64 {
        self.model.version().into()
    }

    /// The file's description of itself, such as `MLIR Converted.`.
    pub fn description(&self) -> String {
        one_line(self.model.description().unwrap_or("").trim(), MAX_NAME)
    }

    /// Number of operators.
    pub fn operator_count(&self) -> usize {
        self.graph.operators().map_or(0, |o| o.len())
    }

    /// Operator `index`, which is less than [`File::operator_count`].
    pub fn operator(&self, index: usize) -> Result<Operator<'a>, ImportError> {
        get(self.graph.operators(), index, "operator")
    }

    /// Operator `index` with its code.
    pub fn operator_info(&self, index: usize) -> Result<OperatorInfo<'a>, ImportError> {
        let table = self.operator(index)?;
        let code: OperatorCode = get(
            self.model.operator_codes(),
            table.opcode_index() as usize,
            "operator code",
        )?;
        // The first field holds codes up to 127; a later one was added for larger codes.
        let number = i32::from(code.deprecated_builtin_code()).max(code.builtin_code().0);
        let builtin = BuiltinOperator(number);
        let name = match (builtin, code.custom_code()) {
            (BuiltinOperator::CUSTOM, Some(name)) => name.to_string(),
            _ => builtin
                .variant_name()
                .map_or_else(|| format!("operator {number}"), str::to_string),
        };
        Ok(OperatorInfo {
            table,
            code: builtin,
            name,
        })
    }

    /// Tensor `index`.
    pub fn tensor(&self, index: usize) -> Result<TensorInfo<'a>, ImportError> {
        let tensor: Tensor = get(self.graph.tensors(), index, "tensor")?;
        let name = tensor.name().unwrap_or("");
        let name = one_line(name.split(';').next().unwrap_or(""), MAX_NAME);
        let dims: Vec<i32> = tensor.shape().map_or(vec![], |s| s.iter().collect());
        let in_tensor = |e: ImportError| e.node(&name).op("tensor");
        if dims.len() > MAX_RANK {
            let n = dims.len();
            return Err(in_tensor(ImportError::new(format!(
                "{n} dimensions, more than {MAX_RANK}"
            ))));
        }
        // Biases have scales too, but those follow from the inputs and the weights.
        let eight_bits = matches!(tensor.type_(), TensorType::INT8 | TensorType::UINT8);
        let steps = match tensor.quantization().filter(|_| eight_bits) {
            Some(q) => Steps::read(q).map_err(in_tensor)?.map(Rc::new),
            None => None,
        };
        Ok(TensorInfo {
            name,
            kind: tensor.type_(),
            dims,
            steps,
            tensor,
        })
    }

    /// True if the file holds the elements of tensor `index`.
    pub fn is_stored(&self, index: usize) -> bool {
        get(self.graph.tensors(), index, "tensor")
            .is_ok_and(|t: Tensor| self.bytes(t.buffer()).is_some_and(|b| !b.is_empty()))
    }

    fn bytes(&self, buffer: u32) -> Option<&'a [u8]> {
        let buffers = self.model.buffers()?;
        let index = buffer as usize;
        (index < buffers.len()).then(|| buffers.get(index).data().map_or(&[][..], |d| d.bytes()))
    }

    /// The constant that tensor `info` is.
    pub fn stored(&self, info: TensorInfo<'a>) -> Result<Stored<'a>, ImportError> {
        let in_tensor = |e: ImportError| e.node(&info.name).op("tensor");
        if info.tensor.sparsity().is_some() {
            return Err(in_tensor(
                ImportError::new("sparse weights are not supported")
                    .hint("convert the model again without sparsity"),
            ));
        }
        let bytes = self
            .bytes(info.tensor.buffer())
            .ok_or_else(|| in_tensor(damaged(format!("no buffer {}", info.tensor.buffer()))))?;
        let dims: Option<Vec<usize>> = info.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let dims = dims
            .filter(|d| elements(d).is_some())
            .ok_or_else(|| in_tensor(damaged(format!("impossible dimensions {:?}", info.dims))))?;
        Stored::new(dims, info.kind, bytes, info.steps).map_err(|e| e.node(&info.name).op("tensor"))
    }

    /// Number of the output tensor: the first, with a warning if there are more.
    pub fn output(&self, warnings: &mut Vec<String>) -> Result<usize, ImportError> {
        let outputs = self.indices(self.graph.outputs())?;
        let Some((&first, more)) = outputs.split_first() else {
            return Err(damaged("the model has no output".into()));
        };
        if !more.is_empty() {
            let names: Result<Vec<String>, ImportError> = more
                .iter()
                .take(10)
                .map(|&i| Ok(self.tensor(i)?.name))
                .collect();
            warnings.push(format!(
                "only the first output, '{}', is imported; left out: {}",
                self.tensor(first)?.name,
                names?.join(", ")
            ));
        }
        Ok(first)
    }

    /// Numbers of the input tensors.
    pub fn inputs(&self) -> Result<Vec<usize>, ImportError> {
        self.indices(self.graph.inputs())
    }

    /// Numbers of existing tensors.
    fn indices(&self, list: Option<Vector<'a, i32>>) -> Result<Vec<usize>, ImportError> {
        let all = self.optional_indices(list)?;
        all.into_iter()
            .map(|i| i.ok_or_else(|| damaged("a tensor with a negative number".into())))
            .collect()
    }

    /// Numbers of existing tensors; -1 stands for one that is left out.
    pub fn optional_indices(
        &self,
        list: Option<Vector<'a, i32>>,
    ) -> Result<Vec<Option<usize>>, ImportError> {
        let count = self.graph.tensors().map_or(0, |t| t.len());
        let check = |i: i32| match usize::try_from(i) {
            Ok(i) if i < count => Ok(Some(i)),
            Err(_) if i == -1 => Ok(None),
            _ => Err(damaged(format!("no tensor {i} among {count}"))),
        };
        list.map_or(Ok(vec![]), |l| l.iter().map(check).collect())
    }
}
