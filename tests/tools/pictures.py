"""Draws the icons, the social preview image and the screenshots of the README.

`python -m tests.tools.pictures` takes them from the running site.
"""

import struct

from playwright.sync_api import Page, ViewportSize, sync_playwright

from blasto.startproject import icon

from tests.conftest import require_program
from tests.processes import ROOT, Server, free_port

STATIC = ROOT / "blasto" / "static"
SCREEN = ViewportSize(width=1280, height=800)


def png(page: Page, body: str, width: int, height: int, *, transparent: bool = False) -> bytes:
    page.set_viewport_size({"width": width, "height": height})
    page.set_content(
        f"""<style>
            body {{ margin: 0; display: grid; place-content: center; block-size: 100vh;
                    grid-auto-flow: column; align-items: center; gap: 5vh; overflow: hidden;
                    background: {"transparent" if transparent else "#fdf8ee"}; color: #221a33;
                    font: bold 24vh Charter, "Noto Serif", serif }}
            svg {{ block-size: {"100vh" if transparent else "80vh"} }}
        </style>{body}"""
    )
    return page.screenshot(omit_background=transparent)


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
        mark = icon("Blasto")
        (STATIC / "icon.svg").write_text(f"{mark}\n")
        (STATIC / "apple-touch-icon.png").write_bytes(png(page, mark, 180, 180))
        (STATIC / "share.png").write_bytes(png(page, mark, 1200, 630))
        (STATIC / "favicon.ico").write_bytes(ico(png(page, mark, 32, 32, transparent=True), 32))

        page.set_viewport_size(SCREEN)
        page.goto(f"http://127.0.0.1:{port}/")
        page.screenshot(path=ROOT / ".github" / "index.png")

        page.emulate_media(color_scheme="dark")
        page.goto(f"http://127.0.0.1:{port}/user/Ada Lovelace")
        page.screenshot(path=ROOT / ".github" / "user.png")


if __name__ == "__main__":
    main()
