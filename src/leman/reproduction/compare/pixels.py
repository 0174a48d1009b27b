"""Pictures as arrays: decoding, windows, blocks. NumPy and Pillow are imported on use only."""

from __future__ import annotations

import base64
import io
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Pixels = NDArray[np.uint8]  # height x width x 3, red green blue, on white
    Plane = NDArray[np.float32]  # height x width
    Mask = NDArray[np.bool_]  # height x width

MOST_PIXELS = 80_000_000


class UnreadableImageError(ValueError):
    """The bytes are no image, or one too large to be decoded."""


def decode(encoded: str) -> Image.Image:
    """Decode a base64 image to red, green, blue on white.

    Raises UnreadableImageError where it is broken or has more than `MOST_PIXELS` pixels, which
    is seen in its header before anything is decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _opened(base64.b64decode("".join(encoded.split()), validate=False))
    except UnreadableImageError:
        raise
    except Exception as error:  # Pillow raises many kinds on hostile data
        raise UnreadableImageError(f"the image cannot be decoded: {error}") from error


def _opened(data: bytes) -> Image.Image:
    from PIL import Image  # noqa: PLC0415

    picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP", "BMP"))
    if picture.width * picture.height > MOST_PIXELS:
        raise _too_large(picture)
    return _on_white(picture)


def _too_large(picture: Image.Image) -> UnreadableImageError:
    return UnreadableImageError(
        f"the image is {picture.width} by {picture.height} pixels,"
        f" more than leman decodes ({MOST_PIXELS:,} in all)"
    )


def _on_white(picture: Image.Image) -> Image.Image:
    from PIL import Image  # noqa: PLC0415

    if picture.mode.startswith("I"):  # 16 and 32 bit: bring to the 8 bits that a screen shows
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.mode == "RGB" and "transparency" not in picture.info:
        picture.load()
        return picture
    layered = picture.convert("RGBA")
    white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layered).convert("RGB")


def encode(picture: Image.Image) -> str:
    """Encode as PNG in base64."""
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=3)
    return base64.b64encode(out.getvalue()).decode()


def array(picture: Image.Image) -> Pixels:
    """Return the pixels of an image in mode RGB."""
    import numpy as np  # noqa: PLC0415

    return np.asarray(picture, dtype=np.uint8)


def window(values: Any, radius: int, pick: Callable[..., Any]) -> Any:  # noqa: ANN401
    """Return `pick` (np.minimum or np.maximum) over a square window, edges repeated."""
    import numpy as np  # noqa: PLC0415

    result = values
    for axis in (0, 1):
        length = result.shape[axis]
        padded = np.concatenate(
            [_slab(result, axis, 0, 1)] * radius
            + [result]
            + [_slab(result, axis, length - 1, length)] * radius,
            axis=axis,
        )
        result = _slab(padded, axis, 0, length).copy()
        for shift in range(1, 2 * radius + 1):
            pick(result, _slab(padded, axis, shift, shift + length), out=result)
    return result


def _slab(values: Any, axis: int, start: int, stop: int) -> Any:  # noqa: ANN401
    return values[start:stop] if axis == 0 else values[:, start:stop]


def blocks(values: Any, size: int) -> Any:  # noqa: ANN401
    """Return the means over blocks of `size` by `size` pixels, the last ones padded with zeros."""
    import numpy as np  # noqa: PLC0415

    height, width = values.shape
    padded = np.zeros((-(-height // size) * size, -(-width // size) * size), dtype=np.float32)
    padded[:height, :width] = values
    return padded.reshape(padded.shape[0] // size, size, -1, size).mean(axis=(1, 3))
