"""results.json as pictures: for each workload one chart, a line a task, all tools on it, from quick to slow."""

from __future__ import annotations

from pathlib import Path

from side_by_side.rows import Judged

COLOURS = {
    "cnnvis": "#0072b2",
    "original recipe": "#555555",
    "tf-keras-vis": "#d55e00",
    "tf-explain": "#009e73",
    "xplique": "#cc79a7",
    "saliency": "#e69f00",
    "eli5": "#56b4e9",
    "captum": "#d55e00",
    "matplotlib": "#d55e00",
    "interact": "#d55e00",
}


def draw(file: Path, title: str, tasks: list[Judged]) -> None:
    """An SVG: medians as marks on a logarithmic axis, lowest to highest as lines, the machine's limit as a bar."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "side by side"  # the same results make the same file
    mpl.rcParams["svg.fonttype"] = "none"
    figure = Figure(figsize=(9, 1.1 + 0.36 * len(tasks)), layout="constrained")
    axes = figure.subplots()
    named: dict[str, object] = {}
    for place, task in enumerate(tasks):
        for row in (*task.peers, task.ours):
            if not row.figures:
                continue
            own = row is task.ours
            low, high = min(row.figures), max(row.figures)
            colour = COLOURS.get(row.tool, "#888888")
            axes.plot([low, high], [place, place], color=colour, linewidth=1.5, zorder=2)
            mark = axes.plot(
                [row.median], [place], marker="D" if own else "o", color=colour, linestyle="", zorder=3 + own
            )
            named.setdefault(row.tool, mark[0])
        if task.ours.limit:
            mark = axes.plot(
                [task.ours.limit], [place], marker="|", markersize=14, color="black", linestyle=""
            )
            named.setdefault("limit of the machine", mark[0])
        if task.lost:
            axes.axhspan(place - 0.45, place + 0.45, color="#d55e00", alpha=0.12, linewidth=0)
    axes.set_xscale("log")
    units = {task.ours.unit for task in tasks}
    axes.set_xlabel({"s": "seconds", "MB": "megabytes"}.get("".join(units), "seconds, or megabytes"))
    axes.set_yticks(range(len(tasks)), [f"{task.ours.network}  {task.ours.task}".strip() for task in tasks])
    axes.set_ylim(len(tasks) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.3)
    axes.set_title(title, loc="left", fontsize=11)
    figure.legend(
        named.values(), named.keys(), loc="outside lower center", ncols=5, fontsize=8, frameon=False
    )
    figure.savefig(file, metadata={"Date": None})
