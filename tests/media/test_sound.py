"""The sound of a video goes with it into another container, whatever it is; it never ends the pictures."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from onepass.media import VideoSink, VideoSource, open_sink, open_source
from onepass.media.sound_tracks import Encoded

from .clips import beeps_of, flat_pictures, sound_packets, sound_seconds, tone_of, write_clip

pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")
av = pytest.importorskip("av", reason="needs PyAV: pip install '.[gaze]'")

# File, codec of the pictures, of the sound, its rate, its channels; containers, most of which cannot hold it as it is.
KINDS = [
    ("aac.ts", "libx264", "aac", 44_100, "stereo", (".mp4", ".mov", ".webm")),
    ("aac96.ts", "libx264", "aac", 96_000, "5.1", (".m4v", ".mkv")),
    ("mp2.ts", "mpeg2video", "mp2", 48_000, "mono", (".mp4", ".m4v")),
    ("wma.wmv", "wmv2", "wmav2", 44_100, "stereo", (".mp4", ".mkv")),
    ("u8.avi", "mjpeg", "pcm_u8", 8_000, "mono", (".mp4", ".mkv")),
    ("adpcm.avi", "mjpeg", "adpcm_ima_wav", 16_000, "stereo", (".mp4", ".mkv")),
    ("alaw.avi", "mpeg4", "pcm_alaw", 8_000, "mono", (".mp4", ".mov")),
    ("float.mkv", "libx264", "pcm_f32le", 96_000, "stereo", (".m4v", ".webm")),
    ("ac3.mkv", "libx264", "ac3", 44_100, "5.1(side)", (".webm", ".m4v")),
    ("flac.mkv", "libx264", "flac", 44_100, "mono", (".mov", ".m4v")),
    ("wavpack.mkv", "libx264", "wavpack", 22_050, "7.1", (".mp4", ".webm")),
    ("opus.webm", "libvpx", "libopus", 48_000, "stereo", (".mov", ".m4v")),
    ("nelly.flv", "flv1", "nellymoser", 11_025, "mono", (".mp4", ".mkv")),
]


def copy(clip: Path, target: Path) -> VideoSink:
    """Send a video through a source and a sink, and return the sink."""
    with open_source(clip) as source, open_sink(target, source) as sink:
        for frame in source:
            sink.write(frame, frame.picture)
    assert isinstance(sink, VideoSink)
    return sink


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one second of every kind."""
    folder = tmp_path_factory.mktemp("clips")
    for name, codec, sound, rate, layout, _ in KINDS:
        write_clip(folder / name, flat_pictures(10), codec=codec, sound=sound, sound_rate=rate, layout=layout)
    return folder


@pytest.mark.parametrize(("name", "suffix"), [(kind[0], suffix) for kind in KINDS for suffix in kind[-1]])
def test_sound_goes_into_containers(name: str, suffix: str, clips: Path, tmp_path: Path) -> None:
    """All pictures come out, and with them a second of the tone, from the beginning on."""
    sink = copy(clips / name, tmp_path / f"out{suffix}")
    assert sink.notes == []
    assert len(list(VideoSource(tmp_path / f"out{suffix}"))) == 10
    hertz, begins = tone_of(tmp_path / f"out{suffix}")
    assert hertz == pytest.approx(440, abs=5)
    assert begins == pytest.approx(0, abs=0.1)
    assert sound_seconds(tmp_path / f"out{suffix}") == pytest.approx(1.0, abs=0.15)


def test_the_aac_of_broadcasts_is_copied(clips: Path, tmp_path: Path) -> None:
    """Packets lose the header that a transport stream needs, and nothing else."""
    copy(clips / "aac.ts", tmp_path / "out.mp4")
    framed = sound_packets(clips / "aac.ts")
    bare = sound_packets(tmp_path / "out.mp4")
    assert len(bare) >= 40
    assert all(packet[:2] == b"\xff\xf1" and packet[7:] == ours for packet, ours in zip(framed, bare, strict=False))


def test_sound_of_no_known_kind_is_left_out(tmp_path: Path) -> None:
    """A codec that nobody knows is named, and the pictures are all there."""
    clip = write_clip(tmp_path / "a.avi", flat_pictures(10), codec="mpeg4", sound="pcm_s16le")
    data = bytearray(clip.read_bytes())
    place = data.index(b"strf", data.index(b"auds")) + 8
    assert data[place : place + 2] == struct.pack("<H", 1)
    data[place : place + 2] = struct.pack("<H", 0x7777)
    clip.write_bytes(data)
    sink = copy(clip, tmp_path / "out.mp4")
    assert sink.notes == [f"omitted sound track 1 of {clip}: mp4 does not support it"]
    assert len(list(VideoSource(tmp_path / "out.mp4"))) == 10


def test_one_track_of_two_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing works for a track, the other one stays."""
    clip = write_clip(tmp_path / "two.mkv", flat_pictures(10), sound=("aac", "flac"))
    copy(clip, tmp_path / "both.mkv")
    with av.open(str(tmp_path / "both.mkv")) as written:
        assert [stream.codec_context.name for stream in written.streams.audio] == ["aac", "flac"]
    monkeypatch.setattr(Encoded, "take", lambda *_: (_ for _ in ()).throw(ValueError("no")))
    sink = copy(clip, tmp_path / "one.mov")
    with av.open(str(tmp_path / "one.mov")) as written:
        assert [stream.codec_context.name for stream in written.streams.audio] == ["aac"]
    assert sink.notes == [f"omitted sound track 2 of {clip} (flac): mov does not support it"]


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_sound_that_changes_on_the_way(suffix: str, tmp_path: Path) -> None:
    """Where recordings of another rate and other channels were joined, pictures and times are whole."""
    parts = [
        write_clip(tmp_path / f"{rate}.ts", flat_pictures(10), sound_rate=rate, layout=layout).read_bytes()
        for rate, layout in ((44_100, "mono"), (48_000, "stereo"))
    ]
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    copy(tmp_path / "joined.ts", tmp_path / f"out{suffix}")
    frames = list(VideoSource(tmp_path / f"out{suffix}"))
    steps = np.diff([frame.seconds for frame in frames])
    assert steps == pytest.approx(np.full(19, 0.1), abs=0.002)
    if suffix == ".webm":
        assert sound_seconds(tmp_path / f"out{suffix}") == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(("codec", "suffix"), [("aac", ".mp4"), ("aac", ".webm"), ("mp2", ".mkv"), ("mp2", ".m4v")])
def test_sound_stays_with_the_pictures(codec: str, suffix: str, tmp_path: Path) -> None:
    """Where recordings were joined whose sound is longer than their pictures, beep and flash still come together."""
    pictures = [np.full((48, 64, 3), 255 * (index == 6), np.uint8) for index in range(13)]
    part = write_clip(tmp_path / "part.ts", pictures, sound=codec, beep=6)
    (tmp_path / "joined.ts").write_bytes(part.read_bytes() * 5)
    copy(tmp_path / "joined.ts", tmp_path / f"out{suffix}")
    lit = [frame.seconds for frame in VideoSource(tmp_path / f"out{suffix}") if frame.picture.mean() > 128]
    assert len(lit) == 5
    assert beeps_of(tmp_path / f"out{suffix}") == pytest.approx(lit, abs=0.03)


def test_an_error_on_the_way_ends_the_sound_alone(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong with sound in the middle is noted; every picture is written."""
    taken: list[int] = []
    whole = Encoded.take

    def fail(track: Encoded, packet: object) -> None:
        taken.append(1)
        if len(taken) > 60:  # fifty are tried before the first picture
            raise av.error.ArgumentError(22, "Invalid argument")
        whole(track, packet)

    monkeypatch.setattr(Encoded, "take", fail)
    sink = copy(clips / "aac.ts", tmp_path / "out.webm")
    assert sink.notes == [f"the sound of {clips / 'aac.ts'} ends early: Invalid argument"]
    assert len(list(VideoSource(tmp_path / "out.webm"))) == 10
