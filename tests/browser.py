"""A page in a real browser, for tests.

A probe page holds it in two frames, one as wide as a phone and one as wide as a desk, looks into both, and leaves what
it saw in its own text.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
)  # fmt: skip

WIDTHS = (400, 1200)

PROBE = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">{frames}<pre id="seen"></pre><script>
function look(frame) {{
  const page = frame.contentDocument, width = page.documentElement.clientWidth;
  const images = [...page.images];
  const visible = element => getComputedStyle(element).clipPath === "none" && !element.closest("thead");
  return {{
    width: width, scroll: page.documentElement.scrollWidth, images: images.length,
    broken: images.filter(image => !image.complete || image.naturalWidth === 0).length,
    small: images.filter(image => image.getBoundingClientRect().width < 250).length,
    beyond: [...page.body.querySelectorAll("*")].filter(
      element => visible(element) && element.getBoundingClientRect().right > width + 1).map(element => element.tagName),
  }};
}}
window.addEventListener("load", () => {{
  document.getElementById("seen").textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(look));
}});
</script>"""


def browse(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


def seen(folder: Path, page: str) -> tuple[list[dict[str, object]], list[str]]:
    """What the probe saw of a page in each frame, and what the console of the browser printed."""
    frames = "".join(f'<iframe width="{w}" height="900" srcdoc="{html.escape(page)}"></iframe>' for w in WIDTHS)
    probe = folder / "probe.html"
    probe.write_text(PROBE.format(frames=frames), encoding="utf-8")
    done = browse(folder, "--window-size=1700,1000", "--virtual-time-budget=5000", "--dump-dom", probe.as_uri())
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None
    return json.loads(html.unescape(found[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]
