//! The memory map for the linker.

use crate::{FAULT_RECORD, region};
use board_schema::{Board, Use};

/// `memory.x`: the program is in region `firmware`, stack and static variables are in region `stack`.
pub fn memory(board: &Board) -> Result<String, String> {
    let (firmware, stack) = (region(board, Use::Firmware)?, region(board, Use::Stack)?);
    let ram = stack.size.checked_sub(FAULT_RECORD);
    Ok(format!(
        "/* From {}/board.toml. */\n\
         MEMORY\n{{\n  FLASH : ORIGIN = {:#x}, LENGTH = {:#x}\n  RAM : ORIGIN = {:#x}, LENGTH = {:#x}\n}}\n\
         _fault_record = ORIGIN(RAM) + LENGTH(RAM);\n",
        board.name,
        firmware.base,
        firmware.size,
        stack.base,
        ram.ok_or("region 'stack' is too small")?,
    ))
}
