import subprocess
import sys
import threading

import numpy as np
import pytest

from medseg.ops import compiled as module
from medseg.ops.compiled import compiled, kernels, n_threads, over_slabs


@pytest.mark.parametrize("length", [1, 2, 7, 1000])
@pytest.mark.parametrize("threads", ["1", "3"])
def test_slabs_cover_everything_once(monkeypatch, length, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    seen = np.zeros(length, int)

    def work(start, stop):
        seen[start:stop] += 1

    over_slabs(work, length)
    assert (seen == 1).all()


def test_what_a_slab_raises_reaches_the_caller(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    def work(start, stop):
        raise ValueError(f"from {start}")

    with pytest.raises(ValueError, match="from"):
        over_slabs(work, 10)


def test_the_number_of_threads_can_be_limited(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert n_threads() == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    assert n_threads() >= 1


def test_without_a_compiler_there_are_no_kernels(monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert kernels("argmax_kernels") is None
    monkeypatch.delenv("NUMBA_DISABLE_JIT")
    monkeypatch.setitem(sys.modules, "medseg.ops.argmax_kernels", None)  # as where numba refuses to load
    assert kernels("argmax_kernels") is None


def test_a_loop_is_compiled_even_where_no_folder_can_keep_it(monkeypatch):
    import numba

    real = numba.njit

    def refusing(*args, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*args, **options)

    monkeypatch.setattr(numba, "njit", refusing)
    assert compiled()(lambda a: a + 1)(2) == 3


def test_several_threads_may_run_the_same_loops_at_once():
    from medseg.ops.argmax import labels_from_maps

    maps = np.random.default_rng(0).normal(size=(3, 8, 9, 10)).astype(np.float32)
    wanted = labels_from_maps(maps, (20, 20, 20))
    found = []
    workers = [threading.Thread(target=lambda: found.append(labels_from_maps(maps, (20, 20, 20)))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    assert all(np.array_equal(f, wanted) for f in found)


def test_importing_the_operations_loads_neither_the_compiler_nor_torch():
    names = ["affine", "argmax", "compiled", "components", "intensity", "reorient", "resample", "separable", "tiles"]
    code = "import sys\n" + "".join(f"import medseg.ops.{n}\n" for n in names)
    code += "print([m for m in ('numba', 'torch', 'scipy', 'SimpleITK') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=module.__file__.split("medseg")[0])  # fmt: skip
    assert done.stdout.strip() == "[]"
