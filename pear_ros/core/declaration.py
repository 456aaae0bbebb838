# SPDX-License-Identifier: Apache-2.0
"""Declarations of parameters: what is known of one beside its name, type and default.

A frozen dataclass has the parameters as fields, each made by `declared`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any

_DIGITS = 20
"""Characters of a number that are shown."""
_TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True)
class Declaration:
    """All that is known of one parameter beside its name and default."""

    help: str
    """Sentences for the user, in English, for terminals and pages."""
    low: float | None = None
    """Least value of a number; None: no limit."""
    high: float | None = None
    """Greatest value of a number; None: no limit."""
    step: int = 0
    """Difference of a whole number from one allowed value to the next; 0: all are allowed."""
    choices: tuple[str, ...] = ()
    """Values of a text; empty: any text."""
    pattern: str = ""
    """Regular expression that a text has to match; empty: any text."""
    unit: str = ""
    """Unit of a number."""
    live: bool = False
    """Whether it may be changed while the node is configured, from the next image on."""
    affects_results: bool = True
    """Whether the people in the results depend on it, so that results with another value differ."""
    option: str = ""
    """Name of the command line option without dashes, where it is not the parameter's."""

    def refusal(self, value: Any) -> str:
        """Return why `value`, of the declared type, is not allowed, as "must be ..."; or ""."""
        if self.choices and value not in self.choices:
            return f"must be {' or '.join(map(repr, self.choices))}, not {value!r}"
        if self.pattern and not re.fullmatch(self.pattern, value):
            return f"must match {self.pattern}, not {value!r}"
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:
            return f"must be from {self.low:g} to {self.high:g}, not {_number(value)}"
        if self.low is not None and self.step and (value - self.low) % self.step:
            return f"must be {self.low:g} or more by steps of {self.step}, not {_number(value)}"
        return ""

    def parse(self, kind: type[Any], text: str) -> Any:
        """Return the value, of type `kind`, that `text` stands for on a command line.

        Raises ValueError, with "must be ...", where it stands for none that is allowed.
        """
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(f"must be {_TYPE_NAMES[kind]}, not {text!r}") from None
        if reason := self.refusal(value):
            raise ValueError(reason)
        return value


def _number(value: float) -> str:
    """Return a number as a short text; a whole one may be too large for a float."""
    text = str(value) if isinstance(value, int) else f"{value:g}"
    return text if len(text) <= _DIGITS else f"{text[:_DIGITS]}..."


def declared(default: Any, help: str, **declaration: Any) -> Any:
    """Return a dataclass field with this default and a Declaration of the other arguments."""
    return field(default=default, metadata={"declaration": Declaration(help, **declaration)})


def declarations_of(kind: type[Any]) -> dict[str, Declaration]:
    """Return the declaration of each parameter of a dataclass, by name."""
    return {one.name: one.metadata["declaration"] for one in fields(kind)}


def defaults_of(kind: type[Any]) -> dict[str, Any]:
    """Return the default of each parameter of a dataclass, by name; its type is the parameter's."""
    return {one.name: one.default for one in fields(kind)}
