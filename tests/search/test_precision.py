"""Searches multiply float32 as float32, and leave the process's choice as it was."""

import pytest
import torch

from vfs_panel.search.precision import full_precision


@pytest.fixture(autouse=True)
def restored() -> object:
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def test_products_are_exact_and_the_choice_comes_back() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(200, 512, generator=generator), torch.randn(512, 300, generator=generator)
    expected = a @ b
    torch.set_float32_matmul_precision("medium")
    with full_precision():
        with full_precision():
            assert torch.equal(a @ b, expected)
        assert torch.equal(a @ b, expected)
    assert torch.get_float32_matmul_precision() == "medium"
    torch.set_float32_matmul_precision("highest")
    with pytest.raises(ZeroDivisionError), full_precision():
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == "highest"
