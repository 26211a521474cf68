# SPDX-License-Identifier: GPL-2.0
"""nginx on a real server, and a client that asks it."""

import hashlib
import os
import pathlib
import socket
import subprocess
import tempfile

from .netns import wait_until
from .transfer import family

CONFIG = """
daemon off;
master_process off;
pid {home}/pid;
error_log {home}/error.log;
events {{ worker_connections 4096; }}
http {{
    log_format lab '$remote_addr $remote_port $server_addr $request_uri';
    access_log {home}/access.log lab;
    client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home};
    uwsgi_temp_path {home}; scgi_temp_path {home};
    server {{
        listen {port} backlog=4096;
        listen [::]:{port} ipv6only=on backlog=4096;
        default_type text/plain;
        location = /1k {{ access_log off; return 200 "{name:x<1024}"; }}
        location /files/ {{ root {home}; dav_methods PUT; create_full_put_path on; client_max_body_size 0; }}
        location / {{ return 200 "{name}\\n"; }}
    }}
}}
"""


class WebServer:
    """nginx that answers every request with its host's name."""

    def __init__(self, host, name, port=80):
        self.host, self.name, self.port = host, name, port
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f"nginx-{name}-"))
        config = self.home / "nginx.conf"
        config.write_text(CONFIG.format(home=self.home, name=name, port=port), encoding="ascii")
        self.process = host.start(
            "nginx", "-e", self.home / "error.log", "-c", config, stderr=subprocess.DEVNULL
        )

    def wait(self):
        """Until it accepts connections."""
        wait_until(self._listens, f"nginx of {self.name} listens (see {self.home}/error.log)")

    def _listens(self):
        with self.host.inside(), socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        """One list a request: client address, client port, server address, path."""
        text = (self.home / "access.log").read_text(encoding="ascii")
        return [line.split() for line in text.splitlines()]


def get(host, address, port=80, path="/", source="", source_port=0, timeout=20):
    """One HTTP request on a connection of its own, from HOST; returns the answer's text.

    From this process and not by curl: a program start costs 0.1 s under emulation.
    """
    with host.inside():
        s = socket.socket(family(address))
    with s:
        s.settimeout(timeout)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if source or source_port:
            s.bind((source, source_port))
        s.connect((address, port))
        s.sendall(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0] + b" ", f"not a 200: {answer[:200]!r}"
    return body.decode().strip()


def _digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def put_and_get(client, server, address, size, port=80):
    """Has curl send a file of SIZE bytes to nginx and fetch it again; fails when a byte is lost or changed."""
    with tempfile.TemporaryDirectory() as folder:
        sent, got = pathlib.Path(folder, "sent"), pathlib.Path(folder, "got")
        with sent.open("wb") as f:
            for left in range(size, 0, -(1 << 20)):
                f.write(os.urandom(min(left, 1 << 20)))
        url = f"http://{address}:{port}/files/file"
        client.run("curl", "-sSf", "-T", sent, url, timeout=500)
        assert _digest(server.home / "files/file") == _digest(sent), "nginx has another file"
        client.run("curl", "-sSf", "-o", got, url, timeout=500)
        assert _digest(got) == _digest(sent), "nginx has sent another file"
        (server.home / "files/file").unlink()


def sequence(host, address, count, port=80, first_source_port=40000):
    """Who answers COUNT connections in turn, each from the next source port."""
    return [
        get(host, address, port, path=f"/{i}", source_port=first_source_port + i)
        for i in range(count)
    ]
