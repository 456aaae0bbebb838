# SPDX-License-Identifier: Apache-2.0
"""FLAME's pickles are read, and a hostile pickle can do nothing."""

from __future__ import annotations

import io
import os
import pickle
import resource
import struct
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from pear_ros.pear.unpickle import Unread, UnsafePickleError, load_pickle
from testing.bounded import run_bounded

MATRIX = np.array([[0.0, 2.0, 0.0, -1.5], [0.25, 0.0, 0.0, 4.0]])


class Ch:
    """Pickles as chumpy's arrays do: its state is its dictionary, its value is `x`."""

    def __init__(self, x: Any) -> None:
        self.x = x
        self._dirty_vars = {"x"}


class Formula(Ch):
    """A value of chumpy that is computed from others."""

    def __init__(self) -> None:
        self.a, self.b = Ch(MATRIX), Ch(MATRIX)


@pytest.fixture
def chumpy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module of chumpy's name, as long as pickles are written."""
    module = types.ModuleType("chumpy.ch")
    for kind in (Ch, Formula):
        monkeypatch.setattr(kind, "__module__", "chumpy.ch")
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    yield
    monkeypatch.undo()
    assert "chumpy" not in sys.modules


def written(folder: Path, data: bytes) -> Path:
    path = folder / "model.pkl"
    path.write_bytes(data)
    return path


def as_python_2(data: bytes) -> bytes:
    """A pickle of protocol 3 or less with the names that modules had in the days of Python 2."""
    return data.replace(b"numpy._core.", b"numpy.core.").replace(
        b"scipy.sparse._csc\n", b"scipy.sparse.csc\n"
    )


def call(name: str, arguments: str = "(V1\ntR") -> bytes:
    """Opcodes that call `name`, a dotted one, with the `arguments` given as opcodes."""
    module, _, function = name.rpartition(".")
    return f"c{module}\n{function}\n{arguments}".encode()


def stack_global(module: str, name: str) -> bytes:
    """A pickle of protocol 4 that is a name, maybe a dotted one, of a module."""
    parts = (part.encode() for part in (module, name))
    texts = b"".join(pickle.SHORT_BINUNICODE + struct.pack("<B", len(p)) + p for p in parts)
    return pickle.PROTO + b"\x04" + texts + pickle.STACK_GLOBAL + b"."


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_arrays_come_back_as_they_were(tmp_path: Path, protocol: int) -> None:
    original = {
        "float64": MATRIX,
        "float32": np.asfortranarray(MATRIX, np.float32),
        "big-endian": MATRIX.astype(">f8"),
        "uint32": np.arange(6, dtype=np.uint32).reshape(1, 2, 3),
        "bool": np.array([True, False]),
        "empty": np.empty((0, 3), np.int64),
        "scalar": np.float32(1.5),
        "text": "lrotmin",
        "nested": [1, 2.5, (None, True, b"\xff")],
        "set": {1, 2},
    }
    data = pickle.dumps(original, protocol)
    for content in (data, as_python_2(data)) if protocol < 4 else (data,):
        found = load_pickle(written(tmp_path, content))
        assert found.keys() == original.keys()
        for name, value in original.items():
            np.testing.assert_equal(found[name], value)
            if isinstance(value, np.ndarray):
                assert found[name].dtype == value.dtype and found[name].shape == value.shape


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("old_names", [True, False])
def test_arrays_of_chumpy_and_sparse_matrices_become_arrays(
    tmp_path: Path, chumpy: None, protocol: int, old_names: bool
) -> None:
    original = {
        "v_template": Ch(MATRIX),
        "shapedirs": Ch(Ch(MATRIX.astype(np.float32))),
        "posedirs": Formula(),
        "csc": sparse.csc_matrix(MATRIX),
        "csr": sparse.csr_array(MATRIX),
    }
    data = pickle.dumps(original, protocol)
    path = written(tmp_path, as_python_2(data) if old_names else data)
    for name in ("chumpy", "chumpy.ch"):
        del sys.modules[name]
    found = load_pickle(path)
    for name in ("v_template", "shapedirs", "csc", "csr"):
        np.testing.assert_array_equal(found[name], MATRIX)
    assert isinstance(found["posedirs"], Unread), "formulas are not read"
    assert "chumpy" not in sys.modules, "nothing is imported"


def test_an_array_written_by_python_2_as_text(tmp_path: Path) -> None:
    numbers = np.array([200, -1], "<i8").tobytes()
    raw = "".join(f"\\x{byte:02x}" for byte in numbers)
    text = (
        "(dp0\nS'neck'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n"
        "(I0\ntp4\nS'b'\np5\ntp6\nRp7\n(I1\n(I2\ntp8\ncnumpy\ndtype\np9\n(S'i8'\np10\nI0\nI1\n"
        "tp11\nRp12\n(I3\nS'<'\np13\nNNNI-1\nI-1\nI0\ntp14\nbI00\n"
        f"S'{raw}'\np15\ntp16\nbs."
    )
    found = load_pickle(written(tmp_path, text.encode()))
    np.testing.assert_array_equal(found["neck"], [200, -1])


def test_an_array_in_two_places_is_made_once(tmp_path: Path) -> None:
    first, second = load_pickle(written(tmp_path, pickle.dumps([MATRIX, MATRIX])))
    assert first is second


def test_arrays_of_objects_stay_unread(tmp_path: Path) -> None:
    for array in (np.array([{}, None], object), np.array(["a"]), np.zeros(1, "i4,f4")):
        found = load_pickle(written(tmp_path, pickle.dumps({"names": array})))
        assert isinstance(found["names"], Unread)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("where", ["alone", "in a list", "in an array", "as a key", "in chumpy"])
def test_a_command_is_not_run(tmp_path: Path, chumpy: None, protocol: int, where: str) -> None:
    mark = tmp_path / "executed"

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {mark}",)

    bomb: Any = Bomb()
    hidden = {
        "alone": lambda: bomb,
        "in a list": lambda: {"shapedirs": [MATRIX, (bomb,)]},
        "in an array": lambda: {"v_template": np.array([bomb, 1], object)},
        "as a key": lambda: {bomb: 1},
        "in chumpy": lambda: Ch(bomb),
    }[where]()
    path = written(tmp_path, pickle.dumps(hidden, protocol))
    with pytest.raises(UnsafePickleError, match=r"would run posix\.system: it is not FLAME") as e:
        load_pickle(path)
    assert str(e.value).startswith(str(path)) and "\n" not in str(e.value)
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists(), "the same pickle does harm elsewhere"


@pytest.mark.parametrize(
    "name",
    [
        *("os.system", "posix.system", "nt.system", "subprocess.Popen", "pty.spawn"),
        *("builtins.eval", "builtins.exec", "builtins.getattr", "builtins.__import__"),
        *("__builtin__.eval", "__builtin__.getattr", "__builtin__.file", "builtins.type"),
        *("builtins.setattr", "builtins.print", "builtins.object.__init_subclass__"),
        *("numpy.load", "numpy.fromfile", "numpy.memmap", "numpy.save", "numpy.ndarray.tofile"),
        *("numpy.f2py.compile", "numpy.testing.runstring", "numpy.core.multiarray.fromfile"),
        *("numpy.core.multiarray._reconstruct.__globals__", "numpy.ctypeslib.load_library"),
        *("numpy._core._internal._dtype_from_pep3118", "numpy.distutils.exec_command.exec_command"),
        *("numpy.core.multiarray.array", "numpy.lib.npyio.load", "numpy.vectorize"),
        *("scipy.sparse.csc.csc_matrix.tofile", "scipy.sparse.load_npz", "scipy.io.loadmat"),
        *("copyreg.__newobj__", "copyreg.add_extension", "copy_reg.pickle", "_codecs.decode"),
        *("_codecs.lookup", "operator.attrgetter", "functools.partial", "types.FunctionType"),
        *("pathlib.Path", "importlib.import_module", "runpy.run_path", "weakref.ref"),
        *("xchumpy.ch.Ch", "chumpy..Ch", "collections.OrderedDict", "torch.load"),
        *("pear_ros.pear.unpickle.Placeholder", "__main__.Ch"),
    ],
)
def test_what_flame_does_not_need_is_refused(tmp_path: Path, name: str) -> None:
    module, _, function = name.rpartition(".")
    for data in (
        call(name) + b".",
        f"(i{module}\n{function}\n.".encode(),
        stack_global(module, function),
        stack_global(*name.split(".", 1)),
    ):
        with pytest.raises(UnsafePickleError, match="nothing of it was executed"):
            load_pickle(written(tmp_path, data))


def test_nothing_is_imported_for_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "executed"
    package = tmp_path / "chumpy"
    package.mkdir()
    for file in (package / "__init__.py", package / "ch.py", tmp_path / "trap.py"):
        file.write_text(f"open({str(mark)!r}, 'w')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UnsafePickleError, match=r"trap\.Trap"):
        load_pickle(written(tmp_path, call("trap.Trap") + b"."))
    assert isinstance(load_pickle(written(tmp_path, call("chumpy.ch.Ch") + b".")), Unread)
    assert not mark.exists()


_CH = "cchumpy.ch\nCh\n"
_FLOAT = "cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
_STRUCTURE = "cnumpy\ndtype\n(S'V8'\nI0\nI1\ntR(I3\nS'|'\nNNNI4000\nI1\nI0\ntb"
_ARRAY = "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"


@pytest.mark.parametrize(
    "opcodes",
    [
        # Attributes set on a class, by a dictionary or by slots, and on what stands for functions.
        f"{_CH}(dS'__setstate__'\ncnumpy\ndtype\nsb.",
        f"{_CH}(N(dS'__new__'\ncnumpy\ndtype\nstb.",
        "cnumpy.core.multiarray\n_reconstruct\n(N(dS'__code__'\nNstb.",
        "c_codecs\nencode\n(dS'__defaults__'\nNsb.",
        # The class of an instance, and its dictionary.
        f"{_CH}(tR(dS'__class__'\ncnumpy\ndtype\nsb.",
        f"{_CH}(tR(N(dS'__class__'\ncnumpy\ndtype\nstb.",
        f"{_CH}(tR(dS'x'\n{_CH}(tR(dS'__class__'\ncbuiltins\nset\nsbsb.",
        # Functions with arguments that are not theirs.
        f"cnumpy.core.multiarray\n_reconstruct\n({_CH}(I0\ntS'b'\ntR.",
        "ccopy_reg\n_reconstructor\n(S'os'\nc__builtin__\nobject\nS'system'\ntR.",
        f"ccopy_reg\n_reconstructor\n({_CH}{_CH}(dtR.",
        "c_codecs\nencode\n(cnumpy\ndtype\nVlatin1\ntR.",
        "c__builtin__\nset\n(I99999999999\ntR.",
        "c__builtin__\nbytes\n(I99999999999\ntR.",
        "cnumpy\ndtype\n(S'O'\ntR.",
        "cnumpy\nndarray\n((I99999999999\nttR.",
        "cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\nI0\nI1\ntRS'12'\ntR.",
        f"cnumpy.core.multiarray\nscalar\n({_FLOAT}S'12'\ntR.",
        # Arrays whose state does not fit.
        f"{_ARRAY}.",
        f"{_ARRAY}Nb.",
        f"{_ARRAY}(I1\n(I9\nt{_FLOAT}I00\nS'1'\ntb.",
        f"{_ARRAY}(I1\n(I-1\nt{_FLOAT}I00\nS''\ntb.",
        f"{_ARRAY}(I1\n(I-1\nI-1\nt{_FLOAT}I00\nS'12345678'\ntb.",
        f"{_ARRAY}(I1\n(I1\nt{_STRUCTURE}I00\nS''\ntb.",
        # A container in itself, a persistent name, an extension, a buffer from elsewhere.
        "(lp0\ng0\na.",
        "Pposix.system\n.",
        "\x82\x01.",
        "\x80\x05\x97.",
    ],
)
def test_misused_names_do_nothing(tmp_path: Path, opcodes: str) -> None:
    try:
        found = load_pickle(written(tmp_path, opcodes.encode("latin1")))
    except ValueError as error:
        assert str(tmp_path) in str(error) and "\n" not in str(error)
    else:
        assert isinstance(found, (Unread, bytes)), found
    later = load_pickle(written(tmp_path, pickle.dumps([MATRIX])))
    np.testing.assert_array_equal(later[0], MATRIX, "the next file is read as ever")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("indptr", [0, 1, 2, 0]),
        ("indptr", [0, 2, 1, 3]),
        ("indptr", [-1, 0, 1, 3]),
        ("indptr", [0, 1, 2, 2**31 - 1]),
        ("indptr", [0, 1, 3]),
        ("indices", [0, 1, -1]),
        ("indices", [0, 1, 3]),
        ("indices", [0, 1]),
        ("data", [1.0]),
    ],
)
@pytest.mark.parametrize("kind", [sparse.csc_matrix, sparse.csr_array])
def test_forged_sparse_matrix_is_refused(
    tmp_path: Path, kind: Any, name: str, value: list[float]
) -> None:
    """SciPy ends the process with some of them."""
    matrix = kind(np.eye(3))
    setattr(matrix, name, np.array(value, np.float64 if name == "data" else np.int32))
    with pytest.raises(ValueError, match="is damaged or not a pickle of arrays"):
        load_pickle(written(tmp_path, pickle.dumps(matrix)))


def test_indices_of_a_sparse_matrix_stay_inside(tmp_path: Path) -> None:
    matrix = sparse.csc_matrix(MATRIX)
    matrix.indices = np.array([0, 1, 10**6, 1], np.int32)[: len(matrix.indices)]
    with pytest.raises(ValueError, match="damaged or not a pickle of arrays"):
        load_pickle(written(tmp_path, pickle.dumps(matrix)))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty, not a pickle"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "is a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html>", "is a web page, not a pickle"),
        (b"garbage", "is damaged or not a pickle of arrays"),
        (b"\x80\x63\x00", "is damaged or not a pickle of arrays"),
        (b"\x93NUMPY\x01\x00", "is damaged or not a pickle of arrays"),
        (pickle.dumps(MATRIX)[:-20], "is damaged or not a pickle of arrays"),
        (b"(" + b"(l" * 5000, "is damaged or not a pickle of arrays"),
    ],
)
def test_what_is_no_pickle_is_named_in_one_sentence(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ValueError) as error:
        load_pickle(path)
    assert str(error.value).startswith(f"{path} {reason}") and "\n" not in str(error.value)


def test_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    data = "\u001b[2J".join(["cos", "\nsystem\n."]).encode()
    with pytest.raises(UnsafePickleError) as error:
        load_pickle(written(tmp_path, data))
    assert "\x1b" not in str(error.value) and r"\x1b[2J" in str(error.value)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_pickle(tmp_path / "absent.pkl")


@pytest.fixture
def little_memory() -> Iterator[None]:
    """2 GB more than now: a wrong byte can make a pickle ask for any amount."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2 * 2**30, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_wrong_bytes_is_refused_or_read(
    tmp_path: Path, little_memory: None, data: st.DataObject
) -> None:
    protocol = data.draw(st.integers(0, pickle.HIGHEST_PROTOCOL))
    good = {"a": MATRIX, "b": sparse.csc_matrix(MATRIX), "c": [np.float64(1), {"d"}]}
    content = bytearray(pickle.dumps(good, protocol))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = written(tmp_path, bytes(content))
    try:
        load_pickle(path)
    except ValueError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)


def test_pickles_of_this_test_are_what_they_say() -> None:
    assert pickle.load(io.BytesIO(call("builtins.len", "(Vfour\ntR") + b".")) == 4


HUGE = {
    "number of an object": b"\x80\x04N r\x00\x00\x00\x10.".replace(b" ", b""),
    "number of an object as text": b"Np4000000000\n.",
    "length of bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
    "length of a bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.",
    "length of a text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"x.",
    "length of a frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",
    "sparse matrix": pickle.dumps(sparse.csc_matrix((200_000, 200_000)), 2),
}


@pytest.mark.parametrize("content", HUGE.values(), ids=HUGE)
def test_a_pickle_that_declares_much_takes_little_memory(tmp_path: Path, content: bytes) -> None:
    code = (
        "import sys; from pathlib import Path; from pear_ros.pear.unpickle import load_pickle\n"
        "try: load_pickle(Path(sys.argv[1]))\n"
        "except ValueError as error: print(error)"
    )
    found = run_bounded(code, str(written(tmp_path, content)), megabytes=1000)
    assert "is damaged or not a pickle of arrays" in found


def test_a_pickle_with_line_ends_of_windows_is_read(tmp_path: Path) -> None:
    """One of protocol 0 is a text, which some programs copy as such."""
    text = "a\r\nb"
    content = pickle.dumps({"matrix": MATRIX, "text": text}, 0)
    assert b"\r" not in content
    found = load_pickle(written(tmp_path, content.replace(b"\n", b"\r\n")))
    np.testing.assert_array_equal(found["matrix"], MATRIX)
    assert found["text"] == text
    with pytest.raises(UnsafePickleError, match=r"os\.system"):
        load_pickle(written(tmp_path, b"cos\r\nsystem\r\n."))
