"""Resample a CT-like volume to another shape over the same extent: ours against the ways that peers take.

Run: ``PYTHONPATH=. python benchmarks/resample.py [--planes 100] [--rounds 3] [--threads 2] [--without-monai]``.
scikit-image's ``resize`` in float64 without smoothing is what nnU-Net calls by default for order 3.
"""

from __future__ import annotations

import argparse
from typing import Any

from side_by_side import Way, compare, describe, set_threads

MONAI = "MONAI Spacing (float64, its default)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, default=100, help="slices of 512 x 512")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--without-monai", action="store_true")
    options = parser.parse_args()
    set_threads(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    packages = ["numpy", "numba", "scipy", "scikit-image", "torch", "SimpleITK", "monai"]
    describe(options.threads, *packages)
    image = phantom(options.planes)
    shape = (options.planes, 273, 273)
    print(f"int16 {image.shape} to {shape}")
    for order in (1, 3):
        ways = interpolating(image, shape, order)
        own = {}
        if not options.without_monai:
            ways |= with_monai(image, shape, order)
            own = {MONAI: lambda order=order: at_monais_places(image, shape, order)}
        compare(f"order {order}", ways, difference, options.rounds, own_references=own)
    import numpy as np

    labels = (np.clip(image[:, :273, :273] // 80, 0, 26)).astype(np.uint8)
    ways, own = nearest(labels, image.shape), {}
    if not options.without_monai:
        ways |= with_monai(labels, image.shape, 0)
        own = {MONAI: lambda: at_monais_places(labels, image.shape, 0)}
    title = f"labels, nearest, uint8 {labels.shape} to {image.shape}"
    compare(title, ways, unequal, options.rounds, own_references=own)


def phantom(planes: int) -> Any:
    import numpy as np
    from scipy import ndimage

    noise = np.random.default_rng(3).normal(size=(planes, 512, 512)).astype(np.float32)
    return (ndimage.gaussian_filter(noise, (1, 3, 3)) * 6000 + 200).astype(np.int16)


def interpolating(image: Any, shape: tuple[int, ...], order: Any) -> dict[str, Way]:
    import numpy as np
    import torch
    from scipy import ndimage
    from skimage.transform import resize

    from medseg.ops.separable import resized

    zoom = [b / a for a, b in zip(image.shape, shape, strict=True)]

    def by_skimage() -> Any:
        return resize(image.astype(np.float64), shape, order, mode="edge", clip=True, anti_aliasing=False)

    def by_torch() -> Any:
        batch = torch.from_numpy(image).float()[None, None]
        return torch.nn.functional.interpolate(batch, size=shape, mode="trilinear", align_corners=False)[0, 0].numpy()

    ways: dict[str, Way] = {"ours": lambda: resized(image, shape, order=order), "scikit-image resize": by_skimage}
    if order == 1:
        ways["torch F.interpolate"] = by_torch
    ways["SimpleITK Resample"] = lambda: by_itk(image, shape, order)
    ways["scipy zoom, float32"] = lambda: ndimage.zoom(
        image.astype(np.float32), zoom, order=order, mode="nearest", grid_mode=True
    )
    return ways


def by_itk(image: Any, shape: tuple[int, ...], order: int) -> Any:
    import SimpleITK as sitk

    source = sitk.GetImageFromArray(image)
    target = sitk.Image(shape[::-1], sitk.sitkFloat32)
    ratio = [n / m for n, m in zip(image.shape, shape, strict=True)][::-1]
    target.SetSpacing(ratio)
    target.SetOrigin([(r - 1) / 2 for r in ratio])
    how = {0: sitk.sitkNearestNeighbor, 1: sitk.sitkLinear, 3: sitk.sitkBSpline}[order]
    kind = sitk.sitkUInt8 if order == 0 else sitk.sitkFloat32
    return sitk.GetArrayFromImage(sitk.Resample(source, target, sitk.Transform(), how, 0.0, kind))


def with_monai(image: Any, shape: tuple[int, ...], order: int) -> dict[str, Way]:
    import numpy as np
    from monai.data import MetaTensor
    from monai.transforms import Spacing

    pixdim = [n / m for n, m in zip(image.shape, shape, strict=True)]
    mode = {0: "nearest", 1: "bilinear", 3: 3}[order]
    step = Spacing(pixdim, mode=mode, padding_mode="border" if order < 2 else "nearest")

    def by_monai() -> Any:
        return np.asarray(step(MetaTensor(image[None], affine=np.eye(4)))[0])

    return {MONAI: by_monai}


def at_monais_places(image: Any, shape: tuple[int, ...], order: Any) -> Any:
    """Return our sampling where MONAI samples: the first centres coincide, not the outer faces."""
    import numpy as np

    from medseg.ops.affine import sampled

    old_from_new = np.diag([*(n / m for n, m in zip(image.shape, shape, strict=True)), 1.0])
    return sampled(image, old_from_new, shape, order=order, fill=0)


def nearest(labels: Any, shape: tuple[int, ...]) -> dict[str, Way]:
    import numpy as np
    import torch
    from scipy import ndimage

    from medseg.ops.separable import resized

    zoom = [b / a for a, b in zip(labels.shape, shape, strict=True)]

    def by_torch() -> Any:
        batch = torch.from_numpy(labels)[None, None]
        return torch.nn.functional.interpolate(batch, size=shape, mode="nearest-exact")[0, 0].numpy()

    return {
        "ours": lambda: np.ascontiguousarray(resized(labels, shape, order=0)),
        "torch nearest-exact": by_torch,
        "scipy zoom order 0": lambda: ndimage.zoom(labels, zoom, order=0, mode="nearest", grid_mode=True),
        "SimpleITK Resample": lambda: by_itk(labels, shape, 0),
    }


def difference(found: Any, reference: Any) -> str:
    import numpy as np

    if found.shape != reference.shape:
        return f"another shape: {found.shape}"
    gap = np.abs(found - reference)
    return f"max |d| {gap.max():.2g}, mean {gap.mean():.2g}"


def unequal(found: Any, reference: Any) -> str:
    if found.shape != reference.shape:  # MONAI may leave out the last voxel of an axis
        reference = reference[tuple(slice(0, n) for n in found.shape)]
    return f"{(found != reference).sum()} of {reference.size} voxels differ"


if __name__ == "__main__":
    main()
