//! An estimate of a Cortex-M4's cycles: instructions times cycles per instruction of the kernel that ran.
//!
//! The factors follow from Arm's timings (Cortex-M4 technical reference manual, DDI 0439, section 3.3: a load 2
//! cycles and 1 right behind another load, LDRD 3, LDM and STM 1 and one a register, a taken branch 2 more, the
//! rest 1; no wait states), applied to every block that ran on ResNet-8 and VWW of MLPerf Tiny. They were never
//! compared with a board; docs/reference/measuring.md has the figures behind them.

/// Which kernel runs a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The packed convolution.
    Conv,
    /// The packed depthwise convolution.
    Depthwise,
    /// A portable kernel, as the compiler made it.
    Portable,
}

impl Kernel {
    /// By the name of a layer's layout, empty for a layer that is not packed.
    pub fn of(layout: &str) -> Self {
        match layout {
            "" => Self::Portable,
            layout if layout.ends_with("depthwise") => Self::Depthwise,
            _ => Self::Conv,
        }
    }

    /// Cycles per hundred instructions.
    const fn percent(self) -> u64 {
        match self {
            Self::Conv => 135,
            Self::Depthwise => 142,
            Self::Portable => 150,
        }
    }

    /// Estimated cycles of so many instructions; `None` for another core than the Cortex-M4.
    pub fn cycles(self, core: &str, instructions: u64) -> Option<u64> {
        (core == "cortex-m4").then(|| instructions.saturating_mul(self.percent()) / 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_runtime::model::Layout;

    #[test]
    fn only_a_cortex_m4_is_estimated() {
        assert_eq!(Kernel::of(Layout::DspConv.name()), Kernel::Conv);
        assert_eq!(Kernel::of(Layout::DspDepthwise.name()), Kernel::Depthwise);
        assert_eq!(Kernel::of("").cycles("cortex-m4", 1000), Some(1500));
        assert_eq!(Kernel::Conv.cycles("cortex-m7", 1000), None);
    }
}
