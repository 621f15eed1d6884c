"""Every bundled data set that is fetched: its own entry, on small archives of the same layout, from a local server."""

import gzip
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.io import savemat

from tests.catalog.archives import tar_bytes, zip_bytes
from tests.catalog.conftest import Site
from vfs_panel.catalog import Catalog, CatalogEntry, bundled_folder, read_entry
from vfs_panel.catalog.schema import FetchedPictures
from vfs_panel.cli import run
from vfs_panel.images.dataset import ImageDataset

FETCHED = [
    entry.name for entry in Catalog.open(bundled_folder()).values() if isinstance(entry.pictures, FetchedPictures)
]


def picture(kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((16, 24, 3), 99, np.uint8)).save(stream, kind)
    return stream.getvalue()


def tgz(data: dict[str, bytes]) -> bytes:
    return gzip.compress(tar_bytes(data=data))


def coco() -> dict[str, bytes]:
    names = ["COCO_val2014_000000000042.jpg", "COCO_val2014_000000000073.jpg", "COCO_val2014_000000000074.jpg"]
    labels = {
        "images": [{"id": 42 + at, "file_name": name} for at, name in enumerate(names)],
        "categories": [
            {"id": 18, "name": "dog", "supercategory": "animal"},
            {"id": 44, "name": "bottle", "supercategory": "kitchen"},
        ],
        "annotations": [
            {"image_id": 42, "category_id": 18, "area": 900.5, "segmentation": [[1, 1, 2, 2, 1, 2]]},
            {"image_id": 42, "category_id": 44, "area": 20, "segmentation": {"counts": [3], "size": [2, 2]}},
            {"image_id": 43, "category_id": 44, "area": 20},
        ],
    }
    held = {"annotations/instances_val2014.json": json.dumps(labels).encode()}
    return {
        "val2014.zip": zip_bytes({f"val2014/{name}": picture() for name in names}),
        "annotations_trainval2014.zip": zip_bytes(held),
    }


def check_coco(images: ImageDataset) -> None:
    assert list(images.table["label"]) == ["dog", "bottle", ""]
    assert list(images.table["domain"]) == ["animal", "kitchen", ""]
    assert images.findings is not None
    assert images.findings.loc["COCO_val2014_000000000042.jpg"].tolist() == [True, True]
    assert images.findings.sum().to_dict() == {"bottle": 2, "dog": 1}


def imagenet() -> dict[str, bytes]:
    kinds = [("ILSVRC2012_ID", "f8"), ("WNID", object), ("words", object), ("gloss", object), ("num_children", "f8")]
    synsets = np.array(
        [
            (1, "n01440764", "tench, Tinca tinca", "a fish", 0),
            (2, "n01443537", "goldfish, Carassius auratus", "another", 0),
            (3, "n00001740", "entity", "what is", 2),
        ],
        dtype=kinds,
    )
    meta = io.BytesIO()
    savemat(meta, {"synsets": synsets})
    root = "ILSVRC2012_devkit_t12"
    devkit = {
        f"{root}/data/meta.mat": meta.getvalue(),
        f"{root}/data/ILSVRC2012_validation_ground_truth.txt": b"2\n1\n2\n",
    }
    return {
        "ILSVRC2012_img_val.tar": tar_bytes(data={f"ILSVRC2012_val_0000000{at}.JPEG": picture() for at in (1, 2, 3)}),
        "ILSVRC2012_devkit_t12.tar.gz": tgz(devkit),
    }


def check_imagenet(images: ImageDataset) -> None:
    assert list(images.table["label"]) == ["goldfish", "tench", "goldfish"]
    assert list(images.table["synset"]) == ["n01443537", "n01440764", "n01443537"]
    assert set(images.table["domain"]) == {"ImageNet"}


def imagenet_a() -> dict[str, bytes]:
    held = {"n01498041/0.jpg": picture(), "n01531178/0.jpg": picture(), "README.txt": b"n01498041 stingray\n"}
    return {"imagenet-a.tar": tar_bytes(data={f"imagenet-a/{name}": content for name, content in held.items()})}


def check_imagenet_a(images: ImageDataset) -> None:
    assert images.table["label"].to_dict() == {"n01498041/0.jpg": "stingray", "n01531178/0.jpg": "goldfinch"}
    assert set(images.table["domain"]) == {"ImageNet-A"}


def imagenet_sketch() -> dict[str, bytes]:
    return {"ImageNet-Sketch.zip": zip_bytes({"sketch/n01440764/sketch_1.JPEG": picture()})}


def check_imagenet_sketch(images: ImageDataset) -> None:
    assert images.table.loc["n01440764/sketch_1.JPEG", ["label", "domain"]].tolist() == ["tench", "ImageNet-Sketch"]


def iwildcam() -> dict[str, bytes]:
    rows = ["a.jpg,train,0,7", "b.jpg,id_val,1,7", "c.jpg,val,1,8", "d.jpg,test,1,9"]
    lines = [f",{row}" for row in ["filename,split,y,location_remapped", *rows]]
    return {
        "archive.tar.gz": tgz(
            {
                "metadata.csv": "\n".join(lines).encode(),
                "categories.csv": b"y,category_id,name\n0,0,empty\n1,317,ocelot\n",
                **{f"train/{name}.jpg": picture() for name in "abcd"},
            }
        )
    }


def check_iwildcam(images: ImageDataset) -> None:
    assert images.ids == ["train/b.jpg", "train/c.jpg"]
    assert list(images.table["label"]) == ["ocelot", "ocelot"]
    assert list(images.table["domain"]) == ["7", "8"]
    assert list(images.table["split"]) == ["id_val", "val"]


def chest() -> dict[str, bytes]:
    table = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n"
        "00000001_000.png,Cardiomegaly|Emphysema,0,1,57,M,PA,2682,2749,0.143,0.143\n"
        "00000002_000.png,No Finding,0,2,80,M,AP,2500,2048,0.171,0.171\n"
        "00030805_000.png,No Finding,0,30805,27,M,PA,2048,2500,0.171,0.171\n"
    )
    held = {f"images/0000000{at}_000.png": picture("PNG") for at in (1, 2)}
    return {"images_001.tar.gz": tgz(held), "Data_Entry_2017_v2020.csv": table.encode()}


def check_chest(images: ImageDataset) -> None:
    assert images.ids == ["00000001_000.png", "00000002_000.png"]  # the table lists all parts
    assert list(images.table["domain"]) == ["PA", "AP"]
    assert images.findings is not None
    assert images.findings.loc["00000001_000.png"].to_dict() == {"Cardiomegaly": True, "Emphysema": True}
    assert not images.findings.loc["00000002_000.png"].any()


def imagenette() -> dict[str, bytes]:
    names = ("train/n01440764/1.JPEG", "val/n03888257/2.JPEG")
    return {"imagenette2-320.tgz": tgz({f"imagenette2-320/{name}": picture() for name in names})}


def check_imagenette(images: ImageDataset) -> None:
    assert list(images.table["label"]) == ["tench", "parachute"]
    assert list(images.table["split"]) == ["train", "val"]
    assert set(images.table["domain"]) == {"ImageNet"}


def cifar() -> dict[str, bytes]:
    def record(label: int) -> bytes:
        return bytes([label]) + bytes([10]) * 1024 + bytes([20]) * 1024 + bytes([30]) * 1024

    root = "cifar-10-batches-bin"
    held = {
        f"{root}/batches.meta.txt": b"airplane\nautomobile\n\n",
        f"{root}/data_batch_1.bin": record(0),
        f"{root}/test_batch.bin": record(1) + record(0),
    }
    return {"cifar-10-binary.tar.gz": tgz(held)}


def check_cifar(images: ImageDataset) -> None:
    assert images.table["label"].to_dict() == {"test/00000": "automobile", "test/00001": "airplane"}
    assert images.rgb("test/00001")[31, 31].tolist() == [10, 20, 30]


def pets() -> dict[str, bytes]:
    lines = "#Image CLASS-ID SPECIES BREED ID\n#ID: 1:37 Class ids\nAbyssinian_100 1 1 1\ngreat_pyrenees_7 8 2 2\n"
    names = ("Abyssinian_100", "great_pyrenees_7")
    return {
        "images.tar.gz": tgz({f"images/{name}.jpg": picture() for name in names}),
        "annotations.tar.gz": tgz({"annotations/list.txt": lines.encode()}),
    }


def check_pets(images: ImageDataset) -> None:
    assert images.table["label"].to_dict() == {
        "Abyssinian_100.jpg": "Abyssinian", "great_pyrenees_7.jpg": "great_pyrenees",
    }  # fmt: skip
    assert list(images.table["domain"]) == ["cat", "dog"]


SETS: dict[str, tuple[Callable[[], dict[str, bytes]], Callable[[ImageDataset], None]]] = {
    "coco-val2014": (coco, check_coco),
    "imagenet-val": (imagenet, check_imagenet),
    "imagenet-a": (imagenet_a, check_imagenet_a),
    "imagenet-sketch": (imagenet_sketch, check_imagenet_sketch),
    "iwildcam": (iwildcam, check_iwildcam),
    "chestx-ray14": (chest, check_chest),
    "imagenette": (imagenette, check_imagenette),
    "cifar-10": (cifar, check_cifar),
    "oxford-pets": (pets, check_pets),
}


def served(name: str, files: dict[str, bytes], site: Site, folder: Path) -> tuple[CatalogEntry, Path]:
    """The bundled entry with addresses, sizes and hashes of small files; and a folder with those that a person gets."""
    fields = yaml.safe_load((bundled_folder() / f"{name}.yml").read_text("utf-8"))
    fields["networks"] = [{"name": "vfs-demo", "layers": ["stage4"]}]
    by_hand = folder / "got by hand"
    by_hand.mkdir(parents=True)
    held = {file["url"].rpartition("/")[2] if "name" not in file else file["name"]: file
            for file in fields["pictures"]["files"]}  # fmt: skip
    assert set(held) == set(files)
    for file_name, file in held.items():
        content = files[file_name]
        known = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(),
                 "md5": hashlib.md5(content).hexdigest()}  # fmt: skip
        file |= {key: value for key, value in known.items() if key in file}
        if "url" in file:
            file |= {"name": file_name, "url": site.put(file_name, content)}
        else:
            (by_hand / file_name).write_bytes(content)
    (folder / "imagenet_classes.csv").write_bytes((bundled_folder() / "imagenet_classes.csv").read_bytes())
    (folder / f"{name}.yml").write_text(yaml.safe_dump(fields))
    return read_entry(folder / f"{name}.yml"), by_hand


@pytest.mark.parametrize("name", FETCHED)
def test_it_is_fetched_unpacked_and_read(site: Site, tmp_path: Path, name: str) -> None:
    make, check = SETS[name]
    entry, by_hand = served(name, make(), site, tmp_path / "catalog")
    place = ["--catalog", str(entry.file)]
    if any(by_hand.iterdir()):
        assert entry.needs().step == "by hand"
        assert run(["catalog", "fetch", name, *place]) == 2
    assert run(["catalog", "fetch", name, "--from", str(by_hand), *place]) == 0
    assert entry.needs().step == "build"
    images = entry.images()
    check(images)
    check(entry.images())  # by the list that was kept
    for image_id in images.ids:
        assert images.rgb(image_id).ndim == 3


@pytest.mark.parametrize("name", FETCHED)
def test_what_is_published_is_well_formed(name: str) -> None:
    entry = Catalog.open(bundled_folder())[name]
    assert entry.homepage
    assert isinstance(entry.pictures, FetchedPictures)
    text = entry.file.read_text("utf-8")
    assert text.startswith("# ")  # where addresses, sizes and hashes come from
    for network in entry.networks:
        needs = entry.needs(network.name)
        assert needs.step in ("fetch", "by hand")
        assert needs.place is not None
        assert needs.command.startswith(f"vfs-panel catalog fetch {name}")
        assert "--catalog" not in needs.command
        assert needs.text.endswith((".", needs.command)), needs.text
