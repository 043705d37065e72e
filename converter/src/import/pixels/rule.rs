//! Rules by which pixels become a network's input, and the common ones.

/// A pixel `p` from 0 to 255 enters the network as `(p - mean) / std`. Mean and std are given for red, green
/// and blue, whatever the network's order of channels; a grey network uses the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelRule {
    /// Mean, in pixel values.
    pub mean: [f32; 3],
    /// Standard deviation, in pixel values.
    pub std: [f32; 3],
}

impl PixelRule {
    /// 0 to 255.
    pub const RAW: Self = Self::uniform(0.0, 1.0);
    /// 0 to 1.
    pub const UNIT: Self = Self::uniform(0.0, 255.0);
    /// -1 to 1.
    pub const TF: Self = Self::uniform(127.5, 127.5);
    /// The mean and standard deviation of ImageNet, as torchvision has them.
    pub const TORCHVISION: Self = Self::of_unit([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

    /// The same for every channel.
    pub const fn uniform(mean: f32, std: f32) -> Self {
        Self {
            mean: [mean; 3],
            std: [std; 3],
        }
    }

    /// Statistics of pixels from 0 to 1.
    pub const fn of_unit(mean: [f32; 3], std: [f32; 3]) -> Self {
        let [r, g, b] = mean;
        let [s, t, u] = std;
        Self {
            mean: [r * 255.0, g * 255.0, b * 255.0],
            std: [s * 255.0, t * 255.0, u * 255.0],
        }
    }

    /// What pixels 0 and 255 of a channel become, the lower value first.
    pub fn ends(&self, channel: usize) -> [f32; 2] {
        let of = |p: f32| (p - self.mean[channel]) / self.std[channel];
        let (black, white) = (of(0.0), of(255.0));
        [black.min(white), black.max(white)]
    }

    /// The lowest and highest value over `channels` channels.
    pub fn range(&self, channels: usize) -> [f32; 2] {
        (0..channels.clamp(1, 3))
            .map(|c| self.ends(c))
            .reduce(|[a, b], [c, d]| [a.min(c), b.max(d)])
            .unwrap_or_default()
    }

    /// True if each pixel of `channels` channels enters as by `other`, up to `part` of its range.
    pub fn is_near(&self, other: &Self, channels: usize, part: f32) -> bool {
        (0..channels.clamp(1, 3)).all(|c| {
            let ([a, b], [low, high]) = (self.ends(c), other.ends(c));
            let off = (a - low).abs().max((b - high).abs());
            off <= part * (high - low) && (self.std[c] < 0.0) == (other.std[c] < 0.0)
        })
    }

    /// The rule of `channels` channels for messages: `(p - 127.5) / 127.5, that is -1 to 1`.
    pub fn show(&self, channels: usize) -> String {
        let list = |values: &[f32; 3]| {
            let count = if channels == 1 || values.iter().all(|v| *v == values[0]) {
                1
            } else {
                3
            };
            let all: Vec<String> = values[..count].iter().map(|v| short(*v, 6)).collect();
            all.join(",")
        };
        let (mean, std) = (list(&self.mean), list(&self.std));
        let less = match &*mean {
            "0" => "p".to_string(),
            mean => format!("p - {mean}"),
        };
        let rule = match (&*std, &*mean) {
            ("1", _) => less,
            (std, "0") => format!("p / {std}"),
            (std, _) => format!("({less}) / {std}"),
        };
        let [low, high] = self.range(channels);
        format!("{rule}, that is {} to {}", short(low, 3), short(high, 3))
    }
}

/// Formats `value` with some significant digits, without zeros at the end.
pub fn short(value: f32, digits: i32) -> String {
    let size = f64::from(value.abs()).max(1e-30).log10().floor() as i32;
    let places = (digits - 1 - size).clamp(0, 12) as usize;
    let text = format!("{value:.places$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    match text {
        "-0" => "0".into(),
        text => text.into(),
    }
}

/// Rules of networks trained on other data sets, with the names of those.
pub const DATA_SETS: [(&str, PixelRule); 7] = [
    (
        "CIFAR-10",
        PixelRule::of_unit([0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]),
    ),
    (
        "CIFAR-10",
        PixelRule::of_unit([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.201]),
    ),
    (
        "CIFAR-100",
        PixelRule::of_unit([0.5071, 0.4867, 0.4408], [0.2675, 0.2565, 0.2761]),
    ),
    (
        "CLIP",
        PixelRule::of_unit(
            [0.481_454_66, 0.457_827_5, 0.408_210_73],
            [0.268_629_54, 0.261_302_6, 0.275_777_1],
        ),
    ),
    (
        "SVHN",
        PixelRule::of_unit([0.4377, 0.4438, 0.4728], [0.198, 0.201, 0.197]),
    ),
    ("MNIST", PixelRule::of_unit([0.1307; 3], [0.3081; 3])),
    ("Fashion-MNIST", PixelRule::of_unit([0.286; 3], [0.353; 3])),
];

/// Rules that only subtract a mean. Caffe's is the mean of ImageNet.
pub const CENTRED: [PixelRule; 3] = [
    PixelRule::uniform(128.0, 1.0),
    PixelRule::uniform(127.5, 1.0),
    PixelRule {
        mean: [123.68, 116.779, 103.939],
        std: [1.0; 3],
    },
];

/// -0.5 to 0.5.
pub const HALF: PixelRule = PixelRule::uniform(127.5, 255.0);
