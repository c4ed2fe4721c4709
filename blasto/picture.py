"""The picture of a name: three stars over each other, drawn from a hash of the name."""

from hashlib import blake2b
from math import cos, pi, sin

from markupsafe import Markup

RAYS = 12
RADII = (92, 64, 36)  # of the three stars; the picture reaches 100 in each direction
# The tips of the rays and the valleys between them, by turns, on a circle of radius 1.
DIRECTIONS = [(sin(pi * turn / RAYS), -cos(pi * turn / RAYS)) for turn in range(2 * RAYS)]


def picture(name: str) -> Markup:
    """Return an SVG element, the same for the same name."""
    digest = blake2b(name.encode(), digest_size=2 + RAYS * len(RADII)).digest()
    hue = int.from_bytes(digest[:2])
    stars = "".join(
        f'<polygon points="{points(radius, digest[2 + RAYS * layer :])}"'
        f' color="hsl({(hue + 40 * layer) % 360},75%,55%)"/>'
        for layer, radius in enumerate(RADII)
    )
    return Markup(  # noqa: S704  # made of numbers alone
        '<svg viewBox="-100 -100 200 200" aria-hidden="true" fill="currentColor"'
        f' stroke="currentColor" stroke-width="6" stroke-linejoin="round">{stars}</svg>'
    )


def points(radius: float, lengths: bytes) -> str:
    """Return the points of a star: tips at 0.4 to 1 of the radius, valleys at 0.36."""
    corners = []
    for index, (x, y) in enumerate(DIRECTIONS):
        reach = radius * (0.36 if index % 2 else 0.4 + 0.6 * lengths[index // 2] / 255)
        corners.append(f"{round(reach * x)},{round(reach * y)}")
    return " ".join(corners)
