//! Suggestions for a name that is not known. A wrong suggestion is worse than none, so a name is suggested
//! only if it differs by a typing error, or if what was typed is part of it.

/// Most names that one message suggests.
const MOST: usize = 3;

/// The words of a name, for comparison: in lower case, split at everything that is no letter or digit.
struct Words(Vec<String>);

impl Words {
    fn of(name: &str) -> Self {
        let name = name.to_lowercase();
        let words = name.split(|c: char| !c.is_alphanumeric());
        Self(words.filter(|w| !w.is_empty()).map(String::from).collect())
    }

    fn joined(&self) -> String {
        self.0.concat()
    }

    /// True if `wanted` is a run of whole words, or the beginning of the words from one of them on. Two
    /// letters have to be a whole word.
    fn have(&self, wanted: &str) -> bool {
        (0..self.0.len()).any(|first| {
            let words = &self.0[first..];
            let whole = (1..=words.len()).any(|n| words[..n].concat() == wanted);
            (whole && wanted.len() > 1) || (wanted.len() > 2 && words.concat().starts_with(wanted))
        })
    }
}

fn digits(name: &str) -> String {
    name.chars().filter(char::is_ascii_digit).collect()
}

fn letters(name: &str) -> String {
    name.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// True if `name` differs by a typing error: one character, or two of a long name. The first character and
/// all digits must be the same, as another number is another board or network.
fn is_slip(name: &str, wanted: &str) -> bool {
    let most = if name.len() < 8 { 1 } else { 2 };
    name.chars().next() == wanted.chars().next()
        && digits(name) == digits(wanted)
        && strsim::osa_distance(name, wanted) <= most
}

/// True if only the numbers differ: for `vgg12`, the other networks of its family.
fn is_relative(name: &str, wanted: &str) -> bool {
    let family = letters(name);
    family.len() > 2 && family == letters(wanted) && !digits(wanted).is_empty()
}

/// The names that `wanted` may stand for. They are the names that are equal but for case and punctuation; if
/// there are none, those of which it is a part; else those with a typing error; else those of the same
/// family.
pub fn close<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let words = Words::of(wanted);
    let wanted = words.joined();
    if wanted.is_empty() {
        return vec![];
    }
    let likeness = |name: &str| {
        let name = Words::of(name);
        let joined = name.joined();
        // A whole name with more words after it, as in `raspberry-pi-5-8gb`.
        let more = (1..words.0.len()).any(|n| words.0[..n].concat() == joined);
        Some(match () {
            () if joined == wanted => 0,
            () if more || name.have(&wanted) => 1,
            () if is_slip(&joined, &wanted) => 2,
            () if is_relative(&joined, &wanted) => 3,
            () => return None,
        })
    };
    let alike = names.into_iter().filter_map(|n| Some((likeness(n)?, n)));
    let alike: Vec<(u8, &str)> = alike.collect();
    let best = alike.iter().map(|(kind, _)| *kind).min();
    let alike = alike.into_iter().filter(|(kind, _)| Some(*kind) == best);
    alike.map(|(_, name)| name).collect()
}

/// `did you mean A, B or C?`, with the first of many names; `otherwise` if there is nothing to suggest.
pub fn question(names: &[String], otherwise: &str) -> String {
    match names {
        [] => otherwise.into(),
        [name] => format!("did you mean {name}?"),
        [first @ .., last] if names.len() <= MOST => {
            format!("did you mean {} or {last}?", first.join(", "))
        }
        _ => format!(
            "did you mean {} or another of {} like these?",
            names[..MOST].join(", "),
            names.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 13] = [
        "alexnet",
        "enet",
        "vgg11",
        "vgg13",
        "resnet18",
        "resnet50",
        "resnet20-cifar10",
        "resnet50-thin-nsfw",
        "mobilenet-v2",
        "raspberry-pi-4",
        "raspberry-pi-5",
        "qemu-m33",
        "rp2350",
    ];

    #[test]
    fn what_may_be_meant() {
        for (wanted, names) in [
            ("RESNET-50", &["resnet50"][..]),
            ("resnet20", &["resnet20-cifar10"]),
            ("mobilenetv2", &["mobilenet-v2"]),
            ("mobilnet_v2", &["mobilenet-v2"]),
            ("mobilenet-v2-int8", &["mobilenet-v2"]),
            ("alex", &["alexnet"]),
            ("vgg12", &["vgg11", "vgg13"]),
            ("raspberry pi 5", &["raspberry-pi-5"]),
            ("raspbery-pi-5", &["raspberry-pi-5"]),
            ("pi", &["raspberry-pi-4", "raspberry-pi-5"]),
            ("m33", &["qemu-m33"]),
            ("qmeu-m33", &["qemu-m33"]),
        ] {
            assert_eq!(close(wanted, NAMES), names, "{wanted}");
        }
    }

    #[test]
    fn what_is_meant_by_nothing() {
        for wanted in [
            "",
            "-",
            "r",
            "é",
            "net",
            "unet",
            "lenet",
            "densenet121",
            "shufflenet",
            "vit",
            "rp2040",
            "rpi5",
            "esp32",
            "yolov8",
            "mobilenet-v2x9",
        ] {
            assert_eq!(close(wanted, NAMES), [""; 0], "{wanted}");
        }
    }

    #[test]
    fn questions() {
        let names = ["a", "b", "c", "d"].map(String::from);
        assert_eq!(question(&names[..0], "look"), "look");
        assert_eq!(question(&names[..1], ""), "did you mean a?");
        assert_eq!(question(&names[..3], ""), "did you mean a, b or c?");
        assert!(question(&names, "").contains("a, b, c or another of 4"));
    }
}
