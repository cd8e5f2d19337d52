"""The detector as a whole: it learns, answers on images of any size, and survives bad input."""

import pytest
import torch

from medseg.errors import OutputError
from medseg.learn.weights import load_network
from medseg.models.bundle import load_bundle
from medseg.models.card import Architecture
from medseg.models.registry import find
from medseg.nets.build import build
from medseg.nets.maskrcnn.boxes import overlaps
from medseg.nets.maskrcnn.losses import mask_targets
from medseg.nets.maskrcnn.network import MaskRCNN, load_backbone
from medseg.nets.maskrcnn.options import DetectSettings, around
from medseg.nets.maskrcnn.values import Truth
from medseg.nets.probe import answers_agree, probe_answer
from medseg.nets.shape import Shape

KEYS = {"objectness", "proposal_boxes", "classes", "boxes", "masks", "semantic"}
EVERYTHING = DetectSettings(score_threshold=0.0, max_proposals=40, candidates=80, proposal_threshold=0.0)


def small(n_axes=2, *, n_classes=2, **more):
    torch.manual_seed(0)
    strides = None if n_axes == 2 else [(1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2)]
    diameter = (8.0, 8.0) if n_axes == 2 else (4.0, 8.0, 8.0)
    size = {
        "width": 8,
        "hidden": 16,
        "mask_width": 8,
        "norm": "group",
        "box_bins": (3,) * n_axes,
        "mask_bins": (4,) * n_axes,
    }
    options = around(diameter, filters=(8, 8, 8, 8), strides=strides, **{**size, **more})
    return MaskRCNN(n_axes, 2, n_classes, options)


def images(*shape, count=2):
    return torch.randn(count, 2, *shape, generator=torch.Generator().manual_seed(1))


def some_objects(shape):
    """Two touching objects of odd ids and sizes."""
    labels = torch.zeros(shape, dtype=torch.long)
    inner = tuple(slice(2, 9) for _ in shape[:-1])
    labels[(*inner, slice(3, 8))] = 31
    labels[(*inner, slice(8, 14))] = 7
    return labels


def checked(network, batch, truths):
    """The losses, after asserting that they and all gradients are finite."""
    found = network.losses(batch, truths, generator=torch.Generator().manual_seed(0))
    assert all(torch.isfinite(v) and v.ndim == 0 for v in found.values())
    network.zero_grad()
    sum(found.values()).backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(g).all() for g in gradients)
    return {key: float(value.detach()) for key, value in found.items()}


@pytest.mark.parametrize("n_axes", [2, 3])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"neck": "fpn", "semantic": False, "norm": "instance"},
        {"stages": (0.4, 0.5, 0.6), "box_loss": "giou", "class_loss": "focal", "samples": 1},
        {"mask_per_class": True, "class_weights": (0.5, 1.0, 2.0), "blocks": 2, "norm": "batch"},
        {"norm": "frozen", "anchor_shapes": "two"},
    ],
    ids=["plain", "fpn", "cascade", "per class", "frozen"],
)
def test_every_kind_of_detector_learns_and_answers(n_axes, more):
    if "anchor_shapes" in more:
        more = {**more, "anchor_shapes": ((1.0,) * n_axes, (0.5,) + (1.5,) * (n_axes - 1))}
    shape = (16, 24) if n_axes == 2 else (10, 16, 24)
    network = small(n_axes, n_classes=3, **more).train()
    truth = Truth.of(some_objects(shape), {31: 1, 7: 2})
    found = checked(network, images(*shape), [truth, truth])
    assert set(found) == (KEYS if network.options.semantic else KEYS - {"semantic"})
    assert found["masks"] > 0
    learned = [n for n, p in network.named_parameters() if p.grad is not None and p.grad.abs().max() > 0]
    for part in ("encoder.input_block", "neck.", "proposal_head.", "box_heads.0", "mask_head."):
        assert any(name.startswith(part) for name in learned), part
    for each in network.eval().detect(images(*shape), settings=EVERYTHING):
        k = len(each)
        assert k > 0
        assert each.boxes.shape == (k, 2 * n_axes)
        assert each.masks.shape == (k, *(2 * m for m in network.options.mask_bins))
        assert set(each.classes.tolist()) <= {1, 2}
        assert (each.scores.diff() <= 0).all()
        assert each.boxes.min() >= 0
        assert (each.boxes <= torch.tensor([*shape, *shape])).all()


def without_objects():
    return torch.zeros(24, 24, dtype=torch.long)


def one_voxel():
    labels = without_objects()
    labels[23, 0] = 3
    return labels


def larger_than_the_tile():
    return torch.full((24, 24), 12)


def thousands():
    return torch.arange(1, 64 * 64 + 1).reshape(64, 64)


@pytest.mark.parametrize("labels", [without_objects, one_voxel, larger_than_the_tile, thousands])
def test_bad_input_gives_finite_losses_and_gradients(labels):
    truth = Truth.of(labels())
    batch = images(*truth.labels.shape)
    found = checked(small(stages=(0.5, 0.6)).train(), batch, [truth, truth])
    if not len(truth):
        assert found["boxes"] == found["masks"] == found["proposal_boxes"] == 0
        assert found["objectness"] > 0


def test_one_image_of_a_batch_may_lack_objects():
    truths = [Truth.of(without_objects()), Truth.of(some_objects((24, 24)))]
    assert checked(small().train(), images(24, 24), truths)["masks"] > 0


def test_a_whole_batch_may_lack_objects():
    truth = Truth.of(without_objects())
    found = checked(small().train(), images(24, 24), [truth, truth])
    assert found["classes"] > 0
    assert found["boxes"] == found["masks"] == found["proposal_boxes"] == 0


def test_images_without_proposals_are_learned_from_by_the_objects_themselves(monkeypatch):
    from medseg.nets.maskrcnn import learning

    monkeypatch.setattr(learning, "propose", lambda *_: [torch.zeros(0, 4)] * 2)
    truths = [Truth.of(without_objects()), Truth.of(some_objects((24, 24)))]
    assert checked(small().train(), images(24, 24), truths)["masks"] > 0
    nothing = [Truth.of(without_objects())] * 2
    assert checked(small().train(), images(24, 24), nothing)["classes"] == 0


def test_objects_of_no_class_teach_no_class():
    truth = Truth.of(some_objects((24, 24)), {})
    assert checked(small().train(), images(24, 24), [truth, truth])["masks"] == 0


def test_an_image_of_any_size_is_answered_on_its_own_grid():
    network = small().eval()
    for shape in ((1, 1), (7, 50), (33, 8)):
        (found,) = network.detect(images(*shape, count=1), settings=EVERYTHING)
        assert (found.boxes <= torch.tensor([*shape, *shape])).all()


def test_a_network_that_proposes_nothing_good_detects_nothing():
    (found,) = small().eval().detect(images(24, 24, count=1), settings=DetectSettings(score_threshold=0.999))
    assert len(found) == 0
    assert found.masks.shape == (0, 8, 8)


def test_hundreds_of_objects_are_not_capped():
    settings = DetectSettings(0.0, nms_overlap=1.0, mask_overlap=1.0, proposal_nms=1.0, proposal_threshold=0.0)
    (found,) = small().eval().detect(images(64, 64, count=1), settings=settings)
    assert len(found) > 500


def test_the_same_seed_gives_the_same_losses_and_another_does_not():
    network, truth = small(anchors_per_image=16, boxes_per_image=8).train(), Truth.of(some_objects((24, 24)))

    def total(seed):
        found = network.losses(images(24, 24), [truth, truth], generator=torch.Generator().manual_seed(seed))
        return float(sum(found.values()).detach())

    assert total(3) == total(3) != total(4)


def test_what_is_not_a_number_shows_in_the_losses_and_is_refused_as_an_answer():
    network, truth = small(), Truth.of(some_objects((24, 24)))
    batch = images(24, 24)
    batch[0, 0, 3, 3] = float("nan")
    found = network.train().losses(batch, [truth, truth], generator=torch.Generator().manual_seed(0))
    assert torch.isnan(sum(found.values()))
    with pytest.raises(OutputError, match="not a number") as refusal:
        network.eval().detect(batch)
    assert refusal.value.code == "E_OUTPUT_NONFINITE"


def test_half_precision_of_the_convolutions_keeps_losses_in_float32():
    network, truth = small(norm="batch").train(), Truth.of(some_objects((24, 24)))
    with torch.autocast("cpu", torch.bfloat16):
        found = network.losses(images(24, 24), [truth, truth], generator=torch.Generator().manual_seed(0))
        detected = network.eval().detect(images(24, 24), settings=EVERYTHING)
    assert {v.dtype for v in found.values()} == {torch.float32}
    assert {d.boxes.dtype for d in detected} == {torch.float32}
    sum(found.values()).backward()


def test_frozen_norms_keep_their_statistics_in_training():
    truth = Truth.of(some_objects((24, 24)))
    for norm, moves in (("frozen", False), ("batch", True)):
        network = small(norm=norm).train()
        before = network.encoder.input_block.norm1.running_mean.clone()
        checked(network, images(24, 24), [truth, truth])
        assert (not torch.equal(before, network.encoder.input_block.norm1.running_mean)) == moves


def test_a_trained_u_net_lends_its_way_down_and_up():
    bundle = load_bundle(find("nuclei"))
    unet = load_network(bundle)
    filters = bundle.card.architecture.options["filters"]
    network = MaskRCNN(2, 3, 2, around((32.0, 32.0), filters=filters)).eval()
    tensors = {name: torch.from_numpy(array) for name, array in bundle.tensors.items()}
    loaded = load_backbone(network, tensors)
    assert "downsamples.0.conv1.conv.weight" in loaded
    assert {n.split(".")[0] for n in tensors if n not in loaded} == {"output_block", "upsamples"}
    seen = []
    for block in (unet.upsamples[2], network.neck.upsamples[2]):
        block.register_forward_hook(lambda _module, _given, answer: seen.append(answer))
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        unet(image)
        network(image)
    torch.testing.assert_close(seen[0], seen[1])


def test_weights_of_another_shape_are_left_alone():
    network = small()
    before = {n: t.clone() for n, t in network.state_dict().items()}
    assert load_backbone(network, {"input_block.conv1.conv.weight": torch.ones(3, 3), "else": torch.ones(1)}) == ()
    assert all(torch.equal(before[n], t) for n, t in network.state_dict().items())


def test_the_table_of_networks_builds_a_detector_whose_probe_reaches_every_head():
    options = small(n_classes=3).options.model_dump(mode="json")
    network = build(Architecture(name="maskrcnn", options=options), shape=Shape(2, 2, 3)).eval()
    for layer in (network.proposal_head.answer, network.box_heads[0].classes):
        torch.nn.init.normal_(layer.weight, std=0.5)  # as large as after a training
    answer = probe_answer(network, n_in=2, patch=(32, 32))
    assert answers_agree(probe_answer(network, n_in=2, patch=(32, 32)), answer)
    for name in ("encoder.bottleneck", "neck.laterals.0", "proposal_head.answer", "box_heads.0.classes", "mask_head"):
        weight = next(p for n, p in network.named_parameters() if n.startswith(name) and n.endswith("bias"))
        with torch.no_grad():
            weight += 1.0
            assert not answers_agree(probe_answer(network, n_in=2, patch=(32, 32)), answer), name
            weight -= 1.0


def discs(seed, side):
    """Bright touching discs on noise, and their numbers."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    labels = torch.zeros(side, side, dtype=torch.long)
    for k in range(1, 10):
        centre, radius = torch.rand(2, generator=generator) * side, 4 + 2 * torch.rand(1, generator=generator)
        near = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
        if not (labels[near] > 0).any():
            labels[near] = k
    picture = 0.1 * torch.randn(side, side, generator=generator) + (labels > 0)
    return picture.expand(2, side, side), Truth.of(labels)


def test_it_learns_to_find_the_discs_that_it_is_shown():
    network = small(width=16, mask_width=16, hidden=32, boxes_per_image=32).train()
    optimiser = torch.optim.AdamW(network.parameters(), 5e-3)
    generator = torch.Generator().manual_seed(0)
    pictures, truths = zip(*(discs(i, side=32) for i in range(2)), strict=True)
    for _ in range(60):
        loss = sum(network.losses(torch.stack(pictures), list(truths), generator=generator).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = network.eval().detect(torch.stack(pictures), settings=DetectSettings(score_threshold=0.5))
    for own, truth in zip(found, truths, strict=True):
        hits = int((overlaps(truth.boxes, own.boxes) > 0.5).any(1).sum())
        assert hits / (len(truth) + len(own) - hits) > 0.7
        pairs = overlaps(truth.boxes, own.boxes).argmax(1)
        cells = mask_targets(truth, own.boxes[pairs], torch.arange(len(truth)), tuple(own.masks.shape[1:]))
        assert ((own.masks[pairs] > 0.5) == (cells > 0.5)).float().mean() > 0.8
