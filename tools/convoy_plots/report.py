"""convoy-report, the command line: one page about a result, and what queries say of it."""
import contextlib

import numpy as np

from . import account, citations, images, interpolation, spread, style, transition, transported
from .files import ConvoyFile
from .html import Markup, facts, join, page, picture, section, table, tag
from .pixels import shape_of
from .program import Parser, main
from .refused import Refused
from .transport import lacks_transport

ABOUT = "One page about a run: RESULT is what solve, progot, divergence, map or query wrote."
AFTER = """\
The page has no links to other files: pictures are in it, and it can be sent as it is. It says what was run, on what,
whether it converged and how that is known, what came out, where the time went, what to heed and what to cite. Queries
of the result, and points mapped by it, add what they hold, with pictures. Points are read from where the run read them;
where they have moved, --source and --target give them as .npy (pictures of points are left out else, and the page says
so).

  convoy-report run.h5 -o run.html
  convoy-report days.h5 query.h5 -o days.html
  convoy-report digits.h5 images.h5 --shape 28x28 -o digits.html

Exit codes: 0 written, 1 failed, 2 bad usage or input (one line says which, nothing is written)."""
NAMES = {"points": "Mapped points", "query": "Query", "result": "Result"}


def parser():
    one = Parser(prog="convoy-report", description=ABOUT, epilog=AFTER)
    add = one.add_argument
    add("result", metavar="RESULT", help="of Convoy's")
    add("more", nargs="*", metavar="FILE", help="queries of it, points mapped by it")
    add("-o", "--output", required=True, metavar="OUT.html", help="the page (required)")
    add("--overwrite", action="store_true", help="replace it if it exists")
    add("--title", metavar="TEXT", help="of the page")
    add("--source", metavar="FILE.npy", help="the source's points, where they are not found")
    add("--target", metavar="FILE.npy", help="the target's")
    add("--shape", metavar="HxW[xC]", help="points are images: draw them so")
    add("--order", choices=("pixels", "planes"), help="of a colour image's numbers (as for convoy-plot images)")
    return one


def belongs(result, file):
    """Queries and maps are of this result."""
    if file.kind == "result":
        raise Refused(f"{file.path}: is {file.description}; a report is of one result, with queries of it and mapped "
                      "points")
    if result.kind != "result":
        raise Refused(f"{result.path}: is {result.description}; give the result first, then what was made from it")
    if file.kind == "query":
        sums = [[one.attributes(f"inputs/{side}").get("checksum") for side in ("source", "target")]
                for one in (file, result)]
        same = sums[0] == sums[1]
    else:
        sums = [result.attributes(name).get("checksum") for name in ("steps/g", "potentials/g", "potentials/f")]
        same = file.attributes("model").get("potentials_checksum") in sums
    if not same:
        raise Refused(f"{file.path}: is of another result than {result.path} "
                      f"({file.attributes('model').get('path', 'not known')})")


def part_of(file, result, options, alone):
    """A section for mapped points or a query."""
    with_result = [file] if alone else [result, file]
    parts = [] if alone else [facts([("file", file.path), ("command", file.attributes("run").get("command", "")),
                                     ("status", account.badge(file.status))])]
    if file.kind == "query":
        parts += [tag("p", "It holds: " + ", ".join(contents(file)) + "."), numbers_of(file), transition_part(file)]
        kinds = spread.found(file)
        if kinds:
            parts.append(picture(spread.draw(kinds),
                                 "How these are spread over the points; the dashed line is the median.",
                                 "histograms of values a point"))
    given = {"source": options.source, "target": options.target}
    shape = options.shape or shape_of(file.attributes("inputs/source")) or shape_of(file.attributes("inputs/points"))
    if lacks_transport(file) is None:
        if shape:
            parts.append(account.drawn(lambda: picture(
                images.draw(with_result, shape=shape, order=options.order, **given),
                "Some source images, their images, and their partners in the target.", "image triples", "png"),
                "the images"))
        parts.append(account.drawn(lambda: picture(
            transported.draw(with_result, **given), "Where the source's points go.", "transported points", "png"),
            "transported points"))
    if file.kind == "query" and interpolation.lacks(file) is None:
        parts.append(account.drawn(lambda: picture(
            interpolation.draw(with_result, **given), "Displacement interpolation: the cloud on its way.",
            "frames of the interpolation", "png"), "the interpolation"))
        if shape:
            parts.append(account.drawn(lambda: picture(
                interpolation.draw(with_result, shape=shape, order=options.order), "Images on their way.",
                "images on their way", "png"), "images on their way"))
    return section(NAMES[file.kind] if alone else f"{NAMES[file.kind]}: {style.short(file.name)}", *parts)


CONTENTS = (("match", "most likely partners"), ("top", "largest entries of each row"),
            ("pairs", "pairs drawn from the plan"), ("row_samples", "partners drawn for each row"),
            ("barycentric", "means of the plan's rows"),
            ("diagonal", "the diagonal"), ("transition", "transitions between groups"), ("push", "pushed columns"),
            ("pull", "pulled columns"), ("interpolation", "an interpolation"), ("marginals", "marginals"),
            ("growth", "growth"), ("entropy", "entropy of the rows"), ("source/names", "names"))


def contents(file):
    return [words for path, words in CONTENTS if file.has(path)] or ["nothing that this page knows"]


def numbers_of(file):
    """Single figures, and quartiles of those that are one a point."""
    single = [("pairs drawn", f"{file.shape('pairs/source', 1)[0]:,}") if file.has("pairs/source") else ("", ""),
              ("trace of the plan (mass on the diagonal)", file.attributes("diagonal").get("trace", "")),
              ("KL of the identity to the plan, in nats", file.attributes("diagonal").get("kl_of_identity", "")),
              ("entropy of a row, mean by mass (0 to 1)", file.attributes("entropy").get("mean", ""))]
    rows = [(name, *map(small, np.quantile(values, (0, 0.25, 0.5, 0.75, 1))))
            for _, name, _, values in spread.found(file)]
    names = ("over points", "least", "quarter", "median", "three quarters", "largest")
    rows = [(name.replace("\n", " "), *rest) for name, *rest in rows]
    return join(facts([(name, account.number(value, 6)) for name, value in single if name and value != ""]),
                table(names, rows, numeric=range(1, 6)) if rows else "")


def small(value):
    return f"{value:.4g}" if value == 0 or abs(value) > 1e-12 else "<1e-12"


TABLES = (("forward", "Of each source group's mass, the share that goes to each target group: rows sum to 1."),
          ("backward", "Of each target group's mass, the share that comes from each source group: columns sum to 1."))


def transition_part(file):
    if transition.lacks(file) is not None:
        return Markup("")
    one = file.attributes("transition")
    rows = [("groups", one.get("column") or ", ".join(str(one[key]) for key in ("source_labels", "target_labels")
                                                      if one.get(key)))]
    rows += [(name, f"{one[key]:.2%}") for key, name in
             (("equal_mass", "mass that stays in a group of the same name"),
              ("equal_mass_independent", "the same if source and target were independent"))
             if isinstance(one.get(key), float)]
    return join(tag("h3", "Transitions"), facts(rows), *(
        account.drawn(lambda show=show, caption=caption:
                      picture(transition.draw([file], show=show), caption, f"transitions, {show}"), "transitions")
        for show, caption in TABLES))


def body(result, more, options):
    files = [result, *more]
    title = options.title or account.title_of(result)
    warnings = [warning for file in files for warning in account.warnings_of(file)]
    alone = [part_of(result, result, options, True)] if result.kind != "result" else []
    what = f"{result.description[:1].upper()}{result.description[1:]} "
    cited = [tag("li", f"For {use}: {reference}") for use, reference in citations.of(files)]
    return page(
        title, tag("h1", title), tag("p", what, account.badge(result.status)),
        *(tag("p", warning, class_="warning") for warning in warnings),
        account.run_section(result), account.inputs_section(result), account.convergence_section(result, more),
        account.values_section(result), *alone, *(part_of(file, result, options, False) for file in more),
        account.timing_section(result),
        *(account.timing_section(file, f"Timing of {style.short(file.name)}") for file in more),
        section("How to cite", tag("ul", *cited)),
        tag("p", f"Made by convoy-report from {', '.join(file.path for file in files)}.", class_="note"))


def run(words):
    options = parser().parse_args(words)
    if not options.output.endswith((".html", ".htm")):
        raise Refused(f"{options.output}: a report ends in .html")
    style.check_output(options.output, options.overwrite)
    with contextlib.ExitStack() as stack:
        result, *more = [stack.enter_context(ConvoyFile(path)) for path in (options.result, *options.more)]
        for file in more:
            belongs(result, file)
        style.plotter()
        text = body(result, more, options)
    with style.replacing(options.output) as part, open(part, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"wrote {options.output}")


def report():
    return main(run)
