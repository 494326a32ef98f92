"""The results of the comparison as targets, as the block of the README, and as a picture; all from the results file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from typing import Any

from hushtally.client_sdk.mechanisms import optimal_mean_variance

WITHIN = 1.025  # times the variance of the best peer
FASTER = 500  # times faster per report than the best hashing server of the peers
DETECTED = {100_000: 23, 1_000_000: 54}  # reports: values that the original detects
BEGIN, END = "<!-- written by peers.py: begin -->", "<!-- written by peers.py: end -->"
POPULATIONS = ("zipf", "uniform")

Results = dict[str, Any]
Row = dict[str, Any]


def keeps_epsilon(row: Row) -> bool:
    """Whether the shipped client hides the true value; False if each report that contains it lists it first."""
    return row["named_first"] is None or row["named_first"] < 1


def cells(results: Results) -> Iterator[tuple[int, float, Row, list[Row]]]:
    """For each cell: d, epsilon, the row of hushtally, the rows of the peers."""
    for d, epsilon in dict.fromkeys((row["d"], row["epsilon"]) for row in results["rows"]):
        rows = [row for row in results["rows"] if (row["d"], row["epsilon"]) == (d, epsilon)]
        yield d, epsilon, rows[0], rows[1:]


def best(rows: list[Row], population: str = "zipf") -> Row:
    """The row with the smallest variance; FLH is left out, because its error depends on n."""
    return min((row for row in rows if row["mechanism"] != "FLH"), key=lambda row: row["exact"][population])


def targets(results: Results) -> list[dict[str, Any]]:
    """Each target with its requirement, the result, and whether the result meets it."""
    found = [_within(results), *_below(results), _error(results), _as_computed(results)]
    found += [_server(results, heuristic) for heuristic in (False, True)]
    return [*found, *(one for record in results["rappor"] for one in _rappor(record))]


def _target(what: str, required: str, found: str, met: bool | None) -> dict[str, Any]:
    """met: None if there is no requirement."""
    return {"what": what, "required": required, "found": found, "met": None if met is None else bool(met)}


def verdict(target: dict[str, Any]) -> str:
    return {True: "yes", False: "NO", None: ""}[target["met"]]


def _ratios(results: Results, sound: bool) -> list[float]:
    return [
        ours["exact"][population]
        / best([row for row in peers if keeps_epsilon(row) or not sound], population)["exact"][population]
        for _, _, ours, peers in cells(results)
        for population in POPULATIONS
    ]


def _within(results: Results) -> dict[str, Any]:
    ratios = _ratios(results, sound=False)
    found = f"{min(ratios):.3f} to {max(ratios):.4f} in {len(ratios)} cells"
    return _target(
        "exact variance / variance of the best peer", f"<= {WITHIN} in every cell", found, max(ratios) <= WITHIN
    )


def _below(results: Results) -> Iterator[dict[str, Any]]:
    """A difference below 1e-9 counts as equal: hushtally samples integers, so its epsilon is slightly smaller."""
    for sound, who in ((True, "best peer that keeps its epsilon"), (False, "best peer of all")):
        ratios = _ratios(results, sound)
        below, equal = sum(r < 1 - 1e-9 for r in ratios), sum(abs(r - 1) <= 1e-9 for r in ratios)
        found = f"smaller in {below}, equal in {equal} of {len(ratios)} cells"
        required, met = ("smaller in most cells", below > len(ratios) / 2) if sound else ("", None)
        yield _target(f"exact variance compared with the {who}", required, found, met)


def _error(results: Results) -> dict[str, Any]:
    worst = -math.inf
    for _, _, ours, peers in cells(results):
        for population in POPULATIONS:
            other = best(peers, population)
            gap = ours["measured"][population] - WITHIN * other["measured"][population]
            errors = ours["standard_error"][population], WITHIN * other["standard_error"][population]
            worst = max(worst, gap / math.hypot(*errors))
    required = f"at most 3 joint standard errors above {WITHIN} times the best peer"
    return _target("measured error compared with the best peer", required, f"at most {worst:+.2f}", worst <= 3)


def scores(results: Results) -> list[float]:
    """Measured minus exact error in standard errors, for every mechanism and population."""
    return [
        (row["measured"][population] - row["exact"][population]) / row["standard_error"][population]
        for row in results["rows"]
        for population in POPULATIONS
    ]


def _as_computed(results: Results) -> dict[str, Any]:
    ours = [abs(z) for row in results["rows"] if row["package"] == "hushtally" for z in scores({"rows": [row]})]
    beyond = sum(abs(z) > 3 for z in scores(results))
    found = f"hushtally at most {max(ours):.2f}; {beyond} of all {len(scores(results))} above 3 (by chance: 0.27%)"
    return _target("measured minus exact error, in standard errors", "hushtally at most 3", found, max(ours) <= 3)


def hashing_ratio(results: Results, heuristic: bool) -> float:
    """Time per report of the best hashing server, divided by ours, at the largest d; the minimum over epsilon."""
    largest = max(row["d"] for row in results["rows"])
    names = ("FLH",) if heuristic else ("BLH", "OLH")
    return min(
        float(min(row["server_us"] for row in peers if row["mechanism"] in names) / ours["server_us"])
        for d, _, ours, peers in cells(results)
        if d == largest and any(row["mechanism"] in names for row in peers)
    )


def _server(results: Results, heuristic: bool) -> dict[str, Any]:
    ratio = hashing_ratio(results, heuristic)
    largest = max(row["d"] for row in results["rows"])
    if heuristic:
        errors = [
            f"{one['exact_many'] / ours['exact']['zipf']:.2f} (d = {d:,})"
            for d, _, ours, peers in cells(results)
            for one in peers
            if one["mechanism"] == "FLH"
        ]
        found = f"{ratio:,.0f} times; its error with bias at 100,000 reports / ours: {', '.join(errors)}"
        return _target(f"the same for FLH, which shares a pool of hash functions, d = {largest}", "", found, None)
    what = f"server time per report of the best hashing server / ours, d = {largest}"
    return _target(what, f">= {FASTER} times", f"{ratio:,.0f} times", ratio >= FASTER)


def _rappor(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    n, original = record["reports"], record["original_detected"]
    everything, detected, unaware = record["all"], record["detected"], record["detected_estimate_and_error"]
    label = f"rappor, {n:,} reports:"
    yield _target(
        f"{label} coverage, all values", ".94 to .96", _coverage(everything), 0.94 <= everything["coverage"] <= 0.96
    )
    found = (
        f"{_coverage(detected)}; estimate ± 1.96 standard errors: {_coverage(unaware)}; "
        f"original decoder: {_coverage(original)}"
    )
    yield _target(f"{label} coverage, detected values", ">= .93", found, detected["coverage"] >= 0.93)
    least = max(DETECTED.get(n, 0), original["values"])
    found = (
        f"{detected['values']:.1f}; original decoder: {original['values']:.1f}; "
        f"ours above 2 standard errors: {record['two_standard_errors']['values']:.1f}"
    )
    yield _target(
        f"{label} detected values",
        f">= {DETECTED.get(n, 0)} and >= original decoder",
        found,
        detected["values"] >= least,
    )


def _coverage(found: dict[str, Any]) -> str:
    error = found["coverage_standard_error"]
    return f"{found['coverage']:.3f}" + (f" ± {error:.3f}" if error is not None else "")


def markdown(results: Results) -> str:
    """The block of benchmarks/README.md between the markers."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        BEGIN,
        f"{results['date']}, {machine['cores']} cores ({machine['cpu']}), Python {machine['python']}, {versions}.",
        "",
        "Exact n × mean squared error, as shipped (lower is better). Server: microseconds per report.",
        "",
        "| d | epsilon | hushtally | / optimum | best peer that keeps its epsilon | hushtally / peer "
        "| best peer of all | hushtally / peer | hushtally server | fastest exact hashing server |",
        "|--:|--:|:--|--:|:--|--:|:--|--:|--:|--:|",
    ]
    for d, epsilon, ours, peers in cells(results):
        sound, any_ = best([row for row in peers if keeps_epsilon(row)]), best(peers)
        hashing = min(row["server_us"] for row in peers if row["mechanism"] in ("BLH", "OLH"))
        lines.append(
            f"| {d:,} | {epsilon:g} | {ours['mechanism']}: {ours['exact']['zipf']:.4g} | {_over(ours):.4f} "
            f"| {sound['mechanism']}, {sound['package']}: {sound['exact']['zipf']:.4g} | {_ratio(ours, sound)} "
            f"| {any_['mechanism']}, {any_['package']}{'' if keeps_epsilon(any_) else '*'} | {_ratio(ours, any_)} "
            f"| {ours['server_us']:.2f} | {hashing:,.1f} |"
        )
    if not all(keeps_epsilon(row) for row in results["rows"]):
        lines += ["", "\\* A report with the true value lists this value first, so the report satisfies no epsilon."]
    lines += ["", "| what | required | result | met |", "|:--|:--|:--|:--|"]
    lines += [f"| {one['what']} | {one['required']} | {one['found']} | {verdict(one)} |" for one in targets(results)]
    return "\n".join([*lines, END])


def _over(row: Row) -> float:
    return float(row["exact"]["zipf"]) / optimal_mean_variance(row["d"], row["epsilon"])


def _ratio(ours: Row, theirs: Row) -> str:
    return f"{ours['exact']['zipf'] / theirs['exact']['zipf']:.4f}"


# The picture -----------------------------------------------------------------

LEFT, RIGHT, TOP, STEP = 200, 720, 84, 28
SHAPES = ("circle", "square", "diamond")
COLOURS = ("#0072B2", "#B35900", "#00694F")
APART = 7  # vertical distance between the marks of one row, so that equal marks stay visible
MOST = 2.75  # end of the axis; a larger ratio is written as a number
TICKS = (1, 1.25, 1.5, 1.75, 2, 2.25, 2.5)


def picture(results: Results, epsilon: float = 1.0) -> str:
    """An SVG picture of error / optimum by mechanism, with one mark for each d."""
    rows = _picture_rows(results, epsilon)
    domains = sorted({d for _, points in rows for d in points})
    bottom = TOP + STEP * len(rows)

    def x(ratio: float) -> float:
        return LEFT + (RIGHT - LEFT) * (ratio - 1) / (MOST - 1)

    title = f"Error relative to the optimum, epsilon {epsilon:g}"
    said = escape("; ".join(f"{name}: " + ", ".join(f"{points[d]:.3g}" for d in points) for name, points in rows))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {bottom + 62}" role="img" '
        'aria-labelledby="title desc" font-family="system-ui, sans-serif" font-size="13">',
        f'<title id="title">{title}</title>',
        f'<desc id="desc">Mean squared error / smallest possible error, for {_listed(domains)} values. {said}.</desc>',
        f'<rect width="760" height="{bottom + 62}" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="16" font-weight="600" fill="#1a1a1a">{title}</text>',
        '<text x="16" y="48" fill="#595959">Mean squared error of raw estimates; 1 is the smallest possible.</text>',
    ]
    for index, d in enumerate(domains):
        at = LEFT + 110 * index
        parts += [_mark(index, at, 66), f'<text x="{at + 11}" y="70" fill="#1a1a1a">{d:,} values</text>']
    for tick in TICKS:
        parts.append(f'<line x1="{x(tick):.1f}" y1="{TOP}" x2="{x(tick):.1f}" y2="{bottom}" stroke="#e3e3e3"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle" fill="#595959">{tick:g}</text>')
    for number, (name, points) in enumerate(rows):
        y = TOP + STEP * number + STEP / 2
        weight = ' font-weight="600"' if number == 0 else ""
        parts.append(
            f'<text x="{LEFT - 14}" y="{y + 4.5:g}" text-anchor="end" fill="#1a1a1a"{weight}>{escape(name)}</text>'
        )
        for d, ratio in points.items():
            index = domains.index(d)
            parts.append(_mark(index, x(min(ratio, MOST)), y + APART * (index - (len(domains) - 1) / 2)))
        if beyond := ", ".join(f"{ratio:.3g}" for ratio in points.values() if ratio > MOST):
            parts.append(
                f'<text x="{x(MOST) - 10:.1f}" y="{y + 8:g}" text-anchor="end" fill="#595959">{beyond} →</text>'
            )
    if any(name.endswith("*") for name, _ in rows):
        parts.append(
            f'<text x="16" y="{bottom + 46}" fill="#595959">* Its reports list the true value first, '
            "so they keep no epsilon.</text>"
        )
    return "\n".join([*parts, "</svg>\n"])


def _picture_rows(results: Results, epsilon: float) -> list[tuple[str, dict[int, float]]]:
    """hushtally first, then the peers from best to worst; equal results of both peers share a row."""
    ratios: dict[tuple[str, str], dict[int, float]] = {}
    leaking = set()
    for row in results["rows"]:
        if row["epsilon"] == epsilon and row["mechanism"] != "FLH":
            name = "" if row["package"] == "hushtally" else row["mechanism"]
            ratios.setdefault((name, row["package"]), {})[row["d"]] = _over(row)
            leaking |= set() if keeps_epsilon(row) else {(name, row["package"])}
    rows: dict[str, tuple[list[str], dict[int, float], bool]] = {}
    for (name, package), points in ratios.items():
        key = f"{name} {[round(ratio, 3) for ratio in points.values()]}"
        packages, _, leaks = rows.setdefault(key, ([], points, False))
        packages.append(package)
        rows[key] = packages, points, leaks or (name, package) in leaking
    labelled = []
    for key, (packages, points, leaks) in rows.items():
        name, who = key.split(" ")[0], "both peers" if len(packages) > 1 else packages[0]
        labelled.append((f"{name} ({who})" + "*" * leaks if name else who, points))
    return [labelled[0], *sorted(labelled[1:], key=lambda row: max(row[1].values()))]


def _listed(domains: list[int]) -> str:
    return ", ".join(f"{d:,}" for d in domains)


def _mark(index: int, x: float, y: float) -> str:
    colour, shape = COLOURS[index % 3], SHAPES[index % 3]
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:g}" r="4" fill="{colour}"/>'
    turned = f' transform="rotate(45 {x:.1f} {y:g})"' if shape == "diamond" else ""
    return f'<rect x="{x - 3.6:.1f}" y="{y - 3.6:.1f}" width="7.2" height="7.2" fill="{colour}"{turned}/>'
