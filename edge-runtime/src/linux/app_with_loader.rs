//! The application and, beside it, a loader. They share nothing.
//!
//! A new model is a new file, which replaces the old one at the end. So the application serves other hosts
//! while one host sends a model.

use super::ModelSlot;
use crate::device::Clock;
use crate::device::app::App;
use crate::device::load::Loader;
use crate::device::protocol::Header;
use crate::flash::Flash;
use crate::power::PowerMeter;

/// An application, if one runs, and a loader.
pub struct AppWithLoader<'a, F, C, P> {
    app: Option<App<'a, F, C, P>>,
    loader: Loader<ModelSlot>,
}

impl<'a, F: Flash, C: Clock, P: PowerMeter> AppWithLoader<'a, F, C, P> {
    /// Serves `app`, if it runs. If not, the loader answers, and tells hosts the reason.
    pub fn new(app: Option<App<'a, F, C, P>>, loader: Loader<ModelSlot>) -> Self {
        Self { app, loader }
    }

    /// The application.
    pub fn app(&self) -> Option<&App<'a, F, C, P>> {
        self.app.as_ref()
    }

    /// Serves one payload; see [`App::handle`].
    pub fn handle(&mut self, payload: &[u8], send: &mut dyn FnMut(&[u8])) {
        let header = Header::decode(payload).map(|(header, _)| header);
        let loads = header.is_some_and(|header| self.loader.is_for(&header));
        match &mut self.app {
            Some(app) if !loads => {
                app.handle(payload, send);
                if let Some(load) = app.take_load() {
                    self.loader.begin(&load, send);
                }
            }
            _ => self.loader.handle(payload, send),
        }
    }

    /// True once the program must restart, because a host asked for it or loaded a model.
    pub fn reset_requested(&self) -> bool {
        let asked = self.app.as_ref().is_some_and(App::reset_requested);
        asked || self.loader.reset_requested()
    }
}
