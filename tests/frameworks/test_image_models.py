"""Image classifiers of transformers: pictures as its own processor makes them, trained by parts, kept and written."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core.errors import BadData, BadModel, BadSetting, Unsafe
from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks import transformers as plugin
from evermodel.plugins.frameworks._transformers.batch_statistics import find_norms
from evermodel.plugins.frameworks._transformers.image_reader import vary_picture
from evermodel.testing.check_runner import run_checks
from evermodel.testing.frameworks import CHECKS, Example
from tests.frameworks.tiny_image_model import SIDE, make_image_folder, make_pictures

pytest.importorskip("transformers")
SIGNS = ("stop", "give way")
KINDS = ("vit", "resnet", "convnext", "mobilenet")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A trained classifier of each kind; no test writes to them."""
    at = tmp_path_factory.mktemp("deployed")
    return {kind: make_image_folder(at / kind, SIGNS, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, Any]:
    return {kind: plugin.read_file(folder) for kind, folder in folders.items()}


@pytest.fixture
def copied(folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders["vit"], tmp_path / "signs"))


def pictures(n: int = 24, seed: int = 5, light: float = 1.0) -> pl.DataFrame:
    return make_pictures(SIGNS, n, seed, light).select("picture")


def train(model: Any, part: TrainablePart, light: float = 1.0, **changes: Any) -> Any:
    rows = make_pictures(SIGNS, 64, 9, light)
    y = (rows["sign"] == SIGNS[1]).to_numpy().astype(np.int64)
    told = Training(**{"classes": SIGNS, "epochs": 1, "seed": 3, **changes})
    return plugin.fit(plugin.choose_trainable(model, part), rows.select("picture"), y, told, from_scratch=False)


def answer_by_transformers(folder: Path, frame: pl.DataFrame) -> tuple[Any, Any]:
    """The tensors and the scores that transformers itself makes of the pictures, one by one."""
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    network = AutoModelForImageClassification.from_pretrained(folder).eval()
    opened = [Image.open(io.BytesIO(data)).convert("RGB") for data in frame.to_series()]
    tensors = torch.cat([processor(one, return_tensors="pt")["pixel_values"] for one in opened])
    with torch.inference_mode():
        return tensors.numpy(), network(tensors).logits.numpy()


PROCESSORS = {
    "of its size": {},
    "from larger pictures": {"size": {"height": SIDE, "width": SIDE}, "resample": 3},
    "cropped": {
        "image_processor_type": "ConvNextImageProcessor",
        "size": {"shortest_edge": SIDE},
        "crop_pct": 0.8,
        "resample": 3,
    },
    "centred": {
        "image_processor_type": "MobileNetV2ImageProcessor",
        "size": {"shortest_edge": SIDE + 6},
        "do_center_crop": True,
        "crop_size": {"height": SIDE, "width": SIDE},
    },
    "not normalised": {"do_normalize": False},
    "a colour each": {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
}


@pytest.mark.parametrize("processor", PROCESSORS)
def test_pictures_are_made_as_transformers_makes_them(tmp_path: Path, processor: str) -> None:
    folder = make_image_folder(tmp_path / "signs", SIGNS, steps=1, processor=PROCESSORS[processor])
    random = np.random.default_rng(0)
    from PIL import Image

    kept = []
    for shape in ((40, 61), (SIDE, SIDE), (90, 33)):
        file = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(file, "PNG")
        kept.append(file.getvalue())
    frame, model = pl.DataFrame({"picture": kept}), plugin.read_file(folder)
    tensors, scores = answer_by_transformers(folder, frame)
    made = model.reader.batch(model.reader.read(frame))["pixel_values"].numpy()
    np.testing.assert_allclose(made, tensors, atol=1e-4)
    np.testing.assert_allclose(plugin.predict(model, frame), scores, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_networks_answer_as_transformers_itself_does(folders: dict[str, Path], models: Any, kind: str) -> None:
    _, expected = answer_by_transformers(folders[kind], pictures())
    np.testing.assert_allclose(plugin.predict(models[kind], pictures()), expected, atol=1e-5)
    assert plugin.read_signature(models[kind]).classes == SIGNS


def test_grey_networks_read_coloured_pictures(tmp_path: Path) -> None:
    folder = make_image_folder(tmp_path / "grey", SIGNS, steps=1, channels=1)
    model = plugin.read_file(folder)
    assert model.reader.batch(model.reader.read(pictures(3)))["pixel_values"].shape == (3, 1, SIDE, SIDE)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_checks_of_frameworks_pass(models: dict[str, Any], check: Any) -> None:
    one, two = (make_pictures(SIGNS, 60, seed) for seed in (1, 2))
    y, other_y = ((frame["sign"] == SIGNS[1]).to_numpy().astype(np.int64) for frame in (one, two))
    example = Example(models["vit"], one.select("picture"), y, two.select("picture"), other_y, classes=SIGNS, long=8)
    run_checks([check], "framework", "transformers", plugin, example)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize("part", list(TrainablePart))
def test_a_training_changes_its_part_alone(models: dict[str, Any], kind: str, part: TrainablePart) -> None:
    model = models[kind]
    if kind == "resnet" and part is TrainablePart.ADAPTER:
        with pytest.raises(BadSetting, match="no linear layers"):
            train(model, part)
        return
    before, after = model.network.state_dict(), train(model, part, light=0.3).network.state_dict()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert any(name.startswith("classifier") for name in changed)
    assert any(not name.startswith("classifier") for name in changed) is (part is not TrainablePart.HEAD)
    assert any("running" in name for name in changed) is (kind == "resnet" and part is TrainablePart.ALL)


def test_batch_normalisation_learns_the_statistics_of_all_rows(models: dict[str, Any]) -> None:
    """Not of the last steps: in the end they are those of the rows trained on, as they are."""
    import torch

    model = models["resnet"]
    rows = pl.concat([make_pictures(SIGNS, 32, 1), make_pictures(SIGNS, 32, 2, light=0.2)])
    y = (rows["sign"] == SIGNS[1]).to_numpy().astype(np.int64)
    chosen = plugin.choose_trainable(model, TrainablePart.ALL)
    trained = plugin.fit(chosen, rows.select("picture"), y, Training(classes=SIGNS, epochs=2), from_scratch=False)
    seen = list[Any]()
    norm = find_norms(trained.network)[0]
    hook = norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.inference_mode():
        trained.network(**trained.reader.batch(trained.reader.read(rows.select("picture"))))
    hook.remove()
    expected = seen[0].mean(dim=(0, 2, 3)).numpy()
    np.testing.assert_allclose(norm.running_mean.numpy(), expected, rtol=1e-3, atol=1e-4)


def test_pictures_that_are_trained_on_vary_a_little_and_are_not_mirrored() -> None:
    from PIL import Image

    pixels = np.full((20, 20, 3), 100, np.uint8)
    pixels[:, 10:] = 200
    picture, random = Image.fromarray(pixels), np.random.default_rng(0)
    made = [np.asarray(vary_picture(picture, random), np.float32) for _ in range(40)]
    assert all(one.shape == (20, 20, 3) and one[:, :8].mean() < one[:, 12:].mean() for one in made)
    light = np.array([one[:, :8].mean() for one in made]) / 100
    assert light.min() < 0.9 and light.max() > 1.1 and light.min() >= 0.79 and light.max() <= 1.26


def test_new_labels_start_far_below_the_known(models: dict[str, Any]) -> None:
    for model in models.values():
        wider = plugin.widen(model, inputs=1, outputs=4)
        before, after = plugin.predict(model, pictures()), plugin.predict(wider, pictures())
        np.testing.assert_allclose(after[:, :2], before, atol=1e-6)
        assert (after[:, 2:] < before.max(axis=1, keepdims=True) - 1).all()


def _change(name: str, **changes: Any) -> Callable[[Path], None]:
    def change(at: Path) -> None:
        told = json.loads((at / name).read_text())
        (at / name).write_text(json.dumps({**told, **changes}))

    return change


def _config(**changes: Any) -> Callable[[Path], None]:
    return _change("config.json", **changes)


def _processor(**changes: Any) -> Callable[[Path], None]:
    return _change("preprocessor_config.json", **changes)


BROKEN: list[tuple[Callable[[Path], None], type[BadModel], str]] = [
    (lambda at: (at / "preprocessor_config.json").unlink(), BadModel, "nothing says how a picture becomes"),
    (lambda at: (at / "preprocessor_config.json").write_text("[1]"), BadModel, "holds no JSON object"),
    (lambda at: (at / "preprocessor_config.json").write_text("{"), BadModel, "it is no JSON"),
    (lambda at: (at / "model.safetensors").rename(at / "pytorch_model.bin"), Unsafe, "can run code"),
    (_processor(auto_map={"AutoImageProcessor": "evil.Processor"}), Unsafe, "Python code of its own"),
    (_processor(size={"height": 100_000, "width": 100_000}), BadModel, "a whole number from 1 to 4,096"),
    (_processor(size={"height": SIDE * 2, "width": SIDE}), BadModel, "A picture made by preprocessor_config.json"),
    (_processor(image_mean=[0.5, 0.5]), BadModel, "A picture made by preprocessor_config.json"),
    (_processor(image_processor_type="os.system"), BadModel, "preprocessor_config.json cannot be read"),
    (_config(auto_map={"AutoModel": "evil.Model"}), Unsafe, "Python code of its own"),
    (_config(num_channels=5), BadModel, "."),
    (_config(architectures=["DetrForObjectDetection"]), BadModel, "object detection): such models are out of scope"),
    (_config(architectures=["SegformerForSemanticSegmentation"]), BadModel, "segmentation): such models are out of"),
    (_config(architectures=["DPTForDepthEstimation"]), BadModel, "depth estimation): such models are out of scope"),
    (_config(architectures=["ViTModel"]), BadModel, "no head that classifies texts or pictures"),
    (_config(problem_type="multi_label_classification"), BadModel, "several labels to one picture"),
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_a_broken_folder_is_refused_in_words(copied: Path, number: int) -> None:
    spoil, kind, says = BROKEN[number]
    spoil(copied)
    with pytest.raises(kind) as error:
        plugin.read_file(copied)
    assert says in error.value.message and "\n" not in error.value.message


def _save(pixels: Any, kind: str = "PNG") -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def test_pictures_that_cannot_be_read_are_named(models: dict[str, Any]) -> None:
    good = pictures(1).to_series()[0]
    for bad, says in (
        (b"no picture", "Row 1 is not a PNG or JPEG picture"),
        (good[:60], "Row 1 is not a PNG or JPEG picture"),
        (None, "Row 1 is not a PNG or JPEG picture"),
        (_save((np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)), "Row 1 holds a picture of more than 8 bits"),
    ):
        with pytest.raises(BadData) as error:
            plugin.predict(models["vit"], pl.DataFrame({"picture": [good, bad]}))
        assert says in error.value.message and "object at" not in error.value.message
    with pytest.raises(BadData, match="reads one picture"):
        plugin.predict(models["vit"], pictures().with_columns(other=pl.col("picture")))
    with pytest.raises(BadData, match="must hold pictures"):
        plugin.predict(models["vit"], pl.DataFrame({"picture": ["a"]}))


def test_a_picture_is_turned_upright_as_its_camera_says(models: dict[str, Any]) -> None:
    from PIL import Image

    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[: SIDE // 2] = (220, 30, 30)
    upright, turned = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels).save(upright, "PNG")
    told = Image.Exif()
    told[0x0112] = 3  # held upside down
    Image.fromarray(pixels[::-1, ::-1]).save(turned, "PNG", exif=told)
    frame = pl.DataFrame({"picture": [upright.getvalue(), turned.getvalue()]})
    one, two = (plugin.predict(models["vit"], frame[at : at + 1]) for at in (0, 1))  # rows of one batch may round apart
    np.testing.assert_array_equal(one, two)
