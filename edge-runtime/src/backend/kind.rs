//! The list of backends.

#[cfg(feature = "tract")]
use super::TractRuntime;
use super::{BackendError, EngineRuntime, Runtime, Session};
#[cfg(feature = "tract")]
use crate::model::DType;
use crate::model::Model;
use std::str::FromStr;

/// A backend of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    /// The no_std engine, which microcontrollers run: int8 only.
    Engine,
    /// tract: int8 and float.
    #[cfg(feature = "tract")]
    Tract,
}

impl BackendKind {
    /// All of them.
    pub const ALL: &'static [BackendKind] = &[
        BackendKind::Engine,
        #[cfg(feature = "tract")]
        BackendKind::Tract,
    ];

    /// What runs a model when nobody says otherwise: the fastest one that can.
    ///
    /// That is the engine for int8, which takes the time that tract takes with the same kernels, and less memory.
    /// Float models run on tract.
    pub fn fastest_for(model: &Model<'_>) -> BackendKind {
        #[cfg(feature = "tract")]
        if model.dtype() == DType::F32 {
            return BackendKind::Tract;
        }
        let _ = model;
        BackendKind::Engine
    }

    /// The backend itself.
    pub fn runtime(self) -> Box<dyn Runtime> {
        match self {
            BackendKind::Engine => Box::new(EngineRuntime::new()),
            #[cfg(feature = "tract")]
            BackendKind::Tract => Box::new(TractRuntime::new()),
        }
    }

    /// The backend itself, each inference on so many threads where it can divide one.
    #[cfg(feature = "threads")]
    pub fn runtime_on(self, threads: usize) -> Box<dyn Runtime> {
        match self {
            BackendKind::Engine => Box::new(EngineRuntime::new().threads(threads)),
            #[cfg(feature = "tract")]
            BackendKind::Tract => self.runtime(),
        }
    }

    /// A session of its own for a model.
    ///
    /// # Errors
    /// As [`Runtime::prepare`] and [`Prepared::session`](super::Prepared::session).
    pub fn session<'m>(self, model: &Model<'m>) -> Result<Box<dyn Session + 'm>, BackendError> {
        self.runtime().prepare(model)?.session()
    }

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            BackendKind::Engine => EngineRuntime::NAME,
            #[cfg(feature = "tract")]
            BackendKind::Tract => TractRuntime::NAME,
        }
    }

    /// Names of all backends, for messages.
    pub fn names() -> String {
        let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
        names.join(", ")
    }
}

/// A name that no backend has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no backend '{0}'; there are: {names}", names = BackendKind::names())]
pub struct UnknownBackend(pub String);

impl FromStr for BackendKind {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        let known = Self::ALL.iter().find(|kind| kind.name() == name);
        known.copied().ok_or_else(|| UnknownBackend(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_backends() {
        for kind in BackendKind::ALL {
            assert_eq!(kind.name().parse(), Ok(*kind));
            assert_eq!(kind.runtime().name(), kind.name());
        }
        let error = "gpu".parse::<BackendKind>().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("no backend 'gpu'; there are: engine")
        );
    }
}
