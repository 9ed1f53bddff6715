#!/usr/bin/env python3
"""The image problems, made on the spot, and what their results say of pairs that are known.

    images.py make grey|colour COUNT FOLDER [--data DIR]    source.npy, target.npy: blurred and sharp images in [-1, 1]
    images.py score FOLDER RESULT SUMMARY                   the plan's mass on the true pairs, as JSON

With --data, CIFAR-10's images (a folder with its binary files); else dead leaves. Grey: 32 x 32, blurred by 4 pixels.
Colour: three such planes; the second half of the COUNT images are mirror images of the first; blurred by 1 pixel.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import sys

import numpy as np

TOOLS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOOLS), str(TOOLS / "experiments")]
import cifar10  # noqa: E402
from dead_leaves import dead_leaves, gaussian_blur  # noqa: E402

SIDE = cifar10.SIDE
BLUR = {"grey": 4.0, "colour": 1.0}
AT_ONCE = 2000


def made(part):
    """Images of dead leaves: `planes` of one image are a grey scene and two fainter ones on top of it."""
    seed, count, planes = part
    scene = 2 * dead_leaves(count, side=SIDE, seed=seed) - 1
    if planes == 1:
        return scene.reshape(count, -1)
    tints = [2 * dead_leaves(count, side=SIDE, seed=seed + shift) - 1 for shift in (100000, 200000)]
    colours = np.stack((scene + 0.3 * tints[0], scene - 0.3 * tints[0] + 0.2 * tints[1], scene - 0.2 * tints[1]), 1)
    return np.clip(colours, -1, 1).reshape(count, -1)


def sharp(kind, count, data):
    planes = 3 if kind == "colour" else 1
    own = count // 2 if kind == "colour" else count
    if data:
        paths = cifar10.files(pathlib.Path(data))
        if not paths:
            sys.exit(f"error: no CIFAR-10 files in {data}")
        images = cifar10.images(paths, own, kind == "colour")
    else:
        parts = [(k, min(AT_ONCE, own - first), planes) for k, first in enumerate(range(0, own, AT_ONCE))]
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
            images = np.concatenate(list(pool.map(made, parts)))
    if kind == "grey":
        return images
    mirrored = images[:count - own].reshape(-1, 3, SIDE, SIDE)[..., ::-1].reshape(count - own, -1)
    return np.concatenate((images, mirrored))


def blurred(part):
    images, sigma = part
    return gaussian_blur(images.reshape(-1, SIDE, SIDE).astype(np.float64), sigma).astype(np.float32).reshape(images.shape)


def make(options):
    target = sharp(options.kind, options.count, options.data)
    parts = [(target[first:first + AT_ONCE], BLUR[options.kind]) for first in range(0, len(target), AT_ONCE)]
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        source = np.concatenate(list(pool.map(blurred, parts)))
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, images in (("source", source), ("target", target)):
        np.save(options.folder / f"{name}.npy", images)
    print(f"{len(target):,} {options.kind} images of {'CIFAR-10' if options.data else 'dead leaves'}, "
          f"blurred by {BLUR[options.kind]:g} pixels")


def score(options):
    """Row i belongs to row i."""
    import h5py
    source, target = (np.load(options.folder / f"{name}.npy", mmap_mode="r") for name in ("source", "target"))
    solution = json.loads(options.summary.read_text())["solution"]
    with h5py.File(options.result) as result:
        f, g = result["potentials/f"][:], result["potentials/g"][:]
    cost = np.empty(len(source))
    for first in range(0, len(source), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        x, y = (points[rows].astype(np.float64) for points in (source, target))
        cost[rows] = -(x * y).sum(1) if solution["cost"] == "dot" else 0.5 * ((x - y)**2).sum(1)
    mass = np.exp((f + g - cost) / solution["epsilon"]).sum() / len(source)**2
    print(json.dumps({"mass_on_true_pairs": float(mass)}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="make|score")
    maker = commands.add_parser("make")
    maker.add_argument("kind", choices=list(BLUR))
    maker.add_argument("count", type=int)
    maker.add_argument("folder", type=pathlib.Path)
    maker.add_argument("--data")
    maker.set_defaults(run=make)
    scorer = commands.add_parser("score")
    for name in "folder", "result", "summary":
        scorer.add_argument(name, type=pathlib.Path)
    scorer.set_defaults(run=score)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
