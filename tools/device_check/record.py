"""From what the steps left (JSON) to what is wanted of them, and to one Markdown record."""
import dataclasses
import json
import statistics

PEER_RATIO = 10
ROUNDING = 1e-4  # of epsilon: ten half-passes in single precision, summed in another order
SINGLE = 1e-2  # of epsilon: the same against double; costs round by about 1e-3 of it at most


# --- finding --------------------------------------------------------------------------------------------------------

def merged(contents):
    """Records of single parts as one; a part that was run twice counts as it was last."""
    whole = {"head": contents[0]["head"], "parts": {}}
    for content in contents:
        whole["parts"].update(content["parts"])
    return whole


def steps(record, part, start=""):
    return [step for step in record["parts"].get(part, []) if step["step"].startswith(start)]


def data(record, part, start):
    """What the steps of this name left, of those that ended well."""
    return [step["data"] for step in steps(record, part, start) if step["ok"] and step["data"]]


def phase(summary, *names):
    return sum(row["max"] for row in summary["timing"] if row["phase"] in names)


def half_pass(trace, skipped=2):
    """The median of both directions' seconds; the first ones may take the safe form."""
    spans = [after - before for before, after in zip(trace, trace[1:])][skipped - 1:]
    if len(spans) < 2:
        return None
    return (statistics.median(spans[0::2]) + statistics.median(spans[1::2])) / 2


def rates(record, call, d):
    """Rows of cuda_rates, the largest problem last."""
    found = data(record, "rates", "rates")
    rows = found[0]["rows"] if found else []
    rows = [row for row in rows if row["cost"] == "sqeuclidean" and row["single"] and row["d"] == d
            and row["call"].startswith(call) and row["rate"] > 0 and not row["wrong"]]
    return sorted(rows, key=lambda row: row["n"])


# --- targets --------------------------------------------------------------------------------------------------------

def best_rate(record, d):
    rows = rates(record, "reduce", d)
    largest = [row["rate"] for row in rows if row["n"] == rows[-1]["n"]]
    return (min(largest), f"{min(largest):.3g} pairs/s, the slower direction, n = m = {rows[-1]['n']:,}") if rows else None


def kept_share(record):
    rows = rates(record, "kept", 1024)
    if not rows:
        return None
    of_stream = data(record, "rates", "rates")[0]["limits"]["read"] / 4
    slower = min((row for row in rows if row["n"] == rows[-1]["n"]), key=lambda row: row["rate"])
    return slower["rate"] / of_stream, f"{slower['rate'] / of_stream:.0%} of reading, n = m = {slower['n']:,}"


def image_seconds(record, kind):
    runs = data(record, "images", f"{kind}, run")
    if not runs:
        return None
    seconds = [phase(run, "products", "solve") for run in runs]
    return (statistics.median(seconds), "products " + ", ".join(f"{phase(run, 'products'):.2f}" for run in runs) +
            " s, half-passes " + ", ".join(f"{phase(run, 'solve'):.3f}" for run in runs) + " s")


def large_half_pass(record):
    found = [step for step in steps(record, "large", "many, d = 64") if step["ok"]]
    seconds = half_pass(found[0]["trace"]) if found else None
    return None if seconds is None else (seconds, f"{seconds:.3f} s")


def apart(record):
    found = data(record, "large", "4 ranks against 1")
    return (found[0]["apart"], f"{found[0]['apart']:.1e} epsilon after 10 half-passes") if found else None


def rerun(record):
    found = data(record, "large", "a rerun")
    return (0 if found[0]["same_bits"] else 1, "the same bits" if found[0]["same_bits"] else "other bits") if found else None


def own_seconds(record):
    runs = [phase(run, "products", "start", "solve") for run in data(record, "peers", "peers, convoy")
            if run["status"] == "converged"]
    return statistics.median(runs) if runs else None


def ratio_to(record, *modules):
    """Of the seconds of the fastest of these peers' settings that reached the tolerance to ours."""
    ours = own_seconds(record)
    rows = [row for module in modules for row in data(record, "peers", module) if row.get("reached")]
    if ours is None or not rows:
        return None
    best = min(rows, key=lambda row: row["seconds"])
    return best["seconds"] / ours, f"{best['seconds'] / ours:.1f} ({best['seconds']:.3g} s, {best['setting']}; ours {ours:.3g} s)"


def correct(record, part):
    """How many steps of a part are not as they should be."""
    known = [step for step in steps(record, part) if not step["optional"]]
    bad = [step["step"] for step in known if not step["ok"]]
    return (len(bad), f"{len(known) - len(bad)} of {len(known)} steps" + (f"; not: {', '.join(bad)}" if bad else "")) if known else None


def against_cpu(record):
    found = data(record, "tests", "few, ")
    found = [entry["apart"] for entry in found if "apart" in entry]
    return (max(found), f"{max(found):.1e} epsilon") if found else None


def wrong_rates(record):
    found = data(record, "rates", "rates")
    if not found:
        return None
    wrong = sum(row["wrong"] for row in found[0]["rows"])
    return wrong, f"{len(found[0]['rows']) - wrong} of {len(found[0]['rows'])} calls agree with the reference"


@dataclasses.dataclass
class Target:
    what: str
    find: object  # record -> (value, in words), or None
    wanted: str
    good: object  # value -> whether it is as wanted
    speed: bool = True  # judged at the full sizes only


TARGETS = [
    Target("device tests, 1, 2 and 4 ranks", lambda r: correct(r, "tests"), "all pass", lambda v: v == 0, False),
    Target("10 half-passes against the CPU in double", against_cpu, f"≤ {SINGLE:g} epsilon", lambda v: v <= SINGLE, False),
    Target("compute-sanitizer", lambda r: correct(r, "sanitizer"), "nothing found", lambda v: v == 0, False),
    Target("answers of cuda_rates", wrong_rates, "all right", lambda v: v == 0, False),
    Target("4 ranks on one device against 1", apart, f"≤ {ROUNDING:g} epsilon", lambda v: v <= ROUNDING, False),
    Target("a rerun", rerun, "the same bits", lambda v: v == 0, False),
    Target("d = 3", lambda r: best_rate(r, 3), "≥ 3e12 pairs/s", lambda v: v >= 3e12),
    Target("d = 64", lambda r: best_rate(r, 64), "≥ 1.5e12 pairs/s", lambda v: v >= 1.5e12),
    Target("d = 1024, kept products", kept_share, "≥ 80 % of reading", lambda v: v >= 0.8),
    Target("a half-pass, 1e6 x 1e6, d = 64", large_half_pass, "< 0.7 s", lambda v: v < 0.7),
    Target("60,000 grey images, products and half-passes", lambda r: image_seconds(r, "grey"), "< 1 s", lambda v: v < 1),
    Target("100,000 colour images, products and half-passes", lambda r: image_seconds(r, "colour"), "< 10 s",
           lambda v: v < 10),
    Target("PyTorch's seconds over ours, n = 50,000, d = 64", lambda r: ratio_to(r, "torch_sinkhorn"),
           f"≥ {PEER_RATIO}", lambda v: v >= PEER_RATIO),
    Target("JAX's, likewise", lambda r: ratio_to(r, "jax_sinkhorn", "ott_sinkhorn"), f"≥ {PEER_RATIO}",
           lambda v: v >= PEER_RATIO),
]


def verdict(target, found, small):
    if found is None:
        return "not measured"
    if target.speed and small:
        return "not judged: small"
    return "met" if target.good(found[0]) else "MISSED"


def verdicts(record):
    """(what, measured, wanted, verdict) of each target."""
    found = [(target, target.find(record)) for target in TARGETS]
    return [(target.what, value[1] if value else "", target.wanted, verdict(target, value, record["head"].get("small")))
            for target, value in found]


# --- Markdown -------------------------------------------------------------------------------------------------------

def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def solutions(record, part, start, whole=True):
    """A row a run of convoy: every phase by itself."""
    rows = []
    for step in steps(record, part, start):
        summary = step["data"]
        if not step["ok"] or not summary or "timing" not in summary:
            if summary is None or "timing" in summary or not step["ok"]:
                rows.append([step["step"], step.get("why", "no summary"), *[""] * 10])
            continue
        solution, pass_seconds = summary["solution"], half_pass(step["trace"])
        phases = [f"{phase(summary, name):.3f}" for name in ("read", "products", "epsilon", "start", "solve", "audit", "write")]
        rows.append([step["step"], summary["status"].replace("_", " "), solution["half_passes"],
                     f"{solution['audited_error']:.1e}", *phases, f"{phase(summary, 'total'):.2f}",
                     f"{pass_seconds:.4f}" if pass_seconds else ""])
    head = ["run", "status", "half-passes", "audited error", "read", "products", "epsilon", "start", "solve", "audit",
            "write", "total", "a half-pass"]
    return table(head, [row + [""] * (len(head) - len(row)) for row in rows]) if rows else []


def peer_rows(record):
    rows, ours = [], own_seconds(record)
    for step in steps(record, "peers"):
        row = step["data"]
        if not step["optional"]:
            continue
        if step.get("left_out") or not row or "failed" in row:
            why = step.get("left_out") or (row or {}).get("failed") or step.get("why", "no answer")
            rows.append([step["step"], why, *[""] * 6])
            continue
        pass_seconds = f"{row['half_pass']:.4g} ({row['least']:.4g} to {row['most']:.4g})" if "half_pass" in row else ""
        rows.append([step["step"], row["versions"], pass_seconds, f"{row['seconds']:.3g}", row["half_passes"] or "",
                     f"{row['source_error'] + row['target_error']:.1e}", "yes" if row["reached"] else "no",
                     f"{row['seconds'] / ours:.1f}" if ours else ""])
    head = ["peer", "versions, or why not", "seconds a half-pass", "seconds to the tolerance", "half-passes", "error",
            "reached", "over ours"]
    return table(head, rows) if rows else []


def all_steps(record):
    rows = []
    for part, known in record["parts"].items():
        for step in known:
            outcome = step.get("left_out") or ("done" if step["ok"] else step["why"])
            rows.append([part, step["step"], outcome, f"{step['seconds']:.1f}"])
    return table(["part", "step", "outcome", "seconds"], rows)


def markdown(record):
    lines = ["# A check on a device", ""]
    lines += [f"- {name}: {value}" for name, value in record["head"].items() if value] + [""]
    lines += table(["what", "measured", "wanted", "verdict"], verdicts(record))
    for title, body in (
            ("Images: seconds of convoy's phases", solutions(record, "images", "grey,") + solutions(record, "images", "colour,")),
            ("Large problems, and several ranks on one device", solutions(record, "large", "many,") + solutions(record, "large", "shared,")),
            ("Beside other libraries: 50,000 x 50,000 points, d = 64, from points in memory to potentials",
             solutions(record, "peers", "peers, ") + peer_rows(record))):
        if body:
            lines += [f"## {title}", "", *body]
    pairs = data(record, "images", "grey, true pairs") + data(record, "images", "colour, true pairs")
    if pairs:
        lines += ["Mass on the true pairs: " + ", ".join(f"{entry['mass_on_true_pairs']:.5f}" for entry in pairs) + ".", ""]
    found = data(record, "rates", "rates")
    if found:
        lines += ["## Rates", "", "Limits measured in the same run: " + ", ".join(
            f"{name} {value:.3g}/s" for name, value in found[0]["limits"].items()) + ".", ""]
        lines += table(["cost", "precision", "d", "n = m", "call", "pairs/s", "bound", "by", "share", "error"],
                       [[row["cost"], "single" if row["single"] else "double", row["d"], f"{row['n']:,}", row["call"],
                         "WRONG" if row["wrong"] else f"{row['rate']:.3g}" if row["rate"] else row["note"],
                         f"{row['bound']:.3g}", row["by"], f"{row['rate'] / row['bound']:.0%}" if row["rate"] else "",
                         f"{row['error']:.0e}"] for row in found[0]["rows"]])
    lines += ["## Steps", "", *all_steps(record)]
    return "\n".join(lines)


def failed(record):
    """Whether anything that was run is not as it is wanted."""
    return any(said == "MISSED" for *_, said in verdicts(record)) or any(
        not step["ok"] and not step["optional"] and not step.get("left_out")
        for known in record["parts"].values() for step in known)


def load(paths):
    return merged([json.loads(path.read_text()) for path in paths])
