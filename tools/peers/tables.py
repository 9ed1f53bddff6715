"""Markdown of what was measured."""


def number(value, form="{:.3g}"):
    return "–" if value is None else form.format(value)


def count(value):
    return "–" if value is None else f"{value:,.0f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def verdict(ratio, required, at_least=False):
    """at_least: the ratio is a lower bound, for the peer was stopped."""
    if required is None:
        return ""
    if ratio is None:
        return "not measured"
    if ratio >= required:
        return "met"
    return "undecided (raise --cap)" if at_least else "MISSED"


def verdicts(parts):
    return ", ".join(dict.fromkeys(part for part in parts if part)) or "–"


# --- rates ----------------------------------------------------------------------------------------------------------

def rates(rows):
    lines = ["## Log-sum-exp, pairs a second", ""]
    body = []
    for row in rows:
        checks = [verdict(row.get("ratio"), row["required"]), verdict(row.get("ratio_cached"), row["required_cached"])]
        if row.get("note"):
            body.append([row["name"], row["peer"], row["note"]] + ["–"] * 6 + [requirement(row), verdicts(checks)])
            continue
        body.append([row["name"], row["peer"], row["setting"], number(row["peer_rate"], "{:.2e}"),
                     number(row["difference"], "{:.0e}"), number(row["rate"], "{:.2e}"), number(row["ratio"]),
                     number(row["rate_cached"], "{:.2e}"), number(row["ratio_cached"]),
                     requirement(row), verdicts(checks)])
    return lines + table(["problem", "peer", "its best setting", "its rate", "its error / ε", "Convoy, recomputing",
                          "ratio", "Convoy, cached", "ratio", "required", "verdict"], body)


def requirement(row):
    parts = [f"≥ {row['required']}" if row["required"] else "",
             f"≥ {row['required_cached']} cached" if row["required_cached"] else ""]
    return ", ".join(filter(None, parts)) or "–"


# --- times ----------------------------------------------------------------------------------------------------------

def outcomes(row):
    """Of a peer's setting: seconds (at least so many, where stopped), what to print of it."""
    if row["reached"]:
        return f"{row['seconds']:.3g}"
    if row["stopped"]:
        return row["stopped"]
    return "never" if row["seconds"] is None else f"never ({row['seconds']:.3g})"


def best(rows):
    """The fastest that reaches; else one that was stopped at the cap; else the one that came nearest."""
    reached = [row for row in rows if row["reached"]]
    if reached:
        return min(reached, key=lambda row: row["seconds"])
    stopped = [row for row in rows if row["stopped"].startswith(">")]
    if stopped:
        return max(stopped, key=lambda row: row["cap"])
    measured = [row for row in rows if row["error"] is not None]
    return min(measured, key=lambda row: row["error"]) if measured else rows[0]


def comparison(ours, row):
    """Ratio and whether it is a lower bound; nothing where the peer failed or never reaches."""
    if row["reached"]:
        return row["seconds"] / ours["seconds"], False
    if row["stopped"].startswith(">"):
        return row["cap"] / ours["seconds"], True
    return None, False


def chosen(ours, rows):
    """(peer, its best row, ratio, lower bound) of each peer and of the fastest of all."""
    peers = dict.fromkeys(row["peer"] for row in rows)
    found = []
    for peer in peers:
        row = best([row for row in rows if row["peer"] == peer])
        found.append((peer, row, *comparison(ours, row)))
    if found:
        ratios = [entry for entry in found if entry[2] is not None]
        if ratios:
            peer, row, ratio, lower = min(ratios, key=lambda entry: entry[2])
            found.append(("fastest peer", {**row, "setting": f"{peer}: {row['setting']}"}, ratio, lower))
    return found


def judged(ours, rows, required):
    """Rows of the main table, and the verdicts."""
    body, verdicts_ = [], []
    for peer, row, ratio, lower in chosen(ours, rows):
        need = required.get(peer)
        said = verdict(ratio, need, lower) if ratio is not None else ("met (never reaches it)" if need else "")
        if row["seconds"] is None and not row["stopped"].startswith(">") and need:
            said = "not measured"
        verdicts_.append(said)
        body.append([peer, row["setting"], outcomes(row), count(row["iterations"]), number(row["error"], "{:.2e}"),
                     "–" if ratio is None else ("> " if lower else "") + f"{ratio:.3g}", f"≥ {need}" if need else "–",
                     said or "–"])
    return body, verdicts_


def times(groups):
    """groups: (name, rows on few points, ours, rows, required) of each problem."""
    lines = ["## Time to a marginal error of 1e-3", "", "Convoy, with all defaults:", ""]
    own = []
    for name, _, ours, _, _ in groups:
        if ours is None:
            own.append([name] + ["–"] * 7)
            continue
        passes = f"{ours['half_passes']}"
        if ours["equivalents"] is not None:
            passes += f" (all work {ours['equivalents']:.1f})"
        own.append([name, f"{ours['epsilon']:.5g}", f"{ours['seconds']:.3g}", f"{ours['wall']:.3g}", passes,
                    f"{ours['error']:.2e}", ours["status"], ours["repetitions"]])
    lines += table(["problem", "ε", "seconds", "command s", "half-passes", "L1 error", "status", "repetitions"], own)
    lines += ["Each peer at its fastest setting that reaches it:", ""]
    body, every = [], []
    for name, pilot, ours, rows, required in groups:
        if ours is None or not rows:
            continue
        body += [[name, *cells] for cells in judged(ours, rows, required)[0]]
        every += [[row["name"], row["peer"], row["setting"], outcomes(row), count(row["iterations"]),
                   number(row["error"], "{:.2e}"), number(row["threshold"], "{:.1e}"), row["note"] or "–"]
                  for row in rows + pilot]
    lines += table(["problem", "peer", "setting", "s", "iterations", "L1 error", "ratio", "required", "verdict"], body)
    lines += ["### All settings", ""]
    return lines + table(["problem", "peer", "setting", "s", "iterations", "L1 error", "its own threshold", "note"],
                         every)
