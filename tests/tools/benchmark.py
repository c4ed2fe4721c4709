"""The site against a constant WSGI callable and bare Flask: `pytest -s tests/benchmark.py`.

All are served side by side in one run, in turn, by the Procfile's command, and compared by the
processor time that a request takes: what else the machine does then hardly matters. Only what two
workers gain is by the clock. It measures and prints; no figure fails it.
"""

import os
import re
import resource
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from threading import Thread
from time import perf_counter
from typing import NamedTuple

import pytest

from tests.conftest import need
from tests.processes import PROCFILE_COMMAND, Process, free_port

pytestmark = pytest.mark.benchmark

ROUNDS = int(os.environ.get("ROUNDS", "15"))
SECONDS = int(os.environ.get("SECONDS", "1"))  # of load for a figure
PLOT = Path("benchmark.svg")

SITE = "blasto:APP"
CONSTANT = "tests.bare:constant"
FLASK = "tests.bare:flask"
# The configuration file imports the site, which boot and memory of bare Flask must not pay for.
BARE_COMMAND = f"gunicorn --preload --worker-class gevent --access-logfile - {FLASK}"

# Asks for a name that nobody has asked for.
NEW_NAMES = """
local names = 0
function init(args) prefix = args[1] end
function request()
  names = names + 1
  return wrk.format("GET", "/user/" .. prefix .. names)
end
"""


class Figure(NamedTuple):
    """A ratio, of each round, and what it is to reach."""

    what: str
    against: str
    goal: str
    ratios: list[float]

    def row(self) -> str:
        low, high = min(self.ratios), max(self.ratios)
        spread = f"{low:.2f} to {high:.2f}"
        return (
            f"| {self.what} | {self.against} | {self.goal} | {median(self.ratios):.2f} | {spread} |"
        )


class Rate(NamedTuple):
    """How many requests a server answers in a second: of its processor time, and of the clock."""

    of_work: float
    of_time: float


def serve(app: str, workers: int = 1) -> Process:
    """Serve an application by the Procfile's command, leaving a core to what asks for it."""
    port = free_port()
    env = {"PORT": str(port), "WEB_CONCURRENCY": str(workers)}
    return Process(PROCFILE_COMMAND.replace(SITE, app), port, env=env)


class Load:
    """Asks as fast as it is answered, as browsers do: for compressed pages, connections kept."""

    def __init__(self, folder: Path) -> None:
        self.wrk = need("wrk", "wrk")
        self.script = folder / "new_names.lua"
        self.script.write_text(NEW_NAMES)
        self.prefixes = count()

    def rate(self, process: Process, target: str = "/", headers: tuple[str, ...] = ()) -> Rate:
        return self._run(process, target, headers)

    def rate_of_new_names(self, process: Process) -> Rate:
        return self._run(process, "", (), f"N{next(self.prefixes)}x")

    def _run(
        self, process: Process, target: str, headers: tuple[str, ...], prefix: str = ""
    ) -> Rate:
        command = [self.wrk, "-t1", "-c32", f"-d{SECONDS}", "-H", "Accept-Encoding: gzip, br"]
        for header in headers:
            command += ["-H", header]
        if prefix:
            command += ["-s", str(self.script)]
        command += [f"http://127.0.0.1:{process.port}{target}"]
        before = processor_seconds(process)
        output = subprocess.run(
            [*command, "--", prefix], check=True, capture_output=True, text=True
        ).stdout
        assert "Non-2xx" not in output or headers, output
        used = processor_seconds(process) - before
        (total,) = re.findall(r"(\d+) requests in", output)
        (a_second,) = re.findall(r"Requests/sec: +([\d.]+)", output)
        process.lines.clear()
        return Rate(int(total) / used, float(a_second))


def members(process: Process) -> list[str]:
    """Return the ids of a server's processes."""
    command = ["pgrep", "-g", str(process.popen.pid)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def processor_seconds(process: Process) -> float:
    """Return the processor time that a server has used."""
    ticks = 0
    for pid in members(process):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(process: Process) -> float:
    """Return the MB that a server's processes take, what they share counted once (PSS)."""
    return sum(
        int(line.split()[1]) / 1000
        for pid in members(process)
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    )


def boot(start: Callable[[], Process]) -> float:
    """Return the seconds from the start of a server to its first page."""
    began = perf_counter()
    process = start()
    try:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", process.port)):
                    break
            except OSError:
                pass
        process.get("/")
        return perf_counter() - began
    finally:
        process.stop()


def bare(workers: int = 2) -> Process:
    port = free_port()
    env = {"PORT": str(port), "WEB_CONCURRENCY": str(workers)}
    return Process(f"{BARE_COMMAND} --bind 127.0.0.1:{port}", port, env=env)


@contextmanager
def idle(process: Process, connections: int) -> Iterator[None]:
    """Hold connections that ask for nothing."""
    with ExitStack() as stack:
        for _ in range(connections):
            stack.enter_context(socket.create_connection(("127.0.0.1", process.port)))
        yield


def throughput(load: Load) -> list[Figure]:
    goals = [
        ("index", "constant", "≥ 0.90"),
        ("a hot name", "constant", "≥ 0.90"),
        ("index", "bare Flask", "≥ 1.40"),
        ("a hot name", "bare Flask", "≥ 1.40"),
        ("a new name", "bare Flask", "≥ 0.90"),
        ("two workers, new names", "one worker", "≥ 1.70"),
        ("two workers, a hot name", "one worker", "≥ 1.70"),
        ("1,000 idle connections", "none", "≥ 0.95"),
        ("a 304", "the full page", "≥ 1.00"),
    ]
    rounds: list[list[float]] = []
    with (
        serve(SITE) as site,
        serve(SITE, workers=2) as two,
        serve(CONSTANT) as constant,
        serve(FLASK) as flask,
    ):
        gzip = {"Accept-Encoding": "gzip"}
        known = (f"If-None-Match: {site.get('/user/Bo', headers=gzip).header('ETag')}",)
        for number in range(ROUNDS):
            least = load.rate(constant)
            index = load.rate(site)
            hot = load.rate(site, "/user/Bo")
            framework = load.rate(flask)
            new = load.rate_of_new_names(site)
            new_in_framework = load.rate_of_new_names(flask)
            new_in_two = load.rate_of_new_names(two)
            hot_in_two = load.rate(two, "/user/Bo")
            not_modified = load.rate(site, "/user/Bo", known)
            hot_again = load.rate(site, "/user/Bo")
            with idle(site, 1000):
                hot_beside_idle = load.rate(site, "/user/Bo")
            print(
                f"round {number + 1}, requests in a second of work: constant {least.of_work:.0f}, "
                f"index {index.of_work:.0f}, hot {hot.of_work:.0f}, "
                f"304 {not_modified.of_work:.0f}, "
                f"bare Flask {framework.of_work:.0f}, new name {new.of_work:.0f}, "
                f"in bare Flask {new_in_framework.of_work:.0f}"
            )
            rounds.append(
                [
                    index.of_work / least.of_work,
                    hot.of_work / least.of_work,
                    index.of_work / framework.of_work,
                    hot.of_work / framework.of_work,
                    new.of_work / new_in_framework.of_work,
                    new_in_two.of_time / new.of_time,
                    hot_in_two.of_time / hot.of_time,
                    hot_beside_idle.of_work / hot_again.of_work,
                    not_modified.of_work / hot_again.of_work,
                ]
            )
    return [
        Figure(*goal, list(ratios))
        for goal, ratios in zip(goals, zip(*rounds, strict=True), strict=True)
    ]


def boots() -> Figure:
    ratios = [boot(lambda: serve(SITE, workers=2)) / boot(bare) for _ in range(ROUNDS)]
    return Figure("boot to the first page", "bare Flask", "≤ 1.15", ratios)


def memories() -> list[Figure]:
    """Compare after 20,000 new names, and again after as many more."""
    with serve(SITE, workers=2) as site, bare() as flask:
        taken: dict[str, list[float]] = {"site": [], "flask": []}
        for turn in range(2):
            for name, process in (("site", site), ("flask", flask)):
                ask_for_names(process, f"M{turn}x", 20_000)
                taken[name].append(memory(process))
    print(f"MB after 20,000 and 40,000 new names: {taken}")
    (once, twice), (flask_once, _) = taken["site"], taken["flask"]
    return [
        Figure("memory after 20,000 new names", "bare Flask", "≤ 1.25", [once / flask_once]),
        Figure("memory after 40,000", "after 20,000", "flat", [twice / once]),
    ]


def ask_for_names(process: Process, prefix: str, number: int) -> None:
    """Ask for as many new names, 500 on a connection, so that each worker gets its share."""
    for first in range(0, number, 500):
        requests = b"".join(
            f"GET /user/{prefix}{first + index} HTTP/1.1\r\nHost: site.test\r\n"
            f"Connection: {'close' if index == 499 else 'keep-alive'}\r\n\r\n".encode()
            for index in range(500)
        )
        with socket.create_connection(("127.0.0.1", process.port)) as connection:
            sender = Thread(target=connection.sendall, args=(requests,))
            sender.start()
            while connection.recv(1_000_000):
                pass
            sender.join()
    process.lines.clear()


def plot(figures: list[Figure]) -> str:
    """Draw each median as a bar and its goal as a line, 1 being 300 units."""
    bars = []
    for index, figure in enumerate(figures):
        y = 30 * index
        length = 300 * median(figure.ratios)
        goal = figure.goal.split()[-1]
        bars.append(
            f'<text x="290" y="{y + 20}" text-anchor="end">{figure.what} / {figure.against}</text>'
        )
        bars.append(f'<rect x="300" y="{y + 5}" width="{length:.0f}" height="20" fill="#47a"/>')
        bars.append(f'<text x="{310 + length:.0f}" y="{y + 20}">{median(figure.ratios):.2f}</text>')
        if goal[0].isdigit():
            x = 300 + 300 * float(goal)
            bars.append(f'<path d="M{x:.0f} {y}v30" stroke="#c33" stroke-width="2"/>')
    height = 30 * len(figures)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1100 {height}" '
        f'font-family="sans-serif" font-size="14">\n' + "\n".join(bars) + "\n</svg>\n"
    )


def test_benchmark(tmp_path: Path) -> None:
    # A thousand connections are more than a shell usually allows a program to open.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    figures = [*throughput(Load(tmp_path)), boots(), *memories()]

    print("| what | against | goal | median | range |\n| --- | --- | --- | --- | --- |")
    print("\n".join(figure.row() for figure in figures))
    PLOT.write_text(plot(figures))
    print(f"plotted in {PLOT}")
