"""DICOM series made from nothing: anisotropic, oblique, off-origin, asymmetric; nothing in it is a patient's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
)

ROWS, COLUMNS, SLICES = 9, 11, 7
ROW_MM, COLUMN_MM, STEP_MM = 1.5, 0.8, 3.0
ORIGIN = np.array([-31.0, 17.5, 8.25])
SERIES = "1.2.826.0.1.3680043.10.1.77"
PATIENT = ("Findme^Patient", "ID-31415", "19610203")


def directions(turn_deg: float = 20.0, tip_deg: float = 12.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the LPS directions of a row, a column and the stack."""
    a, b = np.deg2rad([turn_deg, tip_deg])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turn = about_z @ about_x
    return turn[:, 0], turn[:, 1], turn[:, 2]


def stored_values(slices: int = SLICES, rows: int = ROWS, columns: int = COLUMNS, seed: int = 0) -> np.ndarray:
    """Return (slices, rows, columns) uint16 values, all different in distribution along each axis."""
    noise = np.random.default_rng(seed).integers(0, 40, (slices, rows, columns))
    k, j, i = np.meshgrid(np.arange(slices), np.arange(rows), np.arange(columns), indexing="ij")
    return (noise + 100 * k + 1000 * (j > rows // 2) + 2000 * (i > columns // 2)).astype(np.uint16)


def ras_affine() -> np.ndarray:
    """Return the affine that a reader must find, built the long way round: voxel by voxel in LPS, then turned."""
    row, column, normal = directions()
    corners = [
        ORIGIN + i * COLUMN_MM * row + j * ROW_MM * column + k * STEP_MM * normal
        for i, j, k in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    ]
    ras = [np.array([-x, -y, z]) for x, y, z in corners]
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = (p - ras[0] for p in ras[1:])
    affine[:3, 3] = ras[0]
    return affine


def series(
    values: np.ndarray | None = None,
    *,
    uid: str = SERIES,
    bits: int = 12,
    oblique: bool = True,
    spoil: Callable[[int, Dataset], None] | None = None,
) -> list[Dataset]:
    """Return one data set per slice; `spoil(k, dataset)` changes each before it is written."""
    values = stored_values() if values is None else values
    row, column, normal = directions() if oblique else directions(0, 0)
    found = []
    for k, plane in enumerate(values):
        dataset = header(f"{uid}.{k}", CTImageStorage, uid)
        dataset.ImagePositionPatient = [round(float(x), 6) for x in ORIGIN + k * STEP_MM * normal]
        dataset.ImageOrientationPatient = [round(float(x), 8) for x in (*row, *column)]
        dataset.PixelSpacing = [ROW_MM, COLUMN_MM]
        dataset.SliceThickness = 5.0  # not the step: a reader must not believe it
        dataset.InstanceNumber = 100 - k
        fill(dataset, plane, bits)
        if spoil is not None:
            spoil(k, dataset)
        found.append(dataset)
    return found


def enhanced(
    values: np.ndarray, order: Sequence[int], *, spoil: Callable[[int, Dataset], None] | None = None
) -> Dataset:
    """Return one multi-frame data set whose frames stand in `order`, each with its own rescale (slope 2, 10 k)."""
    row, column, normal = directions()
    dataset = header(f"{SERIES}.900", EnhancedCTImageStorage, SERIES)
    fill(dataset, np.stack([values[k] for k in order]), 12)
    dataset.NumberOfFrames = len(order)
    shared, plane, measures = Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient = [round(float(x), 8) for x in (*row, *column)]
    measures.PixelSpacing = [ROW_MM, COLUMN_MM]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Items([plane]), Items([measures])
    dataset.SharedFunctionalGroupsSequence = Items([shared])
    groups = []
    for k in order:
        group, position, rescale = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [round(float(x), 6) for x in ORIGIN + k * STEP_MM * normal]
        rescale.RescaleSlope, rescale.RescaleIntercept = 2.0, 10.0 * k
        group.PlanePositionSequence, group.PixelValueTransformationSequence = Items([position]), Items([rescale])
        if spoil is not None:
            spoil(k, group)
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Items(groups)
    return dataset


def header(sop_uid: str, sop_class: str, series_uid: str) -> Dataset:
    """Return a data set with identity and without an image."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = sop_class, sop_uid, series_uid
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = PATIENT
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Modality, dataset.FrameOfReferenceUID = "CT", "1.2.3.4"
    dataset.SeriesDescription = PATIENT[0]
    return dataset


def fill(dataset: Dataset, values: np.ndarray, bits: int) -> None:
    """Put pixels into a data set."""
    dataset.Rows, dataset.Columns = values.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.PixelData = values.astype("<i2" if values.dtype.kind == "i" else "<u2").tobytes()


def write(datasets: Sequence[Dataset], folder: Path, names: Sequence[str] | None = None) -> Path:
    """Write one file per data set and return the folder; the names sort against the positions."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"IM{len(datasets) - k:03d}.dcm" for k in range(len(datasets))] if names is None else names
    for dataset, name in zip(datasets, names, strict=True):
        dataset.save_as(folder / name, enforce_file_format=True)
    return folder
