"""Which face of this frame is which of the last one: a tracker by overlap.

A track is one approach of one person: it is recognised once, and told to be unknown once. Nothing of it is kept
when it ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from menwei_face.geometry import Box, Detection


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """`overlap`: least intersection over union to be the same face; `forget`: seconds unseen until a track ends;
    `stable`: frames in a row that a face must be seen; `calm`: by how much of its width it may move between them."""

    overlap: float = 0.25
    forget: float = 1.0
    stable: int = 2
    calm: float = 0.30


@dataclass(slots=True, eq=False)
class Track:
    """One face over time. `calm_frames` counts the frames in a row in which it hardly moved."""

    number: int
    box: Box
    score: float
    first_seen: float
    last_seen: float
    calm_frames: int = 1
    missed: bool = False
    _velocity: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    def expected(self, at: float) -> Box:
        """Where the face should be at `at` if it goes on as before; at most 0.3 s are looked ahead."""
        ahead = min(max(at - self.last_seen, 0.0), 0.3)
        return self.box.moved(self._velocity[0] * ahead, self._velocity[1] * ahead)

    def follow(self, seen: Detection, at: float, calm: float) -> None:
        (x0, y0), (x1, y1) = self.box.center, seen.box.center
        gone = max(at - self.last_seen, 1e-3)
        self._velocity = ((x1 - x0) / gone, (y1 - y0) / gone)
        moved = max(abs(x1 - x0), abs(y1 - y0)) / max(self.box.width, 1.0)
        self.calm_frames = self.calm_frames + 1 if moved <= calm and not self.missed else 1
        self.box, self.score, self.last_seen, self.missed = seen.box, seen.score, at, False


class Tracker:
    """Keeps the tracks of one camera."""

    def __init__(self, settings: TrackSettings | None = None) -> None:
        self.settings = settings or TrackSettings()
        self.tracks: dict[int, Track] = {}
        self._next = 1

    def update(
        self, found: list[Detection], at: float, *, whole: bool = True
    ) -> tuple[list[Track], list[Track]]:
        """Tracks seen in this frame, largest first, and tracks that ended.

        Pairs are made by falling overlap, so that two people side by side keep their own tracks. `whole` is False
        when only the places of known tracks were searched: then unmatched faces start no track.
        """
        pairs = sorted(
            (
                (max(track.expected(at).overlap(one.box), track.box.overlap(one.box)), number, index)
                for number, track in self.tracks.items()
                for index, one in enumerate(found)
            ),
            reverse=True,
        )
        taken: set[int] = set()
        seen: list[Track] = []
        for overlap, number, index in pairs:
            track = self.tracks[number]
            if overlap < self.settings.overlap or index in taken or track in seen:
                continue
            track.follow(found[index], at, self.settings.calm)
            taken.add(index)
            seen.append(track)
        if whole:
            for index, one in enumerate(found):
                if index not in taken and not any(one.box.overlap(track.box) > 0.5 for track in seen):
                    seen.append(self._start(one, at))
        return sorted(seen, key=lambda track: track.box.width, reverse=True), self._end(seen, at)

    def _start(self, one: Detection, at: float) -> Track:
        track = Track(self._next, one.box, one.score, at, at)
        self.tracks[self._next] = track
        self._next += 1
        return track

    def _end(self, seen: list[Track], at: float) -> list[Track]:
        ended: list[Track] = []
        for track in list(self.tracks.values()):
            if track in seen:
                continue
            track.missed = True
            if at - track.last_seen > self.settings.forget:
                ended.append(self.tracks.pop(track.number))
        return ended

    def stable(self, track: Track) -> bool:
        """Whether the face has been there, nearly still, for enough frames: not somebody walking past."""
        return track.calm_frames >= self.settings.stable
