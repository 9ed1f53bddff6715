"""What a file says of its run, as parts of a report: how, on what, whether it converged, what came out."""
import math

from . import convergence, path, timing
from .clouds import label_of
from .files import plain
from .html import Markup, facts, join, picture, section, table, tag
from .refused import Refused

VALUES = (
    ("transport_cost", "transport cost", "<P, C>: what the plan costs, without the entropy"),
    ("dual_value", "dual value", "<a, f> + <b, g> − ε(ΣP − 1): the value of the regularised problem; transport cost "
                                 "plus ε KL at the optimum"),
    ("kl", "KL", "Σ P log(P / abᵀ) − ΣP + 1, in nats: how far the plan is from making source and target "
                 "independent (0)"),
    ("normalised_entropy", "normalised entropy",
     "−Σ P log P / log(nm): 1 where all pairs are alike, small where the plan is sharp"),
    ("mass", "mass", "ΣP: 1 but for the error of the marginals"))
MACHINE = (("host", "host"), ("nodes", "nodes"), ("ranks", "MPI ranks"), ("grid", "process grid"),
           ("threads_per_rank", "threads a rank"), ("backend", "backend"), ("devices", "devices"),
           ("instruction_set", "instruction set"), ("precision", "precision of the kernels"), ("job", "job"))


def number(value, digits=10):
    return f"{value:.{digits}g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def error(value):
    return f"{value:.2e}" if isinstance(value, float) and math.isfinite(value) else "\u2013"


def words(status):
    return str(status).replace("_", " ")


def badge(status):
    return tag("span", words(status) or "status not known",
               class_="status " + ("good" if status in ("converged", "done") else "bad"))


def run_section(file):
    run = file.attributes("run")
    command = run.get("command")
    by = f"{file.root.get('program', 'convoy')} {file.root.get('version', '')}"
    rows = [("file", file.path), ("written by", by), ("created", file.root.get("created", ""))]
    rows += [(name, run[key]) for key, name in MACHINE if run.get(key) not in (None, "", "none")]
    if isinstance(run.get("memory_per_rank_estimate"), (int, float)):
        rows.append(("memory planned", f"{run['memory_per_rank_estimate'] / 2 ** 20:,.0f} MiB a rank"))
    return section("What was run", tag("pre", command) if command else "", facts(rows))


def inputs_section(file):
    columns = ("", "file", "points", "chosen by", "scale", "checksum", "masses")
    rows = []
    for side in "source", "target", "points":
        one = file.attributes(f"inputs/{side}")
        if one:
            rows.append((side, place_of(one), *shape_of(one), one.get("scaling", "1"), checksum(one.get("checksum")),
                         masses_of(one)))
    note = "Checksums are CRC-32C of the points as read, in double: other points have another."
    return section("On what", table(columns, rows), tag("p", note, class_="note")) if rows else Markup("")


def place_of(one):
    key = f"#{one['key']}" if one.get("key") else ""
    return tag("span", f"{one.get('absolute_path') or one.get('path', '')}{key}", class_="path")


def shape_of(one):
    points = f"{number(one.get('rows', 0))} \u00d7 {number(one.get('dimension') or one.get('columns', 0))}"
    conditions = str(one.get("where") or "")
    if not conditions:
        return points, "all rows"
    missing = one.get("rows_without_value", 0)
    return (points + (f", of {number(one['file_rows'])} rows" if one.get("file_rows") else ""),
            join(*(tag("div", line) for line in conditions.splitlines()),
                 tag("div", f"{number(missing)} rows have no value", class_="note") if missing else ""))


def checksum(value):
    return f"{value & 0xffffffff:08x}" if isinstance(value, int) else ""


def masses_of(one):
    if not one.get("weights_path"):
        return "equal"
    key = f"#{one['weights_key']}" if one.get("weights_key") else ""
    return f"{one['weights_path']}{key} ({checksum(one.get('weights_checksum'))})"


# --- whether it converged ---------------------------------------------------------------------------------------------

def convergence_section(file, more=()):
    if file.kind == "points":
        return mapped_convergence(file)
    if file.kind == "query":
        return section("Did it converge?", facts([("the result's status", words(file.text("model", "status")))]))
    solution = file.attributes("solution")
    sampled = solution.get("audit") == "sampled"
    rows, columns = (number(solution.get(f"audited_{what}", 0)) for what in ("rows", "columns"))
    checked = f"{rows} rows and {columns} columns drawn at random" if sampled else "all rows and all columns"
    how = ("The audit computes the marginals of the plan in double from the points as given, not by the solver's "
           "kernels; its figure decides whether a run has converged.")
    rows = [("status", badge(file.status)), ("because", solution.get("reason", "")),
            ("goal", f"marginal error (L1) of {number(solution.get('tolerance', math.nan), 3)}"),
            ("error by the solver", error(solution.get("marginal_error"))),
            ("error, audited", f"{error(solution.get('audited_error'))} (source "
                               f"{error(solution.get('audited_source_error'))}, target "
                               f"{error(solution.get('audited_target_error'))})"),
            ("audited", checked),
            ("work", f"{number(solution.get('half_passes', 0))} half-passes; all work, in passes over all pairs: "
                     f"{number(solution.get('work', math.nan), 4)}"),
            ("start", solution.get("start", ""))]
    return section("Did it converge, and how do we know?", facts(rows), tag("p", how, class_="note"), drawn(
        lambda: picture(convergence.draw([file]), "The error against half-passes; below, epsilon where it changed on "
                        "the way.", "marginal error against half-passes"),
        "the history"), steps_part(file, more), terms_part(file))


def mapped_convergence(file):
    model, own = file.attributes("model"), file.attributes("self")
    rows = [("the model's status", badge(model.get("status", "")))]
    if own:
        rows.append(("self problem (debiasing)", f"{words(own.get('status', ''))}, error "
                     f"{error(own.get('marginal_error'))} (goal {error(own.get('tolerance'))})"))
    return section("Did it converge?", facts(rows),
                   tag("p", "A map is as good as the potentials of its model; the model's own report has their audit.",
                       class_="note"))


def steps_part(file, more):
    if not file.is_model:
        return ""
    names = ("alpha", "travelled", "epsilon", "marginal_error", "tolerance", "half_passes", "transport_cost", "seconds")
    columns = [file.numbers(f"steps/{name}").tolist() for name in names]
    states = file.texts("steps/status") if file.has("steps/status") else [""] * len(columns[0])
    rows = [(str(k), *(number(value, 4) for value in row), words(state))
            for k, (*row, state) in enumerate(zip(*columns, states), 1)]
    head = ("step", "α", "travelled", "ε", "error", "goal", "half-passes", "transport cost", "seconds", "status")
    source = file.attributes("inputs/source").get("checksum")
    mapped = [one for one in more if one.kind == "points" and one.attributes("inputs/points").get("checksum") == source]
    caption = ("The way of some points through the steps, where the model holds it; how far each step went, at what "
               "epsilon.")
    return join(tag("h3", "Steps"), table(head, rows, numeric=range(9)), drawn(
        lambda: picture(path.draw([file, *mapped[:1]]), caption, "path of progressive optimal transport", "png"),
        "the path"))


def terms_part(file):
    if not file.has("divergence"):
        return ""
    terms = {name: file.attributes(f"divergence/{name}") for name in ("cross", "source", "target")}
    lines = (("status", "status", words), ("marginal_error", "error by the solver", error),
             ("audited_error", "error, audited", error), ("half_passes", "half-passes", number),
             ("dual_value", "dual value", number), ("transport_cost", "transport cost", number), ("kl", "KL", number),
             ("reused", "taken from", str))
    rows = [(name, *(show(term.get(key, "")) for term in terms.values())) for key, name, show in lines
            if any(term.get(key) not in (None, "", "none") for term in terms.values())]
    return join(tag("h3", "The three terms"), table(("", *terms), rows, numeric=(1, 2, 3)))


def values_section(file):
    solution, parts = file.attributes("solution"), []
    divergence = file.attributes("divergence")
    rows = [("divergence", number(divergence.get("divergence", math.nan)),
             "OT(x,y) − (OT(x,x) + OT(y,y))/2 of dual values, with the entropy: 0 for a cloud and itself"),
            ("divergence, transport costs", number(divergence.get("divergence_transport", math.nan)),
             "the same of transport costs alone")] if divergence else []
    if solution:
        rows.append(("epsilon", number(solution.get("epsilon", math.nan)), "the regularisation, in units of the cost "
                     f"({solution.get('cost', '')}); asked for as {solution.get('epsilon_rule', '')}"))
        rows += [(name, number(solution[key]), what) for key, name, what in VALUES if key in solution]
    if rows:
        parts.append(table(("value", "", "what it is"), rows, numeric=(1,)))
    if file.kind == "points":
        model = file.attributes("model")
        parts.append(facts([("model", model.get("absolute_path") or model.get("path", "")),
                            ("made by", model.get("command", "")), ("cost", model.get("cost", "")),
                            ("epsilon", model.get("epsilons") or model.get("epsilon", "")),
                            ("direction", model.get("direction", "")), ("debiased", model.get("debiased", "")),
                            ("images", " \u00d7 ".join(number(int(size)) for size in file.shape("points", 2)))]))
    return section("Values" if rows else "The map", *parts)


def timing_section(file, title="Timing"):
    phases, seconds = timing.rows_of(file)
    if not phases:
        return Markup("")
    ranks = file.attributes("run").get("ranks")
    rows = [(timing.name_of(phase), *(f"{value:.3f}" for value in row)) for phase, row in zip(phases, seconds)]
    caption = "Seconds of each phase; pale bars are parts of the one above."
    return section(title, drawn(lambda: picture(timing.draw(phases, seconds, ranks), caption, "seconds of each phase"),
                                "the bars"),
                   table(("seconds over ranks", "min", "mean", "max"), rows, numeric=(1, 2, 3)))


def warnings_of(file):
    """What a reader should not overlook."""
    found, solution = [], file.attributes("solution")
    if file.status not in ("converged", "done"):
        reason = f" ({solution['reason']})" if solution.get("reason") else ""
        found.append(f"{file.name}: {words(file.status) or 'its status is not known'}{reason}.")
    audited, goal = solution.get("audited_error"), solution.get("tolerance")
    if isinstance(audited, float) and isinstance(goal, float) and not audited <= goal and file.status == "converged":
        found.append(f"{file.name}: the audited error {audited:.2e} is above the goal {goal:.2e}.")
    if solution.get("audit") == "sampled":
        found.append(f"{file.name}: the audit looked at a sample of the rows and columns, not at all.")
    mass = solution.get("mass")
    if isinstance(mass, float) and abs(mass - 1) > 0.01:
        found.append(f"{file.name}: the plan's mass is {mass:.4g}, not 1; values mean little.")
    for side in "source", "target", "points":
        one = file.attributes(f"inputs/{side}")
        if isinstance(one.get("rows_without_value"), int) and one["rows_without_value"] > 0:
            found.append(f"{file.name}: {one['rows_without_value']:,} rows of the {side}'s file have no value in a "
                         f"column of its conditions ({label_of(one)}) and were not chosen.")
    if file.text("model", "status") not in ("", "converged"):
        found.append(f"{file.name}: its model is {words(file.text('model', 'status'))}.")
    if file.is_model and file.has("steps/dropped"):
        dropped = file.numbers("steps/dropped")
        if len(dropped) and dropped.max() > 0.01:
            found.append(f"{file.name}: a step's move left out up to {dropped.max():.1%} of a row's mass.")
    return found


def drawn(draw, what):
    """A picture, or a line that says why there is none."""
    try:
        return draw()
    except Refused as refusal:
        return tag("p", f"Not drawn: {what} ({refusal}).", class_="note")


def title_of(file):
    names = [label_of(file.attributes(f"inputs/{side}")) for side in ("source", "target", "points")
             if file.attributes(f"inputs/{side}")]
    return f"{plain(file.name)}: {' to '.join(names)}" if names else file.name
