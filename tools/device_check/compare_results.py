#!/usr/bin/env python3
"""How far the potentials of two results are from each other, up to a constant, in units of epsilon, as JSON.

    compare_results.py RESULT OTHER
"""
import json
import sys

import h5py
import numpy as np


def potentials(path):
    with h5py.File(path) as result:
        return (result["potentials/f"][:], result["potentials/g"][:], result["solution"].attrs["epsilon"],
                int(result["solution"].attrs["half_passes"]))


def main():
    (f, g, epsilon, passes), (other_f, other_g, _, other_passes) = map(potentials, sys.argv[1:3])
    same = np.array_equal(f, other_f) and np.array_equal(g, other_g)
    # f + c and g - c are the same plan.
    apart = np.concatenate((f - other_f, -(g - other_g)))
    apart = np.abs(apart - np.median(apart)).max() / epsilon
    print(json.dumps({"apart": float(apart), "same_bits": bool(same), "half_passes": [passes, other_passes]}))


if __name__ == "__main__":
    main()
