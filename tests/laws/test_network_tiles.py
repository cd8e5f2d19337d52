"""The tile law with a network in between: cut into tiles or seen whole, at least 99 % of the objects are the same."""

from medseg.metrics.instances import instance_scores
from medseg.models.bundle import load_bundle
from medseg.models.registry import find
from medseg.progress import finish
from medseg.samples.cells import nuclei


def test_nuclei_are_the_same_in_tiles_and_in_one_piece():
    import torch

    from medseg.instance.predict import MapOptions
    from medseg.instance.segment import segment_instances_steps
    from medseg.learn.weights import load_network

    bundle = load_bundle(find("nuclei"))
    picture = nuclei(seed=3, n=170, shape=(480, 480))
    network = load_network(bundle)
    found = []
    for patch in ((64, 64), (800, 800)):
        card = bundle.card.model_copy(update={"input": bundle.card.input.model_copy(update={"patch": patch})})
        steps = segment_instances_steps(
            picture.volume, network, card, options=MapOptions(diameter=13.0), device=torch.device("cpu")
        )
        found.append(finish(steps).instances)
    tiled, whole = found
    scores = instance_scores(tiled, whole, thresholds=(0.9,))
    assert len(whole.segments) > 120
    assert (tiled.array != whole.array).any()  # seen differently, or nothing was tested
    assert min(scores.at[0].precision, scores.at[0].recall) >= 0.99
