//! The values that a pickle can build: plain data, storages and tensors, nothing that could run.
//!
//! Values live in one arena and refer to each other by index. So nesting, sharing and cycles in a hostile
//! file cost neither stack nor copies.

/// Index of a value in the arena.
pub type Ref = u32;

/// A value of a checkpoint.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// `None`, and values that mean nothing in a checkpoint of tensors (floats, bytes).
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer; those beyond 64 bits are [`Value::None`].
    Int(i64),
    /// A string.
    Text(&'a str),
    /// The long integer that opens a legacy file.
    Magic,
    /// A tuple.
    Tuple(Vec<Ref>),
    /// A list.
    List(Vec<Ref>),
    /// A dictionary. If a key repeats, the last entry counts.
    Dict(Vec<(Ref, Ref)>),
    /// A name on the allow-list.
    Global(Global),
    /// A block of raw numbers in the file.
    Storage(Storage<'a>),
    /// A view of a storage.
    Tensor(Tensor<'a>),
}

/// The callables and types that a checkpoint of tensors needs; nothing else is accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Global {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
    /// `torch.FloatStorage` and the others like it
    StorageType(Element),
}

impl Global {
    /// The global `module.name`, if it is on the list.
    pub fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", _) => Global::StorageType(Element::of_storage(name)?),
            _ => return None,
        })
    }
}

/// Type of a storage's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// 16-bit float.
    F16,
    /// 16-bit brain float.
    Bf16,
    /// Signed 64-bit integer.
    I64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 16-bit integer.
    I16,
    /// Signed byte.
    I8,
    /// Unsigned byte.
    U8,
    /// Truth value, one byte.
    Bool,
}

impl Element {
    fn of_storage(name: &str) -> Option<Self> {
        Some(match name {
            "DoubleStorage" => Element::F64,
            "FloatStorage" => Element::F32,
            "HalfStorage" => Element::F16,
            "BFloat16Storage" => Element::Bf16,
            "LongStorage" => Element::I64,
            "IntStorage" => Element::I32,
            "ShortStorage" => Element::I16,
            "CharStorage" => Element::I8,
            "ByteStorage" => Element::U8,
            "BoolStorage" => Element::Bool,
            _ => return None,
        })
    }

    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Element::F64 | Element::I64 => 8,
            Element::F32 | Element::I32 => 4,
            Element::F16 | Element::Bf16 | Element::I16 => 2,
            Element::I8 | Element::U8 | Element::Bool => 1,
        }
    }
}

/// A block of raw numbers, or a part of one.
#[derive(Clone, Copy, Debug)]
pub struct Storage<'a> {
    /// Key of the block in the file.
    pub key: &'a str,
    /// Type of its numbers.
    pub element: Element,
    /// How many numbers the block has.
    pub len: u64,
    /// First number of the part. Very old files share blocks this way.
    pub offset: u64,
}

/// A strided view of a storage.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// Where the numbers are.
    pub storage: Storage<'a>,
    /// First number, counted from the part's start.
    pub offset: u64,
    /// Dimensions.
    pub shape: Vec<u64>,
    /// Distance between neighbours along each dimension, in numbers.
    pub stride: Vec<u64>,
}

/// All values of a pickle.
#[derive(Debug, Default)]
pub struct Arena<'a>(Vec<Value<'a>>);

impl<'a> Arena<'a> {
    /// Adds a value; `None` if there are more than any checkpoint needs.
    pub fn push(&mut self, value: Value<'a>) -> Option<Ref> {
        const MAX_VALUES: usize = 1 << 21;
        if self.0.len() >= MAX_VALUES {
            return None;
        }
        self.0.push(value);
        Some(self.0.len() as Ref - 1)
    }

    /// The value with this number. Numbers come from [`Arena::push`].
    pub fn get(&self, r: Ref) -> &Value<'a> {
        self.0.get(r as usize).unwrap_or(&Value::None)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, r: Ref) -> Option<&mut Value<'a>> {
        self.0.get_mut(r as usize)
    }

    /// All storages.
    pub fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.0.iter().filter_map(|v| match v {
            Value::Storage(s) => Some(s),
            _ => None,
        })
    }

    /// The string with this number.
    pub fn text(&self, r: Ref) -> Option<&'a str> {
        match self.get(r) {
            Value::Text(s) => Some(s),
            _ => None,
        }
    }

    /// The integer with this number, if it is not negative.
    pub fn count(&self, r: Ref) -> Option<u64> {
        match self.get(r) {
            Value::Int(i) => u64::try_from(*i).ok(),
            _ => None,
        }
    }

    /// The items of the tuple or list with this number.
    pub fn items(&self, r: Ref) -> Option<&[Ref]> {
        match self.get(r) {
            Value::Tuple(items) | Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of the dictionary with this number.
    pub fn entries(&self, r: Ref) -> Option<&[(Ref, Ref)]> {
        match self.get(r) {
            Value::Dict(entries) => Some(entries),
            _ => None,
        }
    }
}
