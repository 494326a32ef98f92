"""An HTML page with a summary, facts, pictures and tables. The page loads no other resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment
from markupsafe import Markup

from hushtally.simulations.charts.svg import to_svg
from hushtally.simulations.cli.picture import Picture
from hushtally.simulations.cli.text_table import TextTable

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: #222; background: #fff;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
.summary { font-size: 1.15rem; border-left: 4px solid #0072b2; padding-left: 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 2rem 0; } svg { max-width: 100%; height: auto; }
section { margin: 2rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem .25rem 0; text-align: right; border-bottom: 1px solid #d8d8d8; white-space: nowrap; }
th.text, td.text { text-align: left; white-space: normal; overflow-wrap: anywhere; }
tr.highlighted { font-weight: 600; }
caption { text-align: left; padding: .5rem 0; }
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
<p class="summary">{{ summary }}</p>
<dl>
{% for name, fact in facts.items() %}<dt>{{ name }}</dt><dd>{{ fact }}</dd>
{% endfor %}</dl>
{% for picture in pictures %}<figure>
{{ picture }}</figure>
{% endfor %}<h2>What the columns mean</h2>
<dl>
{% for name, meaning in legend.items() %}<dt>{{ name }}</dt><dd>{{ meaning }}</dd>
{% endfor %}</dl>
{% for table in tables %}<section tabindex="0" aria-label="{{ table.title or "overview" }}">
<table>
<caption><b>{{ table.title or "overview" }}</b> {{ table.subtitle }}</caption>
<thead><tr>{% for name in table.columns %}<th scope="col"{{ text if name in table.text_columns }}>{{ name }}</th>\
{% endfor %}</tr></thead>
<tbody>
{% for row in table.rows %}<tr{% if loop.index0 == table.highlighted %} class="highlighted"{% endif %}>\
{% for cell in row %}<td{{ text if table.columns[loop.index0] in table.text_columns }}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table>
{% if table.footnote %}<p>{{ table.footnote }}</p>
{% endif %}</section>
{% endfor %}</main>
</body>
</html>
"""


@dataclass(frozen=True)
class Page:
    """The content of a page. facts: what was calculated, and how. legend: the meaning of the tables' columns."""

    title: str
    summary: str
    facts: Mapping[str, str]
    pictures: Sequence[Picture]
    legend: Mapping[str, str]
    tables: Sequence[TextTable]

    def html(self) -> str:
        """Return the page as an HTML document."""
        charts = [Markup(to_svg(picture.chart)) for picture in self.pictures]
        template = Environment(autoescape=True).from_string(TEMPLATE)
        return template.render(vars(self) | {"pictures": charts, "text": Markup(' class="text"')})
