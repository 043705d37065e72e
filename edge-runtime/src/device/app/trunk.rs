//! What runs the trunk for the application: the engine, or on a host a session of any backend.

use crate::device::error::DeviceError;
use crate::engine::{Engine, range};
use crate::model::Model;
use core::marker::PhantomData;

#[cfg(feature = "std")]
use crate::backend::{Session, Values};

/// Runs the trunk of one model. Its input lies in the application's working memory, where the engine has it.
///
/// The methods are `inline`, so that the engine is compiled with the program, for size on a microcontroller, and not
/// here.
#[derive(Default)]
pub(super) struct Trunk<'a> {
    /// Without one, the engine runs; its arena is the start of the working memory.
    #[cfg(feature = "std")]
    pub session: Option<&'a mut (dyn Session + 'a)>,
    lifetime: PhantomData<&'a ()>,
}

impl Trunk<'_> {
    /// Where the next input goes. `work` is the application's working memory.
    #[inline]
    pub fn input<'w>(
        &self,
        model: &Model<'_>,
        work: &'w mut [u8],
    ) -> Result<&'w mut [i8], DeviceError> {
        let arena: &mut [i8] = bytemuck::cast_slice_mut(work);
        arena
            .get_mut(range(&model.input()))
            .ok_or(DeviceError::Area)
    }

    /// Runs it on what is in [`Self::input`], and gives the last feature map.
    #[inline]
    pub fn run<'t>(
        &'t mut self,
        model: &Model<'_>,
        work: &'t mut [u8],
    ) -> Result<&'t [i8], DeviceError> {
        #[cfg(feature = "std")]
        if let Some(session) = &mut self.session {
            let arena: &[i8] = bytemuck::cast_slice(work);
            let input = arena.get(range(&model.input())).ok_or(DeviceError::Area)?;
            return match session.run(Values::I8(input)) {
                Ok(Values::I8(map)) => Ok(map),
                _ => Err(DeviceError::Backend),
            };
        }
        let arena: &mut [i8] = bytemuck::cast_slice_mut(work);
        let mut engine = Engine::new(model, arena).map_err(|_| DeviceError::Area)?;
        engine.run();
        arena.get(range(&model.output())).ok_or(DeviceError::Area)
    }
}
