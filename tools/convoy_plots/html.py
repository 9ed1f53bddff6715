"""HTML in which all text is escaped: only what these functions made is markup."""
import base64
import html
import io

from . import style

STYLE = """\
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:62rem;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.2rem;margin:2.2rem 0 .6rem;border-bottom:1px solid #ccc}
h3{font-size:1rem;margin:1.4rem 0 .4rem}
table{border-collapse:collapse;margin:.6rem 0;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.2rem .9rem .2rem 0;border-bottom:1px solid #eee}
td{overflow-wrap:break-word}
.path{overflow-wrap:anywhere}
th{font-weight:600;white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.n{font-family:ui-monospace,monospace;font-size:.88rem}
pre{background:#f5f5f5;padding:.6rem .8rem;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.86rem}
figure{margin:1rem 0}img{max-width:100%;height:auto}figcaption{color:#555;font-size:.9rem}
.wide{overflow-x:auto}
.note{color:#555}.warning{border-left:4px solid #D55E00;padding:.2rem .8rem;margin:.5rem 0;background:#fdf4ee}
.status{display:inline-block;padding:.05rem .6rem;border-radius:.3rem;border:1px solid;font-weight:600}
.good{color:#00543c;background:#e6f4ef}.bad{color:#8c3c00;background:#fdf0e6}
@media print{body{margin:0;max-width:none}figure,tr{break-inside:avoid}}
"""


class Markup(str):
    pass


def text(value):
    """Escaped; characters that no page may have are replaced."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(value))))


def tag(name, *children, **attributes):
    inside = "".join(text(child) for child in children)
    words = "".join(f' {key.rstrip("_")}="{html.escape(str(value))}"' for key, value in attributes.items())
    return Markup(f"<{name}{words}>{inside}</{name}>")


def join(*parts):
    return Markup("".join(text(part) for part in parts))


def section(title, *children):
    return tag("section", tag("h2", title), *children) if any(children) else Markup("")


def table(head, rows, numeric=()):
    """`numeric`: which columns are numbers, to the right."""
    def cells(kind, row):
        return tag("tr", *(tag(kind, cell, class_="n") if k in numeric else tag(kind, cell)
                           for k, cell in enumerate(row)))
    return tag("div", tag("table", tag("thead", cells("th", head)) if head else "",
                          tag("tbody", *(cells("td", row) for row in rows))), class_="wide")


def facts(pairs):
    """Names and values, those that there are."""
    rows = [tag("tr", tag("th", name), tag("td", value)) for name, value in pairs if str(value) != ""]
    return tag("div", tag("table", tag("tbody", *rows)), class_="wide") if rows else Markup("")


def picture(figure, caption, alt, suffix="svg"):
    """Embedded: charts as SVG, clouds of many points as PNG."""
    import matplotlib.pyplot as plt
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=130, metadata=style.METADATA[suffix])
    width = round(figure.get_size_inches()[0] * 80)
    plt.close(figure)
    kind = {"svg": "image/svg+xml", "png": "image/png"}[suffix]
    source = f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return tag("figure", Markup(f'<img src="{source}" alt="{html.escape(alt)}" width="{width}">'),
               tag("figcaption", caption))


def page(title, *children):
    return ("<!DOCTYPE html>\n" + tag("html", tag(
        "head", Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
                       '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
                       'style-src \'unsafe-inline\'">'),
        tag("title", title), Markup(f"<style>{STYLE}</style>")), tag("body", *children), lang="en") + "\n")
