"""nnU-Net's side of a comparison; run by the Python of `make peers`, which has nnU-Net and no medseg.

``peer_nnunet.py tiles FOLDER`` predicts FOLDER/image.npy by the sliding window; ``peer_nnunet.py case FOLDER [torch]``
predicts FOLDER/ct_0000.nii.gz as `nnUNetv2_predict` does, in one process, by its default resampling or its torch one.
Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from time import perf_counter, process_time
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    made = json.loads((folder / "plan.json").read_text())
    weights = {name: torch.from_numpy(array) for name, array in np.load(folder / "weights.npz").items()}
    answer = tiles(folder, made, weights) if what == "tiles" else case(folder, made, weights, "torch" in sys.argv[3:])
    from importlib.metadata import version

    print("\n" + json.dumps(answer | {"versions": f"nnunetv2 {version('nnunetv2')}, torch {torch.__version__}"}))


def predictor() -> Any:
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ.setdefault(name, "unused")  # nnU-Net warns of folders that it will not need
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    return nnUNetPredictor(
        tile_step_size=0.5,
        use_gaussian=True,
        use_mirroring=False,
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        verbose=False,
        allow_tqdm=False,
    )


def filled(network: torch.nn.Module, weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    missing, unknown = network.load_state_dict(weights, strict=False)
    # the same tensors stand under other names too, and the heads of deep supervision are not used
    twins = ("all_modules", "decoder.encoder", "seg_layers")
    bad = [*unknown, *(name for name in missing if not any(twin in name for twin in twins))]
    if bad:
        sys.exit(f"weights do not fit: {bad[:5]}")
    return network.eval()


def built(made: dict[str, Any]) -> torch.nn.Module:
    from dynamic_network_architectures.architectures.unet import PlainConvUNet
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    kwargs = architecture(made)
    return get_network_from_plans(
        f"{PlainConvUNet.__module__}.{PlainConvUNet.__name__}",
        kwargs["arch_kwargs"],
        kwargs["_kw_requires_import"],
        1,
        made["n_out"],
        deep_supervision=False,
    )


def tiles(folder: Path, made: dict[str, Any], weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    engine = predictor()
    engine.network = filled(built(made), weights)
    engine.configuration_manager = SimpleNamespace(patch_size=made["patch"])
    engine.label_manager = SimpleNamespace(num_segmentation_heads=made["n_out"])
    engine.allowed_mirroring_axes = None
    image = torch.from_numpy(np.load(folder / "image.npy").transpose(0, 3, 2, 1).copy())
    with torch.inference_mode():
        engine.network(image[None][..., : made["patch"][0], : made["patch"][1], : made["patch"][2]])  # warm
    begin, cpu = perf_counter(), process_time()
    logits = engine.predict_sliding_window_return_logits(image)
    spent = {"wall": perf_counter() - begin, "cpu": process_time() - cpu}
    np.save(folder / "peer_labels.npy", logits.argmax(0).numpy().transpose(2, 1, 0).astype(np.uint8))
    return spent


def architecture(made: dict[str, Any]) -> dict[str, Any]:
    n = len(made["filters"])
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": n,
            "features_per_stage": made["filters"],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3] * 3] * n,
            "strides": [[1] * 3] + [[2] * 3] * (n - 1),
            "n_conv_per_stage": [2] * n,
            "n_conv_per_stage_decoder": [2] * (n - 1),
            "conv_bias": False,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def case(folder: Path, made: dict[str, Any], weights: dict[str, torch.Tensor], by_torch: bool) -> dict[str, Any]:
    model = folder / "nnunet"
    save_model(model, made, weights, by_torch)
    engine = predictor()
    engine.initialize_from_trained_model_folder(str(model), use_folds=(0,), checkpoint_name="checkpoint_final.pth")
    tiles: list[int] = []
    engine.network.register_forward_pre_hook(lambda _, given: tiles.append(len(given[0])))
    begin = perf_counter()
    engine.predict_from_files_sequential(
        [[str(folder / "ct_0000.nii.gz")]], [str(folder / "peer")], save_probabilities=False, overwrite=True
    )
    return {"wall_prediction": perf_counter() - begin, "tiles": sum(tiles)}


def save_model(model: Path, made: dict[str, Any], weights: dict[str, torch.Tensor], by_torch: bool) -> None:
    (model / "fold_0").mkdir(parents=True, exist_ok=True)
    (model / "plans.json").write_text(json.dumps(plans(made, by_torch)))
    labels = {"background": 0} | {f"organ_{k}": k for k in range(1, made["n_out"])}
    data = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
    (model / "dataset.json").write_text(json.dumps(data))
    state = filled(built(made), weights).state_dict()
    checkpoint = {
        "network_weights": state,
        "trainer_name": "nnUNetTrainer",
        "init_args": {"configuration": "3d_fullres"},
        "inference_allowed_mirroring_axes": None,
    }
    torch.save(checkpoint, model / "fold_0" / "checkpoint_final.pth")


def plans(made: dict[str, Any], by_torch: bool) -> dict[str, Any]:
    low, high, mean, std = made["intensities"]
    values = {"percentile_00_5": low, "percentile_99_5": high, "mean": mean, "std": std, "min": low, "max": high}
    name = "resample_torch_fornnunet" if by_torch else "resample_data_or_seg_to_shape"
    extra = {"mode": "linear"} if by_torch else {"order_z": 0}

    def how(order: int, seg: bool) -> dict[str, Any]:
        more = extra if by_torch else {"order": order, **extra}
        return {"is_seg": seg, "force_separate_z": False if by_torch else None, **more}

    configuration = {
        "data_identifier": "bench",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": made["patch"],
        "median_image_size_in_voxels": made["patch"],
        "spacing": [made["spacing"]] * 3,
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
        "resampling_fn_probabilities": name,
        "resampling_fn_probabilities_kwargs": how(1, False),
        "architecture": architecture(made),
        "batch_dice": True,
    }
    return {
        "dataset_name": "Dataset001_Bench",
        "plans_name": "bench",
        "original_median_spacing_after_transp": [made["spacing"]] * 3,
        "original_median_shape_after_transp": made["patch"],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": values | {"median": mean}},
    }


if __name__ == "__main__":
    main()
