"""A cache in front: nginx keeps pages before two site processes, by what their headers say."""

import os
from collections.abc import Iterator
from time import sleep

import pytest

from tests.conftest import need
from tests.processes import Process, free_port, procfile

pytestmark = pytest.mark.server

CONFIGURATION = """
{user}
daemon off;
pid {folder}/pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/pages keys_zone=pages:1m;
    upstream site {{
        server 127.0.0.1:{first};
        server 127.0.0.1:{second};
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://site;
            proxy_set_header Host $http_host;
            proxy_cache pages;
            proxy_cache_key $scheme$http_host$request_uri;
            proxy_cache_revalidate on;
            add_header X-Cache $upstream_cache_status always;
        }}
    }}
}}
"""

NAMES = [
    *("Bo", "bo", "Bo%20", "Bo%2F", "B/o", "B%2Fo", "B%252Fo", "B+o", "B%20o", "B%2Bo", "B?o"),
    *("B%3Fo", "B%23o", "B;o", "B%3Bo", "B%26o", "B&o", "B=o", "%C3%A9", "e%CC%81", "%25C3%25A9"),
    *("%F0%9F%98%80", "%D9%85%D8%AD%D9%85%D8%AF", "B%22o", "B%27o", "B%5Co", "B%3Co", "B*o"),
]


class Proxied:
    """The site's two processes and nginx in front of them."""

    def __init__(self, proxy: Process, sites: list[Process]) -> None:
        self.proxy = proxy
        self.sites = sites

    def visits(self, target: str) -> int:
        """Count what reached the site, once its log has been written."""
        sleep(0.2)
        return sum(f"path={target} " in line for site in self.sites for line in site.lines)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    nginx = need("nginx", "nginx-light")
    folder = tmp_path_factory.mktemp("nginx")
    user = "user root;" if os.getuid() == 0 else ""  # it would give its rights up, and the folder
    with procfile(free_port()) as first, procfile(free_port()) as second:
        port = free_port()
        file = folder / "nginx.conf"
        file.write_text(
            CONFIGURATION.format(
                user=user, folder=folder, port=port, first=first.port, second=second.port
            )
        )
        with Process(f"{nginx} -p {folder} -e stderr -c {file}", port) as proxy:
            yield Proxied(proxy, [first, second])


@pytest.mark.parametrize("target", ["/user/Often", "/static/icon.svg", "/robots.txt"])
def test_repeated_visits_reach_the_site_once(proxied: Proxied, target: str) -> None:
    answers = [proxied.proxy.get(target) for _ in range(20)]

    assert [answer.header("X-Cache") for answer in answers] == ["MISS"] + ["HIT"] * 19
    assert len({answer.body for answer in answers}) == 1
    assert proxied.visits(target) == 1


def test_each_encoding_is_kept_by_itself(proxied: Proxied) -> None:
    for _ in range(2):
        plain = proxied.proxy.get("/user/Encoded")
        short = proxied.proxy.get("/user/Encoded", headers={"Accept-Encoding": "gzip"})

    assert "Encoded" in plain.text
    assert short.header("Content-Encoding") == "gzip"
    assert {plain.header("X-Cache"), short.header("X-Cache")} == {"HIT"}


@pytest.mark.parametrize("target", ["/nothing", "/user?name="])
def test_an_error_reaches_the_site_each_time(proxied: Proxied, target: str) -> None:
    answers = [proxied.proxy.get(target) for _ in range(3)]

    assert [answer.header("X-Cache") for answer in answers] == ["MISS"] * 3


def test_a_visitor_who_has_the_page_is_answered_by_the_proxy(proxied: Proxied) -> None:
    tag = proxied.proxy.get("/user/Known").header("ETag")

    answer = proxied.proxy.get("/user/Known", headers={"If-None-Match": f"{tag}"})

    assert answer.status == 304
    assert proxied.visits("/user/Known") == 1


def test_odd_names_are_never_confused(proxied: Proxied) -> None:
    site, _ = proxied.sites
    for _ in range(2):
        for name in NAMES:
            target = f"/user/{name}"

            there = proxied.proxy.get(target, headers={"Host": "site.test"})
            here = site.get(target, headers={"Host": "site.test"})

            assert (there.status, there.body) == (here.status, here.body)
            assert there.header("Location") == here.header("Location")
