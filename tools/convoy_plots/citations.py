"""What to cite for what was used."""
CUTURI = ("M. Cuturi. Sinkhorn Distances: Lightspeed Computation of Optimal Transport. Advances in Neural Information "
          "Processing Systems 26, 2013.")
MAPS = ("A.-A. Pooladian and J. Niles-Weed. Entropic Estimation of Optimal Transport Maps. arXiv:2109.12004, 2021.")
DEBIASED = ("A.-A. Pooladian, M. Cuturi and J. Niles-Weed. Debiaser Beware: Pitfalls of Centering Regularized "
            "Transport Maps. International Conference on Machine Learning, 2022.")
PROGOT = ("P. Kassraie, A.-A. Pooladian, M. Klein, J. Thornton, J. Niles-Weed and M. Cuturi. Progressive Entropic "
          "Optimal Transport Solvers. Advances in Neural Information Processing Systems 37, 2024.")
DIVERGENCE = ("J. Feydy, T. Séjourné, F.-X. Vialard, S. Amari, A. Trouvé and G. Peyré. Interpolating between "
              "Optimal Transport and MMD using Sinkhorn Divergences. International Conference on Artificial "
              "Intelligence and Statistics, 2019.")


def convoy(version):
    return f"The Convoy authors. Convoy: distributed entropic optimal transport, version {version}. See CITATION.cff."


def of(files):
    """What these files rest on: (for what, reference)."""
    def uses(test):
        return any(test(file) for file in files)

    version = str(files[0].root.get("version", "")) or "not known"
    found = [("the program", convoy(version)), ("entropic optimal transport", CUTURI)]
    progot = uses(lambda file: file.is_model or file.text("model", "command") == "progot")
    if progot or uses(lambda file: file.kind == "points" or file.has("barycentric") or file.has("interpolation")):
        found.append(("entropic maps", MAPS))
    if uses(lambda file: file.text("model", "debiased") == "yes"):
        found.append(("debiased maps", DEBIASED))
    if progot:
        found.append(("progressive optimal transport", PROGOT))
    if uses(lambda file: file.has("divergence")):
        found.append(("the Sinkhorn divergence", DIVERGENCE))
    return found
