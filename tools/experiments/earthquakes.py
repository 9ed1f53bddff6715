"""Earthquake catalogues: made ones, and that of the Southern California Earthquake Data Center.

A made catalogue is a simple branching model (ETAS, Ogata 1988) on fault lines drawn by hand. Each fault has background
events at a rate of its own, which differs between the catalogue's two halves; some large shocks are set. Magnitudes
are exponential (b = 1). An event of magnitude M has on average K 10^(A (M - least)) aftershocks, and they have theirs:
times by Omori's law, places along the fault within a rupture's length and off it by a heavy-tailed distance, similar
depths.
"""
import dataclasses
import lzma
import re
import tarfile

import numpy as np

KM_A_DEGREE = 111.195
CENTRE = -117.5, 34.5  # longitude, latitude: where the plane that distances are taken in touches
LEAST, MOST = 2.0, 7.2  # magnitudes
PRODUCTIVITY, ALPHA = 0.1, 0.85
OMORI_C, OMORI_P = 0.01 / 365.25, 1.15  # years
# Corners (longitude, latitude), background events a year in the first half and in the second.
FAULTS = {"long": (((-120.6, 36.2), (-119.2, 34.9), (-117.5, 34.3), (-115.9, 33.2)), 90, 60),
          "inland": (((-117.6, 34.1), (-116.9, 33.6), (-115.8, 32.7)), 80, 60),
          "desert": (((-118.0, 36.1), (-117.4, 35.4), (-116.4, 34.2)), 90, 40),
          "south": (((-115.8, 32.6), (-115.1, 31.9)), 20, 130),
          "cross": (((-119.3, 35.4), (-118.6, 35.0), (-118.0, 35.3)), 20, 50),
          "offshore": (((-119.6, 33.9), (-118.4, 33.3), (-117.7, 32.4)), 30, 30)}
# Part of the time that has passed, fault, part of the way along it, magnitude.
LARGE = ((0.2, "desert", 0.8, 6.8), (0.7, "south", 0.5, 7.0))


@dataclasses.dataclass
class Catalogue:
    years: np.ndarray  # with fractions
    longitude: np.ndarray
    latitude: np.ndarray
    depth: np.ndarray  # km
    magnitude: np.ndarray
    fault: np.ndarray  # number in FAULTS; -1 where nobody knows

    def __len__(self):
        return len(self.years)

    def only(self, chosen):
        return Catalogue(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))

    def between(self, first, last):
        return self.only((self.years >= first) & (self.years < last))

    def points(self):
        """East, north and down in km: n x 3."""
        east = (self.longitude - CENTRE[0]) * KM_A_DEGREE * np.cos(np.radians(CENTRE[1]))
        return np.stack([east, (self.latitude - CENTRE[1]) * KM_A_DEGREE, self.depth], 1)


def degrees(points):
    """Longitudes and latitudes of points in km."""
    return (CENTRE[0] + points[:, 0] / KM_A_DEGREE / np.cos(np.radians(CENTRE[1])),
            CENTRE[1] + points[:, 1] / KM_A_DEGREE)


class Line:
    """A fault in the plane, by the length along it."""

    def __init__(self, corners):
        corners = np.array(corners)
        zeros = np.zeros(len(corners))
        self.corners = Catalogue(zeros, corners[:, 0], corners[:, 1], zeros, zeros, zeros).points()[:, :2]
        self.at = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(self.corners, axis=0), axis=1))])
        self.length = self.at[-1]

    def places(self, along, off):
        """Points in km that far along the line, and off it at a right angle."""
        along = np.clip(along, 0, self.length)
        k = np.clip(np.searchsorted(self.at, along, "right") - 1, 0, len(self.at) - 2)
        direction = np.diff(self.corners, axis=0)[k] / np.diff(self.at)[k, None]
        across = np.stack([-direction[:, 1], direction[:, 0]], 1)
        return self.corners[k] + (along - self.at[k])[:, None] * direction + off[:, None] * across


def magnitudes(rng, n):
    return np.minimum(LEAST + rng.exponential(1 / np.log(10), n), MOST)


def one_fault(rng, line, years, rates, large):
    """Time, place along, off, depth, magnitude of its events: five rows."""
    halves = [rng.uniform(k * years / 2, (k + 1) * years / 2, rng.poisson(rate * years / 2))
              for k, rate in enumerate(rates)]
    times = np.concatenate([*halves, [part * years for part, _, _ in large]])
    n = len(times)
    depth = 2 + rng.gamma(4, 2, n)
    along, magnitude = rng.uniform(0, line.length, n), magnitudes(rng, n)
    for k, (_, part, size) in enumerate(large):
        along[k - len(large)], magnitude[k - len(large)], depth[k - len(large)] = part * line.length, size, 10
    # Background is near the line, a few km off.
    events = generation = np.stack([times, along, 2.5 * rng.standard_t(3, n), depth, magnitude])
    while generation.shape[1]:
        children = rng.poisson(PRODUCTIVITY * 10 ** (ALPHA * (generation[4] - LEAST)))
        parent = np.repeat(generation, children, axis=1)
        n = parent.shape[1]
        rupture = 10 ** (0.59 * parent[4] - 2.44)  # km, Wells and Coppersmith 1994
        waiting = OMORI_C * (rng.random(n) ** (-1 / (OMORI_P - 1)) - 1)
        generation = np.stack([parent[0] + waiting, parent[1] + rupture * rng.uniform(-0.5, 0.5, n),
                               parent[2] + (0.3 + 0.05 * rupture) * rng.standard_t(3, n),
                               np.clip(parent[3] + 1.5 * rng.standard_normal(n), 0.1, 25), magnitudes(rng, n)])
        generation = generation[:, generation[0] < years]
        events = np.concatenate([events, generation], axis=1)
    return events


def made(years=20, share=1.0, seed=0):
    """A catalogue over some years from 0 on, in order of time, or that share of its events, chosen at random."""
    rng = np.random.default_rng(seed)
    columns = []
    for number, (name, (corners, *rates)) in enumerate(FAULTS.items()):
        line = Line(corners)
        large = [(part, along, size) for part, fault, along, size in LARGE if fault == name]
        time, along, off, depth, magnitude = one_fault(rng, line, years, rates, large)
        longitude, latitude = degrees(line.places(along, off))
        columns.append([time, longitude, latitude, depth, magnitude, np.full(len(time), number)])
    events = Catalogue(*(np.concatenate(column) for column in zip(*columns)))
    return events.only(np.argsort(events.years, kind="stable")).only(rng.random(len(events)) < share)


def southern_california(folder, first, last, least):
    """Local earthquakes (type eq) of magnitude `least` and more of the years first to last, from
    scec_dc_catalogs_*.tar.xz in the folder or its subfolder seismic. \\raises ValueError if the file is not there"""
    paths = sorted(path for place in (folder, folder / "seismic") for path in place.glob("scec_dc_catalogs*.tar.xz"))
    if not paths:
        raise ValueError(f"no scec_dc_catalogs*.tar.xz in {folder}")
    rows = []
    with lzma.open(paths[0]) as content, tarfile.open(fileobj=content, mode="r|") as archive:
        for member in archive:
            year = re.search(r"(\d{4})\.catalog$", member.name)
            if not year or not first <= int(year[1]) <= last:
                continue
            for line in archive.extractfile(member).read().decode("ascii", "replace").splitlines():
                words = line.split()
                if len(words) < 9 or words[2] != "eq" or float(words[4]) < least:
                    continue
                month, day = int(words[0][5:7]), int(words[0][8:10])
                rows.append([int(year[1]) + (30.4 * (month - 1) + day - 1) / 366, float(words[7]), float(words[6]),
                             float(words[8]), float(words[4]), -1])
    if not rows:
        raise ValueError(f"{paths[0]} has no earthquakes of magnitude {least} and more from {first} to {last}")
    return Catalogue(*np.array(sorted(rows)).T)
