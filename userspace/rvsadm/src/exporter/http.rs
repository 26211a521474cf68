// SPDX-License-Identifier: GPL-2.0

//! As much of HTTP as a scrape takes: one request a connection, with limits on size and time.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Most bytes of a request's head.
const HEAD_BYTES: usize = 8192;

/// Most headers of a request.
const HEADERS: usize = 64;

/// Time that the other end has to close when it has its answer.
const CLOSES: Duration = Duration::from_secs(1);

/// Bytes that are read of what comes behind a request, so that closing does not cut the answer off.
const REST_BYTES: usize = 65_536;

/// A TCP connection, or what stands in for it.
pub trait Stream: Read + Write {
    /// Lets each read and write take no longer.
    fn limit(&self, time: Duration) -> io::Result<()>;

    /// Says that nothing more is written.
    fn end(&self);
}

impl Stream for TcpStream {
    fn limit(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }

    fn end(&self) {
        // Whoever has gone is not told.
        let _ = self.shutdown(Shutdown::Write);
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// What it takes, by its header `Accept`.
    pub accept: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: &'static str,
    pub kind: &'static str,
    /// A header more, with its line's end.
    pub header: &'static str,
    pub body: String,
}

impl Answer {
    /// One that says so in words.
    pub fn text(status: &'static str, body: &str) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            header: "",
            body: format!("{body}\n"),
        }
    }
}

/// Time that is left until `end`; an error when there is none.
fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// Reads a request's head; an answer where it is none, nothing where nobody is there any more.
pub fn read(stream: &mut impl Stream, end: Instant) -> Result<Request, Option<Answer>> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    loop {
        let read = left(end).and_then(|left| {
            stream.limit(left)?;
            stream.read(&mut part)
        });
        match read {
            Ok(0) => return Err(None),
            Ok(length) => head.extend_from_slice(part.get(..length).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
                ) =>
            {
                let late = "the request did not come in time";
                return Err(Some(Answer::text("408 Request Timeout", late)));
            }
            Err(_) => return Err(None),
        }
        match parse(&head) {
            Ok(Some(request)) => return Ok(request),
            Ok(None) if head.len() < HEAD_BYTES => {}
            Ok(None) | Err(httparse::Error::TooManyHeaders) => {
                let long = "the request's head is too long";
                let status = "431 Request Header Fields Too Large";
                return Err(Some(Answer::text(status, long)));
            }
            Err(error) => {
                let text = format!("this is no request: {error}");
                return Err(Some(Answer::text("400 Bad Request", &text)));
            }
        }
    }
}

/// A request, if it is whole.
fn parse(head: &[u8]) -> Result<Option<Request>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    if request.parse(head)?.is_partial() {
        return Ok(None);
    }
    let path = request.path.unwrap_or_default();
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let of = request.headers.iter();
    let accept = of.filter(|header| header.name.eq_ignore_ascii_case("accept"));
    let accept: Vec<_> = accept
        .map(|header| String::from_utf8_lossy(header.value))
        .collect();
    Ok(Some(Request {
        method: request.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        accept: accept.join(",").to_ascii_lowercase(),
    }))
}

/// Writes an answer, without its body for who asked for the head only, and waits until it is taken.
pub fn write(
    stream: &mut impl Stream,
    answer: &Answer,
    with_body: bool,
    end: Instant,
) -> io::Result<()> {
    let Answer {
        status,
        kind,
        header,
        body,
    } = answer;
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{header}\
         Connection: close\r\n\r\n",
        body.len()
    );
    write_all(stream, head.as_bytes(), end)?;
    if with_body {
        write_all(stream, body.as_bytes(), end)?;
    }
    stream.end();
    let mut rest = [0; 1024];
    let mut length = 0;
    // Until the other end has closed too, but one that does not must not keep its place.
    let end = end.min(Instant::now() + CLOSES);
    while length < REST_BYTES {
        stream.limit(left(end)?)?;
        match stream.read(&mut rest)? {
            0 => return Ok(()),
            more => length += more,
        }
    }
    Ok(())
}

/// One that takes a byte now and then may not keep it for ever.
fn write_all(stream: &mut impl Stream, mut bytes: &[u8], end: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.limit(left(end)?)?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
