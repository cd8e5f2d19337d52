"""SimpleITK images in memory <-> values, for programs that already hold one. Files are read by `io.read`.

SimpleITK's world is LPS and its arrays are (k, j, i); both are translated here, by the signs that `io.itk` knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medseg.errors import GeometryError
from medseg.grid import Grid
from medseg.io.itk import RAS_FROM_SPACE
from medseg.labels import LabelMap
from medseg.volume import Volume

if TYPE_CHECKING:
    import SimpleITK

_SIGNS = np.diag((*RAS_FROM_SPACE["lps"], 1.0))


def volume_from_itk(image: SimpleITK.Image) -> Volume:
    """Return a SimpleITK image as a `Volume` in patient space.

    Parameters
    ----------
    image : SimpleITK.Image
        3-D, in millimetres; the components of a vector image become channels.

    Returns
    -------
    Volume
        Array (c, i, j, k), a copy in the image's type.

    Raises
    ------
    GeometryError
        If the image is not 3-D, or its geometry is impossible.
    """
    import SimpleITK as sitk

    n = image.GetDimension()
    if n != 3:
        raise GeometryError(
            "E_DIMENSIONS_UNSUPPORTED",
            found=f"a SimpleITK image of {n} axes",
            expected="3 axes",
            not_done="no volume was made",
            remedy="Take one slice or one time point as a 3-D image.",
        )
    lps_from_index = np.eye(4)
    lps_from_index[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    lps_from_index[:3, 3] = image.GetOrigin()
    array = sitk.GetArrayFromImage(image)
    channels = array.T if array.ndim == n + 1 else array.T[None]
    return Volume(channels, Grid(image.GetSize(), _SIGNS @ lps_from_index))


def itk_from_value(value: Volume | LabelMap) -> SimpleITK.Image:
    """Return a scan or its labels as a SimpleITK image; several channels become components.

    Raises
    ------
    GeometryError
        If the value is not in patient space.
    """
    import SimpleITK as sitk

    grid = value.grid
    if grid.space != "patient":
        raise GeometryError(
            "E_DIMENSIONS_UNSUPPORTED",
            found=f"{grid!r}",
            expected="a scan in patient space",
            not_done="no SimpleITK image was made",
            remedy="Give micrographs to SimpleITK as bare arrays.",
        )
    array = value.numpy() if isinstance(value, Volume) else value.array[None]
    is_vector = len(array) > 1
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T if is_vector else array[0].T), isVector=is_vector)
    lps_from_index = _SIGNS @ grid.world_from_index
    image.SetSpacing(grid.spacing)
    image.SetOrigin(lps_from_index[:3, 3].tolist())
    image.SetDirection((lps_from_index[:3, :3] / np.array(grid.spacing)).ravel().tolist())
    return image
