"""Elements of SVG: attributes and classes only, so that a strict policy and every theme suit them.

Positions are per cent of the width and heights are pixels: a chart fits any column and its text
keeps its size.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from markupsafe import Markup


def svg(label: str | None = None, **attributes: object) -> ET.Element:
    """The root: an image with a label, or decoration without one."""
    root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg"})
    if label is None:
        root.set("aria-hidden", "true")
        root.set("focusable", "false")
    else:
        root.set("role", "img")
        root.set("aria-label", label)
    return _with(root, attributes)


def add(parent: ET.Element, tag: str, text: object = None, **attributes: object) -> ET.Element:
    """An element in another one; underscores of attribute names become dashes."""
    element = _with(ET.SubElement(parent, tag), attributes)
    element.text = None if text is None else str(text)
    return element


def _with(element: ET.Element, attributes: dict[str, object]) -> ET.Element:
    for name, value in attributes.items():
        shown = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        element.set(name.rstrip("_").replace("_", "-"), shown)
    return element


def percent(value: float) -> str:
    """A length of so many per cent."""
    return f"{value:.2f}%"


def markup(root: ET.Element) -> Markup:
    """The drawing as text that needs no further escaping."""
    # ElementTree has escaped every text and attribute.
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704
