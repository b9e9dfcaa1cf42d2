"""A graph in layers, from left to right: where its nodes are, in pixels, and the curves of its edges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

_HEIGHT, _LETTER, _PADDING = 30, 7.2, 22
_ACROSS, _DOWN = 44, 14
_TOP = 26
_SWEEPS = 4


@dataclass(frozen=True, slots=True)
class Node:
    """A box of the graph, by the name of what it stands for."""

    name: str
    layer: str
    x: int
    y: int
    width: int
    height: int = _HEIGHT


@dataclass(frozen=True, slots=True)
class Edge:
    """A curve from one node to another; `path` as SVG has it."""

    begins: str
    ends: str
    path: str


@dataclass(frozen=True, slots=True)
class Graph:
    """The picture: its size, the names of layers at their place (`x`, name), nodes and edges."""

    width: int
    height: int
    layers: Sequence[tuple[int, str]]
    nodes: Sequence[Node]
    edges: Sequence[Edge]


def drawn(layers: Mapping[str, str], reads: Mapping[str, Sequence[str]]) -> Graph:
    """Draw nodes, given by name with their layer, each right of those that it reads.

    Within a column a node is near the mean height of what it is connected with, so that few edges cross.
    """
    known = {name: [other for other in reads.get(name, ()) if other in layers] for name in layers}
    columns = _columns(known)
    heights = _heights(columns, known)
    nodes: dict[str, Node] = {}
    titles, x = [], 0
    for column in columns:
        width = round(max(len(label(name)) for name in column) * _LETTER) + _PADDING
        nodes.update({name: Node(name, layers[name], x, heights[name], width) for name in column})
        titles.append((x, ", ".join(dict.fromkeys(layers[name] for name in column))))
        x += width + _ACROSS
    edges = [Edge(other, name, _curve(nodes[other], nodes[name])) for name, others in known.items() for other in others]
    height = max((node.y for node in nodes.values()), default=0) + _HEIGHT + 4
    return Graph(max(x - _ACROSS, 0) + 2, height, titles, list(nodes.values()), edges)


def label(name: str) -> str:
    """What stands in a node: feeds and artifacts are told by their layer."""
    return name.removeprefix("feed:").removeprefix("outputs/")


def _columns(reads: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The nodes by column: each as far left as those that it reads let it."""
    depth: dict[str, int] = {}
    for name in TopologicalSorter(reads).static_order():
        depth[name] = max((depth[other] + 1 for other in reads[name]), default=0)
    return [[name for name in reads if depth[name] == level] for level in sorted(set(depth.values()))]


def _heights(columns: Sequence[list[str]], reads: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The upper edge of each node; the order within the columns changes."""
    connected: dict[str, list[str]] = {name: list(others) for name, others in reads.items()}
    for name, others in reads.items():
        for other in others:
            connected[other].append(name)
    step = _HEIGHT + _DOWN
    tallest = max((len(column) for column in columns), default=0)
    heights = {}
    for column in columns:
        first = (tallest - len(column)) * step // 2
        heights.update({name: first + place * step for place, name in enumerate(column)})
    for _ in range(_SWEEPS):
        for column in columns:
            slots = sorted(heights[name] for name in column)
            wanted = {
                name: sum(heights[other] for other in connected[name]) / len(connected[name])
                if connected[name]
                else heights[name]
                for name in column
            }
            column.sort(key=wanted.__getitem__)
            heights.update(zip(column, slots, strict=True))
    return {name: _TOP + height for name, height in heights.items()}


def _curve(begins: Node, ends: Node) -> str:
    x, y = begins.x + begins.width, begins.y + begins.height // 2
    to_x, to_y = ends.x, ends.y + ends.height // 2
    bend = max(30, (to_x - x) // 2)
    return f"M{x},{y} C{x + bend},{y} {to_x - bend},{to_y} {to_x},{to_y}"
