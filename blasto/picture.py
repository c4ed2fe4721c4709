"""The picture of a name: a burst of rays, decided by the name alone."""

from hashlib import blake2b
from math import cos, pi, sin
from typing import NamedTuple

RAYS = 12
REACHES = (92, 64, 36)  # of the three stars laid over each other, largest first


class Star(NamedTuple):
    """The points of an SVG polygon around 0,0 and its hue in degrees."""

    points: str
    hue: int


def burst(name: str) -> list[Star]:
    """Return the stars of a name, within 100 units of the centre."""
    digest = blake2b(name.encode(), digest_size=2 + RAYS * len(REACHES)).digest()
    hue = int.from_bytes(digest[:2])
    lengths = iter(digest[2:])
    return [
        Star(" ".join(ray[next(lengths) >> 4] for ray in rays), (hue + 40 * layer) % 360)
        for layer, rays in enumerate(STARS)
    ]


def ray(turn: float, tip: float, valley: float) -> str:
    """Return a ray's two points: its tip and the valley after it, a turn being 1 all around."""
    return f"{polar(turn, tip)} {polar(turn + 0.5 / RAYS, valley)}"


def polar(turn: float, radius: float) -> str:
    return f"{round(radius * sin(2 * pi * turn))},{round(-radius * cos(2 * pi * turn))}"


# Each ray in its sixteen lengths, drawn once: a page then only picks.
STARS = [
    [
        [ray(index / RAYS, reach * (0.4 + 0.04 * length), reach * 0.36) for length in range(16)]
        for index in range(RAYS)
    ]
    for reach in REACHES
]
