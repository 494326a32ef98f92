"""One page in HTML that holds everything: words, facts, pictures, tables; nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment
from markupsafe import Markup

from hushtally.simulations.charts.render import to_svg
from hushtally.simulations.cli.picture import Picture
from hushtally.simulations.cli.text_table import Sheet

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
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 2rem 0; } svg { max-width: 100%; height: auto; }
section { margin: 2rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem .25rem 0; text-align: right; border-bottom: 1px solid #d8d8d8; white-space: nowrap; }
th.text, td.text { text-align: left; white-space: normal; overflow-wrap: anywhere; } tr.stressed { font-weight: 600; }
caption { text-align: left; padding: .5rem 0; }
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
<p class="words">{{ words }}</p>
<dl>
{% for name, fact in facts.items() %}<dt>{{ name }}</dt><dd>{{ fact }}</dd>
{% endfor %}</dl>
{% for picture in pictures %}<figure>
{{ picture }}</figure>
{% endfor %}<h2>What the columns say</h2>
<dl>
{% for name, meaning in legend.items() %}<dt>{{ name }}</dt><dd>{{ meaning }}</dd>
{% endfor %}</dl>
{% for sheet in sheets %}<section tabindex="0" aria-label="{{ sheet.title or "overview" }}">
<table>
<caption><b>{{ sheet.title or "overview" }}</b> {{ sheet.about }}</caption>
<thead><tr>{% for name in sheet.columns %}<th scope="col"{{ text if name in sheet.words }}>{{ name }}</th>\
{% endfor %}</tr></thead>
<tbody>
{% for row in sheet.rows %}<tr{% if loop.index0 == sheet.stressed %} class="stressed"{% endif %}>\
{% for cell in row %}<td{{ text if sheet.columns[loop.index0] in sheet.words }}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table>
{% if sheet.remark %}<p>{{ sheet.remark }}</p>
{% endif %}</section>
{% endfor %}</main>
</body>
</html>
"""


@dataclass(frozen=True)
class Page:
    """What a page says. facts: what it was made of and how; legend: what the columns of the sheets say."""

    title: str
    words: str
    facts: Mapping[str, str]
    pictures: Sequence[Picture]
    legend: Mapping[str, str]
    sheets: Sequence[Sheet]

    def html(self) -> str:
        """The page as it is written into a file."""
        drawn = [Markup(to_svg(picture.chart)) for picture in self.pictures]
        template = Environment(autoescape=True).from_string(TEMPLATE)
        return template.render(vars(self) | {"pictures": drawn, "text": Markup(' class="text"')})
