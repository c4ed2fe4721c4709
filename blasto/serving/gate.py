"""Checks each request before the site handles it: ID, size, proxy, host and HTTPS."""

import os
import re
from datetime import timedelta
from functools import lru_cache, partial
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication
from wsgiref.util import request_uri

import click
from flask import Flask, Request
from werkzeug.exceptions import BadRequest
from werkzeug.sansio.utils import host_is_trusted
from werkzeug.utils import cached_property
from werkzeug.wsgi import LimitedStream, get_host

from .headers import Body, Environ, SecurityHeaders
from .log import name_request

# gunicorn limits each line of a header to this; together, several lines could be longer.
MAX_HEADER = 8190  # characters
HTTP = ("HTTP_", "CONTENT_")  # how the names of headers begin in the environ
# Settings of Flask's that would fail only in a request; from the environment, 12 is a number.
SETTINGS = (
    ("MAX_CONTENT_LENGTH", int | None, "a number of bytes"),
    ("MAX_FORM_MEMORY_SIZE", int | None, "a number of bytes"),
    ("MAX_FORM_PARTS", int | None, "a number"),
    ("PERMANENT_SESSION_LIFETIME", int | float | timedelta, "a number of seconds"),
    ("SECRET_KEY", str | bytes | None, "text, not a number"),
    ("SEND_FILE_MAX_AGE_DEFAULT", int | float | timedelta | None, "a number of seconds"),
)
PROBES = ("GET", "HEAD", "OPTIONS")  # by default, haproxy sends the last
Network = IPv4Network | IPv6Network
# Some proxies add a port, and then brackets around IPv6.
ADDRESS = re.compile(r"\[([\w.:]+)\](?::\d+)?|([\d.]+):\d+|([\w.:-]+)", re.ASCII)
MAX_PROXIES = 10
MAX_HOST = 260  # characters: a domain name (RFC 1035, 2.3.4) and a port


class LimitedBody(LimitedStream):
    """A body of unknown length that fails at its limit; Werkzeug's own just ends there."""

    def readall(self) -> bytes:
        data = super().readall()
        if self.is_exhausted and self._stream.read(1):
            self.on_exhausted()
        return data


class LimitedRequest(Request):
    """A request whose form and JSON are limited, and well-formed.

    MAX_FORM_MEMORY_SIZE is the limit of either, whatever the encoding: 16 MB of JSON can take
    400 MB of memory, and a form as long takes seconds to parse.
    """

    @Request.max_content_length.getter  # type: ignore[attr-defined]  # of a property
    def max_content_length(self) -> int | None:
        limits = [super().max_content_length]
        if self.is_json or self.mimetype == "application/x-www-form-urlencoded":
            limits.append(self.max_form_memory_size)
        return min((limit for limit in limits if limit is not None), default=None)

    @cached_property
    def stream(self) -> Any:
        limit = self.max_content_length
        if limit is None or "wsgi.input_terminated" not in self.environ:
            return super().stream
        return LimitedBody(self.environ["wsgi.input"], limit, is_max=True)

    def get_json(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_json(*args, **kwargs)
        except RecursionError:
            return self.on_json_loading_failed(ValueError("nested too deeply"))

    def _load_form_data(self) -> None:  # which Flask has overridden too
        super()._load_form_data()
        if None in self.form or None in self.files:  # each part has a name (RFC 7578, 4.2)
            raise BadRequest


class Gate:
    """WSGI middleware that passes a request on, redirects it to HTTPS, or rejects it.

    Raises click.ClickException if a setting is invalid.
    """

    def __init__(self, flask: Flask, app: WSGIApplication, headers: SecurityHeaders) -> None:
        self.flask = flask
        if flask.request_class is Request:
            flask.request_class = LimitedRequest
        self.app = app
        self.headers = headers
        for name, kind, wanted in SETTINGS:
            if not isinstance(flask.config[name], kind):
                raise click.ClickException(f"FLASK_{name} must be {wanted}.")
        self.https_only = flask.config.get("HTTPS_ONLY", False)
        if self.https_only not in (True, False):  # 1 and 0 are equal to these
            raise click.ClickException(f"FLASK_HTTPS_ONLY must be 1 or 0, not {self.https_only!r}.")
        flask.config["TRUSTED_HOSTS"] = hosts = trusted_hosts(flask.config["TRUSTED_HOSTS"])
        self.is_served = lru_cache(partial(is_served, trusted=hosts))
        networks = trusted_networks(os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1"))
        self.is_proxy = lru_cache(partial(is_proxy, networks=networks))
        named = [network for network in networks if network.prefixlen]  # not those of `*`
        self.is_named_proxy = lru_cache(partial(is_proxy, networks=named))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Body:
        request_id = name_request(environ)
        if "CONTENT_LENGTH" in environ:  # Werkzeug rejects a body that is shorter (RFC 9112, 8)
            environ.pop("wsgi.input_terminated", None)
        # Credentials are ASCII (RFC 9110, 11.4), and Werkzeug fails to parse any other.
        if not environ.get("HTTP_AUTHORIZATION", "").isascii():
            del environ["HTTP_AUTHORIZATION"]
        proto = self.trust_proxy(environ)
        response = self.response(environ, proto)
        if response is None:
            try:
                return self.app(environ, start_response)
            except StopIteration:  # tells gunicorn that a WebSocket has ended
                raise
            except Exception:  # after the error pages, such as in a teardown function
                if self.flask.debug or self.flask.testing:
                    raise
                self.flask.logger.exception("A response failed, request_id=%s", request_id)
                text = f"500 Internal Server Error\n{request_id}"
                response = plain_text(HTTPStatus.INTERNAL_SERVER_ERROR, text)
        return self.headers.send(response, environ, start_response)

    def trust_proxy(self, environ: Environ) -> str | None:
        """Take the visitor's address and scheme from a trusted proxy, and return its scheme."""
        address = environ.get("REMOTE_ADDR", "")
        environ["REMOTE_ADDR"] = address.removeprefix("::ffff:")  # IPv4 on a dual-stack socket
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        # A site's own ProxyFix around this gate has replaced the address of the proxy.
        if original := environ.get("werkzeug.proxy_fix.orig"):
            address, forwarded = original["REMOTE_ADDR"] or "", ""
        if not self.is_proxy(address):
            return None
        # Each proxy adds its client at the end; a visitor may send anything before that.
        for text in reversed(forwarded.rsplit(",", MAX_PROXIES)):
            match = ADDRESS.fullmatch(text.strip())
            if not match:
                break
            environ["REMOTE_ADDR"] = match[match.lastindex or 0]
            if not self.is_named_proxy(environ["REMOTE_ADDR"]):
                break
        proto: str | None = environ.get("HTTP_X_FORWARDED_PROTO")
        if proto == "https":
            environ["wsgi.url_scheme"] = proto
        return proto

    def response(self, environ: Environ, proto: str | None) -> WSGIApplication | None:
        """Return the response to a request that does not reach the site."""
        if environ["PATH_INFO"] == "/up" and environ["REQUEST_METHOD"] in PROBES:
            return plain_text(HTTPStatus.OK, "up")
        host = environ.get("HTTP_HOST") or ""
        if not host and environ["SERVER_PROTOCOL"] != "HTTP/1.1":  # requires one (RFC 9112, 3.2)
            host = get_host(environ)
        # Hosts are case-insensitive (RFC 3986, 3.2.2), but not in Flask's TRUSTED_HOSTS.
        environ["HTTP_HOST"] = host = host.lower()
        if len(host) > MAX_HOST or not self.is_served(host):
            text = "This site has no such host name. Check the address in your browser."
            return plain_text(HTTPStatus.BAD_REQUEST, text)
        if self.https_only and proto == environ["wsgi.url_scheme"] == "http":
            # Byte for byte, if the server has it: PATH_INFO is decoded, and so %2F is a slash.
            raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or request_uri(environ)
            target = re.sub("(?i)^https?://[^/?]*", "", raw)
            url = f"https://{host.removesuffix(':80')}/{target.removeprefix('/')}"
            return plain_text(HTTPStatus.PERMANENT_REDIRECT, url, ("Location", url))
        return None


def limit_headers(app: WSGIApplication, environ: Environ, start_response: StartResponse) -> Body:
    """Send the response of an application, or reject a header that is too long to parse."""
    for name, value in environ.items():
        if type(value) is str and len(value) > MAX_HEADER and name.startswith(HTTP):
            text = "Your browser sent too much data. Delete the cookies of this site."
            app = plain_text(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
            break
    return app(environ, start_response)


def plain_text(status: HTTPStatus, text: str, *headers: tuple[str, str]) -> WSGIApplication:
    """Return an application that sends plain text, without a valid host or a template."""
    body = f"{text}\n".encode()
    length = ("Content-Length", str(len(body)))
    plain = [("Content-Type", "text/plain; charset=utf-8"), length, ("Cache-Control", "no-store")]

    def app(environ: Environ, start_response: StartResponse) -> Body:
        start_response(f"{status.value} {status.phrase}", [*plain, *headers])
        return (body,) if environ["REQUEST_METHOD"] != "HEAD" else ()

    return app


def trusted_hosts(value: Any) -> list[str] | None:
    """Return the setting TRUSTED_HOSTS in lower case, or None for any host."""
    if value is None:
        return None
    try:
        names = value.split(",") if isinstance(value, str) else value
        hosts = [name.strip().lower() for name in names]
    except (AttributeError, TypeError):
        hosts = []
    if not hosts or not all(host_is_trusted(host.removeprefix("."), [host]) for host in hosts):
        raise click.ClickException(
            "FLASK_TRUSTED_HOSTS must be host names separated by commas, "
            f"such as www.example.com,.example.org, not {value!r}."
        )
    return hosts


def is_served(host: str, trusted: list[str] | None) -> bool:
    """Return whether a Host header names a host, and a trusted one."""
    try:
        host.encode("idna")  # as Werkzeug does to build a URL
    except UnicodeError:
        return False
    return host_is_trusted(host, trusted)


def trusted_networks(value: str) -> list[Network]:
    """Return the setting FORWARDED_ALLOW_IPS."""
    parts = [part.strip() for part in value.split(",")]
    if "*" in parts:
        parts = ["0.0.0.0/0", "::/0"]
    try:
        return [ip_network(part, strict=False) for part in parts if part]
    except ValueError as error:
        raise click.ClickException(
            "FORWARDED_ALLOW_IPS must be * or addresses and networks separated by commas, "
            f"such as 127.0.0.1,10.0.0.0/8: {error}."
        ) from None


def is_proxy(address: str, networks: list[Network]) -> bool:
    """Return whether an address is that of a trusted proxy."""
    try:
        ip = ip_address(address)
    except ValueError:
        return not address  # none on a Unix socket
    mapped = getattr(ip, "ipv4_mapped", None) or ip  # IPv4 on a dual-stack socket
    return any(ip in network or mapped in network for network in networks)
