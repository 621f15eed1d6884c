"""Drawn chest films: what is written of a film is what the drawing shows, and the view is a confound."""

from dataclasses import replace

import numpy as np
import pytest

from vfs_panel.errors import ImageError
from vfs_panel.images.demo import build_demo, chest_films, film_regions
from vfs_panel.images.demo.chest_films import CLASSES, FilmPlan, patient_of, plans, render
from vfs_panel.images.demo.picture import SIZE_PX
from vfs_panel.images.demo.thorax import density
from vfs_panel.settings import settings


@pytest.fixture(scope="module")
def patients():
    return {plan: patient_of(plan) for plan in plans()}


def test_a_film_is_grey_and_the_same_each_time():
    plan = FilmPlan("AP", "cardiomegaly|effusion", 3)
    picture = render(plan)
    assert picture.image_id == "ap/cardiomegaly-effusion/03"
    assert picture.pixels.shape == (SIZE_PX, SIZE_PX, 3)
    assert (picture.pixels == picture.pixels[..., :1]).all()
    np.testing.assert_array_equal(picture.pixels, render(plan).pixels)
    assert (picture.pixels != render(FilmPlan("AP", "cardiomegaly|effusion", 4)).pixels).any()


def test_every_cardiomegaly_is_wider_than_every_other_heart_of_its_view(patients):
    for view in ("PA", "AP"):
        of_view = {plan.label: [] for plan in patients if plan.view == view}
        for plan, (thorax, _) in patients.items():
            if plan.view == view:
                of_view[plan.label].append(thorax.ratio)
        wide = [ratio for label, ratios in of_view.items() if "cardiomegaly" in label for ratio in ratios]
        assert min(wide) > max(
            ratio for label, ratios in of_view.items() if "cardiomegaly" not in label for ratio in ratios
        )


def test_the_view_is_a_confound(patients):
    """The sick are taken lying more often, and lying hearts are wider whatever the label."""
    lying = {label: counts["AP"] / sum(counts.values()) for label, counts in CLASSES.items()}
    assert lying["cardiomegaly"] > 0.5 > lying["no finding"]
    normal = {view: np.mean([t.ratio for p, (t, _) in patients.items() if p.label == "no finding" and p.view == view])
              for view in ("PA", "AP")}  # fmt: skip
    assert normal["AP"] > normal["PA"] + 0.03
    films = {view: [render(FilmPlan(view, "no finding", k)).pixels for k in range(4)] for view in ("PA", "AP")}
    assert np.std(films["PA"]) > np.std(films["AP"])  # flatter
    across = slice(90, 130), slice(40, 180)
    assert np.mean([film[across] for film in films["AP"]]) > np.mean([film[across] for film in films["PA"]])


def more(plan, without):
    """How much lighter each pixel is for what the film shows and `without` leaves out."""
    return density(patient_of(plan)[0], np.random.default_rng(1)) - density(without, np.random.default_rng(1))


@pytest.mark.parametrize(("label", "number"), [("no finding", 0), ("no finding", 1), ("cardiomegaly", 2)])
def test_the_heart_is_drawn_as_wide_as_it_says(label, number):
    plan = FilmPlan("PA", label, number)
    thorax, facts = patient_of(plan)
    columns = np.flatnonzero((more(plan, replace(thorax, ratio=0.001)) > 0.08).any(0))
    x0, _, x1, _ = film_regions(plan.image_id)["heart"]
    assert abs(columns[0] - x0) <= 3
    assert abs(columns[-1] + 1 - x1) <= 3
    assert abs(float(facts["heart"]) - (x1 - x0) / (2 * thorax.half_width)) < 0.02


def test_an_effusion_and_a_mass_lighten_the_lung_where_they_are():
    plan = FilmPlan("PA", "mass", 0)
    thorax, facts = patient_of(plan)
    assert facts["findings"] == "mass"
    y, x = np.nonzero(more(plan, replace(thorax, mass=None)) > 0.15)
    assert np.hypot(x - thorax.mass[0], y - thorax.mass[1]).max() <= thorax.mass[2] + 1
    plan = FilmPlan("AP", "cardiomegaly|effusion", 0)
    thorax, facts = patient_of(plan)
    assert facts["findings"] == "cardiomegaly|effusion"
    y, x = np.nonzero(more(plan, replace(thorax, fluid=None)) > 0.15)
    assert len(x) > 300
    assert (np.sign(x - thorax.middle) == thorax.fluid[0]).all()
    assert y.min() > thorax.top + thorax.height / 3


def test_regions_lie_in_the_picture_and_on_their_sides(patients):
    for plan, (thorax, _) in patients.items():
        regions = film_regions(plan.image_id)
        assert list(regions) == ["heart", "right lung", "shoulder"]
        for x0, y0, x1, y1 in regions.values():
            assert 0 <= x0 < x1 <= SIZE_PX
            assert 0 <= y0 < y1 <= SIZE_PX
        assert regions["shoulder"][2] < regions["right lung"][2] < thorax.middle < regions["heart"][2]


def test_regions_of_no_film():
    with pytest.raises(ImageError, match="272, such as 'pa/mass/00'"):
        film_regions("pa/mass/99")


def test_built_films_have_findings_and_facts(tmp_path, monkeypatch):
    monkeypatch.setenv("VFS_CACHE_DIR", str(tmp_path))
    settings.cache_clear()
    some = [FilmPlan("PA", "no finding", 0), FilmPlan("AP", "cardiomegaly|effusion", 0), FilmPlan("PA", "mass", 1)]
    monkeypatch.setattr(chest_films, "plans", lambda: iter(some))
    images = build_demo("chest-films")
    assert images.findings.to_dict("index") == {
        "ap/cardiomegaly-effusion/00": {"cardiomegaly": True, "effusion": True, "mass": False},
        "pa/mass/01": {"cardiomegaly": False, "effusion": False, "mass": True},
        "pa/no-finding/00": {"cardiomegaly": False, "effusion": False, "mass": False},
    }
    assert set(images.table.columns) == {"label", "domain", "split", "path", "view", "age", "sex", "heart"}
    assert (images.table["view"] == images.table["domain"]).all()
    assert images.table["age"].astype(int).between(18, 90).all()
    assert set(images.table["sex"]) <= {"F", "M"}
