//! An estimate of a Cortex-M4's cycles: instructions times cycles per instruction of the kernel that ran.

/// Which kernel runs a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The packed convolution.
    Conv,
    /// The packed depthwise convolution.
    Depthwise,
    /// Compiled code.
    Portable,
}

impl Kernel {
    /// By the name of a layer's layout.
    pub fn of(layout: &str) -> Self {
        match layout {
            "" => Self::Portable,
            depthwise if depthwise.contains("depthwise") => Self::Depthwise,
            _ => Self::Conv,
        }
    }

    fn permille(self) -> u64 {
        match self {
            Self::Conv => 1240,
            Self::Depthwise => 1240,
            Self::Portable => 1240,
        }
    }

    /// Estimated cycles of so many instructions; `None` for another core than the Cortex-M4.
    pub fn cycles(self, core: &str, instructions: u64) -> Option<u64> {
        (core == "cortex-m4").then(|| instructions.saturating_mul(self.permille()) / 1000)
    }
}
