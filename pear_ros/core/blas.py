# SPDX-License-Identifier: Apache-2.0
"""One thread for NumPy's and SciPy's linear algebra while people are estimated.

The matrices are small: more threads would only spin beside those of the landmark models, and they
would split sums, so that results differ in the last bits. OpenBLAS has one number of threads for
the whole process, therefore all that want one thread share a count.
"""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from threadpoolctl import ThreadpoolController


class OneBlasThread:
    """A context in which the process's BLAS libraries use one thread; reusable and re-entrant.

    The first context that is entered, in any thread, sets the limit; the last that is left restores
    the numbers that were found. A caller that enters one around many images saves the setting and
    restoring for each image.
    """

    _lock: ClassVar = threading.Lock()
    _entered: ClassVar[int] = 0
    _limiter: ClassVar[Any] = None

    def __init__(self) -> None:
        """Find the BLAS libraries that are loaded by now, which takes tens of milliseconds.

        Libraries that are loaded later are not limited: create it after the models are loaded. If
        contexts overlap, the first that is entered decides which libraries are limited.

        Do not call it while another thread may import an extension module: threadpoolctl waits for
        the GIL while it holds the loader's lock, an import does the reverse, and both block.
        """
        self._libraries = ThreadpoolController()

    def __enter__(self) -> None:
        with OneBlasThread._lock:
            if OneBlasThread._entered == 0:
                OneBlasThread._limiter = self._libraries.limit(limits=1, user_api="blas")
            OneBlasThread._entered += 1

    def __exit__(self, *_: object) -> None:
        with OneBlasThread._lock:
            OneBlasThread._entered -= 1
            if OneBlasThread._entered == 0:
                OneBlasThread._limiter.restore_original_limits()
                OneBlasThread._limiter = None
