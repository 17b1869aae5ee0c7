"""The page as files: what any web server serves, and what a browser keeps for use without a network.

Nothing comes from elsewhere. Equal bundles give equal files, and the service worker names them by their hash, so that a
changed page is fetched anew.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np

from vskd_export.package.pictures import png
from vskd_export.ports.page.model import Model

_HERE = Path(__file__).parent
_SCOPE, WORKER = "./", "sw.js"

#: Accent of the page, and the icon's line from left to right, in 64ths of its side.
_BLUE, _LINE = (47, 91, 234), ((8, 34), (18, 34), (25, 16), (37, 48), (44, 34), (56, 34))


def page_files(model: Model) -> dict[str, bytes]:
    """Name, with ``/``, -> content of every file of the page."""
    files = {path.name: path.read_bytes() for path in sorted((_HERE / "site").iterdir())}
    files |= {f"core/{path.name}": path.read_bytes() for path in sorted((_HERE / "core").iterdir())}
    files |= {f"model/{name}": content for name, content in model.files().items()}
    files |= {f"icon-{side}.png": icon(side) for side in (192, 512)}
    files["manifest.webmanifest"] = _manifest(model.page["name"])
    worker = files.pop(WORKER)
    names = [_SCOPE, *(name for name in files if name != "index.html")]
    together = hashlib.sha256(b"".join(name.encode() + files[name] for name in sorted(files)) + worker)
    head = f"const VERSION = {json.dumps(together.hexdigest()[:16])};\nconst FILES = {json.dumps(names)};\n\n"
    return {**files, WORKER: head.encode() + worker}


def _manifest(name: str) -> bytes:
    icons = [{"src": f"icon-{side}.png", "sizes": f"{side}x{side}", "type": "image/png"} for side in (192, 512)]
    manifest = {
        "name": name,
        "short_name": name[:12],
        "description": "Activities from the wrist's accelerometer, recognised on this device.",
        "start_url": _SCOPE,
        "scope": _SCOPE,
        "display": "standalone",
        "background_color": "#0d1016",
        "theme_color": "#2f5bea",
        "icons": [*icons, {"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"}],
    }
    return json.dumps(manifest, ensure_ascii=False, indent=2).encode()


def icon(side: int) -> bytes:
    """The icon of the page as PNG, pixels a side: a browser installs no page without one."""
    y, x = np.mgrid[0:side, 0:side] * (64 / side)
    away = np.full((side, side), np.inf)
    for (x0, y0), (x1, y1) in itertools.pairwise(_LINE):
        along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1)
        away = np.minimum(away, np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)))
    white = np.clip((2.5 - away) * side / 64 + 0.5, 0, 1)[..., None]
    pixels = np.rint(np.array(_BLUE) * (1 - white) + 255 * white).astype(np.uint8)
    return png(pixels)
