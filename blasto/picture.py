"""The picture of a name: three stars over each other, drawn from a hash of the name."""

from hashlib import blake2b
from math import cos, pi, sin
from typing import NamedTuple

from markupsafe import Markup

RAYS = 12
LENGTHS = 16
# Radius, lightness and chroma of each star: by lightness, they can be told apart in grey too.
STARS = ((92, 0.72, 0.17), (64, 0.58, 0.20), (36, 0.86, 0.14))


class Ray(NamedTuple):
    """The tip of a ray, and its points: the tip and the valley after it."""

    x: int
    y: int
    points: str


def point(turn: float, radius: float) -> tuple[int, int]:
    """Return a point at a part of a turn, clockwise from the top."""
    return round(radius * sin(2 * pi * turn)), round(-radius * cos(2 * pi * turn))


def make_ray(number: int, radius: int, length: int) -> Ray:
    x, y = point(number / RAYS, radius * (0.4 + 0.6 * length / (LENGTHS - 1)))
    valley_x, valley_y = point((number + 0.5) / RAYS, radius * 0.36)
    return Ray(x, y, f"{x},{y} {valley_x},{valley_y}")


# Every ray of every star in each of its lengths: made only once, because that takes a tenth of
# the time that a page does.
TABLE = [
    [[make_ray(ray, radius, length) for length in range(LENGTHS)] for ray in range(RAYS)]
    for radius, _, _ in STARS
]


def picture(name: str) -> Markup:
    """Return an SVG element, the same for the same name, cropped to what is drawn."""
    digest = blake2b(name.encode(), digest_size=2 + RAYS * len(STARS)).digest()
    hue = digest[0] * 360 // 256
    step = 30 + digest[1] * 80 // 256
    stars = ""
    rays: list[Ray] = []
    for layer, (_, lightness, chroma) in enumerate(STARS):
        lengths = digest[2 + layer * RAYS :]
        star = [TABLE[layer][ray][lengths[ray] % LENGTHS] for ray in range(RAYS)]
        points = " ".join([ray.points for ray in star])
        colour = f"oklch({lightness} {chroma} {(hue + layer * step) % 360})"
        stars += f'<polygon points="{points}" color="{colour}"/>'
        rays += star
    xs, ys = [ray.x for ray in rays], [ray.y for ray in rays]
    left, top = min(xs) - 3, min(ys) - 3  # half of a stroke
    width, height = max(xs) + 3 - left, max(ys) + 3 - top
    return Markup(  # noqa: S704  # made of numbers alone
        f'<svg viewBox="{left} {top} {width} {height}" width="200" height="200" aria-hidden="true"'
        ' fill="currentColor" stroke="currentColor" stroke-width="6" stroke-linejoin="round">'
        f"{stars}</svg>"
    )
