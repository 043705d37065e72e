//! A power sensor that the kernel drives: Texas Instruments' INA family in `/sys/class/hwmon`.
//!
//! Other hwmon devices are ignored: they measure a processor or a battery, not the supply of the board. Where
//! a sensor has several channels (INA3221 on Jetson boards), channel 1 is the supply.

use crate::power::{PowerError, PowerMeter, Reading};
use std::path::{Path, PathBuf};

/// The folder in which the kernel shows sensors.
pub const HWMON: &str = "/sys/class/hwmon";

/// A sensor in sysfs, or none.
#[derive(Clone, Debug)]
pub struct Hwmon(Option<PathBuf>);

impl Hwmon {
    /// The first INA sensor in `folder`, in the order of names, that measures voltage and current; or none.
    pub fn find(folder: &Path) -> Self {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).collect();
        paths.sort();
        let is_ina = |path: &PathBuf| {
            let name = std::fs::read_to_string(path.join("name")).unwrap_or_default();
            name.starts_with("ina") && number(path, "in1_input").is_ok()
        };
        Self(paths.into_iter().find(is_ina))
    }
}

impl PowerMeter for Hwmon {
    fn read(&mut self) -> Result<Reading, PowerError> {
        let path = self.0.as_deref().ok_or(PowerError::None)?;
        let millivolts = number(path, "in1_input")?;
        let milliamperes = number(path, "curr1_input")?;
        let microamperes = milliamperes.checked_mul(1000).ok_or(PowerError::Range)?;
        // The sensor's own product, if the driver has it; it gives no sign.
        let microwatts = match number(path, "power1_input") {
            Ok(microwatts) => microwatts,
            Err(_) => millivolts
                .checked_mul(milliamperes)
                .ok_or(PowerError::Range)?,
        };
        Ok(Reading {
            millivolts: fit(millivolts)?,
            microamperes: fit(microamperes)?,
            microwatts: fit(microwatts)?,
        })
    }
}

fn fit<T: TryFrom<i64>>(value: i64) -> Result<T, PowerError> {
    T::try_from(value).map_err(|_| PowerError::Range)
}

/// The number in a file of the sensor's folder.
fn number(path: &Path, name: &str) -> Result<i64, PowerError> {
    let text = std::fs::read_to_string(path.join(name)).map_err(|_| PowerError::Bus)?;
    text.trim().parse().map_err(|_| PowerError::Bus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensor(folder: &Path, entry: &str, files: &[(&str, &str)]) {
        let path = folder.join(entry);
        std::fs::create_dir_all(&path).unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
    }

    #[test]
    fn ina_sensors_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut none = Hwmon::find(dir.path());
        assert_eq!(none.read(), Err(PowerError::None));
        let battery = [("name", "BAT0\n"), ("in1_input", "1"), ("curr1_input", "1")];
        sensor(dir.path(), "hwmon0", &battery);
        let ina = [
            ("name", "ina3221\n"),
            ("in1_input", "5024\n"),
            ("curr1_input", "640\n"),
        ];
        sensor(dir.path(), "hwmon1", &ina);
        let reading = |microwatts| Reading {
            millivolts: 5024,
            microamperes: 640_000,
            microwatts,
        };
        let mut meter = Hwmon::find(dir.path());
        assert_eq!(meter.read(), Ok(reading(5024 * 640)));
        sensor(dir.path(), "hwmon1", &[("power1_input", "3200000\n")]);
        assert_eq!(meter.read(), Ok(reading(3_200_000)));
        sensor(
            dir.path(),
            "hwmon1",
            &[("curr1_input", "9000000000000000000")],
        );
        assert_eq!(meter.read(), Err(PowerError::Range));
        sensor(dir.path(), "hwmon1", &[("curr1_input", "-")]);
        assert_eq!(meter.read(), Err(PowerError::Bus));
    }
}
