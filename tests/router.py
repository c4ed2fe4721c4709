"""nginx, standing in for the platform's router: it ends TLS and says for whom it asks."""

import signal
import subprocess
from pathlib import Path
from time import monotonic, sleep

from tests.conftest import need
from tests.processes import Process, free_port

CONFIG = """
daemon off;
user root;  # where it is started as root: the folder is root's
pid nginx.pid;
error_log stderr notice;
worker_shutdown_timeout 10s;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

    include upstream.conf;
    server {
        include listen.conf;
        ssl_certificate certificate.pem;
        ssl_certificate_key key.pem;
        client_max_body_size 0;
        location / {
            proxy_pass http://site;  # without a path: the target goes on as it came
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_next_upstream off;  # what a dyno loses is lost
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Request-Id $request_id;
        }
    }
}
"""
UPSTREAM = "upstream site {{ {servers} keepalive 32; keepalive_timeout 90s; }}"
STOPPED = " exited with code "


class Router(Process):
    """A router in front of the given ports, with a plain port and one for TLS."""

    def __init__(self, folder: Path, *upstreams: int) -> None:
        nginx = need("nginx", "nginx-light")
        self.folder = folder
        self.tls_port = free_port()
        self.certificate = folder / "certificate.pem"
        port = free_port()
        make_certificate(self.certificate, folder / "key.pem")
        (folder / "nginx.conf").write_text(CONFIG)
        (folder / "listen.conf").write_text(
            f"listen 127.0.0.1:{port}; listen 127.0.0.1:{self.tls_port} ssl;"
        )
        self.route(*upstreams)
        super().__init__(f"{nginx} -p {folder} -c nginx.conf -e stderr", port)

    def route(self, *upstreams: int) -> None:
        servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in upstreams)
        (self.folder / "upstream.conf").write_text(UPSTREAM.format(servers=servers))

    def switch(self, *upstreams: int) -> None:
        """Ask only these from now on: return when all that the others were asked is done."""
        stopped = self.output.count(STOPPED)
        deadline = monotonic() + 20
        self.route(*upstreams)
        self.popen.send_signal(signal.SIGHUP)
        while self.output.count(STOPPED) == stopped:  # the one worker, after the new one started
            assert monotonic() < deadline, self.output
            sleep(0.05)


def make_certificate(certificate: Path, key: Path) -> None:
    """Write a certificate for 127.0.0.1 that only its own bearer vouches for."""
    command = [need("openssl", "openssl"), "req", "-x509", "-days", "2", "-nodes"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
