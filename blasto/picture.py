"""The picture of a name: three stars over each other, drawn from a hash of the name."""

from hashlib import blake2b
from math import cos, pi, sin

from markupsafe import Markup

RAYS = 12
RADII = (92, 64, 36)  # of the three stars; the picture reaches 100 in each direction
LENGTHS = 16


def point(turn: float, radius: float) -> str:
    """Return a point at a part of a turn, clockwise from the top."""
    return f"{round(radius * sin(2 * pi * turn))},{round(-radius * cos(2 * pi * turn))}"


# Every ray of every star in each of its lengths, a tip and the valley after it: drawn only once,
# because that takes a tenth of the time that a page does.
STARS = [
    [
        [
            f"{point(ray / RAYS, radius * (0.4 + 0.6 * length / (LENGTHS - 1)))}"
            f" {point((ray + 0.5) / RAYS, radius * 0.36)}"
            for length in range(LENGTHS)
        ]
        for ray in range(RAYS)
    ]
    for radius in RADII
]


def picture(name: str) -> Markup:
    """Return an SVG element, the same for the same name."""
    hue, *lengths = blake2b(name.encode(), digest_size=1 + RAYS * len(RADII)).digest()
    chosen = iter(lengths)
    stars = ""
    for layer, rays in enumerate(STARS):
        points = " ".join([ray[next(chosen) % LENGTHS] for ray in rays])
        colour = f"hsl({hue * 360 // 256 + 40 * layer},75%,55%)"
        stars += f'<polygon points="{points}" color="{colour}"/>'
    return Markup(  # noqa: S704  # made of numbers alone
        '<svg viewBox="-100 -100 200 200" aria-hidden="true" fill="currentColor"'
        f' stroke="currentColor" stroke-width="6" stroke-linejoin="round">{stars}</svg>'
    )
