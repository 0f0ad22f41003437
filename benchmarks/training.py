"""The cost of training, per epoch and in total: the recipe `cnn` and S3's CNN, in arithmetic and in time."""

from __future__ import annotations

import json
import math
from statistics import median
from time import perf_counter

import numpy as np
import torch
from measure import KERAS
from torch.utils.flop_counter import FlopCounterMode

from serkit.emotions import LABELS
from serkit.models import build
from serkit.models.resnet import ResNetASP
from serkit.models.system_networks import VectorCNN
from serkit.training.recipe_files import load_recipe

CLIPS = 1962  # of RAVDESS' 2,452 in the training part of a fold
COPIES = 6  # S3 trains on each clip and on five altered copies of it
S3_BATCH = 64


def measure(clips: int, steps: int) -> str:
    """Train `cnn` for one and for three epochs on `clips` synthetic clips, and S3's CNN for `steps` steps.

    Returns
    -------
    str
        Markdown.
    """
    recipe = load_recipe("cnn")
    params = build(recipe.model, labels=LABELS, seed=0, rows=recipe.rows).get_params()
    copies = 1 + (recipe.augment.copies if recipe.augment else 0)
    own = CLIPS * copies * params["members"]
    ours_flops = own * flops(ResNetASP(64, len(LABELS), width=params["width"]), (64, params["crop"]))
    trainings = load_recipe("s3-cnn").model.params["epochs"] / params["epochs"]
    s3_flops = CLIPS * COPIES * flops(VectorCNN(2376, len(LABELS)), (2376,))
    rng = np.random.default_rng(0)
    X = np.empty(clips, dtype=object)
    for number in range(clips):
        X[number] = rng.normal(-50, 15, (64, int(rng.integers(60, 200)))).astype(np.float32)
    y = np.array(LABELS)[np.arange(clips) % len(LABELS)]
    seconds = {}
    for epochs in (1, 3):
        chosen = build(recipe.model, labels=LABELS, seed=0, rows=recipe.rows).set_params(epochs=epochs)
        start = perf_counter()
        chosen.fit(X, y)
        seconds[epochs] = perf_counter() - start
    ours = (seconds[3] - seconds[1]) / 2 * CLIPS * copies / clips  # includes all members
    time = ["not measured", "–", "–"]
    if not KERAS.missing:
        found = json.loads(KERAS("train", str(steps), str(S3_BATCH)).splitlines()[-1])
        s3 = median(found["seconds"]) * math.ceil(CLIPS * COPIES / S3_BATCH)
        time = [f"{s3:,.0f} s", f"{s3 / ours:.0f}", f"{trainings * s3 / ours:.0f}"]
    about = (
        f"One epoch of one fold: {CLIPS:,} clips; S3 trains on each and on {COPIES - 1} altered copies, `cnn` on "
        f"{copies - 1} and in {params['members']} networks, but for {params['epochs']} epochs instead of "
        f"{params['epochs'] * trainings:.0f}, hence the last column. Arithmetic "
        "counts the floating-point operations of convolutions and matrix products, forward and backward. Time, with "
        f"all cores, is extrapolated: for `cnn` from two epochs on {clips} synthetic clips (including its loader), "
        f"for S3 from {steps} steps of {S3_BATCH} vectors in Keras (without its features and copies). {KERAS.missing}"
    )
    ratio = s3_flops / ours_flops
    rows = [
        f"| arithmetic | {ours_flops / 1e12:.2f} TFLOP | {s3_flops / 1e12:.1f} TFLOP | {ratio:.0f} "
        f"| {trainings * ratio:.0f} |",
        f"| time | {ours:.1f} s | {' | '.join(time)} |",
    ]
    head = "| one epoch | `cnn` | S3's CNN | ratio | ratio, whole training |\n| --- | --- | --- | --- | --- |"
    return "\n".join(["## Training", "", about.strip(), "", head, *rows])


def flops(network: torch.nn.Module, shape: tuple[int, ...]) -> float:
    """Operations for one clip, forward and backward: those of a batch of 2, halved."""
    inputs = torch.zeros(2, *shape)
    with FlopCounterMode(display=False) as counter:
        network.train()(inputs).sum().backward()
    return counter.get_total_flops() / 2
