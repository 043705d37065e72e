//! Reads the part of Python's pickle language that checkpoints of tensors use.
//!
//! The real language can call any function of any module. This reader knows a short list of opcodes and of
//! names ([`Global`]), and builds plain data. It refuses a pickle that asks for anything else, and names what
//! was asked for and at which byte. It never runs anything. The input's length and the arena's limit bound
//! the memory.

use super::value::{Arena, Global, Ref, Storage, Tensor, Value};
use crate::import::ImportError;
use std::collections::HashMap;

/// Little-endian bytes of the number that opens a legacy file, 0x1950a86a20f9469cfc6c.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Most dimensions of a tensor.
const MAX_DIMENSIONS: usize = 16;

const SAVE_WEIGHTS: &str = "save only the weights: torch.save(model.state_dict(), path)";

/// Reads the pickle in `bytes` that starts at `position`, and moves `position` behind it.
/// Offsets in errors count from the start of `bytes`.
pub fn load<'a>(
    bytes: &'a [u8],
    position: &mut usize,
    arena: &mut Arena<'a>,
) -> Result<Ref, ImportError> {
    let start = (*position).min(bytes.len());
    let mut machine = Machine {
        bytes,
        at: start,
        op_at: start,
        arena,
        stack: vec![],
        marks: vec![],
        memo: HashMap::new(),
        copied: 0,
    };
    let result = machine.run().map_err(|e| e.byte(machine.op_at))?;
    *position = machine.at;
    Ok(result)
}

struct Machine<'a, 'b> {
    bytes: &'a [u8],
    at: usize,
    /// Where the opcode being executed starts.
    op_at: usize,
    arena: &'b mut Arena<'a>,
    stack: Vec<Ref>,
    /// Heights of the stack at the marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Ref>,
    /// The number of entries copied from one value to another so far.
    copied: usize,
}

type Step<T = ()> = Result<T, ImportError>;

fn bad(problem: impl Into<String>) -> ImportError {
    ImportError::new(problem).hint("the file is damaged or not a checkpoint of PyTorch")
}

fn refused(name: &str) -> ImportError {
    ImportError::new(format!(
        "the pickle asks for '{name}', which a checkpoint of tensors does not need; refused, nothing was executed"
    ))
    .hint(SAVE_WEIGHTS)
}

impl<'a> Machine<'a, '_> {
    fn run(&mut self) -> Step<Ref> {
        loop {
            self.op_at = self.at;
            let op = self.take(1)?[0];
            if op == b'.' {
                return self.pop();
            }
            self.step(op)?;
        }
    }

    fn step(&mut self, op: u8) -> Step {
        match op {
            0x80 => {
                let version = self.take(1)?[0];
                if version > 5 {
                    return Err(bad(format!("pickle protocol {version} is unknown")));
                }
            }
            0x95 => {
                self.take(8)?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            // Scalars.
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'K' => {
                let b = self.take(1)?[0];
                self.push(Value::Int(b.into()))?;
            }
            b'M' => {
                let v = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(v.into()))?;
            }
            b'J' => {
                let v = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(v.into()))?;
            }
            b'I' | b'L' => {
                let line = self.line()?;
                let value = match line {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    _ => line
                        .trim_end_matches('L')
                        .parse()
                        .map_or(Value::None, Value::Int),
                };
                self.push(value)?;
            }
            0x8a => {
                let n = self.take(1)?[0];
                self.long(n.into())?;
            }
            0x8b => {
                let n = self.length4()?;
                self.long(n)?;
            }
            b'F' => {
                self.line()?;
                self.push(Value::None)?;
            }
            b'G' => {
                self.take(8)?;
                self.push(Value::None)?;
            }
            // Strings.
            b'V' => {
                let line = self.line()?;
                self.push(Value::Text(line))?;
            }
            b'S' => {
                let line = self.line()?;
                let quote = line.chars().next().filter(|c| "'\"".contains(*c));
                let inner = quote.and_then(|q| line.strip_prefix(q)?.strip_suffix(q));
                self.push(Value::Text(
                    inner.ok_or_else(|| bad("a string without quotes"))?,
                ))?;
            }
            0x8c | b'U' => {
                let n = self.take(1)?[0];
                self.text(n.into())?;
            }
            b'X' | b'T' => {
                let n = self.length4()?;
                self.text(n)?;
            }
            0x8d => {
                let n = self.length8()?;
                self.text(n)?;
            }
            b'C' => {
                let n = self.take(1)?[0];
                self.blob(n.into())?;
            }
            b'B' => {
                let n = self.length4()?;
                self.blob(n)?;
            }
            0x8e => {
                let n = self.length8()?;
                self.blob(n)?;
            }
            // Containers.
            b')' => self.push(Value::Tuple(vec![]))?,
            b't' => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items))?;
            }
            0x85..=0x87 => {
                let n = usize::from(op - 0x84);
                let from = self.height_above(n)?;
                let items = self.stack.split_off(from);
                self.push(Value::Tuple(items))?;
            }
            b']' => self.push(Value::List(vec![]))?,
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Value::List(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(items)?;
            }
            b'}' => self.push(Value::Dict(vec![]))?,
            b'd' => {
                let items = self.pop_mark()?;
                self.push(Value::Dict(vec![]))?;
                self.set_items(&items)?;
            }
            b's' => {
                let from = self.height_above(2)?;
                let items = self.stack.split_off(from);
                self.set_items(&items)?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }
            // Memo.
            b'p' => {
                let index = self.decimal()?;
                self.remember(index)?;
            }
            b'q' => {
                let index = self.take(1)?[0];
                self.remember(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.remember(index)?;
            }
            0x94 => {
                let index =
                    u32::try_from(self.memo.len()).map_err(|_| bad("too many memo entries"))?;
                self.remember(index)?;
            }
            b'g' => {
                let index = self.decimal()?;
                self.recall(index)?;
            }
            b'h' => {
                let index = self.take(1)?[0];
                self.recall(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.recall(index)?;
            }
            // Names and what is done with them.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.arena.text(module), self.arena.text(name)) {
                    (Some(module), Some(name)) => self.global(module, name)?,
                    _ => return Err(bad("a global without a name")),
                }
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
                return Err(refused(&format!("INST {module}.{name}")));
            }
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Value::Storage(storage))?;
            }
            b'o' => return Err(refused("OBJ")),
            0x81 => return Err(refused("NEWOBJ")),
            0x92 => return Err(refused("NEWOBJ_EX")),
            0x82..=0x84 => return Err(refused("EXT (the copyreg registry)")),
            _ => {
                return Err(bad(format!(
                    "opcode {op:#04x} has no place in a checkpoint of tensors"
                )));
            }
        }
        Ok(())
    }

    // Input.

    fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        let end = self
            .at
            .checked_add(n)
            .filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| bad("the pickle ends in the middle"))?;
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let part = self.take(N)?;
        part.try_into()
            .map_err(|_| bad("the pickle ends in the middle"))
    }

    fn length4(&mut self) -> Step<usize> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn length8(&mut self) -> Step<usize> {
        usize::try_from(u64::from_le_bytes(self.array()?))
            .map_err(|_| bad("a length beyond the file"))
    }

    fn line(&mut self) -> Step<&'a str> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let n = rest
            .iter()
            .position(|&b| b == b'\n')
            .ok_or_else(|| bad("a line without an end"))?;
        self.at += n + 1;
        std::str::from_utf8(&rest[..n]).map_err(|_| bad("a line that is not UTF-8"))
    }

    fn decimal(&mut self) -> Step<u32> {
        self.line()?
            .parse()
            .map_err(|_| bad("a memo index that is no number"))
    }

    // Stack and memo.

    fn push(&mut self, value: Value<'a>) -> Step {
        let r = self
            .arena
            .push(value)
            .ok_or_else(|| bad("more values than any checkpoint has"))?;
        self.stack.push(r);
        Ok(())
    }

    /// Height of the stack `n` items below its top, not reaching below the last mark.
    fn height_above(&self, n: usize) -> Step<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack
            .len()
            .checked_sub(n)
            .filter(|&h| h >= floor)
            .ok_or_else(|| bad("the pickle's stack is empty"))
    }

    fn top(&self) -> Step<Ref> {
        let at = self.height_above(1)?;
        Ok(self.stack[at])
    }

    fn pop(&mut self) -> Step<Ref> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_mark(&mut self) -> Step<Vec<Ref>> {
        let height = self
            .marks
            .pop()
            .ok_or_else(|| bad("the pickle's mark is missing"))?;
        Ok(self.stack.split_off(height.min(self.stack.len())))
    }

    fn remember(&mut self, index: u32) -> Step {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Step {
        let r = self
            .memo
            .get(&index)
            .ok_or_else(|| bad(format!("memo entry {index} does not exist")))?;
        self.stack.push(*r);
        Ok(())
    }

    // Values.

    fn long(&mut self, n: usize) -> Step {
        let digits = self.take(n)?;
        let value = if digits == MAGIC {
            Value::Magic
        } else if n <= 8 {
            let negative = digits.last().is_some_and(|b| b & 0x80 != 0);
            let mut all = [if negative { 0xff } else { 0 }; 8];
            all[..n].copy_from_slice(digits);
            Value::Int(i64::from_le_bytes(all))
        } else {
            Value::None
        };
        self.push(value)
    }

    fn text(&mut self, n: usize) -> Step {
        let bytes = self.take(n)?;
        let text = std::str::from_utf8(bytes).map_err(|_| bad("a string that is not UTF-8"))?;
        self.push(Value::Text(text))
    }

    fn blob(&mut self, n: usize) -> Step {
        self.take(n)?;
        self.push(Value::None)
    }

    fn append(&mut self, more: Vec<Ref>) -> Step {
        let list = self.top()?;
        match self.arena.get_mut(list) {
            Some(Value::List(items)) => {
                items.extend(more);
                Ok(())
            }
            _ => Err(bad("items appended to what is no list")),
        }
    }

    fn set_items(&mut self, items: &[Ref]) -> Step {
        let dict = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match self.arena.get_mut(dict) {
            Some(Value::Dict(entries)) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            Some(Value::Dict(_)) => Err(bad("a dictionary key without a value")),
            _ => Err(bad("entries set in what is no dictionary")),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Step {
        let global =
            Global::find(module, name).ok_or_else(|| refused(&format!("{module}.{name}")))?;
        self.push(Value::Global(global))
    }

    /// A call of one of the few known functions.
    fn reduce(&mut self) -> Step {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Global(global) = *self.arena.get(function) else {
            return Err(refused("a call of what is no function"));
        };
        let items = self
            .arena
            .items(arguments)
            .ok_or_else(|| bad("a call without arguments"))?;
        let value = match global {
            Global::OrderedDict if items.is_empty() => Value::Dict(vec![]),
            Global::OrderedDict => {
                let pairs = self.pairs(items)?;
                self.copied += pairs.len();
                Value::Dict(pairs)
            }
            Global::RebuildTensor => Value::Tensor(self.tensor(items)?),
            Global::RebuildParameter => match items.first().map(|&r| self.arena.get(r)) {
                Some(Value::Tensor(tensor)) => Value::Tensor(tensor.clone()),
                _ => return Err(bad("a parameter without a tensor")),
            },
            Global::StorageType(_) => return Err(refused("a call of a storage type")),
        };
        self.push(value)
    }

    /// The argument of `OrderedDict([[key, value], ...])`, as Python 2 wrote it.
    fn pairs(&self, items: &[Ref]) -> Step<Vec<(Ref, Ref)>> {
        let list = match items {
            [list] => self.arena.items(*list),
            _ => None,
        };
        let pair = |&r: &Ref| match self.arena.items(r) {
            Some(&[key, value]) => Ok((key, value)),
            _ => Err(bad("OrderedDict of what are no pairs")),
        };
        let list = list.ok_or_else(|| bad("OrderedDict of what is no list"))?;
        if list.len() > self.bytes.len().saturating_sub(self.copied) {
            return Err(bad("one list is used for too many dictionaries"));
        }
        list.iter().map(pair).collect()
    }

    /// Sets the state of an object. A state dict has its `_metadata` as state, which is not needed. Only
    /// dictionaries have one.
    fn build(&mut self) -> Step {
        self.pop()?;
        let object = self.top()?;
        match self.arena.get(object) {
            Value::Dict(_) => Ok(()),
            _ => Err(refused("BUILD of what is no dictionary")),
        }
    }

    /// `(storage, offset, shape, stride, ...)`
    fn tensor(&self, items: &[Ref]) -> Step<Tensor<'a>> {
        let &[storage, offset, shape, stride, ..] = items else {
            return Err(bad("a tensor with too few arguments"));
        };
        let counts = |r| -> Option<Vec<u64>> {
            let items = self
                .arena
                .items(r)
                .filter(|items| items.len() <= MAX_DIMENSIONS)?;
            items.iter().map(|&i| self.arena.count(i)).collect()
        };
        match (
            self.arena.get(storage),
            self.arena.count(offset),
            counts(shape),
            counts(stride),
        ) {
            (Value::Storage(storage), Some(offset), Some(shape), Some(stride))
                if shape.len() == stride.len() =>
            {
                Ok(Tensor {
                    storage: *storage,
                    offset,
                    shape,
                    stride,
                })
            }
            _ => Err(bad(
                "a tensor without a valid storage, offset, shape and stride",
            )),
        }
    }

    /// `('storage', type, key, location, count)`, in legacy files with a view `(key, offset, count)` or
    /// None behind it.
    fn storage(&self, id: Ref) -> Step<Storage<'a>> {
        let arena = &*self.arena;
        let fields = arena.items(id).unwrap_or(&[]);
        let &[tag, kind, key, _location, len, ref rest @ ..] = fields else {
            return Err(bad("a persistent id that is no storage"));
        };
        let offset = match rest.first().map(|&r| (arena.get(r), arena.items(r))) {
            None | Some((Value::None, _)) => Some(0),
            Some((_, Some(&[_, offset, _]))) => arena.count(offset),
            Some(_) => None,
        };
        match (
            arena.text(tag),
            arena.get(kind),
            arena.text(key),
            arena.count(len),
            offset,
        ) {
            (
                Some("storage"),
                Value::Global(Global::StorageType(element)),
                Some(key),
                Some(len),
                Some(offset),
            ) => Ok(Storage {
                key,
                element: *element,
                len,
                offset,
            }),
            (Some("module"), ..) => Err(refused("a whole model (persistent id 'module')")),
            _ => Err(bad("a persistent id that is no storage")),
        }
    }
}
