"""CVAT: shapes as its own tools fill them, tracks through missing frames, and XML from strangers."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as reference
from skimage import draw

from annotated import check, cvat, synthetic
from figureground.data import xml_stream
from figureground.data.notations import NOTATIONS
from figureground.data.notations.cvat import claims, read
from figureground.data.prepare import Settings, prepare
from figureground.data.rasterize import rasterize
from figureground.data.reading import open_source, read_source
from figureground.data.records import Ellipse, Folder, Object, Picture, Polygons, Problem, Record, Rle
from figureground.errors import DatasetError


def records(folder: Path, body: str, name: str = "annotations.xml") -> list[Record]:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"<annotations><version>1.1</version>\n{body}\n</annotations>", encoding="utf-8")
    return list(read(file, Folder(folder, ("person",))))


def shape_of(folder: Path, element: str) -> Object:
    (picture,) = records(folder, f'<image id="0" name="a.jpg" width="20" height="10">\n{element}</image>')
    assert isinstance(picture, Picture)
    (found,) = picture.objects
    return found


def frames(folder: Path, numbers: range) -> None:
    (folder / "images").mkdir(parents=True)
    for number in numbers:
        Image.new("RGB", (40, 30)).save(folder / "images" / f"frame_{number:06}.png")


def track(*shapes: str) -> str:
    return '<track id="3" label="person">\n' + "\n".join(shapes) + "\n</track>"


def box(frame: int, x: float, outside: int = 0, more: str = "") -> str:
    return f'<box frame="{frame}" outside="{outside}" xtl="{x}" ytl="2" xbr="{x + 4}" ybr="8" {more}/>'


def lefts(found: list[Record]) -> dict[int, list[float]]:
    """By frame, the left sides of its objects."""
    sides = dict[int, list[float]]()
    for record in found:
        assert isinstance(record, Picture)
        assert record.image
        shapes = [item.shape for item in record.objects]
        sides[int(record.image.stem[-6:])] = [s.outlines[0][0][0] for s in shapes if isinstance(s, Polygons)]
    return sides


def test_samples(shared_data: Path) -> None:
    folder = shared_data / "formats" / "cvat"
    pictures = list(read(folder / "images_export_project.xml", Folder(folder, ("label1",))))
    assert [p.name for p in pictures if isinstance(p, Picture)] == [
        f"{subset}/img{number}.jpg" for subset in ("Test", "Train", "Validation") for number in (0, 1)
    ]
    objects = [item for p in pictures if isinstance(p, Picture) for item in p.objects]
    assert [(o.label, o.problem) for o in objects[:4]] == [
        ("label1", ""),
        ("label2", "a polyline: no outline"),
        ("label1", ""),
        ("label2", "points: no outline"),
    ]
    (first, second) = read(folder / "images_export_task.xml", Folder(folder, ("label1",)))
    assert isinstance(first, Picture)
    assert isinstance(second, Picture)
    assert (first.width, first.height, second.width, second.height) == (8, 8, 10, 10)
    assert [o.problem for o in first.objects + second.objects] == ["", "no label", "no label", "points: no outline"]
    assert first.objects[0].shape is not None
    inside = rasterize(first.objects[0].shape, 8, 8)[0] > 0
    assert inside[2:4, 0:4].all()
    assert inside.sum() == 8


def test_only_own_files_are_claimed(shared_data: Path) -> None:
    for path in sorted((shared_data / "formats").rglob("*")):
        if path.is_file():
            head = path.read_bytes()[:4096].decode("utf-8", "replace")
            assert claims(path, head, Path("/")) == (path.parent.name == "cvat"), path
    assert open_source(shared_data / "formats" / "cvat", ("person",)).notation == "cvat"


def test_polygon_is_filled_as_by_pycocotools(tmp_path: Path) -> None:
    points = [(1.5, 1.25), (17.75, 2.0), (12.0, 8.5), (3.25, 9.0)]
    text = ";".join(f"{x},{y}" for x, y in points)
    found = shape_of(tmp_path, f'<polygon label="person" points="{text}"/>')
    assert found.shape is not None
    runs = reference.merge(reference.frPyObjects([[value for point in points for value in point]], 10, 20))
    assert np.array_equal(rasterize(found.shape, 10, 20)[0] > 0, reference.decode(runs) > 0)


def test_mask_runs_by_rows(tmp_path: Path) -> None:
    element = '<mask label="person" rle="1, 2, 2, 1" left="4" top="5" width="3" height="2"/>'
    found = shape_of(tmp_path, element)
    assert isinstance(found.shape, Rle)
    expected = np.zeros((10, 20), bool)
    expected[5, 5:7] = expected[6, 6] = True
    assert np.array_equal(rasterize(found.shape, 10, 20)[0] > 0, expected)


def test_turned_box(tmp_path: Path) -> None:
    element = '<box label="person" xtl="4" ytl="3" xbr="10" ybr="5" rotation="90"/>'
    found = shape_of(tmp_path, element)
    assert found.shape is not None
    expected = np.zeros((10, 20), bool)
    expected[1:7, 6:8] = True
    assert np.array_equal(rasterize(found.shape, 10, 20)[0] > 0, expected)


def test_ellipse(tmp_path: Path) -> None:
    found = shape_of(tmp_path, '<ellipse label="person" cx="50" cy="40" rx="30" ry="12" rotation="30"/>')
    assert found.shape == Ellipse(50, 40, 30, 12, 30)
    expected = np.zeros((80, 100), bool)
    expected[draw.ellipse(40, 50, 12, 30, (80, 100), rotation=np.radians(-30))] = True
    assert np.array_equal(rasterize(found.shape, 80, 100)[0] > 0, expected)


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        ('<polyline label="a" points="1,2;3,4"/>', "a polyline: no outline"),
        ('<cuboid label="a"/>', "a cuboid: no outline"),
        ('<skeleton label="a"><points label="b" points="1,2"/></skeleton>', "a skeleton: no outline"),
        ('<box label="a" xtl="1" ytl="2" xbr="3"/>', "without its attribute ybr"),
        ('<box label="a" xtl="1" ytl="2" xbr="3" ybr="x"/>', "ybr: want a number, got 'x'"),
        ('<box label="a" xtl="1" ytl="2" xbr="3" ybr="nan"/>', "ybr: nan is no coordinate"),
        ('<ellipse label="a" cx="1" cy="2" rx="3"/>', "without its attribute ry"),
        ('<polygon label="a"/>', "without its attribute points"),
        ('<polygon label="a" points="1,2;3"/>', "points: want x,y;x,y;..., got '1,2;3'"),
        ('<polygon label="a" points="1,2;3,inf"/>', "points: inf is no coordinate"),
        ('<mask label="a" rle="1,b" left="0" top="0" width="1" height="1"/>', "rle: want whole numbers between commas"),
        ('<mask label="a" rle="1,2" left="0" top="0" width="1"/>', "without its attribute height"),
        ('<polygon points="1,2;3,4;5,6"/>', "no label"),
    ],
)
def test_shape_that_cannot_be_used(tmp_path: Path, element: str, reason: str) -> None:
    found = shape_of(tmp_path, element)
    assert found.shape is None
    assert found.problem.startswith(reason)
    assert found.place == "line 3"


def test_tags_are_of_the_picture(tmp_path: Path) -> None:
    (picture,) = records(tmp_path, '<image id="0" name="a.jpg" width="20" height="10"><tag label="night"/></image>')
    assert isinstance(picture, Picture)
    assert not picture.objects


def test_broken_image_and_others(tmp_path: Path) -> None:
    shape = '<box label="a" xtl="1" ytl="2" xbr="3" ybr="4"/>'
    body = f'<image name="a.jpg" width="-3" height="1">{shape}</image>\n<image name="b.jpg">{shape}</image>'
    problem, picture = records(tmp_path, body)
    assert isinstance(problem, Problem)
    assert problem.place == "line 2"
    assert problem.reason.startswith("width: ")
    assert isinstance(picture, Picture)
    assert picture.width is None
    assert len(picture.objects) == 1


def test_box_moves_over_missing_frames(tmp_path: Path) -> None:
    frames(tmp_path, range(0, 9))
    body = "<meta><task><size>8</size></task></meta>"
    found = records(tmp_path, body + track(box(1, 10), box(5, 18), box(6, 0, outside=1)))
    # From 10 to 18 in four frames is 2 a frame; the ninth picture is behind the task's end.
    assert lefts(found) == {0: [], 1: [10], 2: [12], 3: [14], 4: [16], 5: [18], 6: [], 7: []}
    between = [item for r in found if isinstance(r, Picture) for item in r.objects][1]
    assert (between.id, between.place, between.problem) == ("track 3", "line 3, frame 2", "")


def test_object_returns_and_is_held_to_the_end(tmp_path: Path) -> None:
    frames(tmp_path, range(0, 7))
    body = "<meta><task><size>99</size><start_frame>1</start_frame><stop_frame>6</stop_frame></task></meta>"
    found = records(tmp_path, body + track(box(1, 4), box(2, 4, outside=1), box(4, 9)))
    assert lefts(found) == {1: [4], 2: [], 3: [], 4: [9], 5: [9], 6: [9]}


def test_shapes_that_do_not_match_are_held(tmp_path: Path) -> None:
    frames(tmp_path, range(0, 3))
    polygons = ['<polygon frame="0" points="1,1;9,1;5,8"/>', '<polygon frame="2" points="1,1;9,1;9,9;1,9"/>']
    found = records(tmp_path, track(*polygons))
    held = [item for r in found if isinstance(r, Picture) for item in r.objects][1]
    assert held.problem == "held from frame 0: the next shape has other points"
    assert held.shape == Polygons([[(1, 1), (9, 1), (5, 8)]], fill="coco")


def test_rotation_takes_the_shorter_way(tmp_path: Path) -> None:
    frames(tmp_path, range(0, 3))
    ellipse = '<ellipse frame="{}" cx="9" cy="9" rx="{}" ry="2" rotation="{}"/>'
    found = records(tmp_path, track(ellipse.format(0, 4, 350), ellipse.format(2, 6, 30)))
    shapes = [item.shape for r in found if isinstance(r, Picture) for item in r.objects]
    assert shapes[1] == Ellipse(9, 9, 5, 2, 370)


def test_two_tracks_meet_in_a_frame(tmp_path: Path) -> None:
    frames(tmp_path, range(0, 2))
    body = "<meta><original_size><width>40</width><height>30</height></original_size></meta>"
    found = records(tmp_path, body + track(box(0, 1)) + track(box(1, 20), '<points frame="2" outside="1"/>'))
    assert lefts(found) == {0: [1], 1: [1, 20]}
    assert all(isinstance(r, Picture) and (r.width, r.height) == (40, 30) for r in found)


def test_frames_that_cannot_be_used(tmp_path: Path) -> None:
    frames(tmp_path, range(0, 1))
    shapes = (box(0, 1), box(0, 2), '<points frame="1" points="1,2"/>', '<box frame="x"/>', box(7, 1))
    found = records(tmp_path, track(*shapes))
    reasons = [r.reason for r in found if isinstance(r, Problem)]
    assert reasons == [
        "frame 0 after frame 0 in one track: want rising frames",
        "frame: want a whole number, got 'x'",
        "there is no picture frame_000001 beside it",
        "there is no picture frame_000007 beside it",
    ]
    Image.new("RGB", (40, 30)).save(tmp_path / "frame_000000.png")
    (problem,) = records(tmp_path, track(box(0, 1), box(1, 1, outside=1)))
    assert isinstance(problem, Problem)
    assert "are of one frame" in problem.reason


def test_project_of_several_videos_is_refused(tmp_path: Path) -> None:
    frames(tmp_path, range(0, 1))
    body = "<meta><project><tasks><task><id>1</id></task><task><id>2</id></task></tasks></project></meta>"
    (problem,) = records(tmp_path, body + track(box(0, 1)))
    assert isinstance(problem, Problem)
    assert "export each task by itself" in problem.reason


def cut(folder: Path, text: str) -> tuple[list[Record], str]:
    file = folder / "annotations.xml"
    file.write_text(text, encoding="utf-8")
    found = list[Record]()
    with pytest.raises(DatasetError) as caught:
        found.extend(read(file, Folder(folder, ("person",))))
    return found, str(caught.value)


def test_cut_off_file_gives_what_is_before(tmp_path: Path) -> None:
    text = '<annotations>\n<image name="a.jpg"/>\n<image name="b.jpg"/>\n<image name="c.jpg">\n<box'
    found, reason = cut(tmp_path, text)
    assert [r.name for r in found if isinstance(r, Picture)] == ["a.jpg", "b.jpg"]
    assert reason == "line 5: the file ends in the middle: it was cut off"


def test_cut_off_tracks_are_not_read(tmp_path: Path) -> None:
    frames(tmp_path, range(0, 2))
    found, reason = cut(tmp_path, f"<annotations>{track(box(0, 1))}\n<track id='4'>")
    assert not found
    assert "no track is read" in reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        ("no xml", "line 1: not XML (syntax error)"),
        ("<annotations><image></annotations>", "line 1: not XML (mismatched tag)"),
        ("<annotation><filename>a.jpg</filename></annotation>", "not CVAT: the root is <annotation>"),
        ("<annotations/>", "holds no images and no tracks"),
        ("<annotations>" * 99, "line 1: nested too deeply"),
        ('<?xml version="1.0" encoding="klingon"?><annotations/>', "an encoding that is not known"),
    ],
)
def test_broken_file(tmp_path: Path, text: str, reason: str) -> None:
    assert cut(tmp_path, text)[1].startswith(reason)


def test_entities_are_refused(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 30))
    text = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]><annotations>&l29;</annotations>'
    assert "take <!DOCTYPE out of it" in cut(tmp_path, text)[1]
    outside = f'<!DOCTYPE a SYSTEM "file://{tmp_path}/secret"><annotations/>'
    assert "take <!DOCTYPE out of it" in cut(tmp_path, outside)[1]


def test_endless_tag_and_image_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_stream, "MAX_ELEMENT", 1 << 18)
    assert "one tag of more than" in cut(tmp_path, '<annotations a="' + "x" * (1 << 20))[1]
    monkeypatch.setattr("figureground.data.notations.cvat._MOST", 10)
    assert "an image of more than 10 shapes" in cut(tmp_path, '<annotations><image name="a">' + "<box/>" * 11)[1]


@pytest.mark.parametrize("way", ["polygons", "masks", "track"])
def test_round_trip(tmp_path: Path, way: str) -> None:
    items = synthetic.items(tmp_path / "pictures", 20)
    source = open_source(cvat.write(tmp_path / "source", items, way), ("person",))
    found = check.drawn(read_source(source))
    assert check.worst_overlap(found, items) == 1.0


def test_video_to_dataset(tmp_path: Path) -> None:
    items = synthetic.items(tmp_path / "pictures", 8)
    items[3][2][:] = False  # a frame that nobody is in
    cvat.write(tmp_path / "source", items, "track")
    result = prepare([tmp_path / "source"], tmp_path / "dataset", Settings(split="1,0,0"))
    assert result.rejected == 0
    assert check.worst_overlap(check.prepared(tmp_path / "dataset"), items) == 1.0


ATTRIBUTES = st.dictionaries(
    st.sampled_from(["name", "frame", "label", "points", "xtl", "ytl", "xbr", "ybr", "rle", "width", "height", "left"]),
    st.sampled_from(["", "1", "-1", "1e400", "nan", "1,2", "1,2;3,4;5,6", "999999999999", "x", "é", "1" * 5000]),
)


def _element(name: str, attributes: dict[str, str], inside: list[Any]) -> str:
    listed = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{listed}>{''.join(_element(*child) for child in inside)}</{name}>"


SHAPES = st.tuples(st.sampled_from(["box", "polygon", "mask", "ellipse", "tag", "x"]), ATTRIBUTES, st.just([]))
ENTRIES = st.tuples(st.sampled_from(["image", "track", "meta", "size"]), ATTRIBUTES, st.lists(SHAPES, max_size=4))


@settings(max_examples=100)
@given(entries=st.lists(ENTRIES, max_size=4), cut_at=st.none() | st.integers(0, 300))
def test_any_xml_gives_records_or_a_dataset_error(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Any], cut_at: int | None
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.xml"
    file.write_text(_element("annotations", {}, entries)[:cut_at], encoding="utf-8")
    _read_safely(file)


@settings(max_examples=100)
@given(data=st.binary(max_size=200))
def test_any_bytes_give_records_or_a_dataset_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.xml"
    file.write_bytes(data)
    _read_safely(file)


def _read_safely(file: Path) -> None:
    found = list[Record]()
    with suppress(DatasetError):
        found.extend(NOTATIONS["cvat"][2](file, Folder(file.parent, ("person",))))
    synthetic.assert_sound(found)
