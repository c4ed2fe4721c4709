"""The icons of a new site, drawn from its name, as SVG and as PNG."""

import re
import struct
import zlib
from itertools import pairwise

import click

from .picture import picture

STAR = re.compile(r'points="([^"]+)" color="oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)"')
SIZE = 256


def svg(name: str) -> str:
    """Return the picture of a name as an SVG file, which needs its namespace."""
    return str(picture(name)).replace('aria-hidden="true"', 'xmlns="http://www.w3.org/2000/svg"')


def rgb(lightness: float, chroma: float, hue: float) -> bytes:
    """Convert an oklch() colour to sRGB (https://bottosson.github.io/posts/oklab/)."""
    ab = chroma * 1j ** (hue / 90)
    r = (lightness + 0.39634 * ab.real + 0.21580 * ab.imag) ** 3
    g = (lightness - 0.10556 * ab.real - 0.06385 * ab.imag) ** 3
    b = (lightness - 0.08948 * ab.real - 1.29149 * ab.imag) ** 3
    red, green = 4.0767 * r - 3.3077 * g + 0.2310 * b, 2.6098 * g - 1.2684 * r - 0.3413 * b
    linear = (red, green, 1.7076 * b - 0.7034 * g - 0.0042 * r)
    return bytes(round(269 * min(max(part, 0.001), 1) ** (1 / 2.4) - 14) for part in linear)


def accents(name: str) -> dict[str, str]:
    """Return the accents on light and on dark paper: of every hue, their contrast is above 7."""
    star = STAR.search(svg(name))
    if not star:
        raise click.ClickException("STAR in icons.py matches no star of picture.py. Change STAR.")
    hue = float(star[4])
    return {"light": f"#{rgb(0.40, 0.15, hue).hex()}", "dark": f"#{rgb(0.82, 0.10, hue).hex()}"}


def png(name: str) -> bytes:
    """Draw the picture of a name on paper, with its strokes of 6 units and their round ends."""
    left, top, *sides = map(int, re.findall(r"-?\d+", svg(name))[:4])
    scale = 0.9 * SIZE / max(sides)
    origin = complex(SIZE, SIZE) / 2 - scale * complex(left + sides[0] / 2, top + sides[1] / 2)
    rows, palette = [bytearray(SIZE) for _ in range(SIZE)], b"\xfd\xf8\xee"
    for number, (points, *colour) in enumerate(STAR.findall(svg(name)), 1):
        palette += rgb(*map(float, colour))
        star = [origin + scale * complex(*map(int, xy.split(","))) for xy in points.split()]
        shapes = [star]
        for p, q in pairwise(star + star[:1]):
            arc = [3 * scale * (q - p) / abs(q - p) * 1j ** (turn / 4) for turn in range(-4, 5)]
            shapes.append([q + point for point in arc] + [p - point for point in arc])
        for shape in shapes:
            edges, ys = list(pairwise(shape + shape[:1])), [point.imag for point in shape]
            for y in range(int(min(ys)), int(max(ys)) + 1):
                met = [(p, q) for p, q in edges if (p.imag <= y) != (q.imag <= y)]
                ends = sorted(
                    round((p + (y - p.imag) / (q - p).imag * (q - p)).real) for p, q in met
                )
                for start, end in zip(ends[::2], ends[1::2], strict=True):
                    rows[y][start:end] = bytes([number]) * (end - start)
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 3, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    image = b"\x89PNG\r\n\x1a\n"
    for chunk in b"IHDR" + header, b"PLTE" + palette, b"IDAT" + pixels, b"IEND":
        image += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return image


def ico(image: bytes, depth: int) -> bytes:
    """Return a square PNG of `depth` bits a pixel as an .ico: ICONDIR, ICONDIRENTRY and the PNG."""
    side = image[19]  # the last byte of its width in the PNG: 0 is 256 in an .ico, too
    return struct.pack("<3H4B2H2I", 0, 1, 1, side, side, 0, 0, 1, depth, len(image), 22) + image


def draw(name: str) -> dict[str, bytes]:
    """Return the files of the icons."""
    image = png(name)
    icons = {"apple-touch-icon.png": image, "favicon.ico": ico(image, 8)}
    return {"icon.svg": svg(name).encode(), **icons}
