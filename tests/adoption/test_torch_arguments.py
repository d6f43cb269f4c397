"""A torch program of several tensors: each is an input by its name, and a saved program is called as the given one."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

if importlib.util.find_spec("torch") is None:
    pytest.skip('needs pip install "evermodel[torch]"', allow_module_level=True)

import torch

import evermodel as em
from evermodel.core.errors import Ambiguous, BadModel
from evermodel.core.records.model_signature import NamedInput
from evermodel.registry.adoption.model_file import open_model
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version
from evermodel.server.prepared_model import prepare_model

SHOPS, LENGTH = 12, 4


class Offer(torch.nn.Module):
    """Words, a shop and numbers; the numbers come scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.shops = torch.nn.Embedding(20, 4), torch.nn.Embedding(SHOPS, 3)
        self.hidden, self.answer = torch.nn.Linear(9, 16), torch.nn.Linear(16, 1)

    def forward(self, words: torch.Tensor, numbers: torch.Tensor, shop: torch.Tensor) -> torch.Tensor:
        parts = [self.words(words).mean(dim=1), numbers, self.shops(shop)]
        return torch.sigmoid(self.answer(torch.relu(self.hidden(torch.cat(parts, dim=1)))))


def offers(n: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    worth, taste = np.random.default_rng(0).normal(size=20), np.random.default_rng(1).normal(size=SHOPS)
    words, shop = random.integers(0, 20, (n, LENGTH)), random.integers(0, SHOPS, n)
    price, age = random.normal(100, 20, n), random.normal(40, 12, n)
    score = worth[words].sum(axis=1) + taste[shop] + (price - 100) / 20 - (age - 40) / 12
    sold = (score + random.normal(0, 0.3, n) > 0).astype(int)
    rows = {"age": age, "price": price, "words": words.tolist(), "shop": shop, "sold": sold}
    return pl.DataFrame(rows).with_row_index("t", 9_000 * seed)


def call(rows: pl.DataFrame) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What the deployed program gives its network."""
    numbers = np.stack([(rows["age"] - 40) / 12, (rows["price"] - 100) / 20], axis=1).astype(np.float32)
    return torch.tensor(rows["words"].to_list()), torch.from_numpy(numbers), torch.tensor(rows["shop"].to_numpy())


@pytest.fixture(scope="module")
def module() -> Offer:
    torch.manual_seed(0)
    made, rows = Offer(), offers(2000, 1)
    given, y = call(rows), torch.tensor(rows["sold"].to_numpy(), dtype=torch.float32)
    optimizer = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy(made(*given)[:, 0], y).backward()
        optimizer.step()
    return made.eval()


def export(module: Offer, at: Path, *keywords: str) -> Path:
    """The module as a file, with these arguments given by name."""
    names, given = ("words", "numbers", "shop"), call(offers(4, 1))
    by_place = tuple(one for name, one in zip(names, given, strict=True) if name not in keywords)
    by_name = {name: one for name, one in zip(names, given, strict=True) if name in keywords}
    free = {0: torch.export.Dim("batch")}
    torch.export.save(torch.export.export(module, by_place, by_name, dynamic_shapes=dict.fromkeys(names, free)), at)
    return at


SIGNATURE = '[inputs.numbers]\ncolumns = ["age", "price"]\n'


@pytest.mark.parametrize("keywords", [(), ("numbers", "shop")])
def test_the_program_lives_on_and_is_called_as_before(module: Offer, tmp_path: Path, keywords: tuple[str, ...]) -> None:
    file = export(module, tmp_path / "offers.pt2", *keywords)
    (tmp_path / "signature.toml").write_text(SIGNATURE)
    model = em.open(tmp_path / "registry").adopt(
        file, data=offers(1500, 1), target="sold", time="t", name="offers", signature=tmp_path / "signature.toml"
    )
    places = tuple(f"words[{at}]" for at in range(LENGTH))
    assert model.champion.card.signature.inputs == (
        NamedInput("words", (LENGTH,), "int64", places, 20),
        NamedInput("numbers", (2,), "float32", ("age", "price")),
        NamedInput("shop", (), "int64", ("shop",), SHOPS),
    )
    assert model.update(offers(900, 2), policy="refresh").decision == "promote"
    model.save(tmp_path / "updated.pt2", proof=bool(keywords))  # raises where plain PyTorch answers otherwise
    rows = offers(200, 3)
    given = model.champion.prepare(rows.drop("sold"))
    assert {name: (part.shape, str(part.dtype)) for name, part in given.items()} == {
        "words": ((200, LENGTH), "int64"),
        "numbers": ((200, 2), "float32"),
        "shop": ((200,), "int64"),
    }
    assert np.array_equal(given["words"], rows["words"].to_list())
    tensors = {name: torch.from_numpy(part) for name, part in given.items()}
    plain = torch.export.load(tmp_path / "updated.pt2").module()
    by_place = [tensor for name, tensor in tensors.items() if name not in keywords]
    answers = plain(*by_place, **{name: tensors[name] for name in keywords})[:, 0].detach().numpy()
    np.testing.assert_allclose(model.predict(rows.drop("sold"))["p_1"], answers, atol=1e-6)
    assert ((answers > 0.5) == rows["sold"].to_numpy()).mean() > 0.85
    assert "1,000 rows" in str(model.watch(offers(1000, 4)))


def test_a_live_module_says_its_arguments_by_examples(module: Offer, tmp_path: Path) -> None:
    module.example_input_array = call(offers(2, 1))
    rows = offers(1500, 1).rename({"age": "a", "price": "b"})
    model = em.open(tmp_path).adopt(module, data=rows, target="sold", time="t", name="a")
    assert model.champion.inputs == (*(f"words[{at}]" for at in range(LENGTH)), "a", "b", "shop")
    store, version = open_store(tmp_path), model.champion
    prepared = prepare_model("a", version.name, load_version(store, version.card), store.version_folder("a", "v1"))
    sent = {name: rows[name].head(30).to_list() for name in ("words", "a", "b", "shop")}
    sent["shop"][4] = SHOPS
    checked = prepared.checker.check_columns(sent, 30)
    assert [(row.row, row.reason) for row in checked.refused] == [(4, f"must be a whole number from 0 to {SHOPS - 1}")]
    expected = model.predict(rows.drop("sold").head(30).filter(pl.int_range(30) != 4))["p_1"]
    np.testing.assert_allclose(prepared.predict(checked).raw[:, 1], expected, atol=1e-6)


def test_what_a_program_does_not_say_is_asked_for(module: Offer, tmp_path: Path) -> None:
    rows = offers(600, 1).rename({"words": "said"})
    with pytest.raises(Ambiguous, match="which columns make the model's inputs 'words'") as raised:
        em.open(tmp_path).adopt(export(module, tmp_path / "o.pt2"), data=rows, target="sold", time="t", name="a")
    assert "[inputs.words]" in raised.value.hint


class Boxed(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.answer = torch.nn.Linear(2, 1)

    def forward(self, box: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.answer(box["a"]) + box["b"]


class Uneven(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.answer = torch.nn.Linear(2, 1)

    def forward(self, rows: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return self.answer(rows) + table.sum()


def test_programs_whose_arguments_are_no_rows_are_refused(tmp_path: Path) -> None:
    free: Any = {0: torch.export.Dim("batch")}
    box = {"a": torch.zeros(2, 2), "b": torch.zeros(2, 1)}
    boxed = torch.export.export(Boxed(), (box,), dynamic_shapes=({"a": free, "b": free},))
    torch.export.save(boxed, tmp_path / "boxed.pt2")
    with pytest.raises(BadModel, match="tensors inside of lists or dicts"):
        open_model(tmp_path / "boxed.pt2")
    uneven = torch.export.export(Uneven(), (torch.zeros(2, 2), torch.zeros(7)), dynamic_shapes=(free, None))
    torch.export.save(uneven, tmp_path / "uneven.pt2")
    with pytest.raises(BadModel, match="differ in their number of rows"):
        open_model(tmp_path / "uneven.pt2")
    long = torch.export.Dim("long")
    ids, shapes = torch.zeros(2, 3, dtype=torch.long), ({0: free[0], 1: long},)
    ragged = torch.export.export(torch.nn.Embedding(9, 1), (ids,), dynamic_shapes=shapes)
    torch.export.save(ragged, tmp_path / "ragged.pt2")
    with pytest.raises(BadModel, match="takes rows of no fixed shape"):
        open_model(tmp_path / "ragged.pt2")


class Priced(torch.nn.Module):
    """A picture, channels first, and its price."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.answer = torch.nn.Conv2d(3, 4, 2), torch.nn.Linear(5, 1)

    def forward(self, photo: torch.Tensor, price: torch.Tensor) -> torch.Tensor:
        seen = torch.tanh(self.seen(photo)).mean(dim=(2, 3))
        return torch.sigmoid(self.answer(torch.cat([seen, price], dim=1)))


def test_a_picture_beside_a_number_is_given_with_its_channels_first(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    red, price, pictures = random.integers(20, 235, 500), random.normal(0, 1, 500), []
    for level in red:
        pixels = np.zeros((4, 5, 3), np.uint8)
        pixels[..., 0], pixels[..., 2] = level, 200
        file = io.BytesIO()
        image.fromarray(pixels).save(file, "PNG")
        pictures.append(file.getvalue())
    sold = ((red - 127) / 60 - price > 0).astype(int)
    rows = pl.DataFrame({"photo": pictures, "price": price, "sold": sold}).with_row_index("t")
    photo = torch.zeros(500, 3, 4, 5)
    photo[:, 0], photo[:, 2] = torch.from_numpy(red / 255)[:, None, None].float(), 200 / 255
    given = photo, torch.from_numpy(price)[:, None].float()
    torch.manual_seed(0)
    module = Priced()
    optimizer = torch.optim.Adam(module.parameters(), 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy(module(*given)[:, 0], torch.from_numpy(sold).float()).backward()
        optimizer.step()
    module.eval().example_input_array = tuple(one[:2] for one in given)
    model = em.open(tmp_path).adopt(module, data=rows, target="sold", time="t", name="offers")
    assert model.champion.card.signature.inputs[0] == NamedInput("photo", (4, 5, 3), "float32", ("photo",))
    prepared = model.champion.prepare(rows.drop("sold"))
    np.testing.assert_allclose(prepared["photo"], photo.numpy(), atol=1e-6)
    answers = module(*given)[:, 0].detach().numpy()
    np.testing.assert_allclose(model.predict(rows.drop("sold"))["p_1"], answers, atol=1e-5)
