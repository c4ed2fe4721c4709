"""The picture of a name: three stacked stars, drawn from a hash of the name."""

from hashlib import blake2b
from math import cos, pi, sin

from markupsafe import Markup

RAYS = 12
LENGTHS = 16
# Radius, lightness and chroma of each star; lightness tells them apart in grey too.
STARS = ((92, "0.72 0.17"), (64, "0.58 0.2"), (36, "0.86 0.14"))


def point(turn: float, radius: float) -> tuple[int, int]:
    """Return a point at a part of a turn, clockwise from the top."""
    return round(radius * sin(2 * pi * turn)), round(-radius * cos(2 * pi * turn))


def ray(number: int, radius: int, length: int) -> tuple[int, int, str]:
    """Return the tip of a ray, and its points: the tip and the valley after it."""
    x, y = point(number / RAYS, radius * (0.4 + 0.6 * length / (LENGTHS - 1)))
    valley_x, valley_y = point((number + 0.5) / RAYS, radius * 0.36)
    return x, y, f"{x},{y} {valley_x},{valley_y}"


# Every ray in each length, computed once: those of one picture take a tenth of a page's time.
TABLE = [
    [ray(number, radius, length) for length in range(LENGTHS)]
    for radius, _ in STARS
    for number in range(RAYS)
]


def picture(name: str) -> Markup:
    """Return an SVG element, the same for the same name, cropped to what is drawn."""
    hue, step, *lengths = blake2b(name.encode(), digest_size=2 + len(TABLE)).digest()
    hue = hue * 360 // 256
    step = 30 + step * 80 // 256
    rays = [by_length[n % LENGTHS] for by_length, n in zip(TABLE, lengths, strict=True)]
    xs, ys, points = zip(*rays, strict=True)
    stars = ""
    for layer, (_, colour) in enumerate(STARS):
        star = " ".join(points[layer * RAYS : (layer + 1) * RAYS])
        hue_of_layer = (hue + layer * step) % 360
        stars += f'<polygon points="{star}" color="oklch({colour} {hue_of_layer})"/>'
    left, top = min(xs) - 3, min(ys) - 3  # half of a stroke
    width, height = max(xs) + 3 - left, max(ys) + 3 - top
    return Markup(  # noqa: S704  # made of numbers alone
        f'<svg viewBox="{left} {top} {width} {height}" width="200" height="200" aria-hidden="true"'
        ' fill="currentColor" stroke="currentColor" stroke-width="6" stroke-linejoin="round">'
        f"{stars}</svg>"
    )
