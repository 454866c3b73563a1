"""Small videos, made on the spot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE_RATE = 48_000


def flat_pictures(count: int, size: tuple[int, int] = (48, 64)) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Return grey pictures, each brighter than the one before, with a red top left corner."""
    pictures = []
    for index in range(count):
        picture = np.full((*size, 3), 20 + 200 * index // max(count, 1), np.uint8)
        picture[:12, :16] = (255, 0, 0)
        pictures.append(picture)
    return pictures


def write_clip(
    path: Path,
    pictures: Iterable[np.ndarray[Any, np.dtype[np.uint8]]],
    *,
    fps: int = 10,
    codec: str = "libx264",
    sound: str | Sequence[str] | None = "aac",
    sound_rate: int = SAMPLE_RATE,
    layout: str = "mono",
    beep: int | None = None,
    options: dict[str, str] | None = None,
    times: Iterable[float] | None = None,
    rotation_deg: int = 0,
) -> Path:
    """Write a video with a tone of 440 Hz, throughout or only with one of the pictures, and return its path."""
    import av

    container: Any = av.open(str(path), "w")
    pictures = list(pictures)
    video = container.add_stream(codec, rate=fps, options=options)
    video.height, video.width = pictures[0].shape[:2]
    video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    video.codec_context.time_base = Fraction(1, 1000) if times is not None else Fraction(1, fps)
    if rotation_deg:
        video.set_display_rotation(rotation_deg)
    sounds = [sound] if isinstance(sound, str) else list(sound or ())
    audio = [container.add_stream(each, rate=sound_rate, layout=layout, bit_rate=128_000) for each in sounds]
    samples = SAMPLE_RATE // fps
    whens = [index / fps for index in range(len(pictures))] if times is None else list(times)
    for index, (picture, seconds) in enumerate(zip(pictures, whens, strict=True)):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.time_base = video.codec_context.time_base
        frame.pts = round(seconds / frame.time_base)
        container.mux(video.encode(frame))
        for stream in audio:
            turn = (np.arange(samples) + index * samples) * (2 * np.pi * 440 / SAMPLE_RATE)
            tone = av.AudioFrame.from_ndarray(
                (0.3 * np.sin(turn) * (beep in (None, index))).astype(np.float32)[None], "fltp", "mono"
            )
            tone.sample_rate, tone.pts = SAMPLE_RATE, index * samples
            container.mux(stream.encode(tone))
    for stream in (video, *audio):
        container.mux(stream.encode())
    container.close()
    return path


def sound_packets(path: Path) -> list[bytes]:
    """Return the packets of the first sound track, as they lie in the file."""
    import av

    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def tone_of(path: Path) -> tuple[float, float]:
    """Return the strongest frequency of the first sound track in Hz, and when it begins, in seconds."""
    import av

    with av.open(str(path)) as container:
        start = (container.start_time or 0) / av.time_base
        plain = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        frames = [each for frame in container.decode(audio=0) for each in plain.resample(frame)]
        begins = float(frames[0].time or 0) - start
        sound = np.concatenate([frame.to_ndarray()[0].copy() for frame in frames])
    hertz = float(np.argmax(np.abs(np.fft.rfft(sound - sound.mean()))) * SAMPLE_RATE / len(sound))
    return hertz, begins


def beeps_of(path: Path) -> list[float]:
    """Return when the tone of the first sound track begins, each time, in seconds since the file begins."""
    import av

    with av.open(str(path)) as container:
        start = (container.start_time or 0) / av.time_base
        plain = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        loud = [
            float(each.time or 0) - start + np.flatnonzero(np.abs(each.to_ndarray()[0]) > 0.1) / SAMPLE_RATE
            for frame in container.decode(audio=0)
            for each in plain.resample(frame)
        ]
    times = np.concatenate(loud)
    return [float(times[0]), *times[1:][np.diff(times) > 0.3].tolist()]


def sound_seconds(path: Path) -> float:
    """Return how long the first sound track plays, decoded."""
    import av

    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        return float(sum(frame.samples for frame in frames) / frames[0].sample_rate)
