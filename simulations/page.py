"""One page in HTML that holds everything: words, tables, pictures; nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from simulations.drawing import to_svg
from simulations.pictures import Picture

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: #222; background: #fff;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
.words { font-size: 1.15rem; border-left: 4px solid #0072b2; padding-left: 1rem; }
figure { margin: 2rem 0; } svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; text-align: right; border-bottom: 1px solid #d8d8d8; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } caption { text-align: left; font-weight: 600; padding: .5rem 0; }
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
<p class="words">{{ words }}</p>
{% for picture in pictures %}<figure>
{{ picture }}</figure>
{% endfor %}<div class="wide" tabindex="0" role="region" aria-label="all figures">
<table>
<caption>All figures</caption>
<thead><tr>{% for name in names %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table>
</div>
</main>
</body>
</html>
"""
UNNAMED = ("survey", "version", "half_widths", "protects")  # fields that a table has no use for


def to_html(title: str, words: str, pictures: Sequence[Picture], rows: Sequence[Any]) -> str:
    """The page; rows: dataclasses of one kind, whose fields become the columns of a table."""
    names = [field.name for field in fields(rows[0]) if field.name not in UNNAMED] if rows else []
    return (
        Environment(autoescape=True)
        .from_string(TEMPLATE)
        .render(
            title=title,
            words=words,
            pictures=[Markup(to_svg(picture.chart)) for picture in pictures],
            names=[name.replace("_", " ") for name in names],
            rows=[[_cell(getattr(row, name)) for name in names] for row in rows],
        )
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
