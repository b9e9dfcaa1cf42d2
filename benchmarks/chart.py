"""The ratios of a benchmark as bars, in SVG."""

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
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 8}" role="img"'
        f' font-family="system-ui, sans-serif" font-size="14" fill="{TEXT}">\n'
        f"<title>{what}</title>\n" + "\n".join(parts) + "\n</svg>\n"
    )
