"""From a data set's fingerprint to a plan that a person can read, edit and give back."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest

from medseg.errors import InputError
from medseg.grid import Grid, image_grid
from medseg.io.dataset import find_pairs
from medseg.io.write import write
from medseg.labels import LabelMap
from medseg.planning import CaseFacts, Plan, PlanOptions, make_plan, plan_steps
from medseg.progress import finish
from medseg.volume import Volume


def facts(shape, spacing, low=0.0, classes=(1,)):
    return CaseFacts(
        id="a", shape=shape, spacing=spacing, orientation="RAS", low=low, high=900.0, mean=40.0, std=20.0,
        class_voxels=dict.fromkeys(classes, 100),
    )  # fmt: skip


def scan(n=1):
    return Volume(np.zeros((n, 8, 8, 8), np.float32), Grid((8, 8, 8), np.eye(4)))


def plan_of(cases, kind=None, classes=None, **options):
    return make_plan(cases, kind=kind or scan(), classes=classes or {}, options=PlanOptions("toy", **options))


def test_small_isotropic_crops_give_a_patch_that_holds_the_whole_median_case():
    plan = plan_of([facts((35, 50, 36), (1.0, 1.0, 1.0))] * 3)
    assert plan.input.patch == (40, 56, 40)
    assert plan.architecture.options["strides"] == [[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2]]
    assert plan.input.spacing == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("target", ["cpu", "gpu"])
@pytest.mark.parametrize("shape", [(512, 512, 300), (90, 90, 90), (40, 300, 40)])
def test_a_patch_stays_below_its_budget_and_can_be_halved_as_often_as_planned(shape, target):
    from medseg.planning import PATCH_VOXELS

    plan = plan_of([facts(shape, (0.8, 0.8, 1.5))], target=target)
    factor = np.prod(plan.architecture.options["strides"], axis=0)
    assert np.prod(plan.input.patch) <= PATCH_VOXELS[target][3]
    assert all(p % f == 0 for p, f in zip(plan.input.patch, factor, strict=True))
    assert min(np.array(plan.input.patch) / factor) >= 2


def test_thick_slices_are_kept_finer_than_their_median_and_halved_later():
    cases = [facts((256, 256, 24), (0.8, 0.8, z)) for z in (3.0, 5.0, 5.0, 6.0)]
    plan = plan_of(cases)
    assert 3.0 <= plan.input.spacing[2] < 5.0
    assert plan.architecture.options["strides"][1] == [2, 2, 1]


def test_the_middle_spacing_is_chosen_when_no_axis_is_thick():
    cases = [facts((64, 64, 64), (s, s, s)) for s in (0.9, 1.0, 1.4)]
    assert plan_of(cases).input.spacing == (1.0, 1.0, 1.0)


def test_ct_is_told_by_its_air_and_normalised_by_fixed_numbers():
    assert plan_of([facts((64, 64, 64), (1.0, 1.0, 1.0), low=-1024.0)]).input.normalisation.scheme == "ct"
    assert plan_of([facts((64, 64, 64), (1.0, 1.0, 1.0))]).input.normalisation.scheme == "zscore"


def test_sides_are_never_mirrored_when_a_class_names_one():
    sided = plan_of([facts((64, 64, 64), (1.0, 1.0, 1.0))], classes={1: "kidney_left"})
    assert sided.input.mirror_axes == ()
    assert plan_of([facts((64, 64, 64), (1.0, 1.0, 1.0))], classes={1: "liver"}).input.mirror_axes == (0,)


def test_a_micrograph_plan_is_flat_and_mirrors_both_axes():
    picture = Volume(np.zeros((3, 8, 8), np.uint8), image_grid((8, 8), (1.0, 1.0), "px"))
    plan = plan_of([facts((512, 640), (1.0, 1.0))], kind=picture)
    assert len(plan.input.patch) == 2
    assert plan.input.mirror_axes == (0, 1)
    assert plan.input.normalisation.scheme == "percentile"


def test_a_plan_is_a_file_that_comes_back_the_same_and_refuses_unknown_keys():
    plan = plan_of([facts((64, 64, 64), (1.0, 1.0, 1.0))])
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    with pytest.raises(ValueError, match="leaning_rate"):
        Plan.model_validate({**plan.model_dump(), "leaning_rate": 1})


def test_more_to_compute_is_predicted_for_larger_patches():
    small, large = (plan_of([facts((n,) * 3, (1.0,) * 3)], target="gpu") for n in (32, 96))
    assert large.predicted_gflop_per_patch > 10 * small.predicted_gflop_per_patch
    assert large.predicted_memory_gb > small.predicted_memory_gb
    assert large.predicted_epoch_seconds_one_core > 10 * small.predicted_epoch_seconds_one_core


@pytest.mark.parametrize("name", ["unet", "dynunet"])
def test_another_network_keeps_channels_and_levels(name):
    from medseg.nets.build import build
    from medseg.nets.shape import Shape
    from medseg.planning import with_architecture

    plan = plan_of([facts((32, 32, 32), (1.0, 1.0, 1.0))])
    changed = with_architecture(plan, name)
    assert changed.architecture.name == name
    assert changed.architecture.options["filters"] == plan.architecture.options["filters"]
    assert with_architecture(changed, "dynunet") == plan
    build(changed.architecture, shape=Shape(3, 1, 2))


def test_unlabelled_data_cannot_be_planned():
    with pytest.raises(InputError, match="no labelled voxel"):
        plan_of([facts((8, 8, 8), (1.0, 1.0, 1.0), classes=())])


@pytest.fixture
def folder(tmp_path):
    grid = Grid((12, 10, 8), np.diag([-1.0, 1.0, 2.0, 1.0]))
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    for case in range(3):
        labels = np.zeros(grid.shape, np.uint8)
        labels[4:8, 3:6, 2:5] = 1
        labels[8:10, 3:6, 2:5] = 4
        write(Volume(100.0 * labels[None].astype(np.float32), grid), tmp_path / f"images/c{case}.nii.gz")
        write(LabelMap(labels, grid), tmp_path / f"labels/c{case}.nii.gz")
    return tmp_path


def test_the_fingerprint_of_files_counts_classes_and_measures_extents(folder):
    plan = finish(plan_steps(find_pairs(folder), options=PlanOptions("toy")))
    assert plan.classes == {1: "class_1", 4: "class_4"}
    assert plan.class_share[1] == pytest.approx(36 / 960)
    assert plan.fingerprint.extent_high == pytest.approx((12.0, 10.0, 16.0))
    assert plan.n_cases == 3


def test_the_looks_of_the_training_images_enter_the_plan_from_eight_cases_on(folder):
    assert finish(plan_steps(find_pairs(folder), options=PlanOptions("toy"))).fingerprint.appearance == ()
    for case in range(3, 8):
        for part in ("images", "labels"):
            shutil.copy(folder / part / "c0.nii.gz", folder / part / f"c{case}.nii.gz")
    plan = finish(plan_steps(find_pairs(folder), options=PlanOptions("toy")))
    (looks,) = plan.fingerprint.appearance
    assert looks.layout_fit_low == pytest.approx(1.0)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_planning_reports_each_case(folder):
    steps = list(plan_steps(find_pairs(folder), options=PlanOptions("toy")))
    assert [s.done for s in steps] == [1, 2, 3]


def test_a_case_of_another_kind_is_named(folder):
    data = find_pairs(folder)
    write(Volume(np.zeros((2, 12, 10), np.uint8), image_grid((12, 10), (1.0, 1.0), "um")), folder / "images/odd.tif")
    odd = replace(data.cases[0], id="odd", images=(folder / "images/odd.tif",))
    with pytest.raises(InputError, match=r"odd\.tif") as refusal:
        finish(plan_steps(replace(data, cases=(*data.cases, odd)), options=PlanOptions("toy")))
    assert refusal.value.code in ("E_DIMENSIONS_UNSUPPORTED", "E_GEOMETRY_MISMATCH")


def test_the_average_sample_can_be_made_again_from_a_data_set(folder, tmp_path, capsys):
    import runpy
    from pathlib import Path

    from medseg.io.read import read

    with (tmp_path / "split.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "split"])
        rows.writerows([[f"c{i}", "train"] for i in range(3)])
    script = runpy.run_path(str(Path(__file__).parents[1] / "workflows/average_sample.py"))
    script["main"](folder, tmp_path / "split.csv", tmp_path / "mean.nii.gz")
    mean = read(tmp_path / "mean.nii.gz")
    assert "3 cases averaged" in capsys.readouterr().out
    assert mean.grid.spacing == pytest.approx((1.0, 1.0, 2.0))
    assert 0 <= mean.array.min() < 400 < mean.array.max() <= 1000
