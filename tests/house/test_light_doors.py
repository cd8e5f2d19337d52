"""What loads at which door: nothing heavy before it is needed."""

import importlib
import resource
import subprocess
import sys

import pytest

import medseg

HEAVY = ("torch", "monai", "nibabel", "SimpleITK", "pydicom", "tifffile", "zarr", "dask", "pandas", "scipy", "skimage")


def loaded_after(code: str) -> set[str]:
    report = "import sys; print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(done.stderr.split()) & set(HEAVY)


def test_the_package_loads_nothing_heavy():
    assert loaded_after("import medseg") == set()


def test_the_value_floor_loads_nothing_heavy():
    assert loaded_after("import medseg; medseg.Volume, medseg.LabelMap, medseg.Prediction") == set()


@pytest.mark.parametrize("line", [["--help"], ["--version"], ["segment", "--help"], ["train", "--help"]])
def test_help_loads_nothing_heavy(line):
    code = (
        f"import sys; sys.argv = ['medseg', *{line}]\nfrom medseg.cli import main\ntry: main()\nexcept SystemExit: pass"
    )
    assert loaded_after(code) == set()


def test_help_takes_less_than_half_a_second_of_processor_time():
    # processor time and the best of three: a busy computer must not fail the test
    assert min(_processor_seconds("-m", "medseg.cli", "--help") for _ in range(3)) < 0.5


def test_importing_the_package_takes_less_than_a_fifth_of_a_second():
    bare = min(_processor_seconds("-c", "pass") for _ in range(3))
    assert min(_processor_seconds("-c", "import medseg") for _ in range(3)) - bare < 0.2


@pytest.mark.parametrize("name", sorted(medseg.__all__))
def test_every_public_name_is_behind_its_door(name):
    assert getattr(medseg, name) is not None
    assert name in dir(medseg)


@pytest.mark.parametrize("name", ["measure", "models"])
def test_a_door_stays_a_door_after_the_room_of_its_name_was_imported(name):
    room = importlib.import_module(f"medseg.{name}")
    assert getattr(medseg, name) is not room
    assert callable(getattr(medseg, name))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="medseg"):
        importlib.import_module("medseg").no_such_thing  # noqa: B018 - the access is the test


def _processor_seconds(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
