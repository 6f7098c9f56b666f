"""A camera that shows one picture: a file for Chromium's fake camera, with a QR code as a hand holds it."""

from pathlib import Path

import numpy as np
import segno

WIDTH, HEIGHT = 640, 480
FRAMES = 4


def film_of(text: str, target: Path, *, seed: int = 1) -> Path:
    """Write a film (YUV4MPEG2) of a grey, noisy picture with a small, slightly turned QR code of a text."""
    chance = np.random.default_rng(seed)
    code = np.array(list(segno.make(text, error="q", micro=False).matrix_iter(border=4)), np.float64)
    size, angle, place = 9.0, np.deg2rad(7), (WIDTH * 0.55, HEIGHT * 0.5)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    across = (x - place[0]) * np.cos(angle) + (y - place[1]) * np.sin(angle)
    down = (y - place[1]) * np.cos(angle) - (x - place[0]) * np.sin(angle)
    column, row = (np.floor(axis / size + len(code) / 2).astype(int) for axis in (across, down))
    inside = (column >= 0) & (column < len(code)) & (row >= 0) & (row < len(code))
    dark = np.zeros((HEIGHT, WIDTH))
    dark[inside] = code[row[inside], column[inside]]
    picture = np.where(inside, 205 - 150 * dark, 120) + chance.normal(0, 6, (HEIGHT, WIDTH))
    luma = np.clip(picture, 16, 235).astype(np.uint8).tobytes()
    chroma = bytes([128]) * (WIDTH * HEIGHT // 2)
    head = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420jpeg\n".encode()
    target.write_bytes(head + b"".join(b"FRAME\n" + luma + chroma for _ in range(FRAMES)))
    return target


def camera_arguments(film: Path) -> list[str]:
    """Give the arguments with which Chromium takes a film for its camera, and asks nobody whether it may."""
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
