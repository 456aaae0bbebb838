# SPDX-License-Identifier: Apache-2.0
"""`pear import-model`: its output, and its image of the body."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pear_ros.cli import main
from pear_ros.pear.files import FILES
from pear_ros.pear.graph import data_file, graph_name, write_record
from pear_ros.pear.prediction import VECTOR_SIZE

EYELID = "FLAME/l_eyelid.npy"


def test_everything_is_there(
    pear_folder: Path, pear_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pear_folder / "pear_model.pt").symlink_to(pear_checkpoint)
    picture = pear_folder / "pictures" / "body.png"
    assert main(["import-model", str(pear_folder), "--output", str(picture)]) == 0
    captured = capsys.readouterr()
    assert not captured.err
    lines = captured.out.splitlines()
    assert sum(line.startswith("  ✓") for line in lines) == len(FILES)
    assert "  ✓   121 kB  FLAME/l_eyelid.npy" in captured.out
    (cache,) = pear_folder.glob("pear_ros_body_*.npz")
    for expected in (
        *("10475 vertices, 20908 faces, 55 joints", "200 shape and 50 expression coefficients"),
        *("Lighter meshes: ", "FLAME, 300 shape and 50 expression", cache.name),
        f"Picture: {picture}",
        "Network: vision transformer of depth 2 and width 64",
        "Colours: reprojection error of bundled people ",
    ):
        assert expected in captured.out
    assert f"estimator:=pear model_folder:='{pear_folder}'" in lines[-1]


def test_graphs_stand_in_for_the_checkpoint(
    converted_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = converted_folder / graph_name("ab" * 32, "fp16")
    graph.touch()
    data_file(graph).touch()
    reference = np.zeros((1, VECTOR_SIZE), np.float32)
    write_record(graph, "fp16", "ab" * 32, reference)
    assert (
        main(["import-model", str(converted_folder), "--output", str(converted_folder / "b.png")])
        == 0
    )
    out = capsys.readouterr().out
    assert "pear_model.pt: not needed" in out and "missing" not in out
    assert "Graph: pear_abababab_fp16.onnx, fp16, weights abababab" in out


def test_the_picture_shows_body_and_head(
    converted_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = converted_folder / "body.png"
    main(["import-model", str(converted_folder), "--output", str(picture)])
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    front, side, head, asleep = np.hsplit(drawn, 4)
    covered = [(view != drawn[0, 0]).any(axis=2).mean() for view in (front, side, head, asleep)]
    assert 0.05 < covered[1] < covered[0] < covered[2], "from the side a body is slimmer"
    rows = np.flatnonzero((front != drawn[0, 0]).any(axis=(1, 2)))
    assert rows[0] > 10 and rows[-1] < len(front) - 10, "all of the body is in the picture"
    assert np.ptp(rows) > 0.8 * len(front)
    assert (head != asleep).mean() > 0.01, "eyelids move"


def test_a_checkpoint_alone_missing_does_not_keep_the_body_from_being_imported(
    pear_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = pear_folder / "body.png"
    assert main(["import-model", str(pear_folder), "--output", str(picture)]) == 1
    captured = capsys.readouterr()
    assert "  ✗  missing  pear_model.pt" in captured.out
    assert picture.exists() and list(pear_folder.glob("pear_ros_body_*.npz"))
    assert "1 of PEAR's 7 files is missing" in captured.err
    assert "BestWJH/PEAR_models" in captured.err and "ros2 launch" not in captured.out


def test_a_wrong_checkpoint_is_an_error_after_the_body(
    converted_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="checkpoints are read by torch")
    (converted_folder / "pear_model.pt").write_text("<html>")
    assert (
        main(
            ["import-model", str(converted_folder), "--output", str(converted_folder / "body.png")]
        )
        == 1
    )
    captured = capsys.readouterr()
    assert f"error: {converted_folder / 'pear_model.pt'} is no checkpoint of PEAR" in captured.err
    assert (converted_folder / "body.png").exists() and "ros2 launch" not in captured.out


def test_all_missing_files_are_listed_at_once(
    pear_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pear_folder / EYELID).unlink()
    picture = pear_folder / "body.png"
    assert main(["import-model", str(pear_folder), "--output", str(picture)]) == 1
    captured = capsys.readouterr()
    assert "2 of PEAR's 7 files are missing" in captured.err
    for name in ("pear_model.pt", "l_eyelid.npy"):
        assert name in captured.err
    for there in ("generic_model.pkl", "r_eyelid.npy"):
        assert there not in captured.err and there in captured.out
    assert not picture.exists()


def test_a_wrong_file_is_one_line_of_error(
    pear_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pear_folder / EYELID).unlink()
    (pear_folder / EYELID).write_text("version https://git-lfs.github.com/spec/v1")
    assert main(["import-model", str(pear_folder), "--output", str(pear_folder / "body.png")]) == 1
    error = capsys.readouterr().err.strip()
    assert error == (
        f"error: {pear_folder / EYELID} is a pointer of Git LFS, not a blend shape of FLAME"
    )


def test_a_picture_that_cannot_be_written_is_an_error(
    converted_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (converted_folder / "file").touch()
    assert (
        main(
            [
                "import-model",
                str(converted_folder),
                "--output",
                str(converted_folder / "file" / "body.png"),
            ]
        )
        == 1
    )
    error = capsys.readouterr().err
    assert error.startswith("\nerror: ") and str(converted_folder / "file") in error


def test_without_torch_the_body_is_imported_and_the_package_is_named(
    converted_folder: Path, pear_checkpoint: Path
) -> None:
    (converted_folder / "pear_model.pt").symlink_to(pear_checkpoint)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pear_ros.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = [
        "import-model",
        str(converted_folder),
        "--output",
        str(converted_folder / "body.png"),
    ]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 1 and (converted_folder / "body.png").exists()
    assert "error: PEAR needs the Python package torch, which is not installed" in done.stderr


def test_the_default_folder_need_not_be_named(
    converted_folder: Path,
    pear_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PEAR_ROS_MODELS", str(converted_folder))
    (converted_folder / "pear_model.pt").symlink_to(pear_checkpoint)
    assert main(["import-model", "--output", str(converted_folder / "body.png")]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "estimator:=pear" in last and "model_folder" not in last
