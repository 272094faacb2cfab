"""Vendored files are what their makers published, and are served so that browsers may keep them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

import serving.pages
from serving.pages.site import STATIC, static_digest

FOLDER = Path(serving.pages.__file__).parent / "static"

VENDORED = {
    # htmx.org 4.0.1, dist/htmx.min.js, Zero-Clause BSD
    "htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "htmx.LICENSE": "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
    # @fontsource-variable/public-sans 5.3.0, latin, SIL Open Font License 1.1
    "public-sans.woff2": "5ed4d31c988e73b258894244f209069ebe77dc7e564861954b21198b6de90d68",
    "public-sans.LICENSE": "705a497c781f6463ff819abb513bb495f3fb05256f1d20321e3275813c0bafa5",
    # @fontsource-variable/atkinson-hyperlegible-mono 5.3.0, latin, SIL Open Font License 1.1
    "atkinson-hyperlegible-mono.woff2": (
        "2706b1ee4f452e744ea91f7e4908cbde9c5d35521bf5ffffc71a382a2de89613"
    ),
    "atkinson-hyperlegible-mono.LICENSE": (
        "05327050630a640eb824c8fcb7de8b2e605600d8863e4f531ca7c348239916c6"
    ),
}


@pytest.mark.parametrize("name", VENDORED)
def test_vendored_files_are_as_published(name: str) -> None:
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == VENDORED[name]


def test_every_file_is_served_or_a_licence() -> None:
    names = {path.name for path in FOLDER.iterdir()}
    assert names == STATIC | {name for name in VENDORED if name.endswith(".LICENSE")}


@pytest.mark.parametrize("name", sorted(STATIC))
def test_static_files_are_kept_for_good_and_need_no_session(scored: Any, name: str) -> None:
    response = scored.client.get(f"/static/{static_digest()}/{name}")
    assert response.status_code == 200
    assert response.content == (FOLDER / name).read_bytes()
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["site.py", "../site.py", "%2e%2e/site.py", "htmx.LICENSE", ""])
def test_nothing_else_is_served(scored: Any, name: str) -> None:
    assert scored.client.get(f"/static/{static_digest()}/{name}").status_code in (303, 404)


def test_an_address_of_another_content_is_asked_for_again(scored: Any) -> None:
    response = scored.client.get("/static/000000000000/app.css")
    assert response.headers["cache-control"] == "no-cache"
