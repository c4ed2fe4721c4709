"""Draws the icons, the social preview image and the screenshots of the README.

`python -m tests.tools.pictures` takes them from the running site.
"""

from playwright.sync_api import Page, sync_playwright

from blasto.icons import ico, svg

from tests.conftest import require_program
from tests.processes import ROOT, Server

STATIC = ROOT / "blasto" / "static"

# The icon fills its frame; a phone's has a margin, and the preview's is cropped.
ICON = "svg { display: block; inline-size: 100vw; block-size: 100vh }"
PAPER = "body { background: #fdf8ee }"
TOUCH_ICON = f"{PAPER} svg {{ margin: 10vh; inline-size: 80vw; block-size: 80vh }}"
SHARE = f"{PAPER} svg {{ margin: -25vh 30vw; inline-size: auto; block-size: 150vh }}"


def png(page: Page, svg: str, style: str, width: int, height: int) -> bytes:
    page.set_viewport_size({"width": width, "height": height})
    page.set_content(f"<style>body {{ margin: 0; overflow: hidden }} {style}</style>{svg}")
    return page.screenshot(omit_background=True)


def main() -> None:
    chromium = require_program("chromium", "chromium")
    with (
        Server("flask run --port $PORT") as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium) as browser,
        browser.new_context(reduced_motion="reduce") as context,
        context.new_page() as page,
    ):
        mark = svg("Blasto")
        (STATIC / "icon.svg").write_text(f"{mark}\n")
        small = png(page, mark, ICON, 32, 32)
        (STATIC / "favicon.ico").write_bytes(ico(small, 32))
        (STATIC / "apple-touch-icon.png").write_bytes(png(page, mark, TOUCH_ICON, 180, 180))
        (STATIC / "share.png").write_bytes(png(page, mark, SHARE, 1200, 630))

        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.screenshot(path=ROOT / ".github" / "index.png")

        page.emulate_media(color_scheme="dark")
        page.goto(f"http://127.0.0.1:{server.port}/user/Ada Lovelace")
        page.screenshot(path=ROOT / ".github" / "user.png")


if __name__ == "__main__":
    main()
