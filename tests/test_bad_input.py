"""Whatever a user can get wrong: one clear line, exit code 2, no traceback, and nothing lost."""

import errno
import hashlib
import json
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from vfs_panel.cli import run
from vfs_panel.features import layout

CAT = "photo/cat/0.png"
BOX = ("--box", "8,8,40,40")
MINE = "title: Mine\npictures: {source: demo, name: photos}\nnetworks: [{name: vfs-demo, layers: [stage3]}]\n"


@dataclass(frozen=True)
class Ground:
    """What a row may spoil: a folder with a copy of the pictures and of their store."""

    folder: Path
    pictures: Path
    store: Path
    patch: pytest.MonkeyPatch

    def search(self, *arguments: str, image: str = CAT) -> list[str]:
        return ["search", str(self.store), "--image", image, "--images", str(self.pictures), *arguments]

    def extract(
        self, *arguments: str, model: str = "vfs-demo", layer: str = "stage3", out: str = "new.zarr"
    ) -> list[str]:
        to = ("--layer", layer, "--out", str(self.folder / out))
        return ["extract", str(self.pictures), "--model", model, *to, *arguments]

    def file(self, name: str, content: bytes | str) -> str:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def mask(self, size: tuple[int, int], painted: int) -> str:
        Image.new("L", size, painted).save(self.folder / "mask.png")
        return str(self.folder / "mask.png")

    def block(self, number: int) -> Path:
        return layout.chunk_file(self.store, "stage4", "features", number, 4)


def picture_missing(at: Ground) -> list[str]:
    return at.search(*BOX, image="photo/cat/9.png")


def picture_broken(at: Ground) -> list[str]:
    whole = (at.pictures / CAT).read_bytes()
    return at.search(*BOX, image=at.file("broken.png", whole[: len(whole) // 2]))


def picture_is_text(at: Ground) -> list[str]:
    return at.search(*BOX, image=at.file("notes.png", "no picture"))


def broken_picture_stops(at: Ground) -> list[str]:
    whole = (at.pictures / CAT).read_bytes()
    (at.pictures / CAT).write_bytes(whole[: len(whole) // 2])
    return at.extract("--on-error", "stop")


def picture_folder_missing(at: Ground) -> list[str]:
    shutil.rmtree(at.pictures)
    return at.extract()


def picture_folder_empty(at: Ground) -> list[str]:
    shutil.rmtree(at.pictures)
    at.pictures.mkdir()
    return at.extract()


def labels_lead_out(at: Ground) -> list[str]:
    return at.extract("--labels", at.file("labels.csv", "path,label\n../secret.png,x\n"))


def mask_of_wrong_size(at: Ground) -> list[str]:
    return at.search("--mask", at.mask((50, 50), 255))


def mask_empty(at: Ground) -> list[str]:
    return at.search("--mask", at.mask((72, 64), 0))


def mask_missing(at: Ground) -> list[str]:
    return at.search("--mask", str(at.folder / "none.png"))


def box_outside(at: Ground) -> list[str]:
    return at.search("--box", "500,500,600,600")


def box_empty(at: Ground) -> list[str]:
    return at.search("--box", "40,40,8,8")


def box_is_words(at: Ground) -> list[str]:
    return at.search("--box", "left,top")


def no_region(at: Ground) -> list[str]:
    return at.search()


def layer_unknown(at: Ground) -> list[str]:
    return at.extract(layer="stage33")


def layer_not_in_store(at: Ground) -> list[str]:
    return at.search(*BOX, "--layer", "stage2")


def layer_without_grid(at: Ground) -> list[str]:
    return at.extract(layer="head")


def network_unknown(at: Ground) -> list[str]:
    return at.extract(model="vfs-dema")


def weights_do_not_fit(at: Ground) -> list[str]:
    path = at.folder / "other.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    return at.extract("--weights", str(path))


def weights_are_no_weights(at: Ground) -> list[str]:
    return at.extract("--weights", at.file("other.pth", "not a checkpoint"))


def store_missing(at: Ground) -> list[str]:
    shutil.rmtree(at.store)
    return at.search(*BOX)


def store_is_something_else(at: Ground) -> list[str]:
    shutil.rmtree(at.store)
    at.store.mkdir()
    return at.search(*BOX)


def store_half_written(at: Ground) -> list[str]:
    layout.chunk_file(at.store, "stage4", "committed", 2, 1).unlink()
    return ["verify", str(at.store)]


def _flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def store_corrupted(at: Ground) -> list[str]:
    _flip_a_bit(at.block(1))
    return ["verify", str(at.store)]


def store_corrupted_in_search(at: Ground) -> list[str]:
    _flip_a_bit(at.block(1))
    return at.search(*BOX)


def store_of_another_network(at: Ground) -> list[str]:
    return at.extract(model="vfs-demo-class", out="tiny.zarr")


def picture_for_another_network(at: Ground) -> list[str]:
    from vfs_panel.models import load_network

    path = at.folder / "other.pth"
    torch.save(load_network("vfs-demo", weights="random").module.state_dict(), path)
    return at.search(*BOX, "--weights", str(path), image=str(at.pictures / CAT))


def picture_needs_the_weights_file(at: Ground) -> list[str]:
    from vfs_panel.models import load_network

    path = at.folder / "mine.pth"
    torch.save(load_network("vfs-demo", weights="random").module.state_dict(), path)
    assert run(at.extract("--weights", str(path))) == 0
    return ["search", str(at.folder / "new.zarr"), "--image", str(at.pictures / CAT), *BOX]


def store_of_another_version(at: Ground) -> list[str]:
    path = at.store / "zarr.json"
    content = json.loads(path.read_text())
    content["attributes"]["schema_version"] = 99
    path.write_text(json.dumps(content))
    return at.search(*BOX)


def catalog_entry_unreadable(at: Ground) -> list[str]:
    return ["catalog", "validate", at.file("mine.yml", "title: Mine\npictures: {source: demo\n")]


def catalog_entry_misspelt(at: Ground) -> list[str]:
    return ["catalog", "validate", at.file("mine.yml", "licenze: CC0\n" + MINE)]


def catalog_missing(at: Ground) -> list[str]:
    return ["serve", str(at.folder / "nowhere"), "--port", "0"]


def catalog_name_unknown(at: Ground) -> list[str]:
    return ["catalog", "show", "fotos"]


def _full_disk(_handle: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def no_space_for_features(at: Ground) -> list[str]:
    at.patch.setattr("os.fsync", _full_disk)
    return at.extract()


def no_space_for_matches(at: Ground) -> list[str]:
    return at.search(*BOX, "--out", "/dev/full")


def setting_is_no_number(at: Ground) -> list[str]:
    at.patch.setenv("VFS_BATCH_SIZE", "many")
    return at.extract()


def option_unknown(at: Ground) -> list[str]:
    return at.search(*BOX, "--best", "3")


TABLE: list[tuple[Callable[[Ground], list[str]], str]] = [
    (picture_missing, "has no picture 'photo/cat/9.png'"),
    (picture_broken, "broken.png"),
    (picture_is_text, "notes.png is no picture"),
    (broken_picture_stops, CAT),
    (picture_folder_missing, "does not exist"),
    (picture_folder_empty, "holds no picture"),
    (labels_lead_out, "leads out of"),
    (mask_of_wrong_size, "50×50 pixels; expected 72×64"),
    (mask_empty, "Nothing is painted"),
    (mask_missing, "none.png does not exist"),
    (box_outside, "outside of what the network sees"),
    (box_empty, "is empty"),
    (box_is_words, "left,top,right,bottom"),
    (no_region, "--mask FILE, or --box"),
    (layer_unknown, "stage3"),
    (layer_not_in_store, "stage2"),
    (layer_without_grid, "head"),
    (network_unknown, "vfs-demo"),
    (weights_do_not_fit, "other.pth"),
    (weights_are_no_weights, "other.pth"),
    (store_missing, "There is no store"),
    (store_is_something_else, "is no feature store"),
    (store_half_written, "never written"),
    (store_corrupted, "1 problem found"),
    (store_corrupted_in_search, "damaged"),
    (store_of_another_network, "never mixed"),
    (picture_for_another_network, "--weights FILE"),
    (picture_needs_the_weights_file, "weights file mine.pth"),
    (store_of_another_version, "schema version 99"),
    (catalog_entry_unreadable, "mine.yml, line 3: is no valid YAML"),
    (catalog_entry_misspelt, "mine.yml, line 1: field 'licenze' is not known; did you mean 'licence'?"),
    (catalog_missing, "does not exist"),
    (catalog_name_unknown, "did you mean 'photos'"),
    (no_space_for_features, "No space left"),
    (no_space_for_matches, "No space left"),
    (setting_is_no_number, "VFS_BATCH_SIZE"),
    (option_unknown, "--best"),
]


@pytest.fixture
def ground(tmp_path: Path, picture_folder: Path, tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    pictures = Path(shutil.copytree(picture_folder, tmp_path / "pictures"))
    return Ground(tmp_path, pictures, tiny_store, monkeypatch)


def _contents(folder: Path) -> dict[str, str]:
    """Every file below a folder with a digest; a lock file is no content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.parametrize(("spoil", "says"), TABLE, ids=[spoil.__name__ for spoil, _ in TABLE])
def test_one_line_and_nothing_lost(
    ground: Ground, capsys: pytest.CaptureFixture[str], spoil: Callable[[Ground], list[str]], says: str
) -> None:
    arguments = spoil(ground)
    before = _contents(ground.folder)
    capsys.readouterr()
    code = run(arguments)
    printed = capsys.readouterr()
    assert code == 2
    (line,) = printed.err.splitlines()
    assert says in line
    assert len(line) > len("vfs-panel") + 10
    assert "Traceback" not in printed.err + printed.out
    after = _contents(ground.folder)
    assert {name: after.get(name) for name in before} == before


def test_a_taken_port(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for command in ("demo", "serve"):
            assert run([command, "--port", str(port), "--address", "127.0.0.1"]) == 2
            line, *more = capsys.readouterr().err.splitlines()
            assert f"Port {port} on 127.0.0.1 is taken" in line
            assert "--port" in line
            assert not more


def test_an_unreadable_entry_takes_no_other_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "broken.yml").write_text("title: [")
    (folder / "mine.yml").write_text(MINE)
    assert run(["catalog", "list", "--catalog", str(folder)]) == 0
    printed = capsys.readouterr()
    assert "Mine" in printed.out
    assert "broken" not in printed.out


def test_a_half_written_store_is_finished_by_the_same_command(ground: Ground) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", _full_disk)
        assert run(ground.extract()) == 2
    assert run(["verify", str(ground.folder / "new.zarr")]) == 2
    assert run(ground.extract()) == 0
    assert run(["verify", str(ground.folder / "new.zarr")]) == 0


def test_a_search_leaves_out_what_is_not_written(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    layout.chunk_file(ground.store, "stage4", "committed", 3, 1).unlink()
    assert run(ground.search(*BOX, "--format", "json", "-k", "12")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["search"]["n_searched"] == 8
    assert len(found["matches"]) == 8


def test_what_is_not_spoilt_works(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    """The table can fail: its commands succeed on sound ground."""
    assert run(ground.search(*BOX)) == 0
    assert run(["verify", str(ground.store)]) == 0
    assert run(ground.extract()) == 0
    capsys.readouterr()
    assert run(ground.search(*BOX, "--format", "json", image=str(ground.pictures / CAT))) == 0
    best, second, *_ = json.loads(capsys.readouterr().out)["matches"]
    assert best["image_id"] == CAT  # a picture from outside is not left out, even where it is in the store too
    assert best["score"] > 0.999 > second["score"]
