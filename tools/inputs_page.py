# SPDX-License-Identifier: Apache-2.0
"""The sections of the page docs/inputs.md: what is done with inputs, as the code does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pear_ros.core.frame_clock as frame_clock
from pear_ros.core.distortion import MODELS
from pear_ros.core.parameters import DEFAULTS
from pear_ros.ros.conversion import encodings, lenses
from pear_ros.ros.conversion.detections import ALIASES_OF_PERSON
from pear_ros.ros.conversion.notes import Note

_MOST_COEFFICIENTS = 20
_FORMATS = (
    ("`jpeg`, `png`, empty, or any other text", "colours as they are in the file"),
    ("`rgb8; jpeg compressed bgr8`", "the same"),
    (
        "`rgb8; jpeg compressed rgb8` (also `bgr8; ...` and `png`)",
        "red and blue are swapped, as image_transport's reader does",
    ),
    (
        "`bayer_rggb8; jpeg compressed` (all four patterns; without `bgr8` behind it)",
        "a mosaic, from which colours are made",
    ),
    ("`mono16; png compressed`", "16 bits, as below"),
    ("`16UC1; compressedDepth png`, `16UC1; png compressed`", "depth, in millimetres"),
    ("`32FC1; compressedDepth png`", "depth, in metres, from its inverse"),
    ("`...; compressedDepth rvl`", "refused as depth: set the publisher's format to png"),
)


def inputs_sections() -> list[str]:
    """Return the blocks of the page."""
    return [
        "## Time",
        _rule(),
        "`/diagnostics` and the table of `pear replay` count the images that were timed by "
        "arrival, or by recording. Results keep the stamps of their images.",
        "## Calibration",
        "K, or P of a rectified image, is used if a camera can have it: a field of view, by the "
        "focal length alone, from "
        "1 to 140 degrees across the longer side (fisheye: to 300), nearly square pixels, and a "
        "principal point inside the image. Else it is a placeholder, and "
        "[`field_of_view`](parameters.md#field_of_view) is assumed, with a warning. The lens "
        "distortion is mended, or left out:",
        _table(("distortion_model", "numbers in D", "what is done"), _lens_rows()),
        "Other names of models:",
        _table(("distortion_model", "other names"), _lens_names()),
        f"A camera without distortion may have any of the names {_names(lenses.PINHOLE_NAMES)}. "
        "Capitals, spaces and hyphens do not matter.",
        "## Encodings of images",
        _table(("encoding", "other names"), _encoding_rows()),
        "Of 16 bits those count that the image uses (8, 10, 12, 14 or 16), since sensors leave the "
        "upper ones at 0. OpenCV's names say nothing of colours: blue, green and red are assumed. "
        "All other encodings are refused; `16UC1` and `32FC1` belong on `depth`.",
        "## CompressedImage",
        "JPEG, PNG, WebP, BMP and TIFF are read, up to "
        f"[`max_pixels`](parameters.md#max_pixels), by default {DEFAULTS['max_pixels']:,}. "
        "`format` is minded where it says something:",
        _table(("format", "what is done"), _FORMATS),
        "A JPEG without its end marker is read if its picture is whole; what follows the marker is "
        "left out.",
        "## Depth",
        "`16UC1` and `mono16` in millimetres, `32FC1` in metres. A `32FC1` image with a median "
        "above 200 is in millimetres, and converted.",
        "## Classes of detections",
        f"[`detection_classes`](parameters.md#detection_classes), by default "
        f"`{DEFAULTS['detection_classes']}`, which includes {_names(ALIASES_OF_PERSON)}; capitals "
        "do not matter. Numbers such as `0` mean another class for each detector: set them. "
        "Detections without a class are taken if `detection_classes` is empty. Where no detection "
        "was ever taken, and where boxes leave the image again and again, a warning says so.",
    ]


def _rule() -> str:
    """The rule for time, which the module states."""
    text = frame_clock.__doc__ or ""
    return text[text.index("The rule") :].strip()


def _lens_rows() -> Iterable[tuple[str, ...]]:
    for model, counts in MODELS.items():
        done: dict[str, list[int]] = {}
        for count in range(_MOST_COEFFICIENTS + 1):
            done.setdefault(_done(model, count), []).append(count)
        for what, which in done.items():
            yield f"`{model}`", _ranges(which), what
        cut = f"{max(counts) + 1} or more, of which the last are 0"
        yield f"`{model}`", cut, "zeros are cut off"


def _lens_names() -> Iterable[tuple[str, ...]]:
    for model in MODELS:
        names = sorted(alias for alias, known in lenses.ALIASES.items() if known == model)
        yield f"`{model}`", _names(names)


def _done(model: str, count: int) -> str:
    """What is done with so many coefficients, none of them 0."""
    notes: list[Note] = []
    lens = lenses.distortion_of(model, [0.001] * count, notes)
    if lens is None:
        return "left out, K is used" if notes else "no distortion"
    return "zeros are appended" if len(lens.coefficients) > count else "used"


def _encoding_rows() -> Iterable[tuple[str, ...]]:
    for name in encodings.ENCODINGS:
        aliases = [alias for alias, known in encodings.ALIASES.items() if known == name]
        spelled = [alias.upper() if alias.startswith("8u") else alias for alias in aliases]
        yield f"`{name}`", _names(spelled)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" if name else "empty" for name in names)


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers in ascending order, successive ones as "6 to 8"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]} to {p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("|  |", "| |")
