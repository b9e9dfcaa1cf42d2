"""The figures of the benchmarks as charts, in SVG."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

LOADS = {
    "first": "First load",
    "changed": "Next day, all files, 1 % of balances changed",
    "delta": "A file of 1,000 changed accounts",
}
WIDTH, LEFT, RIGHT, ROW, HEAD = 720, 96, 56, 22, 36
# Both stand out from white as well as from the dark grey that pages have at night.
TEXT, OURS, THEIRS = "#777777", "#2f81f7", "#888888"


def draw(report: dict[str, Any]) -> str:
    """A chart of what `bench.py` reports; the bare pass is the line at 1."""
    longest = max(figures["ratio"] for tools in report["loads"].values() for figures in tools.values())
    scale = (WIDTH - LEFT - RIGHT) / longest
    what = "Time of a load as a multiple of a bare pass of DuckDB over the full files; shorter is better"
    sizes = f"{report['accounts']:,} accounts, {report['customers']:,} customers, {report['cpus']} CPUs"
    parts = [f'<text x="0" y="16" font-weight="bold">{what}</text>', f'<text x="0" y="36">{sizes}</text>']
    top = 42
    for load, tools in report["loads"].items():
        parts.append(f'<text x="0" y="{top + 26}" font-weight="bold">{LOADS[load]}</text>')
        top += HEAD
        below = top + ROW * len(tools)
        for tool, figures in tools.items():
            length, middle = figures["ratio"] * scale, top + ROW - 7
            colour = OURS if tool == "dropledger" else THEIRS
            parts += [
                f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{tool}</text>',
                f'<rect x="{LEFT}" y="{top + 3}" width="{length:.1f}" height="{ROW - 6}" rx="2" fill="{colour}"/>',
                f'<text x="{LEFT + length + 6:.1f}" y="{middle}">{figures["ratio"]:.2f}</text>',
            ]
            top += ROW
        one = f"{LEFT + scale:.1f}"
        parts.append(f'<path d="M{one} {below - ROW * len(tools)}V{below}" stroke="{TEXT}" stroke-dasharray="3 3"/>')
    return _svg(what, parts, top + 8)


def draw_lines(found: Mapping[int, Mapping[int, float]]) -> str:
    """A chart of what `change_cost.py` finds: milliseconds by changed accounts, a line for each size of the table."""
    sizes = sorted({changed for figures in found.values() for changed in figures})
    highest = max(milliseconds for figures in found.values() for milliseconds in figures.values())
    width, height, left, top = 520, 240, 64, 56
    what = "Milliseconds of a drop by the number of accounts that it changes, artifacts apart"

    def place(changed: int, milliseconds: float) -> str:
        across = math.log(changed / sizes[0]) / math.log(sizes[-1] / sizes[0])
        return f"{left + across * width:.1f},{top + height - milliseconds / highest * height:.1f}"

    parts = [f'<text x="0" y="16" font-weight="bold">{what}</text>']
    for share in (0.0, 0.5, 1.0):
        level = top + height - share * height
        parts += [
            f'<path d="M{left} {level:.1f}h{width}" stroke="{TEXT}" stroke-opacity="0.3"/>',
            f'<text x="{left - 8}" y="{level + 5:.1f}" text-anchor="end">{share * highest:,.0f}</text>',
        ]
    below = f'y="{top + height + 20}" text-anchor="middle"'
    parts += [f'<text x="{place(changed, 0).partition(",")[0]}" {below}>{changed:,}</text>' for changed in sizes]
    for number, (accounts, figures) in enumerate(found.items()):
        line = f'fill="none" stroke="{OURS}" stroke-width="2" stroke-opacity="{(number + 1) / len(found):.2f}"'
        points = [place(changed, figures[changed]) for changed in sorted(figures)]
        across, level = points[-1].split(",")
        parts += [
            f'<polyline points="{" ".join(points)}" {line}/>',
            f'<text x="{float(across) + 6:.1f}" y="{float(level) + 5:.1f}">beside {accounts:,}</text>',
        ]
    return _svg(what, parts, top + height + 32)


def _svg(title: str, parts: Sequence[str], height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' font-family="system-ui, sans-serif" font-size="14" fill="{TEXT}">\n'
        f"<title>{title}</title>\n" + "\n".join(parts) + "\n</svg>\n"
    )
