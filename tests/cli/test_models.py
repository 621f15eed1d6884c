"""`vfs-panel models`: a short list, a search through all that is installed, and one network's layers."""

from pathlib import Path

import pytest

from vfs_panel.cli import run


def test_the_list_is_short_and_says_where_more_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    out, err = capsys.readouterr()
    assert {"vfs-demo", "resnet50"} <= set(out.split())
    assert "/" not in out
    assert "--search NAME" in err


def test_a_search_goes_through_every_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--search", "densenet121"]) == 0
    assert {"densenet121", "timm/densenet121", "xray/densenet121-res224-all"} <= set(capsys.readouterr().out.split())
    assert run(["models", "--search", "zzz"]) == 2
    assert "No installed network is called like 'zzz'" in capsys.readouterr().err


def test_layers_of_a_network_of_another_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "timm/test_vit"]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert rows["blocks.0.norm1"] == ["LayerNorm", "101×64", "64×10×10"]


def test_code_of_torch_hub_runs_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hubconf.py").write_text(
        "import torch\ndef net(): return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))"
    )
    assert run(["models", f"hub/{tmp_path}:net"]) == 2
    assert "--trust-code" in capsys.readouterr().err
    assert run(["models", f"hub/{tmp_path}:net", "--trust-code"]) == 0
    assert "4×222×222" in capsys.readouterr().out
