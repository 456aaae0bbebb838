# SPDX-License-Identifier: Apache-2.0
"""The sections of the page docs/commands.md, made from the parser of the command `pear`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator


def command_sections(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the blocks of the page: a table of all subcommands of `parser`, then each of them."""
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    helps = {action.dest: action.help for action in commands._choices_actions}
    rows = [f"| [`pear {name}`](#pear-{name}) | {helps[name]} |" for name in commands.choices]
    yield "\n".join(["| command | |", "|---|---|", *rows])
    groups: dict[tuple[str, ...], str] = {}
    for name, command in commands.choices.items():
        yield f"## `pear {name}`"
        yield from _command(name, command, helps[name] or "", groups)


def _command(
    name: str, parser: argparse.ArgumentParser, summary: str, described: dict[tuple[str, ...], str]
) -> Iterator[str]:
    """Yield the blocks about the subcommand `name`.

    `described`: rows of groups of options, and the subcommand below which the page has them. It is
    extended; an equal group of a later subcommand is a link.
    """
    usage = " ".join(_usage(action) for action in parser._actions if not action.option_strings)
    needed = [a for a in parser._actions if a.option_strings and a.required]
    usage += "".join(f" {_usage(action)}" for action in needed)
    options = any(not a.required for a in _without_help(parser._actions) if a.option_strings)
    yield f"    {parser.prog} {usage}".rstrip() + (" [OPTIONS]" if options else "")
    yield from _prose(parser.description or f"{summary[:1].upper()}{summary[1:]}.")
    rows = ["| | |", "|---|---|"]
    for group in parser._action_groups:
        actions = _without_help(group._group_actions)
        entries = tuple(f"| `{_cell(_usage(a))}` | {_cell(_help(a))} |" for a in actions)
        if not entries or group.title in ("positional arguments", "options"):
            rows += entries
            continue
        first = described.setdefault(entries, name)
        link = "" if first == name else f"the same as of [`pear {first}`](#pear-{first}) "
        rows.append(f"| **{_cell(group.title or '')}** | {link}|")
        rows += entries if first == name else ()
    if len(rows) > 2:
        yield "\n".join(rows)
    if parser.epilog:
        yield from _prose(parser.epilog)


def _without_help(actions: Iterable[argparse.Action]) -> list[argparse.Action]:
    return [action for action in actions if not isinstance(action, argparse._HelpAction)]


def _usage(action: argparse.Action) -> str:
    """An argument as one types it."""
    if action.metavar:
        value = str(action.metavar)
    elif action.choices:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    else:
        value = action.dest.upper()
    if action.nargs == 0:
        value = ""
    elif action.nargs == "?":
        value = f"[{value}]"
    elif action.nargs in ("+", "*"):
        value = f"{value} ..."
    return " ".join(part for part in (", ".join(action.option_strings), value) if part)


def _help(action: argparse.Action) -> str:
    return (action.help or "") % {**vars(action), "prog": "pear"}


def _prose(text: str) -> Iterator[str]:
    """Paragraphs as they are; tables made of spaces keep their form."""
    for paragraph in text.strip("\n").split("\n\n"):
        lines = paragraph.splitlines()
        laid_out = [line for line in lines if line.startswith("  ")]
        before = [_cell(line) for line in lines if not line.startswith("  ")]
        if before:
            yield "\n".join(before)
        if laid_out:
            yield "\n".join(["```text", *(line[2:] for line in laid_out), "```"])


def _cell(text: str) -> str:
    """Return `text` as it is written in a cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;")
