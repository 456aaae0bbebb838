# SPDX-License-Identifier: Apache-2.0
"""PEAR's weights in a user's model folder: a checkpoint, graphs exported from it, or both.

torch is imported only to read a checkpoint.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pear_ros.core.configuration import CALIBRATED_PRECISIONS
from pear_ros.core.log import get_logger
from pear_ros.core.people import Array
from pear_ros.pear.files import CHECKPOINT, ModelFiles
from pear_ros.pear.graph import Graph, GraphError, Progress, read_graph
from pear_ros.pear.origin import Origin

if TYPE_CHECKING:
    from pear_ros.pear.network import PearNetwork

logger = get_logger(__name__)


class Weights:
    """PEAR's weights, read when they are first needed.

    They are those of the checkpoint, if there is one and torch to read it, and graphs of other
    weights are ignored; otherwise those of the graphs. All members raise MissingFilesError where
    there is neither, and ValueError, with file and reason, where a file is not what it should be.
    """

    def __init__(self, files: ModelFiles) -> None:
        """`files`: the result of `find_model_files`."""
        self._files = files

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal hash of the weights, as PearNetwork.fingerprint."""
        if self._from_checkpoint or not self._files.graphs:
            return self.network().fingerprint
        found, faults = self._graphs
        if not found:
            raise GraphError("; ".join(faults))
        first = {graph.weights: graph.path for graph in reversed(found)}
        if len(first) > 1:
            raise GraphError(
                f"graphs of different weights are in {self._files.folder}: keep those of one and "
                f"move the others away ({', '.join(map(str, sorted(first.values())))})"
            )
        return found[0].weights

    @cached_property
    def origin(self) -> Origin:
        """Whose weights they are, and the body that they were trained for."""
        if self._from_checkpoint or not self._files.graphs:
            network = self.network()
            return Origin(network.model, network.body)
        weights = self.fingerprint
        return next(graph.origin for graph in self._graphs[0] if graph.weights == weights)

    def network(self) -> PearNetwork:
        """Return the network of the checkpoint, in fp32 on the CPU; the same object each time."""
        return self._network

    def existing(self, precision: str) -> Graph | None:
        """Return the graph in `precision` of the model folder; None if it has no usable one."""
        of_these = (graph for graph in self._graphs[0] if graph.weights == self.fingerprint)
        return next((graph for graph in of_these if graph.precision == precision), None)

    def graph(self, precision: str, progress: Progress | None = None) -> Graph:
        """Return the network as an ONNX graph with its backbone in `precision`.

        `precision`: one of GRAPH_PRECISIONS; `progress`: of the export. Where the model folder has
        no such graph, it is exported there from the checkpoint, which takes a minute; one of
        CALIBRATED_PRECISIONS is not, as it needs pictures.

        Raises GraphError where there is no graph and none can be exported.
        """
        existing = self.existing(precision)
        if existing is not None:
            return existing
        weights, folder = self.fingerprint[:8], self._files.folder
        faults = self._graphs[1]
        if not self._from_checkpoint or precision in CALIBRATED_PRECISIONS:
            reasons = f" ({'; '.join(faults)})" if faults else ""
            raise GraphError(
                f"there is no usable {precision} graph of PEAR's weights {weights} in {folder}"
                f"{reasons}: `pear export-graph --precision {precision}` makes one of the "
                "checkpoint, where torch is"
            )
        for fault in faults:
            logger.warning("%s", fault)
        logger.info(
            "There is no usable %s graph of PEAR's weights %s in %s: exporting it, which takes a "
            "minute or two",
            *(precision, weights, folder),
        )
        from pear_ros.pear.export import export_graph

        graph = export_graph(self.network(), precision, folder, progress)
        self._graphs[0].append(graph)
        return graph

    def reference(self) -> Array:
        """Return the outputs (N, VECTOR_SIZE) float32 of the network in fp32 for bundled crops."""
        return self._reference

    @cached_property
    def _reference(self) -> Array:
        for graph in self._graphs[0]:
            if graph.weights == self.fingerprint:
                return graph.reference
        network = self.network()  # First: without torch it raises with what is missing.
        from pear_ros.pear.export import reference

        return reference(network)

    @cached_property
    def _from_checkpoint(self) -> bool:
        return CHECKPOINT.key in self._files.found and _torch_works()

    @cached_property
    def _network(self) -> PearNetwork:
        checkpoint = self._files.checkpoint
        if not self._from_checkpoint:
            raise GraphError(
                f"PEAR's checkpoint {checkpoint} cannot be read without torch: install torch, or "
                "make graphs of it by `pear export-graph` on a machine with torch"
            )
        from pear_ros.pear.checkpoint import load_checkpoint

        return load_checkpoint(checkpoint)

    @cached_property
    def _graphs(self) -> tuple[list[Graph], list[str]]:
        """Usable graphs, and the faults of the others."""
        found, faults = [], []
        for path in self._files.graphs:
            try:
                found.append(read_graph(path))
            except GraphError as error:
                faults.append(str(error))
        return found, faults


def _torch_works() -> bool:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        return False
    except Exception as error:  # A broken library raises anything.
        logger.warning("PEAR's checkpoint is not read, as torch is broken: %s", error)
        return False
    return True
