"""Changes to images in the store: done once, undone and done again, by one person at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest
from stores import SHAPE, a_mask, add_images, put, undo

from anymask.data_engine.store.changes import apply_changes, changes_of
from anymask.data_engine.store.images import find_image, list_images, masks_of, note_images
from anymask.data_engine.store.labels import all_labels, labels_by_name, put_label, remove_label
from anymask.data_engine.store.leases import LEASE_SECONDS, end_lease, holders, take_lease
from anymask.data_engine.store.records import Change, Label, Mask
from anymask.data_engine.store.store import Store
from anymask.errors import DataError, LockedError, MissingError, StaleError

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def image(store: Store) -> int:
    return add_images(store, "a.jpg")[0]


def change(store: Store, image: int, version: int, *changes: Change, person: str = "ann", now: datetime = NOON) -> int:
    """Apply changes; the version then."""
    with store.writing() as session:
        return apply_changes(session, image, person, version, changes, now).version


def masks(store: Store, image: int) -> list[Mask]:
    with store.reading() as session:
        return masks_of(session, find_image(session, image))


def test_a_mask_comes_back_as_it_was_put(store: Store, image: int) -> None:
    with store.writing() as session:
        label = labels_by_name(session, ["cat"])["cat"]
    mask = a_mask(3, label=label, score=0.75, source="polygon", order=2)
    assert change(store, image, 0, put(mask)) == 1
    assert masks(store, image) == [mask]
    with store.reading() as session:
        found = find_image(session, image)
        assert (found.objects, found.status, found.version) == (1, "started", 1)


def test_undo_and_redo_go_back_and_forth_through_all_kinds(store: Store, image: int) -> None:
    first = a_mask(1)
    made, moved = put(first), put(replace(a_mask(2), id=first.id))
    removed = Change(str(uuid4()), "remove", object_id=first.id)
    done = Change(str(uuid4()), "status", status="done")
    change(store, image, 0, made, moved, removed, done)
    states = [[], [first], [moved.mask], []]
    for version, (step, state) in enumerate([(done, []), (removed, states[2]), (moved, states[1]), (made, [])], 4):
        change(store, image, version, undo(step))
        assert masks(store, image) == state
    for version, (step, state) in enumerate([(made, states[1]), (moved, states[2]), (removed, []), (done, [])], 8):
        change(store, image, version, undo(step, "redo"))
        assert masks(store, image) == state
    with store.reading() as session:
        assert find_image(session, image).status == "done"
        assert len(changes_of(session, image)) == 12


def test_what_was_changed_again_is_not_undone_before_that(store: Store, image: int) -> None:
    mask = a_mask()
    made, moved = put(mask), put(replace(a_mask(5), id=mask.id))
    change(store, image, 0, made, moved)
    with pytest.raises(DataError, match="undo that first"):
        change(store, image, 2, undo(made))
    with pytest.raises(DataError, match="cannot be done again"):
        change(store, image, 2, undo(made, "redo"))
    change(store, image, 2, undo(moved))
    with pytest.raises(DataError, match="cannot be undone"):
        change(store, image, 3, undo(moved))


def test_the_same_change_twice_is_done_once(store: Store, image: int) -> None:
    """Who did not hear of the answer asks again."""
    first, second = put(a_mask(1)), put(a_mask(2))
    assert change(store, image, 0, first) == 1
    assert change(store, image, 0, first) == 1
    assert change(store, image, 0, first, second) == 2
    assert len(masks(store, image)) == 2


def test_an_old_version_is_refused_and_nothing_of_it_is_done(store: Store, image: int) -> None:
    change(store, image, 0, put(a_mask(1)))
    with pytest.raises(StaleError, match=r"a\.jpg: was changed meanwhile, it has version 1, not 0"):
        change(store, image, 0, put(a_mask(2)))
    assert len(masks(store, image)) == 1


def test_all_of_a_request_is_done_or_nothing(store: Store, image: int) -> None:
    with pytest.raises(MissingError, match="there is none"):
        change(store, image, 0, put(a_mask()), Change(str(uuid4()), "remove", object_id=str(uuid4())))
    assert masks(store, image) == []
    with store.reading() as session:
        assert find_image(session, image).version == 0
        assert not changes_of(session, image)


def test_one_person_at_a_time(store: Store, image: int) -> None:
    change(store, image, 0, put(a_mask(1)), person="ann")
    with pytest.raises(LockedError, match="ann is working on this image") as refused:
        change(store, image, 1, put(a_mask(2)), person="bob")
    assert refused.value.by == "ann"
    later = NOON + timedelta(seconds=LEASE_SECONDS + 1)
    change(store, image, 1, put(a_mask(2)), person="bob", now=later)
    with pytest.raises(LockedError, match="bob"):
        change(store, image, 2, put(a_mask(3)), person="ann", now=later)


def test_a_lease_is_kept_while_it_is_renewed_and_ends_when_it_is_let_go(store: Store, image: int) -> None:
    with store.writing() as session:
        take_lease(session, image, "ann", NOON)
    with store.writing() as session:
        take_lease(session, image, "ann", NOON + timedelta(seconds=LEASE_SECONDS - 1))
    half = NOON + timedelta(seconds=1.5 * LEASE_SECONDS)
    with store.writing() as session:
        assert holders(session, [image], half) == {image: "ann"}
        end_lease(session, image, "bob")
        assert holders(session, [image], half) == {image: "ann"}
        end_lease(session, image, "ann")
        session.flush()
        assert holders(session, [image], half) == {}


def test_many_at_once_lose_nothing(store: Store) -> None:
    """Each saves on top of what it saw; who was late reads again, as the page does."""
    image = add_images(store, "a.jpg")[0]

    def work(column: int) -> None:
        made = put(a_mask(column))
        while True:
            with store.reading() as session:
                version = find_image(session, image).version
            try:
                change(store, image, version, made)
                return
            except StaleError:
                continue

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))
    assert len(masks(store, image)) == 24
    with store.reading() as session:
        assert find_image(session, image).version == 24


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (replace(a_mask(), segmentation={"size": [9, 9], "counts": "Q1"}), "a mask is not RLE|add up|is of 9×9"),
        (replace(a_mask(), segmentation={"size": list(SHAPE), "counts": "hb0"}), "is empty"),
        (replace(a_mask(), segmentation={"size": list(SHAPE), "counts": "hb0Q"}), "not RLE|add up"),
        (replace(a_mask(), label=str(uuid4())), "there is no label"),
    ],
)
def test_what_is_no_mask_is_refused(store: Store, image: int, mask: Mask, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        change(store, image, 0, put(mask))


def test_a_mask_of_another_image_is_left_alone(store: Store) -> None:
    one, other = add_images(store, "a.jpg", "b.jpg")
    mask = a_mask()
    change(store, one, 0, put(mask))
    with pytest.raises(DataError, match="another image"):
        change(store, other, 0, put(mask))


def test_images_that_are_gone_keep_their_masks(store: Store) -> None:
    one, _ = add_images(store, "a.jpg", "b.jpg")
    change(store, one, 0, put(a_mask()))
    with store.writing() as session:
        assert note_images(session, ["b.jpg", "c.jpg"]) == 1
        assert [image.name for image in list_images(session)[1]] == ["b.jpg", "c.jpg"]
    with store.writing() as session:
        assert note_images(session, ["a.jpg", "b.jpg"]) == 0
        assert [image.name for image in list_images(session)[1]] == ["a.jpg", "b.jpg"]
    assert len(masks(store, one)) == 1


def test_pages_searches_and_what_comes_after(store: Store) -> None:
    add_images(store, *(f"{name}_%.jpg" for name in "abcde"), "x.png")
    with store.reading() as session:
        total, page = list_images(session, search="_%.J", offset=1, limit=2)
        assert (total, [image.name for image in page]) == (5, ["b_%.jpg", "c_%.jpg"])
        assert [image.name for image in list_images(session, after="d_%.jpg", limit=2)[1]] == ["e_%.jpg", "x.png"]
        assert list_images(session, status="done") == (0, [])


def test_labels_have_names_of_their_own_and_keys_that_move(store: Store, image: int) -> None:
    cat, dog = Label(str(uuid4()), " big   cat ", "#112233", "1"), Label(str(uuid4()), "dog", "#445566", "1")
    with store.writing() as session:
        put_label(session, cat)
        session.flush()
        put_label(session, dog)
    with store.writing() as session:
        assert [(each.name, each.key) for each in all_labels(session)] == [("dog", "1"), ("big cat", None)]
        with pytest.raises(DataError, match="there is one of this name"):
            put_label(session, Label(str(uuid4()), "dog", "#000000"))
    change(store, image, 0, put(a_mask(label=dog.id)))
    with store.writing() as session, pytest.raises(DataError, match="label dog: 1 masks have it"):
        remove_label(session, dog.id)
    with store.writing() as session:
        remove_label(session, cat.id)
        assert labels_by_name(session, ["dog", "bird"])["dog"] == dog.id


def test_undo_leaves_out_a_label_that_is_gone(store: Store, image: int) -> None:
    with store.writing() as session:
        label = labels_by_name(session, ["cat"])["cat"]
    mask = a_mask(label=label)
    removed = Change(str(uuid4()), "remove", object_id=mask.id)
    change(store, image, 0, put(mask), removed)
    with store.writing() as session:
        remove_label(session, label)
    change(store, image, 2, undo(removed))
    assert masks(store, image) == [replace(mask, label=None)]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Change("no uuid", "put", a_mask()),
        lambda: Change(str(uuid4()), "put"),
        lambda: Change(str(uuid4()), "jump"),  # type: ignore[arg-type]
        lambda: Change(str(uuid4()), "status", status="lost"),  # type: ignore[arg-type]
        lambda: a_mask(source="nowhere"),
        lambda: Label(str(uuid4()), " ", "#112233"),
        lambda: Label(str(uuid4()), "cat", "red"),
        lambda: Label(str(uuid4()), "cat", "#112233", "x"),
    ],
)
def test_what_is_no_change_and_no_label_is_refused(wrong: object) -> None:
    with pytest.raises(DataError):
        wrong()  # type: ignore[operator]
