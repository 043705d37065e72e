//! Benchmarks: how long an inference takes, and how much power the device draws meanwhile.

use super::dispatch::Core;
use super::infer::logits_of;
use super::transfer::Transfer;
use crate::device::Clock;
use crate::device::error::DeviceError;
use crate::device::protocol::{Bench, Header, MAX_BENCH, Progress, Reply};
use crate::device::send::send_progress;
use crate::flash::Flash;
use crate::head::FeatureRule;
use crate::power::{PowerError, PowerMeter};

impl<F: Flash, C: Clock, P: PowerMeter> Core<'_, F, C, P> {
    /// Times `runs` inferences of trunk and head on whatever is in the input's place.
    pub fn bench(
        &mut self,
        runs: u16,
        header: Header,
        send: &mut dyn FnMut(&[u8]),
    ) -> Result<Reply<'_>, DeviceError> {
        let runs = runs.clamp(1, MAX_BENCH as u16);
        let head = self.heads.head(&self.flash, self.model)?;
        let head = head.ok_or(DeviceError::NoHead)?;
        let rule = FeatureRule::of(&head);
        let logits = logits_of(self.logits, head.classes())?;
        (self.input, self.inferred) = (Transfer::default(), 0);
        let mut times = heapless::Vec::<u64, MAX_BENCH>::new();
        let mut cycles = None;
        let mut power = Ok(0i64);
        for number in 1..=runs {
            let (start, first) = (self.clock.micros(), self.clock.cycles());
            let feature = self.feature.get_mut(..rule.features);
            let feature: &mut [i8] = bytemuck::cast_slice_mut(feature.ok_or(DeviceError::Area)?);
            rule.apply(self.trunk.run(self.model, self.work)?, feature);
            head.logits(feature, logits);
            let last = self.clock.cycles();
            let taken = first
                .zip(last)
                .map(|(first, last)| last.wrapping_sub(first));
            cycles = cycles.into_iter().chain(taken).min();
            // Sorted as they come: a sorting function takes more flash than all of this.
            let time = self.clock.micros() - start;
            let _ = times.insert(times.partition_point(|t| *t < time), time);
            power = match (power, self.power.read()) {
                (Ok(sum), Ok(reading)) => Ok(sum + reading.microwatts as i64),
                (_, Err(e)) | (Err(e), _) => Err(e),
            };
            send_progress(header, Progress::Run { number, of: runs }, send);
        }
        let at = |i: usize| times.get(i).copied().unwrap_or(0);
        let microwatts = match power {
            Ok(sum) => i32::try_from(sum / runs as i64).ok(),
            Err(PowerError::None) => None,
            Err(e) => return Err(DeviceError::Power(e)),
        };
        Ok(Reply::Bench(Bench {
            runs,
            min: at(0),
            median: at((runs as usize - 1) / 2),
            max: at(runs as usize - 1),
            cycles,
            microwatts,
        }))
    }
}
