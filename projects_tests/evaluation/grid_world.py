"""A surface on which every distance is known, and annotation files on it."""

import numpy as np
import pycocotools.mask as coco_mask


class GridSurface:
    """24 charts of 11 x 11 vertices. A chart is 30 cm wide, half a metre from the next."""

    name = "grid"

    def closest_vertex(self, i, u, v):
        i, u, v = np.asarray(i), np.asarray(u), np.asarray(v)
        return (i - 1) * 121 + np.rint(u * 10).astype(int) * 11 + np.rint(v * 10).astype(int)

    def geodesic(self, a, b):
        (pa, ra), (pb, rb) = (divmod(np.asarray(x).astype(int), 121) for x in (a, b))
        du, dv = ra // 11 - rb // 11, ra % 11 - rb % 11
        return 0.03 * np.hypot(du, dv) + 0.5 * np.abs(pa - pb)


def rle(mask):
    """A mask as JSON has it."""
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(n) for n in encoded["size"]], "counts": encoded["counts"].decode()}


def person(box, points=None, masks=True, area=None, **more):
    """An annotation. points: rows of x, y (image), I, U, V; None for a person without dp_*.

    With masks the silhouette is the whole box.
    """
    annotation = {
        "bbox": list(box),
        "area": float(box[2] * box[3]) if area is None else area,
        "iscrowd": 0,
        "category_id": 1,
        "image_id": 1,
    }
    if points is not None:
        x, y, i, u, v = np.array(points, float).reshape(-1, 5).T
        annotation["dp_x"] = ((x - box[0]) * 255 / box[2]).tolist()
        annotation["dp_y"] = ((y - box[1]) * 255 / box[3]).tolist()
        annotation |= {"dp_I": i.tolist(), "dp_U": u.tolist(), "dp_V": v.tolist()}
        if masks:
            annotation["dp_masks"] = [rle(np.ones((256, 256)))] + [[]] * 13
    return annotation | more


def truth_content(people, images=None, categories=("person",), size=(400, 300)):
    """COCO content; images: dicts, or None for one of the given width and height."""
    images = images or [{"id": 1}]
    return {
        "images": [{"width": size[0], "height": size[1], "file_name": ""} | i for i in images],
        "annotations": [{"id": n + 1} | p for n, p in enumerate(people)],
        "categories": [{"id": n + 1, "name": name} for n, name in enumerate(categories)],
    }


def grid_points(box, count=5, part=1):
    """Points on a grid inside a box, all of one part, with U, V rising along x, y."""
    x, y = np.meshgrid(np.arange(count), np.arange(count))
    x, y = (x.ravel() + 0.5) / count, (y.ravel() + 0.5) / count
    return np.stack(
        [box[0] + x * box[2], box[1] + y * box[3], np.full(x.shape, part), x, y], axis=1
    )


def grid_iuv(box, part=1):
    """The map that :func:`grid_points` come from. uint8, (3, h, w)."""
    w, h = max(int(box[2]), 1), max(int(box[3]), 1)
    y, x = np.mgrid[:h, :w]
    return np.stack([np.full((h, w), part), (x + 0.5) / w * 255, (y + 0.5) / h * 255]).astype(
        np.uint8
    )
