// SPDX-License-Identifier: GPL-2.0

//! What a datagram of SIP says of the call that it is about (RFC 3261).
//!
//! By `ip_vs_pe_sip`'s rules: the header's long and its short name, lines that end in CR, LF or both, lines
//! that go on in the next, and of the value what the grammar of a Call-ID has. More lenient where the RFC is:
//! spaces may follow the value. Stricter: what stands in the body is no header.

/// Bytes of a Call-ID at most, as in `ip_vs` (`IP_VS_PEDATA_MAXLEN`).
pub const CALL_ID_MAX: usize = 255;

/// Bytes of a message that are looked at: a header that far behind is of nobody who is in earnest.
pub const READ_MAX: usize = 8192;

/// The header's names.
const NAMES: [&[u8]; 2] = [b"call-id", b"i"];

/// The Call-ID of a message; none where it has none, or one that is too long or is none by the grammar. What
/// it is made of can be printed, and has no spaces.
pub fn call_id(message: &[u8]) -> Option<&[u8]> {
    // Empty lines may come ahead of the first line (section 7.5), which says what the message is.
    let start = message.iter().position(|byte| !ends_line(byte))?;
    let mut rest = behind_line(message.get(start..)?)?;
    loop {
        if rest.first().is_none_or(ends_line) {
            return None;
        }
        if let Some(value) = value(rest) {
            return whole(value);
        }
        rest = behind_line(rest)?;
    }
}

fn ends_line(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// What is behind the end of the first line; none where that has no end.
fn behind_line(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(ends_line)?;
    behind_end(text.get(end..)?)
}

/// What is behind the end of a line that is here; none where there is none.
fn behind_end(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'\r', b'\n', rest @ ..] | [b'\r' | b'\n', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// The value of the first line and what follows, where that is the header.
fn value(line: &[u8]) -> Option<&[u8]> {
    let name = NAMES.iter().find_map(|name| {
        let (start, rest) = line.split_at_checked(name.len())?;
        let rest = without_spaces(rest).strip_prefix(b":")?;
        start.eq_ignore_ascii_case(name).then_some(rest)
    })?;
    let mut rest = without_spaces(name);
    // A line that begins with spaces goes on with the one before.
    while let Some([b' ' | b'\t', next @ ..]) = behind_end(rest) {
        rest = without_spaces(next);
    }
    Some(rest)
}

fn without_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    text.get(spaces.count()..).unwrap_or(&[])
}

/// The Call-ID with which a value begins, if that is all of it: a word, or two with an @ between.
fn whole(value: &[u8]) -> Option<&[u8]> {
    let (first, rest) = word(value)?;
    let (len, rest) = match rest.strip_prefix(b"@") {
        None => (first.len(), rest),
        Some(rest) => {
            let (second, rest) = word(rest)?;
            (
                first.len().saturating_add(second.len()).saturating_add(1),
                rest,
            )
        }
    };
    let is_all = without_spaces(rest).first().is_some_and(ends_line);
    value.get(..len).filter(|_| is_all && len <= CALL_ID_MAX)
}

/// A word and what follows it; none where there is no word.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = text.iter().take_while(|byte| is_of_word(**byte)).count();
    text.split_at_checked(len)
        .filter(|(word, _)| !word.is_empty())
}

/// Whether a Call-ID is one by the grammar, as those are that somebody else has read.
pub fn is_call_id(text: &[u8]) -> bool {
    let is_whole = |rest: &[u8]| match rest.strip_prefix(b"@") {
        None => rest.is_empty(),
        Some(rest) => word(rest).is_some_and(|(_, rest)| rest.is_empty()),
    };
    text.len() <= CALL_ID_MAX && word(text).is_some_and(|(_, rest)| is_whole(rest))
}

/// Characters of a word (section 25.1).
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~()<>:\\\"/[]?{}".contains(&byte)
}
