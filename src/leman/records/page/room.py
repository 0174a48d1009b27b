"""What a page may still hold, so that it stays small whatever a notebook says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Room:
    """Bytes that may still be written, of text and of pictures; what does not fit is left out."""

    text: int
    pictures: int
    colours: int = 200_000  # characters of code that are coloured, which takes its time
    left_out: int = 0  # pieces that did not fit

    def holds_text(self, markup: str, around: int = 0) -> bool:
        """Take room for `markup` and `around` bytes of what stands about it, if there is any."""
        size = len(markup.encode("utf-8", "surrogatepass")) + around
        if size > self.text:
            self.left_out += 1
            return False
        self.text -= size
        return True

    def holds_colours(self, text: str) -> bool:
        """Take room for code in colour; what does not fit is shown without."""
        self.colours -= len(text)
        return self.colours >= 0

    def holds_picture(self, size: int) -> bool:
        """Take room for a picture of `size` bytes as written on the page, if there is any."""
        if size > self.pictures:
            self.left_out += 1
            return False
        self.pictures -= size
        return True
