"""Draws the icons, the social preview image and the screenshots of the README.

`python -m tests.tools.pictures` takes them from the running site.
"""

import struct

from playwright.sync_api import Page, ViewportSize, sync_playwright

from blasto.icons import svg

from tests.conftest import require_program
from tests.processes import ROOT, Server, free_port

STATIC = ROOT / "blasto" / "static"
SCREEN = ViewportSize(width=1280, height=800)

# The icon fills its frame; a telephone's has an edge, and the preview's is cut off at the edges.
ICON = "svg { display: block; inline-size: 100vw; block-size: 100vh }"
TOUCH_ICON = (
    "body { background: #fdf8ee } svg { margin: 10vh; inline-size: 80vw; block-size: 80vh }"
)
SHARE = (
    "body { background: #fdf8ee } svg { margin: -25vh 30vw; inline-size: auto; block-size: 150vh }"
)


def png(page: Page, svg: str, style: str, width: int, height: int) -> bytes:
    page.set_viewport_size({"width": width, "height": height})
    page.set_content(f"<style>body {{ margin: 0; overflow: hidden }} {style}</style>{svg}")
    return page.screenshot(omit_background=True)


def ico(image: bytes, size: int) -> bytes:
    """Wrap a PNG as an icon of one image (ICONDIR, then its one ICONDIRENTRY)."""
    header = struct.pack("<HHH", 0, 1, 1)
    entry = struct.pack("<BBBBHHII", size, size, 0, 0, 1, 32, len(image), 6 + 16)
    return header + entry + image


def main() -> None:
    port = free_port()
    with (
        Server(f"flask run --port {port}", port),
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=require_program("chromium", "chromium")
        ) as browser,
        browser.new_context(reduced_motion="reduce") as context,
        context.new_page() as page,
    ):
        mark = svg("Blasto")
        (STATIC / "icon.svg").write_text(f"{mark}\n")
        (STATIC / "favicon.ico").write_bytes(ico(png(page, mark, ICON, 32, 32), 32))
        (STATIC / "apple-touch-icon.png").write_bytes(png(page, mark, TOUCH_ICON, 180, 180))
        (STATIC / "share.png").write_bytes(png(page, mark, SHARE, 1200, 630))

        page.set_viewport_size(SCREEN)
        page.goto(f"http://127.0.0.1:{port}/")
        page.screenshot(path=ROOT / ".github" / "index.png")

        page.emulate_media(color_scheme="dark")
        page.goto(f"http://127.0.0.1:{port}/user/Ada Lovelace")
        page.screenshot(path=ROOT / ".github" / "user.png")


if __name__ == "__main__":
    main()
