// SPDX-License-Identifier: GPL-2.0

//! Times and numbers as people write them: `90`, `5m`, `1h30m`; `10k`.

const TIMES: [(char, u32); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
const NUMBERS: [(char, u64); 3] = [('k', 1_000), ('M', 1_000_000), ('G', 1_000_000_000)];

/// Reads seconds: `300`, `300s`, `5m`, `1h`, `1h30m`, `2d`.
pub fn seconds(text: &str) -> Result<u32, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let wrong = || format!("{text:?} is no time: it is seconds, or like 90s, 5m, 1h30m, 2d");
    let mut total = 0u32;
    let mut least = u32::MAX;
    for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let unit = part.chars().last().ok_or_else(wrong)?;
        let (_, size) = TIMES.iter().find(|(c, _)| *c == unit).ok_or_else(wrong)?;
        let number: u32 = part.trim_end_matches(unit).parse().map_err(|_| wrong())?;
        // 1h30m, and neither 30m1h nor 1h1h.
        if *size >= least {
            return Err(wrong());
        }
        least = *size;
        let more = number.checked_mul(*size);
        let sum = more.and_then(|more| total.checked_add(more));
        total = sum.ok_or_else(|| format!("{text:?} is too long"))?;
    }
    if least == u32::MAX {
        return Err(wrong());
    }
    Ok(total)
}

/// Reads a number: `10000`, `10k`, `2M`; these are thousands and millions.
pub fn count(text: &str) -> Result<u64, String> {
    let unit = NUMBERS.iter().find(|(unit, _)| text.ends_with(*unit));
    let (digits, size) = match unit {
        Some((unit, size)) => (text.strip_suffix(*unit).unwrap_or(text), *size),
        None => (text, 1),
    };
    let number = digits.parse::<u64>().ok();
    let number = number.and_then(|number| number.checked_mul(size));
    number.ok_or_else(|| format!("{text:?} is no number; it is like 10000, 10k or 2M"))
}

/// As [`count`], of up to 32 bits.
pub fn count32(text: &str) -> Result<u32, String> {
    let number = count(text)?;
    u32::try_from(number).map_err(|_| format!("{number} is more than {}", u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, value) in [
            ("0", 0),
            ("90", 90),
            ("90s", 90),
            ("5m", 300),
            ("1h30m", 5_400),
            ("2d", 172_800),
        ] {
            assert_eq!(seconds(text), Ok(value), "{text}");
        }
        for text in [
            "", "m", "5x", "-1", "1.5h", "30m1h", "1h1h", "1h30", "5 m", "1hm",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert!(seconds("99999d").unwrap_err().contains("too long"));
    }

    #[test]
    fn numbers() {
        for (text, value) in [("0", 0), ("10k", 10_000), ("2M", 2_000_000), ("7", 7)] {
            assert_eq!(count(text), Ok(value), "{text}");
        }
        for text in ["", "k", "10K", "-1", "99999999999999999999", "99999999999G"] {
            assert!(count(text).is_err(), "{text}");
        }
        assert!(count32("5G").is_err());
    }
}
