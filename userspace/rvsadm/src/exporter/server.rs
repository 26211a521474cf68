// SPDX-License-Identifier: GPL-2.0

//! Answers clients: so many at a time, each within some time, and reads the kernel once for all that
//! wait for it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::exposition::as_prometheus;
use super::http::{self, Answer, Request, Stream};

/// Time that a client has to say what it wants.
const ASKS: Duration = Duration::from_secs(5);

/// Time that it has to take the answer.
const TAKES: Duration = Duration::from_secs(60);

/// Time before the next try when no connection can be taken, for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

const INDEX: &str = "Metrics of RVS are at /metrics";

/// Requests so far, and clients that were turned away.
#[derive(Debug, Default)]
pub struct Counts {
    pub requests: AtomicU64,
    pub refused: AtomicU64,
}

/// What makes the text of a scrape.
pub type Make = dyn Fn(&Counts) -> Result<String, String> + Send + Sync;

/// What was read last, and when that began.
struct Last(Instant, Arc<str>);

/// What all clients share.
pub struct Server {
    make: Box<Make>,
    last: Mutex<Option<Last>>,
    counts: Counts,
    clients: AtomicUsize,
    most: usize,
}

impl Server {
    /// Answers at most so many clients at a time.
    pub fn new(make: Box<Make>, most: usize) -> Self {
        Self {
            make,
            last: Mutex::new(None),
            counts: Counts::default(),
            clients: AtomicUsize::new(0),
            most,
        }
    }

    /// Takes clients, for ever.
    pub fn run(self: &Arc<Self>, listener: &TcpListener) -> ! {
        loop {
            match listener.accept() {
                Ok((stream, _)) => self.take(stream),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn take(self: &Arc<Self>, stream: TcpStream) {
        if self.clients.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.turn_away(stream);
            self.clients.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let server = Arc::clone(self);
        let started = thread::Builder::new().spawn(move || {
            let mut stream = stream;
            server.serve(&mut stream);
            server.clients.fetch_sub(1, Ordering::Relaxed);
        });
        if started.is_err() {
            self.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Says so, if it goes without waiting.
    fn turn_away(&self, mut stream: TcpStream) {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        if stream.set_nonblocking(true).is_ok() {
            // What has come and is not read would make the end a reset, which may overtake the answer.
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(
                b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n\
                  Connection: close\r\n\r\n",
            );
        }
    }

    /// Answers one client.
    pub fn serve(&self, stream: &mut impl Stream) {
        let (answer, with_body) = match http::read(stream, Instant::now() + ASKS) {
            Ok(request) => (self.answer(&request), request.method != "HEAD"),
            Err(Some(answer)) => (answer, true),
            Err(None) => return,
        };
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        // Who has gone meanwhile needs no answer.
        let _ = http::write(stream, &answer, with_body, Instant::now() + TAKES);
    }

    fn answer(&self, request: &Request) -> Answer {
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Answer {
                header: "Allow: GET, HEAD\r\n",
                ..Answer::text(
                    "405 Method Not Allowed",
                    "only GET and HEAD do anything here",
                )
            };
        }
        match request.path.as_str() {
            "/metrics" => self.metrics(request),
            "/" => Answer::text("200 OK", INDEX),
            _ => Answer::text("404 Not Found", INDEX),
        }
    }

    fn metrics(&self, request: &Request) -> Answer {
        let text = match self.scrape(Instant::now()) {
            Ok(text) => text,
            Err(error) => return Answer::text("500 Internal Server Error", &error),
        };
        let is_open = request.accept.contains("application/openmetrics-text");
        Answer {
            status: "200 OK",
            kind: if is_open { OPEN_METRICS } else { PROMETHEUS },
            header: "",
            body: if is_open {
                text.to_string()
            } else {
                as_prometheus(&text)
            },
        }
    }

    /// What was read since a client came. All that wait while it is read get the next one together.
    fn scrape(&self, came: Instant) -> Result<Arc<str>, String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Last(began, text)) = last.as_ref() {
            if *began >= came {
                return Ok(Arc::clone(text));
            }
        }
        // Two texts at a time would be of no use.
        *last = None;
        let began = Instant::now();
        let text: Arc<str> = (self.make)(&self.counts)?.into();
        *last = Some(Last(began, Arc::clone(&text)));
        Ok(text)
    }
}
