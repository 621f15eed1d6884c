"""Serve the explorer on two small sets with a known mark: `python tests/browser/serve.py FOLDER` prints the address.

With a PORT after it, what an earlier start has put into FOLDER is served again, there.

Every picture of a set is coarse grey noise with one coloured mark; half of them carry the mark of the first picture.
Where each mark lies is written to FOLDER/marks.json, by set and picture id, as x0, y0, x1, y1.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE, MARK = 224, 64
ENTRY = """\
title: {title}
pictures:
  source: folder
  path: {folder}
networks:
  - name: vfs-demo
    layers: [stage3, stage4]
    default_layer: stage3
queries:
  - title: The red cross
    note: Half of the pictures have one.
    image: {image}
    box: [{box}]
"""


HTML = "<img src=x onerror='window.hacked=1'><b>cross"
"""A label that would run, were it not shown as text."""


def draw_set(folder: Path, n: int, seed: int, *, cross: str = "cross") -> dict[str, list[int]]:
    """Draw pictures DOMAIN/MARK/NN.png and return where their marks lie; crosses have another label if wanted."""
    rng = np.random.default_rng(seed)
    marks = {}
    for domain, grey in (("bright", 150), ("dark", 70)):
        for name in (cross, "rings"):
            (folder / domain / name).mkdir(parents=True)
            for number in range(n):
                coarse = rng.integers(grey - 25, grey + 25, (14, 14, 1), np.uint8).repeat(3, 2)
                image = Image.fromarray(np.kron(coarse, np.ones((16, 16, 1), np.uint8)))
                x, y = (int(v) * 16 for v in rng.integers(1, (SIDE - MARK) // 16, 2))
                draw = ImageDraw.Draw(image)
                if name == cross:
                    draw.rectangle((x, y, x + MARK, y + MARK), fill="white")
                    draw.line((x, y, x + MARK, y + MARK), fill="red", width=14)
                    draw.line((x, y + MARK, x + MARK, y), fill="red", width=14)
                else:
                    for inset in range(0, 30, 8):
                        box = (x + inset, y + inset, x + MARK - inset, y + MARK - inset)
                        draw.ellipse(box, fill="blue" if inset % 16 else "yellow")
                image.save(folder / domain / name / f"{number:02}.png")
                marks[f"{domain}/{name}/{number:02}.png"] = [x, y, x + MARK, y + MARK]
    return marks


def build(folder: Path) -> None:
    """Draw the sets and extract their features."""
    from vfs_panel.catalog import Catalog

    catalog = folder / "catalog"
    catalog.mkdir()
    marks = {}
    for name, n, seed, cross in (("marks", 6, 1, "cross"), ("odd", 2, 3, HTML), ("other", 3, 2, "cross")):
        marks[name] = draw_set(folder / name, n, seed, cross=cross)
        first = f"bright/{cross}/00.png"
        box = ", ".join(map(str, marks[name][first]))
        entry = ENTRY.format(title=name.title(), folder=folder / name, box=box, image=json.dumps(first))
        (catalog / f"{name}.yml").write_text(entry)
    for entry in Catalog.open(catalog).values():
        entry.build()
    (folder / "marks.json").write_text(json.dumps(marks))


def main(folder: Path, port: int) -> None:
    """Serve on a port, or on a free one if it is 0."""
    import panel as pn

    from vfs_panel.app import explore
    from vfs_panel.catalog import Catalog
    from vfs_panel.cli.serving import free_port

    if not (folder / "marks.json").exists():
        build(folder)
    opened = Catalog.open(folder / "catalog")
    port = port or free_port(0, "localhost")
    server = pn.serve({"/": lambda: explore(opened)}, port=port, show=False, start=False, verbose=False)
    server.start()
    print(f"http://localhost:{port}/", flush=True)
    server.io_loop.start()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
