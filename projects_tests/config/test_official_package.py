"""Objects of the official project's package, and of this one."""

from types import SimpleNamespace

import pytest

from densepose_ext.config.official_package import is_official
from densepose_ext.modeling.roi_heads import DensePoseROIHeads


@pytest.mark.parametrize("module", ["densepose", "densepose.modeling", "vendored.densepose.data"])
def test_the_official_package_and_copies_of_it_are_recognized(module):
    assert is_official(SimpleNamespace(__module__=module))


def test_other_packages_are_not_taken_for_the_official_one():
    assert not is_official(DensePoseROIHeads)
    assert not is_official(SimpleNamespace(__module__="my_densepose.heads"))
