"""CIFAR-10 images (Krizhevsky 2009) as rows of numbers in [-1, 1].

Files are in the binary format, 3,073 bytes a record: a label, then 32 x 32 bytes each of red, green and blue; plain or
xz-compressed. Their order: the training parts by number, then the test part.
"""
import lzma
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

SIDE = 32
RECORD = 1 + 3 * SIDE * SIDE
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, not rounded to whole numbers
PATTERNS = (("cifar10-train*.bin*", "cifar10-test*.bin*"), ("data_batch_*.bin*", "test_batch.bin*"))


def files(folder):
    """The files in a folder or in its subfolder images, in order; none if there are none."""
    for place in folder, folder / "images":
        for train, test in PATTERNS:
            found = []
            for pattern in train, test:
                names = {path.name for path in place.glob(pattern) if path.suffix in (".bin", ".xz")}
                found += [place / name for name in sorted(names) if not (name.endswith(".xz") and name[:-3] in names)]
            if found:
                return found
    return []


def records(path, most):
    with (lzma.open if path.suffix == ".xz" else open)(path, "rb") as content:
        read = content.read(most * RECORD)
    if not read or len(read) % RECORD:
        raise ValueError(f"{path} is not CIFAR-10 in binary ({len(read)} bytes are no multiple of {RECORD})")
    return np.frombuffer(read, np.uint8).reshape(-1, RECORD)


def pixels(block, colour):
    planes = block[:, 1:].reshape(-1, 3, SIDE * SIDE).astype(np.float32)
    return (planes.reshape(len(planes), -1) if colour else np.einsum("c,ncp->np", LUMA, planes)) / 127.5 - 1


def images(paths, count, colour):
    """The first `count` images: (count, 1024) grey or (count, 3072) red, green, blue planes, float32."""
    out = np.empty((count, (3 if colour else 1) * SIDE * SIDE), np.float32)
    filled = 0
    workers = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        for at in range(0, len(paths), workers):
            if filled == count:
                break
            for block in pool.map(records, paths[at:at + workers], [count - filled] * workers):
                block = block[:count - filled]
                for first in range(0, len(block), 2000):
                    values = pixels(block[first:first + 2000], colour)
                    out[filled + first:filled + first + len(values)] = values
                filled += len(block)
    if filled < count:
        raise ValueError(f"--images {count}: there are only {filled} in {paths[0].parent}")
    return out
