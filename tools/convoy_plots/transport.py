"""Who goes where: a result, mapped points and a query put together, for pictures of points and of images."""
import contextlib

from .clouds import cloud_of, label_of, matrix_of
from .files import model_of
from .pixels import shape_of
from .refused import Refused


def lacks_transport(file):
    """What a file needs to say where points go, or nothing."""
    if file.kind == "points":
        return None
    if file.kind == "query":
        kinds = "barycentric", "pairs/source", "match/source/index"
        return None if any(file.has(kind) for kind in kinds) else "a query with --barycentric, --sample or --match"
    return "mapped points (convoy map) or a query (convoy query) of it"


class Transport:
    """moving (a Cloud), images of its rows or None, destination (a Cloud), and what a query knows of the rows: `match`
    (the destination's row for each) and `pairs` (two arrays), or None. `close` it: it may hold the model open."""

    def __init__(self, files, source=None, target=None):
        self._closing = contextlib.ExitStack()
        try:
            self._put_together(files, source, target)
        except BaseException:
            self.close()
            raise

    def _put_together(self, files, source, target):
        result, mapped, query = (self._only(files, kind) for kind in ("result", "points", "query"))
        self.about = mapped or query
        if not self.about:
            raise Refused(f"{files[0].path}: says nothing of where points go; give {lacks_transport(files[0])} too")
        if not result:
            result = model_of(self.about)
            if result:
                self._closing.callback(result.close)
        backward = mapped is not None and mapped.text("model", "direction") == "backward"
        moving, destination = ("target", "source") if backward else ("source", "target")
        if result and mapped:
            _same_model(result, mapped, destination)
        if result and query:
            _same_points(result, query)
        if not (result or query or target):
            raise Refused(f"{mapped.path}: the result that it was made from is no longer there; give it too")
        knows = result or query or mapped
        at = (mapped, "points") if mapped else (knows, moving)
        self.moving = cloud_of(*at, source, "--source")
        self.destination = cloud_of(knows, destination, target, "--target")
        self.names = (label_of(at[0].attributes(f"inputs/{at[1]}")),
                      label_of(knows.attributes(f"inputs/{destination}")))
        self.image_shape = shape_of(at[0].attributes(f"inputs/{at[1]}"))
        self.result, self.backward = result, backward
        self.images, self.images_are = None, ""
        if mapped:
            self.images = matrix_of(mapped, "points")
            self.images_are = "debiased map" if mapped.text("model", "debiased") == "yes" else "entropic map"
        elif query.has("barycentric"):
            self.images = matrix_of(query, "barycentric")
            self.images_are = "mean of each row of the plan"
        wanted = self.moving.count, self.destination.dimension
        if self.images and (self.images.count, self.images.dimension) != wanted:
            raise Refused(f"{self.about.path}: has {self.images.count:,} images of dimension "
                          f"{self.images.dimension:,}, but {wanted[0]:,} points go to dimension {wanted[1]:,}; "
                          "these do not belong together")
        self.match = self.pairs = None
        if query:
            self._add_query(query, mapped, moving)

    def _add_query(self, query, mapped, moving):
        if mapped and mapped.attributes("inputs/points").get("checksum") != \
                query.attributes(f"inputs/{moving}").get("checksum"):
            raise Refused(f"{mapped.path}: maps other points than {query.path} is about; give one of the two")
        other = "source" if self.backward else "target"
        if query.has(f"match/{moving}/index"):
            self.match = _rows(query, f"match/{moving}/index", self.destination.count)
            if len(self.match) != self.moving.count:
                raise Refused(f"{query.path}: has {len(self.match):,} matches of {self.moving.count:,} points; make it "
                              "anew")
        if query.has(f"pairs/{moving}"):
            self.pairs = (_rows(query, f"pairs/{moving}", self.moving.count),
                          _rows(query, f"pairs/{other}", self.destination.count))
            if len(self.pairs[0]) != len(self.pairs[1]):
                raise Refused(f"{query.path}: its pairs are not pairs; make it anew")

    @staticmethod
    def _only(files, kind):
        found = [file for file in files if file.kind == kind]
        if len(found) > 1:
            raise Refused(f"{found[1].path}: is the second of its kind ({found[1].description}); one picture takes one")
        return found[0] if found else None

    def close(self):
        self._closing.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _rows(file, path, count):
    rows = file.numbers(path)
    if rows.dtype.kind not in "iu" or (len(rows) and (rows.min() < 0 or rows.max() >= count)):
        raise Refused(f"{file.path}: {path} points at rows that there are not (of {count:,}); make it anew")
    return rows


def _same_model(result, mapped, destination):
    model = mapped.attributes("model")
    potentials = "steps/g" if result.is_model else "potentials/g" if destination == "target" else "potentials/f"
    checksum = result.attributes(potentials).get("checksum")
    if model.get("potentials_checksum", checksum) != checksum:
        raise Refused(f"{mapped.path}: was mapped by another result than {result.path} "
                      f"(its model: {model.get('path', 'not known')})")


def _same_points(result, query):
    for side in "source", "target":
        checksum = result.attributes(f"inputs/{side}").get("checksum")
        if query.attributes(f"inputs/{side}").get("checksum", checksum) != checksum:
            raise Refused(f"{query.path}: is about other points than {result.path} "
                          f"(its result: {query.attributes('model').get('path', 'not known')})")
