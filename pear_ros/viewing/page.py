# SPDX-License-Identifier: Apache-2.0
"""The page that browsers get: viser's client, with a way to read and to change its address.

The client tells the server nothing about its address, but reads and writes the browser's local
storage for it. A script at the beginning of the page serves one item of that storage: reading it
gives the address's query, the system's colour scheme and whether the page is narrow; writing it
changes the query. Nothing of it is stored, so each tab has its own.

The client ends with an error, and leaves the page white, when a skinned mesh is removed (viser
1.1.1), as after a lost connection. The script then loads the page anew, at its address.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import viser

from pear_ros.viewing.link import Link, Theme

ITEM = "pear_page"
"""Name of the item of local storage."""
_TITLE = "pear view"
_SCRIPT = """<script>(() => {
  const mine = (storage, key) => storage === window.localStorage && key.endsWith("NAME");
  const read = Storage.prototype.getItem, write = Storage.prototype.setItem;
  Storage.prototype.getItem = function (key) {
    if (!mine(this, key)) return read.call(this, key);
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const narrow = matchMedia("(max-width: 36em)").matches;
    return JSON.stringify({query: location.search, dark: dark, narrow: narrow});
  };
  Storage.prototype.setItem = function (key, value) {
    if (!mine(this, key)) return write.call(this, key, value);
    history.replaceState(null, "", location.pathname + value);
  };
  let shown = false;
  setInterval(() => {
    const empty = !document.getElementById("root")?.hasChildNodes();
    if (shown && empty) location.reload();
    shown = !empty;
  }, 1000);
})();</script>"""
_STYLE = """<style>
  /* viser's panel on phones, by its inline style: all of the width, less of the height. */
  @media (max-width: 36em) {
    div[style*="max-height: 60%"][style*="position: fixed"] {
      max-height: 40% !important; width: 100% !important;
    }
    div[style*="max-height: 60%"][style*="position: fixed"] div[style*="width: 20em"] {
      width: 100% !important;
    }
  }
</style>"""
_TIMEOUT_SECONDS = 60.0
"""Of a phone or a busy computer, which answers when the page's script runs."""


@dataclass(frozen=True)
class PageState:
    """What a page says about itself when it is opened."""

    link: Link = field(default_factory=Link)
    """Time and view of its address."""
    dark: bool = False
    """Whether its system prefers dark colours."""
    narrow: bool = False
    """Whether controls are a sheet at the bottom, as viser has it up to a width of 36 em."""

    @property
    def theme(self) -> Theme:
        """The theme of the link, else that of the system."""
        return self.link.theme or (Theme.DARK if self.dark else Theme.LIGHT)


@cache
def page() -> bytes:
    """Return the page in UTF-8."""
    client = Path(viser.__file__).parent / "client" / "build" / "index.html"
    text = client.read_text(encoding="utf-8")
    start = text.index("<head>") + len("<head>")
    script = _SCRIPT.replace("NAME", ITEM)
    text = f"{text[:start]}{script}{_STYLE}{text[start:]}"
    return text.replace("<title>Viser</title>", f"<title>{_TITLE}</title>").encode()


def page_state(viewer: viser.ClientHandle) -> PageState:
    """Ask a viewer's page for its address; one that does not answer has none."""
    try:
        answer = viewer.local_storage.get_item(ITEM, timeout=_TIMEOUT_SECONDS)
        values = json.loads(answer or "{}")
        return PageState(
            Link.parsed(str(values.get("query", ""))),
            dark=bool(values.get("dark")),
            narrow=bool(values.get("narrow")),
        )
    except (RuntimeError, TimeoutError, ValueError, TypeError, AttributeError):
        return PageState()


def set_link(viewer: viser.ClientHandle, link: Link) -> None:
    """Change the address in a viewer's browser."""
    viewer.local_storage.set_item(ITEM, link.query())
