//! The host's pipes, as files that semihosting opens: what it sends, and what it gets.

use conformance_message::{HEADER_LEN, kind};
use cortex_m_semihosting::{debug, nr, syscall};

const INPUT: &str = "/dev/stdin\0";
const OUTPUT: &str = "/dev/stdout\0";

/// What an open file is called.
type Handle = usize;

/// Both pipes.
pub struct Host {
    input: Handle,
    output: Handle,
}

impl Host {
    /// Opens them.
    pub fn open() -> Self {
        Self {
            input: open(INPUT, nr::open::R_BINARY),
            output: open(OUTPUT, nr::open::W_APPEND_BINARY),
        }
    }

    /// The next command: its kind, and how many bytes follow. Ends the machine when the host has closed the pipe.
    pub fn command(&mut self) -> [u32; 2] {
        let mut header = [0; 8];
        self.read(&mut header);
        let [a, b, c, d, e, f, g, h] = header;
        [
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        ]
    }

    /// Fills a buffer. Ends the machine when the host has closed the pipe.
    pub fn read(&mut self, mut to: &mut [u8]) {
        while !to.is_empty() {
            // SAFETY: the host writes at most `to.len()` bytes to it.
            let left = unsafe { syscall!(READ, self.input, to.as_mut_ptr(), to.len()) };
            let read = to.len().saturating_sub(left);
            if read == 0 {
                exit(debug::EXIT_SUCCESS);
            }
            to = &mut to[read..];
        }
    }

    /// Sends a message; `layer` is 0 where it is about none.
    pub fn send(&mut self, kind: u32, layer: usize, payload: &[u8]) {
        let mut header = [0; HEADER_LEN];
        for (to, value) in
            header
                .chunks_exact_mut(4)
                .zip([kind, layer as u32, payload.len() as u32])
        {
            to.copy_from_slice(&value.to_le_bytes());
        }
        self.write(&header);
        self.write(payload);
    }

    /// Says why the program cannot go on, and ends the machine.
    pub fn fail(mut self, why: &[u8]) -> ! {
        self.send(kind::FAILED, 0, why);
        exit(debug::EXIT_FAILURE)
    }

    fn write(&mut self, mut from: &[u8]) {
        while !from.is_empty() {
            // SAFETY: the host reads at most `from.len()` bytes of it.
            let left = unsafe { syscall!(WRITE, self.output, from.as_ptr(), from.len()) };
            let written = from.len().saturating_sub(left);
            if written == 0 {
                exit(debug::EXIT_FAILURE);
            }
            from = &from[written..];
        }
    }
}

fn open(name: &str, mode: usize) -> Handle {
    // SAFETY: the name ends with a zero, which is not counted.
    unsafe { syscall!(OPEN, name.as_ptr(), mode, name.len() - 1) }
}

fn exit(status: debug::ExitStatus) -> ! {
    debug::exit(status);
    loop {
        cortex_m::asm::wfi();
    }
}
