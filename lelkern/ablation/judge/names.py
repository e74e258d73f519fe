"""What the names in a claim stand for on the grid of a study."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from lelkern.ablation.grid import ARM, Axis, cell_labels
from lelkern.ablation.labels import format_value, short_keys
from lelkern.config import nearest

Level = bool | int | float | str
"""A level of an axis, by its value or its label; or the label of an arm or a baseline."""

Levels = Level | tuple[Level, ...]

EVERY = "every"
"""All levels."""

Place = tuple[int, ...]


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        name: what statements call it; empty for "whatever stands at the place".
        label: of the one arm or baseline that it is; None if that depends on the place.
        axis: index of the axis of which it is a level, if it is one.
        level: index of that level.
    """

    name: str = ""
    label: str | None = None
    axis: int | None = None
    level: int = 0


@dataclass(frozen=True)
class Pair:
    """Two arms or baselines to compare.

    Attributes:
        left: label of the one that a claim is for.
        right: label of the other; the same where two metrics are compared.
        names: what statements call them.
        where: the level at which they are compared, as words; empty if there is but one.
        place: indices of the levels along every axis; empty if they have none.
    """

    left: str
    right: str
    names: tuple[str, str]
    where: str
    place: Place


@dataclass(frozen=True)
class Series:
    """Pairs along an axis.

    Attributes:
        pairs: one a level, in the order of the axis.
        levels: labels of the levels.
        key: short key of the axis.
        where: the level of the other axis, as words; empty if a side is one or there is none.
    """

    pairs: tuple[Pair, ...]
    levels: tuple[str, ...]
    key: str
    where: str


@dataclass(frozen=True)
class Track:
    """Arms along an axis, side by side for every level of the other axis.

    Attributes:
        key: short key of the axis.
        levels: labels of its levels, from the smallest if they are numbers, else as listed.
        arms: (other levels, levels) labels of the arms; one row if there is no other axis.
        others: labels of the rows, as words; empty strings if there is no other axis.
    """

    key: str
    levels: tuple[str, ...]
    arms: tuple[tuple[str, ...], ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """The arms and baselines of a study, by what a claim may call them.

    Attributes:
        axes: those of the study.
        baselines: labels of the baselines.
    """

    axes: Sequence[Axis]
    baselines: Sequence[str] = ()

    @cached_property
    def labels(self) -> Mapping[Place, str]:
        """Label of every arm by its place."""
        return cell_labels(self.axes)

    @cached_property
    def keys(self) -> Sequence[str]:
        """Short key of every axis."""
        return short_keys([axis.key for axis in self.axes])

    def axis(self, field: str, key: str) -> int:
        """Return the index of an axis, given by its key or by the last part of it.

        Raises:
            ValueError: there is no such axis; the message names ``field``.
        """
        for i, axis in enumerate(self.axes):
            if key in (axis.key, self.keys[i]):
                return i
        known = [axis.key for axis in self.axes]
        raise ValueError(f"{field} = {key!r} is not what the study varies; {nearest(key, known)}")

    def only_axis(self, field: str, key: str | None, numeric: bool = False) -> int:
        """Return the index of the axis that is meant; it need not be named if it is the only one.

        Raises:
            ValueError: there is no such axis, it is not numeric but has to be, or several might
                be meant.
        """
        if key is not None:
            index = self.axis(field, key)
            if numeric and not self.axes[index].is_numeric:
                raise ValueError(f"{field} = {key!r} needs a factor of numbers with a scale")
            return index
        fitting = [i for i, axis in enumerate(self.axes) if axis.is_numeric or not numeric]
        if not fitting:
            keys = " and ".join(repr(axis.key) for axis in self.axes)
            raise ValueError(f"shape needs a factor of numbers with a scale; {keys} has none")
        if len(fitting) > 1:
            raise ValueError(
                f"{field} is missing; valid: {', '.join(self.axes[i].key for i in fitting)}"
            )
        return fitting[0]

    def side(self, field: str, name: Level) -> Side:
        """Return the baseline, the arm or the level of an axis that a name stands for.

        A level that two axes have is written like ``width=16``.

        Raises:
            ValueError: it stands for nothing, or for levels of two axes.
        """
        if name in self.baselines:
            return Side(str(name), str(name))
        if len(self.axes) > 1 and name in self.labels.values():
            return Side(str(name), str(name))
        found = [
            (axis, level)
            for axis in range(len(self.axes))
            if (level := self._level(axis, name)) is not None
        ]
        if len(found) == 1:
            axis, level = found[0]
            return Side(self.level_name(axis, level), None, axis, level)
        if found:
            ways = " or ".join(repr(f"{self.keys[axis]}={name}") for axis, _ in found)
            raise ValueError(f"{field} = {name!r} is a level of two axes; write {ways}")
        known = [*self.baselines, *(n for axis in self.axes for n in axis.names)]
        hint = nearest(format_value(name), known)
        raise ValueError(f"{field} = {name!r} is no arm, level or baseline; {hint}")

    def level(self, field: str, axis: int, name: Level) -> int:
        """Return the index of a level of an axis.

        Raises:
            ValueError: the axis has no such level.
        """
        level = self._level(axis, name)
        if level is None:
            hint = nearest(format_value(name), self.axes[axis].names)
            raise ValueError(f"{field} = {name!r} is no level of {self.axes[axis].key!r}; {hint}")
        return level

    def level_name(self, axis: int, level: int) -> str:
        """Return a level's name in statements: ``16``, or ``width=16`` if there are two axes."""
        name = self.axes[axis].names[level]
        if len(self.axes) == 1 or self.axes[axis].key == ARM:
            return name
        return f"{self.keys[axis]}={name}"

    def track(self, axis: int, of: Level | None = None) -> Track:
        """Return the arms along an axis, at every level of the other axis or at one, ``of``.

        Raises:
            ValueError: there is no such level, or no other axis.
        """
        others = [i for i in range(len(self.axes)) if i != axis]
        if of is not None and not others:
            raise ValueError(f"of = {of!r}: the study varies nothing but {self.axes[axis].key!r}")
        rows: list[int | None] = [None]
        if others:
            (other,) = others
            every = range(len(self.axes[other].levels))
            rows = [*every] if of is None else [self.level("of", other, of)]
        order = self.axes[axis].order
        arms, names = [], []
        for row in rows:
            places = [
                tuple(level if i == axis else row or 0 for i in range(len(self.axes)))
                for level in order
            ]
            arms.append(tuple(self.labels[place] for place in places))
            names.append("" if row is None else self._where(others, places[0]))
        levels = tuple(self.axes[axis].names[level] for level in order)
        return Track(self.keys[axis], levels, tuple(arms), tuple(names))

    def pairs(
        self, arm: Levels | None, over: Levels | None, at: Levels = EVERY, at_field: str = "at"
    ) -> tuple[Pair, ...]:
        """Return the pairs to compare if every ``arm`` is held against every ``over``.

        Levels of one axis are compared at each level of the other axis. An arm by its full label
        or a baseline has no place, and is compared with the other side at every place of that.

        Args:
            arm: names of the one side; None for every arm.
            over: names of the other side; None for the same arm, of which two metrics are compared.
            at: the levels of the other axis to which the comparison is restricted.
            at_field: what errors call ``at``.

        Raises:
            ValueError: a name stands for nothing, or nothing is left to compare.
        """
        pairs = [
            pair
            for left, right in self._sides(arm, over)
            for pair in self._pairs(left, right, at, at_field, over is None)
        ]
        if not pairs:
            raise ValueError(f"over = {over!r}: there is no other arm to compare it with")
        return tuple(dict.fromkeys(pairs))

    def series(self, arm: Levels | None, over: Levels | None, along: int) -> tuple[Series, ...]:
        """Return the pairs along an axis: one series an ``arm``, ``over`` and other level.

        Raises:
            ValueError: a name stands for nothing, or the sides do not vary along the axis.
        """
        axis = self.axes[along]
        groups: dict[tuple[Side, Side, Place], dict[int, Pair]] = {}
        for left, right in self._sides(arm, over):
            for pair in self._pairs(left, right, EVERY, "at", over is None):
                if not pair.place or along in (left.axis, right.axis):
                    raise ValueError(
                        f"along = {axis.key!r}: arm and over do not vary along it, "
                        f"got arm = {arm!r} and over = {over!r}"
                    )
                rest = (*pair.place[:along], *pair.place[along + 1 :])
                groups.setdefault((left, right, rest), {})[pair.place[along]] = pair
        found = []
        for (left, right, _), by_level in groups.items():
            order = [level for level in axis.order if level in by_level]
            if len(order) > 1:
                levels = tuple(axis.names[level] for level in order)
                pairs = tuple(by_level[level] for level in order)
                pinned = (along, left.axis, right.axis)
                free = [i for i in range(len(self.axes)) if i not in pinned]
                where = self._where(free, pairs[0].place)
                found.append(Series(pairs, levels, self.keys[along], where))
        if not found:
            raise ValueError(f"along = {axis.key!r}: there is no other arm to compare with")
        return tuple(found)

    def _level(self, axis: int, name: Level) -> int | None:
        prefix = f"{self.keys[axis]}="
        if isinstance(name, str) and name.startswith(prefix) and self.axes[axis].key != ARM:
            name = name.removeprefix(prefix)
        try:
            return self.axes[axis].find(name)
        except ValueError:
            return None

    def _sides(self, arm: Levels | None, over: Levels | None) -> list[tuple[Side, Side]]:
        lefts = None if arm is None else [self.side("arm", name) for name in _listed(arm)]
        if over is None:
            return [(left, left) for left in lefts or [Side()]]
        rights = [self.side("over", name) for name in _listed(over)]
        if lefts is None:
            return [(left, right) for right in rights for left in self._others(right)]
        for left, right in itertools.product(lefts, rights):
            if left == right:
                raise ValueError(f"over = {right.name!r} is the same as arm")
            if None not in (left.axis, right.axis) and left.axis != right.axis:
                raise ValueError(
                    f"arm = {left.name!r} and over = {right.name!r} are levels of different axes"
                )
        return list(itertools.product(lefts, rights))

    def _others(self, side: Side) -> list[Side]:
        """Every arm but the side: the other levels of its axis, or whatever stands anywhere."""
        if side.axis is None:
            return [Side()]
        levels = [i for i in range(len(self.axes[side.axis].levels)) if i != side.level]
        return [Side(self.level_name(side.axis, i), None, side.axis, i) for i in levels]

    def _pairs(self, left: Side, right: Side, at: Levels, at_field: str, same: bool) -> list[Pair]:
        pinned = {side.axis for side in (left, right) if side.axis is not None}
        if left.label is not None and right.label is not None:
            free = []
        else:
            free = [i for i in range(len(self.axes)) if i not in pinned]
        wanted = self._wanted(free, at, at_field)
        pairs = []
        for place in self.labels:
            if any(place[i] not in levels for i, levels in wanted.items()):
                continue
            labels = [self._label(side, place) for side in (left, right)]
            if labels[0] == labels[1] and not same:
                continue
            anywhere = not left.name
            names = [side.name or label for side, label in zip((left, right), labels, strict=True)]
            where = "" if anywhere else self._where(free, place)
            fixed = left.label is not None and right.label is not None
            pair_place = () if fixed else tuple(p if i in free else 0 for i, p in enumerate(place))
            pairs.append(Pair(labels[0], labels[1], (names[0], names[1]), where, pair_place))
        return list(dict.fromkeys(pairs))

    def _wanted(self, free: Sequence[int], at: Levels, field: str) -> dict[int, set[int]]:
        """Return the levels to which a comparison is restricted, by axis."""
        wanted: dict[int, set[int]] = {}
        if at == EVERY:
            return wanted
        for name in _listed(at):
            if not free:
                raise ValueError(f"{field} = {name!r}: there is no other axis")
            found = [(i, level) for i in free if (level := self._level(i, name)) is not None]
            if not found:
                keys = " or ".join(repr(self.axes[i].key) for i in free)
                hint = nearest(format_value(name), [n for i in free for n in self.axes[i].names])
                raise ValueError(f"{field} = {name!r} is no level of {keys}; {hint}")
            if len(found) > 1:
                ways = " or ".join(repr(f"{self.keys[axis]}={name}") for axis, _ in found)
                raise ValueError(f"{field} = {name!r} is a level of two axes; write {ways}")
            axis, level = found[0]
            wanted.setdefault(axis, set()).add(level)
        return wanted

    def _label(self, side: Side, place: Place) -> str:
        if side.label is not None:
            return side.label
        if side.axis is None:
            return self.labels[place]
        return self.labels[(*place[: side.axis], side.level, *place[side.axis + 1 :])]

    def _where(self, axes: Sequence[int], place: Place) -> str:
        """Return a place along some axes as words: ``at width=16``, ``for mixmatch``."""
        names = [
            ("for " if self.axes[i].key == ARM else "at ") + self.level_name(i, place[i])
            for i in axes
        ]
        return " ".join(names)


def _listed(names: Levels) -> tuple[Level, ...]:
    return names if isinstance(names, tuple) else (names,)
